//! Serves a router on a listener: connections, their limits, and the end.
//!
//! The loop is our own because `axum::serve` waits for a request's headers for ever. Whoever calls [`run`] owns the
//! reason to stop; the listener was bound before, so a client that knows the port is never refused.
//!
//! Plain connections speak HTTP/1.1.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, time};

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
/// How long to wait when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is there, then finishes what is under way.
pub async fn run(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    builder.max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADERS);
    // A client that has said all it wants to say still wants the answer.
    builder.half_close(true);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // A page is written at once; waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = time::timeout(GRACE, graceful.shutdown()).await;
}
