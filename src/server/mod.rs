//! Serves a router on a listener: accept loop, connection limits and deadlines, TLS, and graceful shutdown.
//!
//! The project has its own accept loop because `axum::serve` has no deadline for a request head. The caller of [`run`]
//! binds the listener and decides when to stop.
//!
//! Plain connections use HTTP/1.1. TLS connections use HTTP/2 if the client negotiates it with ALPN.

mod body;
mod connection;
mod socket;
#[cfg(feature = "tls")]
pub(crate) mod tls;
/// Replaces TLS in builds without the feature `tls`.
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

/// The maximum number of header lines. More get 431.
const MAX_HEADERS: usize = 256;
/// The maximum number of concurrent requests on an HTTP/2 connection.
#[cfg(feature = "tls")]
const MAX_STREAMS: u32 = 100;
/// The pause after an `accept` error, such as a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The maximum number of concurrent 503 responses to connections above the limit. Further connections are closed
/// without a response.
const MAX_REFUSED: usize = 64;
/// The time limit for writing such a response, and for the client to close after it.
const REFUSED_FOR: Duration = Duration::from_millis(500);
/// The content type of responses that this module creates.
const CONTENT_TYPE: &str = "application/json;charset=UTF-8";
/// The flag that limits the requests on a connection.
const MAX_REQUESTS: &str = "max-requests-per-connection";
/// The minimum time between two warnings about `accept` errors.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The options of a listener.
#[derive(Clone)]
pub(crate) struct ServeOptions {
    limits: Limits,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    /// One permit per open connection, shared by all listeners.
    permits: Arc<Semaphore>,
    /// One permit per 503 response to a connection above the limit.
    refused: Arc<Semaphore>,
}

impl ServeOptions {
    pub(crate) fn new(limits: Limits, tls: Option<Tls>, metrics: Arc<Metrics>) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_connections as usize));
        Self { limits, tls, metrics, permits, refused: Arc::new(Semaphore::new(MAX_REFUSED)) }
    }
}

/// Serves until `stop` completes, then shuts down gracefully. A drop of this future closes all connections.
pub(crate) async fn run(listener: TcpListener, router: Router, options: ServeOptions, stop: impl Future<Output = ()>) {
    let grace = options.limits.grace_seconds.get();
    let options = Arc::new(options);
    let (closing, is_closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut last_warning: Option<Instant> = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Removes connections that have ended.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => spawn_connection(stream, &router, &options, &is_closing, &mut connections),
            // The client has already disconnected.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                if last_warning.is_none_or(|last| last.elapsed() > ACCEPT_WARNING_INTERVAL) {
                    warn!(%error, "cannot accept connections");
                    last_warning = Some(Instant::now());
                }
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(grace, ended).await.is_err() {
        warn!(connections = connections.len(), "aborted: requests were still in flight after --grace-seconds");
    }
}

/// Serves an accepted connection in a new task, or refuses it if there is no permit.
fn spawn_connection(
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
            Err(ConnectionError::CloseReason(reason)) => {
                if let Some(limit) = limit_of(reason) {
                    options.metrics.limited(limit);
                    debug!(limit, "connection ended");
                }
            }
            Err(ConnectionError::Broken(error)) => {
                if error.is_parse_too_large() {
                    options.metrics.limited("max-header-bytes");
                }
                // An error that the client causes is only a debug message.
                debug!(%error, "connection broken");
            }
        }
        drop((open, permit));
    });
}

/// The flag of the limit behind a close reason.
fn limit_of(reason: CloseReason) -> Option<&'static str> {
    match reason {
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
    // A page is written at once. Nagle's algorithm would only delay it.
    let _ = stream.set_nodelay(true);
    let limits = &options.limits;
    let mut socket = Socket::new(stream);
    let Some(tls) = &options.tls else {
        let connection_state = ConnectionState::new(limits, Protocol::Http1);
        socket.attach(connection_state.clone());
        return serve_http(socket, router, &connection_state, options, closing).await;
    };
    let handshake = tokio::select! {
        handshake = time::timeout(limits.header_seconds.get(), tls_handshake(socket, tls)) => handshake,
        () = connection::closed(&mut closing) => return Ok(()),
    };
    let Ok(handshake) = handshake else { return Err(ConnectionError::CloseReason(CloseReason::Head)) };
    let Some(mut stream) = handshake else { return Ok(()) };
    let connection_state = ConnectionState::new(limits, tls::protocol(&stream));
    tls::socket(&mut stream).attach(connection_state.clone());
    serve_http(stream, router, &connection_state, options, closing).await
}

