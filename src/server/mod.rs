//! Serves a router on a listener: connections, their limits, TLS, and the end.
//!
//! The loop is our own because `axum::serve` waits for a request's headers for ever. Whoever calls [`run`] owns the
//! reason to stop; the listener was bound before, so a client that knows the port is never refused.
//!
//! Plain connections speak HTTP/1.1; those with TLS also HTTP/2, if the client says so when they begin.

mod body;
mod connection;
mod socket;
#[cfg(feature = "tls")]
pub(crate) mod tls;
/// Stands in for TLS where the crate is built without it.
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub(crate) mod tls;

use std::{
    future::{Future, ready},
    io::ErrorKind,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use futures_util::future::Either;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
#[cfg(feature = "tls")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{self, Instant},
};
use tower::ServiceExt;
use tracing::{debug, warn};

use self::{
    body::{DrainedBody, ResponseBody},
    connection::{CloseReason, ConnectionError, ConnectionState, Protocol},
    socket::{Socket, TLS_HANDSHAKE},
    tls::{Tls, TlsStream},
};
use crate::{abort::ConnectionAbortedError, limits::Limits, metrics::Metrics};

/// How many header lines are read; beyond, the answer is 431.
const MAX_HEADERS: usize = 256;
/// How many requests of a connection of HTTP/2 are under way at a time.
#[cfg(feature = "tls")]
const MAX_STREAMS: u32 = 100;
/// How long to wait when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many clients are refused in words at a time; beyond, their connections just end.
const MAX_REFUSED: usize = 64;
/// How long such a client has to read them.
const REFUSED_FOR: Duration = Duration::from_millis(500);
/// The content type of answers that no surface gives.
const CONTENT_TYPE: &str = "application/json;charset=UTF-8";
/// The limit of requests on a connection, by its flag.
const MAX_REQUESTS: &str = "max-requests-per-connection";
/// How often it is said that no connection can be taken.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What a listener serves with.
#[derive(Clone)]
pub(crate) struct ServeOptions {
    limits: Limits,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    /// A permit for each connection, of all listeners.
    permits: Arc<Semaphore>,
    /// A permit for each client that is refused in words.
    refused: Arc<Semaphore>,
}

impl ServeOptions {
    pub(crate) fn new(limits: Limits, tls: Option<Tls>, metrics: Arc<Metrics>) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_connections as usize));
        Self { limits, tls, metrics, permits, refused: Arc::new(Semaphore::new(MAX_REFUSED)) }
    }
}

/// Serves until `stop` is there, then finishes what is under way. Dropped before that, it ends with all its connections.
pub(crate) async fn run(listener: TcpListener, router: Router, options: ServeOptions, stop: impl Future<Output = ()>) {
    let grace = options.limits.grace_seconds.get();
    let options = Arc::new(options);
    let (closing, is_closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut complained: Option<Instant> = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that have ended are let go.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => take(stream, &router, &options, &is_closing, &mut connections),
            // The client has gone already.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                if complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                    warn!(%error, "no connection can be taken");
                    complained = Some(Instant::now());
                }
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(grace, ended).await.is_err() {
        warn!(connections = connections.len(), "cut: requests were still under way after --grace-seconds");
    }
}

/// Serves a connection that has come, or refuses it where there is no permit.
fn take(
    stream: TcpStream,
    router: &Router,
    options: &Arc<ServeOptions>,
    closing: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    options.metrics.connected();
    let (options, router, mut closing) = (options.clone(), router.clone(), closing.clone());
    let Ok(permit) = options.permits.clone().try_acquire_owned() else {
        options.metrics.limited("max-connections");
        if let Ok(permit) = options.refused.clone().try_acquire_owned() {
            connections.spawn(async move {
                tokio::select! {
                    () = refuse(stream, &options) => {}
                    () = connection::closed(&mut closing) => {}
                }
                drop(permit);
            });
        }
        return;
    };
    connections.spawn(async move {
        let open = options.metrics.hold_connection();
        match serve(stream, router, &options, closing).await {
            Ok(()) => {}
            Err(ConnectionError::CloseReason(cut)) => {
                if let Some(limit) = limit_of(cut) {
                    options.metrics.limited(limit);
                    debug!(limit, "connection ended");
                }
            }
            Err(ConnectionError::Broken(error)) => {
                if error.is_parse_too_large() {
                    options.metrics.limited("max-header-bytes");
                }
                // A client that breaks off is its own affair.
                debug!(%error, "connection broken");
            }
        }
        drop((open, permit));
    });
}

/// The flag of a limit.
fn limit_of(cut: CloseReason) -> Option<&'static str> {
    match cut {
        CloseReason::Head => Some("header-seconds"),
        CloseReason::Idle => Some("idle-seconds"),
        CloseReason::Write => Some("write-seconds"),
        CloseReason::Requests => Some(MAX_REQUESTS),
        CloseReason::Closing => None,
    }
}

