//! The socket of a connection, which tells its line what comes and leaves.

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

/// How long a client that has closed its side of the connection may still wait for an answer. Some clients send all they have
/// to send, close their side and read; most have left. Upstream's proxies do not wait at all (A).
const HALF_CLOSED_FOR: Duration = Duration::from_millis(250);

/// A socket that tells its line what comes and leaves.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// What is announced; during the handshake of TLS, nobody is.
    line: Option<Arc<ConnectionState>>,
    /// The client has closed its side; until this ends, its request goes on.
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, line: None, half_closed: None }
    }

    pub(super) fn tell(&mut self, line: Arc<ConnectionState>) {
        self.line = Some(line);
    }

    /// The first byte that comes. It is still there for whoever reads.
    pub(super) async fn first_byte(&self) -> io::Result<u8> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0]),
        }
    }

    /// Ends the connection so that what was sent arrives: what comes is read for a while, because a socket that is closed
    /// with something unread takes back what it has sent.
    pub(super) async fn end(&mut self, cancellation: Duration) {
        let _ = self.shutdown().await;
        let _ = timeout(cancellation, tokio::io::copy(self, &mut tokio::io::sink())).await;
    }

    fn wrote(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Some(line) = &self.line {
            line.left(wrote.is_pending());
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
        if is_end && this.line.as_ref().is_some_and(|line| line.is_answering()) {
            let time = this.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED_FOR)));
            ready!(time.as_mut().poll(context));
        }
        if let Some(line) = &this.line
            && let Some(first) = into.filled().get(before)
        {
            line.received();
            if line.is_new() && matches!(*first, TLS_HANDSHAKE | b'P') {
                hint(into.filled());
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

/// The first byte of whoever begins with TLS, and no byte of a method.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// Logs once what the first client that protocol another protocol than HTTP/1.1 on a plain port could not be announced.
fn hint(first: &[u8]) {
    static TLS: AtomicBool = AtomicBool::new(false);
    static HTTP_2: AtomicBool = AtomicBool::new(false);

    if first.starts_with(&[TLS_HANDSHAKE, 3]) && !TLS.swap(true, Ordering::Relaxed) {
        tracing::warn!("a client spoke TLS to a plain port; --tls serves HTTPS");
    }
    if first.starts_with(b"PRI * HTTP/2.0") && !HTTP_2.swap(true, Ordering::Relaxed) {
        tracing::warn!("a client spoke HTTP/2 without TLS; plain ports serve HTTP/1.1, and --tls serves HTTP/2");
    }
}
