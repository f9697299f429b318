//! Serves a router on a listener: connections, their limits, TLS, and the end.
//!
//! The loop is our own because `axum::serve` waits for a request's headers for ever. Whoever calls [`run`] owns the
//! reason to stop; the listener was bound before, so a client that knows the port is never refused.
//!
//! Plain connections speak HTTP/1.1; those with TLS also HTTP/2, if the client says so when they begin.

mod body;
mod line;
pub(crate) mod tls;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, Request, Version, header},
    response::Response,
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time,
};
use tower::ServiceExt;
use tracing::debug;

use self::{
    body::{Answer, Drained},
    line::{Cut, Ended, Line, Socket, Speaks, TLS_HANDSHAKE},
    tls::{H2, Tls},
};
use crate::{api::BrokenOff, limits::Limits, metrics::Metrics};

/// How many header lines are read; beyond, the answer is 431.
const MAX_HEADERS: usize = 256;
/// How many requests of a connection of HTTP/2 are under way at a time.
const MAX_STREAMS: u32 = 100;
/// How long to wait when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many clients are told at a time that there is no place for them; beyond, their connections just end.
const MAX_TOLD: u32 = 64;
/// How long such a client has to read it.
const TOLD_FOR: Duration = Duration::from_millis(500);

/// What a listener serves with.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Tls>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Serves until `stop` is there, then finishes what is under way. Dropped before that, it ends with all its connections.
pub(crate) async fn run(listener: TcpListener, router: Router, serving: Serving, stop: impl Future<Output = ()>) {
    let grace = serving.limits.grace_seconds.get();
    let places = Arc::new(Semaphore::new(serving.limits.max_connections as usize));
    let serving = Arc::new(serving);
    let (closing, is_closing) = watch::channel(false);
    let told = Arc::new(AtomicU32::new(0));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that have ended are let go.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "no connection");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        serving.metrics.connected();
        let Ok(place) = places.clone().try_acquire_owned() else {
            serving.metrics.limited("max-connections");
            if told.fetch_add(1, Ordering::Relaxed) < MAX_TOLD {
                let (serving, told) = (serving.clone(), told.clone());
                connections.spawn(async move {
                    refuse(stream, &serving).await;
                    told.fetch_sub(1, Ordering::Relaxed);
                });
            } else {
                told.fetch_sub(1, Ordering::Relaxed);
            }
            continue;
        };
        let (serving, router, is_closing) = (serving.clone(), router.clone(), is_closing.clone());
        connections.spawn(async move {
            let open = serving.metrics.hold_connection();
            match serve(stream, router, &serving, is_closing).await {
                Ok(()) => {}
                Err(Ended::Cut(cut)) => {
                    serving.metrics.limited(limit_of(cut));
                    debug!(limit = limit_of(cut), "connection ended");
                }
                // A client that breaks off is its own affair.
                Err(Ended::Broken(error)) => debug!(%error, "connection broken"),
            }
            drop((open, place));
        });
    }
    drop(listener);
    closing.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(grace, ended).await.is_err() {
        debug!("requests were still under way after the time of grace");
    }
}

/// The flag of a limit.
fn limit_of(cut: Cut) -> &'static str {
    match cut {
        Cut::Head => "header-seconds",
        Cut::Idle => "idle-seconds",
        Cut::Write => "write-seconds",
        Cut::Requests => "max-requests-per-connection",
    }
}

/// Serves a connection to its end.
async fn serve(
    stream: TcpStream,
    router: Router,
    serving: &Serving,
    closing: watch::Receiver<bool>,
) -> Result<(), Ended> {
    // A page is written at once; waiting to fill a packet would only delay it.
    let _ = stream.set_nodelay(true);
    let limits = &serving.limits;
    let mut socket = Socket::new(stream);
    let Some(tls) = &serving.tls else {
        let line = Line::new(limits, Speaks::Http1);
        socket.tell(line.clone());
        return speak(socket, router, &line, limits, closing).await;
    };
    let handshake = async {
        if socket.first_byte().await? != TLS_HANDSHAKE {
            tell(&mut socket, "400 Bad Request", "invalid_request", "This port speaks HTTPS (--tls), not HTTP").await;
            return Ok(None);
        }
        tls.acceptor().accept(socket).await.map(Some)
    };
    let mut stream = match time::timeout(limits.header_seconds.get(), handshake).await {
        Ok(Ok(Some(stream))) => stream,
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(error)) => {
            debug!(%error, "no handshake");
            return Ok(());
        }
        Err(_) => return Err(Ended::Cut(Cut::Head)),
    };
    let (socket, connection) = stream.get_mut();
    let speaks = if connection.alpn_protocol() == Some(H2) { Speaks::Http2 } else { Speaks::Http1 };
    let line = Line::new(limits, speaks);
    socket.tell(line.clone());
    speak(stream, router, &line, limits, closing).await
}

/// Speaks HTTP.
async fn speak<S>(
    stream: S,
    router: Router,
    line: &Arc<Line>,
    limits: &Limits,
    closing: watch::Receiver<bool>,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let body_time = limits.body_seconds.get();
    let answered = line.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (under_way, has_room) = answered.begin();
        let is_last = !has_room && request.version() <= Version::HTTP_11;
        let request = request.map(|body| Drained::new(body, body_time, under_way.another()));
        let answer = router.clone().oneshot(request);
        async move {
            let Ok(mut response): Result<Response, _> = answer.await;
            // Where a fault says so, there is no answer, and the connection ends; of HTTP/2, the stream.
            if BrokenOff::ends(&response) {
                return Err(BrokenOff);
            }
            if is_last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer::new(body, under_way)))
        }
    });
    let stream = TokioIo::new(stream);
    match line.speaks() {
        Speaks::Http1 => {
            let mut builder = http1::Builder::new();
            let head = limits.max_header_bytes as usize;
            builder.max_buf_size(head).max_header_size(head).max_headers(MAX_HEADERS);
            // The line looks at the time; a client that has said all it wants to say still wants the answer.
            builder.header_read_timeout(None).half_close(true);
            line::hold(builder.serve_connection(stream, service), line, closing).await
        }
        Speaks::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(limits.max_header_bytes).max_concurrent_streams(MAX_STREAMS);
            builder.timer(TokioTimer::new());
            line::hold(builder.serve_connection(stream, service), line, closing).await
        }
    }
}

/// Tells a client that there is no place for it. One that speaks TLS could not be told before a handshake.
async fn refuse(stream: TcpStream, serving: &Serving) {
    if serving.tls.is_none() {
        let most = serving.limits.max_connections;
        let why = format!("The server holds as many connections as it may: {most}");
        tell(&mut Socket::new(stream), "503 Service Unavailable", "service_unavailable", &why).await;
    }
}

/// Answers in the place of HTTP, and ends the connection.
async fn tell(socket: &mut Socket, status: &str, error: &str, why: &str) {
    let body = format!(r#"{{"error":"{error}","error_description":"{why}"}}"#);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json;charset=UTF-8\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    if let Ok(Ok(())) = time::timeout(TOLD_FOR, socket.write_all(answer.as_bytes())).await {
        socket.end(TOLD_FOR).await;
    }
}