/// Performs the TLS handshake. A client that does not start one gets 400.
async fn tls_handshake(mut socket: Socket, tls: &Tls) -> Option<TlsStream> {
    if socket.first_byte().await.ok()? != TLS_HANDSHAKE {
        let why = "This port serves HTTPS (--tls), not HTTP";
        send_error_and_close(&mut socket, "400 Bad Request", "invalid_request", why).await;
        return None;
    }
    tls.accept(socket).await.inspect_err(|error| debug!(%error, "no handshake")).ok()
}

/// Serves HTTP on a connection.
async fn serve_http<S>(
    stream: S,
    router: Router,
    connection_state: &Arc<ConnectionState>,
    options: &ServeOptions,
    closing: watch::Receiver<bool>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &options.limits;
    let body_time = limits.body_seconds.get();
    let metrics = options.metrics.clone();
    let state = connection_state.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (in_flight, has_room) = state.begin();
        let is_last = !has_room && request.version() <= Version::HTTP_11;
        if is_last {
            metrics.limited(MAX_REQUESTS);
        }
        let host_error = check_host(&request).map(|why| (why, request.uri().path().to_owned()));
        let request = request.map(|body| DrainedBody::new(body, body_time, state.clone()));
        let answer = match host_error {
            None => Either::Left(router.clone().oneshot(request)),
            Some((why, path)) => Either::Right(ready(Ok(bad_host(why, &path)))),
        };
        async move {
            let Ok(mut response): Result<Response, _> = answer.await;
            // A fault can abort the connection without a response. On HTTP/2 it resets the stream.
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
    match connection_state.protocol() {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            let head = limits.max_header_bytes as usize;
            builder.max_buf_size(head).max_header_size(head).max_headers(MAX_HEADERS);
            // `ConnectionState` enforces the header timeout. The socket reports a half-closed connection after a short
            // time, and hyper then drops the request.
            builder.header_read_timeout(None).half_close(false);
            connection::drive(builder.serve_connection(stream, service), connection_state, closing).await
        }
        #[cfg(not(feature = "tls"))]
        Protocol::Http2 => Ok(()),
        #[cfg(feature = "tls")]
        Protocol::Http2 => {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(limits.max_header_bytes).max_concurrent_streams(MAX_STREAMS);
            connection::drive(builder.serve_connection(stream, service), connection_state, closing).await
        }
    }
}

/// The error in the `Host` header of a request, if any. HTTP/1.1 requires exactly one (RFC 9112, section 3.2).
fn check_host<B>(request: &Request<B>) -> Option<&'static str> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    match request.headers().get_all(header::HOST).iter().count() {
        0 => Some("Host must occur exactly once, got none"),
        1 => None,
        _ => Some("Host must occur exactly once, got more than one"),
    }
}

/// The 400 of a request that belongs to no host, in the form of the surface that its path names.
fn bad_host(why: &str, path: &str) -> Response {
    let (media_type, body) = if path.starts_with("/_mock/") {
        ("application/problem+json", format!(r#"{{"title":"Bad Request","status":400,"detail":"{why}"}}"#))
    } else {
        (CONTENT_TYPE, error_body("invalid_request", why))
    };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CONNECTION, "close")];
    (StatusCode::BAD_REQUEST, headers, body).into_response()
}

/// The body of an error response that this module creates.
fn error_body(error: &str, why: &str) -> String {
    format!(r#"{{"error":"{error}","error_description":"{why}"}}"#)
}

/// Responds with 503 to a connection above the limit. With TLS there is no response, because there is no handshake.
async fn refuse(stream: TcpStream, options: &ServeOptions) {
    if options.tls.is_none() {
        let most = options.limits.max_connections;
        let why = format!("The server has its maximum number of open connections: {most}");
        send_error_and_close(&mut Socket::new(stream), "503 Service Unavailable", "service_unavailable", &why).await;
    }
}

/// Sends an HTTP error response and closes the connection.
async fn send_error_and_close(socket: &mut Socket, status: &str, error: &str, why: &str) {
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
