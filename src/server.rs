//! Serves a router on a listener: connections, their limits, and the end.
//!
//! The loop is our own because `axum::serve` waits for a request's headers for ever. Whoever calls [`run`] owns the
//! reason to stop; the listener was bound before, so a client that knows the port is never refused.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, time};

/// How many connections are served at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a client may take to send the headers of a request, or stay silent between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes of a request's headers are read. The emulated surface refuses long lines before (see its first gate);
/// beyond this the connection answers 431 and ends.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is there, then finishes what is under way.
pub async fn run(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT).max_buf_size(MAX_HEADER_BYTES);
    builder.http2().timer(TokioTimer::new());
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
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
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
