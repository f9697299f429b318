//! The socket of a connection. It reports reads and writes to the connection state.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};

use super::connection::ConnectionState;

/// How long a half-closed connection may wait for its response. Some clients send their request, shut down the write
/// side and read; most clients that close have disconnected. The vendor's proxies do not wait at all (A).
const HALF_CLOSE_GRACE: Duration = Duration::from_millis(250);

/// A socket that reports reads and writes to the connection state.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// The state that gets the reports. `None` during the TLS handshake.
    connection_state: Option<Arc<ConnectionState>>,
    /// Set when the client has closed its write side. The request continues until this timer ends.
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, connection_state: None, half_closed: None }
    }

    pub(super) fn attach(&mut self, connection_state: Arc<ConnectionState>) {
        self.connection_state = Some(connection_state);
    }

    /// Waits for the first byte and peeks at it. The byte remains in the socket.
    pub(super) async fn first_byte(&self) -> io::Result<u8> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0]),
        }
    }

    /// Closes the connection so that sent data arrives. It reads and discards input for a limited time, because the
    /// close of a socket with unread input resets the connection.
    pub(super) async fn end(&mut self, time_limit: Duration) {
        let _ = self.shutdown().await;
        let _ = timeout(time_limit, tokio::io::copy(self, &mut tokio::io::sink())).await;
    }

    fn wrote(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Some(connection_state) = &self.connection_state {
            connection_state.on_write(wrote.is_pending());
        }
        wrote
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        let is_end = into.filled().len() == before && into.remaining() > 0;
        if is_end && this.connection_state.as_ref().is_some_and(|connection_state| connection_state.is_answering()) {
            let time = this.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSE_GRACE)));
            ready!(time.as_mut().poll(context));
        }
        if let Some(connection_state) = &this.connection_state
            && let Some(first) = into.filled().get(before)
        {
            connection_state.on_read();
            if connection_state.is_new() && matches!(*first, TLS_HANDSHAKE | b'P') {
                warn_wrong_protocol(into.filled());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The first byte of a TLS handshake record. It cannot start an HTTP method.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// Logs a warning, once per protocol, when a client uses TLS or HTTP/2 on a plain port.
fn warn_wrong_protocol(first: &[u8]) {
    static TLS: AtomicBool = AtomicBool::new(false);
    static HTTP_2: AtomicBool = AtomicBool::new(false);

    if first.starts_with(&[TLS_HANDSHAKE, 3]) && !TLS.swap(true, Ordering::Relaxed) {
        tracing::warn!("a client spoke TLS to a plain port; --tls serves HTTPS");
    }
    if first.starts_with(b"PRI * HTTP/2.0") && !HTTP_2.swap(true, Ordering::Relaxed) {
        tracing::warn!("a client spoke HTTP/2 without TLS; plain ports serve HTTP/1.1, and --tls serves HTTP/2");
    }
}