/// Serves a connection to its end.
async fn serve(
    stream: TcpStream,
    router: Router,
    options: &ServeOptions,
    mut closing: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    // A page is written at once; waiting to fill a packet would only delay it.
    let _ = stream.set_nodelay(true);
    let limits = &options.limits;
    let mut socket = Socket::new(stream);
    let Some(tls) = &options.tls else {
        let line = ConnectionState::new(limits, Protocol::Http1);
        socket.tell(line.clone());
        return speak(socket, router, &line, options, closing).await;
    };
    let shaken = tokio::select! {
        shaken = time::timeout(limits.header_seconds.get(), shake_hands(socket, tls)) => shaken,
        () = connection::closed(&mut closing) => return Ok(()),
    };
    let Ok(shaken) = shaken else { return Err(ConnectionError::CloseReason(CloseReason::Head)) };
    let Some(mut stream) = shaken else { return Ok(()) };
    let line = ConnectionState::new(limits, tls::protocol(&stream));
    tls::socket(&mut stream).tell(line.clone());
    speak(stream, router, &line, options, closing).await
}

/// Begins TLS, unless the client speaks another protocol.
async fn shake_hands(mut socket: Socket, tls: &Tls) -> Option<TlsStream> {
    if socket.first_byte().await.ok()? != TLS_HANDSHAKE {
        let why = "This port speaks HTTPS (--tls), not HTTP";
        refuse_in_words(&mut socket, "400 Bad Request", "invalid_request", why).await;
        return None;
    }
    tls.accept(socket).await.inspect_err(|error| debug!(%error, "no handshake")).ok()
}

/// Speaks HTTP on a connection.
async fn speak<S>(
    stream: S,
    router: Router,
    line: &Arc<ConnectionState>,
    options: &ServeOptions,
    closing: watch::Receiver<bool>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &options.limits;
    let body_time = limits.body_seconds.get();
    let metrics = options.metrics.clone();
    let answered = line.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (in_flight, has_room) = answered.begin();
        let is_last = !has_room && request.version() <= Version::HTTP_11;
        if is_last {
            metrics.limited(MAX_REQUESTS);
        }
        let misnamed = misnamed_host(&request);
        let request = request.map(|body| DrainedBody::new(body, body_time, answered.clone()));
        let answer = match misnamed {
            None => Either::Left(router.clone().oneshot(request)),
            Some(why) => Either::Right(ready(Ok(bad_host(why)))),
        };
        async move {
            let Ok(mut response): Result<Response, _> = answer.await;
            // Where a fault says so, there is no answer, and the connection ends; of HTTP/2, the stream.
            if ConnectionAbortedError::ends(&response) {
                return Err(ConnectionAbortedError);
            }
            if is_last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| ResponseBody::new(body, in_flight)))
        }
    });
    let stream = TokioIo::new(stream);
    match line.protocol() {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            let head = limits.max_header_bytes as usize;
            builder.max_buf_size(head).max_header_size(head).max_headers(MAX_HEADERS);
            // The line measures the time. A client that has closed its side while it waits for an answer has left: the socket
            // reports that after a short time, and hyper then drops the request.
            builder.header_read_timeout(None).half_close(false);
            connection::hold(builder.serve_connection(stream, service), line, closing).await
        }
        #[cfg(not(feature = "tls"))]
        Protocol::Http2 => Ok(()),
        #[cfg(feature = "tls")]
        Protocol::Http2 => {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(limits.max_header_bytes).max_concurrent_streams(MAX_STREAMS);
            connection::hold(builder.serve_connection(stream, service), line, closing).await
        }
    }
}

/// What is wrong with the `Host` of a request: HTTP/1.1 wants it once (RFC 9112, section 3.2).
fn misnamed_host<B>(request: &Request<B>) -> Option<&'static str> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    match request.headers().get_all(header::HOST).iter().count() {
        0 => Some("Host must be there once, got none"),
        1 => None,
        _ => Some("Host must be there once, got more than one"),
    }
}

fn bad_host(why: &str) -> Response {
    let body = error_body("invalid_request", why);
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CONNECTION, "close")];
    (StatusCode::BAD_REQUEST, headers, body).into_response()
}

/// The body of an answer that no surface gives.
fn error_body(error: &str, why: &str) -> String {
    format!(r#"{{"error":"{error}","error_description":"{why}"}}"#)
}

/// Tells a client that there is no permit for it. One that protocol TLS could not be announced before a handshake.
async fn refuse(stream: TcpStream, options: &ServeOptions) {
    if options.tls.is_none() {
        let most = options.limits.max_connections;
        let why = format!("The server holds as many connections as it may: {most}");
        refuse_in_words(&mut Socket::new(stream), "503 Service Unavailable", "service_unavailable", &why).await;
    }
}

/// Answers in the permit of HTTP, and ends the connection.
async fn refuse_in_words(socket: &mut Socket, status: &str, error: &str, why: &str) {
    let body = error_body(error, why);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {CONTENT_TYPE}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    if let Ok(Ok(())) = time::timeout(REFUSED_FOR, socket.write_all(answer.as_bytes())).await {
        socket.end(REFUSED_FOR).await;
    }
}
