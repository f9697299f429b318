//! Serves a router on a listener: connections, their limits, and the end.
//!
//! The loop is our own because `axum::serve` waits for a request's headers for ever. Whoever calls [`run`] owns the
//! reason to stop; the listener was bound before, so a client that knows the port is never refused.
//!
//! Plain connections speak HTTP/1.1.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, http::Request, response::Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time};
use tower::ServiceExt;

use crate::api::BrokenOff;

/// How many connections are served at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a client may take to send the headers of a request, the silence before them included.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes of a request's headers are read. The emulated surface refuses long lines before (see its gates); beyond
/// this the connection answers 431 without a body and ends.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How many header lines are read; beyond, as above.
const MAX_HEADERS: usize = 256;
/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a body that nobody wanted is read and thrown away before the connection is given up.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is there, then finishes what is under way. Dropped before that, it ends with all its connections.
pub(crate) async fn run(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    builder.max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADERS);
    // A client that has said all it wants to say still wants the answer.
    builder.half_close(true);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            // Those that have ended are let go.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // A page is written at once; waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let service = router.clone().map_request(|request: Request<Incoming>| request.map(Drained::new));
        let service = TowerToHyperService::new(service.map_result(broken_off));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A client that breaks off is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = time::timeout(GRACE, graceful.shutdown()).await;
}

/// Where a fault says so, there is no answer, and the connection ends.
fn broken_off(answer: Result<Response, Infallible>) -> Result<Response, BrokenOff> {
    match answer {
        Ok(response) if BrokenOff::ends(&response) => Err(BrokenOff),
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// A request's body that is taken off the line when nobody reads it to its end: a client that is in the middle of sending
/// would otherwise find its connection reset, and never see why it was refused.
struct Drained(Option<Incoming>);

impl Drained {
    fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        tokio::spawn(time::timeout(DRAIN_TIMEOUT, async move {
            let mut left = MAX_DRAINED_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        }));
    }
}
