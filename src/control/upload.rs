//! The records of an audit while they arrive: a stream that a blocking thread reads.

use std::{
    io::{self, BufReader, Read},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Buf, Bytes};
use http_body::Body as _;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};

use super::problem::Problem;
use crate::{
    account::{Account, journal::CLOSED},
    limits::Seconds,
    offload::offload,
    world::Cancellation,
};

/// The maximum size of the records, in bytes.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// The number of bytes that are read of a body, so that a client whose records are refused gets the reason.
const MAX_DRAINED_BYTES: u64 = 4 * MAX_BYTES;
/// The maximum time for the records to arrive.
const MAX_TIME: Duration = Duration::from_secs(600);
/// The number of parts of a body that are read ahead of the comparison.
const READ_AHEAD: usize = 8;
/// The size of the buffer from which the records are read.
const BUFFER_BYTES: usize = 64 * 1024;

/// A body that arrives.
pub(super) struct Upload {
    body: Body,
    /// Permits to compute.
    permits: Arc<Semaphore>,
    /// The permit to receive records.
    receiving: OwnedSemaphorePermit,
    /// Yields [`CLOSED`] when the account is deleted.
    deleted: watch::Receiver<u64>,
}

impl Upload {
    /// Begins to receive a body.
    ///
    /// # Errors
    ///
    /// 413 if it is too large, and the client asks before it sends it; 503 if too many others arrive.
    pub(super) fn begin(account: &Account, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let announced = body.size_hint().exact().unwrap_or_default();
        if announced > MAX_BYTES && headers.contains_key(header::EXPECT) {
            return Err(too_large());
        }
        let receiving = account.shared.audit_uploads.clone().try_acquire_owned().map_err(|_| {
            Problem::busy("Too many audits receive records; the next one must wait until one has ended", 1)
        })?;
        Ok(Self { body, permits: account.shared.audits.clone(), receiving, deleted: account.journal.subscribe() })
    }

    /// Calls `read` with the bytes on a thread for blocking work. Returns whether all have arrived, and its result. Drop the
    /// future to cancel the work.
    pub(super) async fn read_by<T: Send + 'static>(
        self,
        time: Seconds,
        read: impl FnOnce(BufReader<BodyReader>, &Cancellation) -> T + Send + 'static,
    ) -> (Result<(), Problem>, T) {
        let Self { body, permits, receiving, mut deleted } = self;
        let permit = AuditPermit::acquire(permits).await;
        let (parts, received) = mpsc::channel(READ_AHEAD);
        let reader = BodyReader { received, part: Bytes::new(), is_ended: false, permit: permit.clone() };
        let cancellation = Cancellation::default();
        let _cancelled = cancellation.cancel_on_drop();
        let done = offload(move || {
            let done = read(BufReader::with_capacity(BUFFER_BYTES, reader), &cancellation);
            drop((permit, receiving));
            done
        });
        // Whenever this ends, the sender of the parts is dropped, and the reader fails.
        let too_late = || Problem::invalid(format!("The body was not complete after {} s", MAX_TIME.as_secs()));
        let sent = async {
            tokio::select! {
                sent = timeout(MAX_TIME, send_parts(body, parts, time)) => sent.unwrap_or_else(|_| Err(too_late())),
                _ = deleted.wait_for(|last| *last == CLOSED) => {
                    Err(Problem::not_found("The account was deleted while its records arrived"))
                }
            }
        };
        tokio::join!(sent, done)
    }
}

fn too_large() -> Problem {
    Problem::too_large(format!("The body must have at most {MAX_BYTES} bytes, got more"))
}

/// Sends the parts of a body to the comparison, as fast as it reads them, and an empty part at the end. When the comparison
/// ends early, the rest is read, so that the client gets its answer.
async fn send_parts(mut body: Body, parts: mpsc::Sender<io::Result<Bytes>>, time: Seconds) -> Result<(), Problem> {
    let mut bytes: u64 = 0;
    let mut result = Ok(());
    let mut is_sending = true;
    loop {
        let part = match timeout(time.get(), body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(_))) => return Err(Problem::invalid("The body ended before it was complete")),
            Err(_) => return Err(Problem::invalid(format!("No part of the body came for {time}"))),
        };
        bytes += part.len() as u64;
        if bytes > MAX_DRAINED_BYTES {
            break;
        }
        if bytes > MAX_BYTES && is_sending {
            is_sending = false;
            result = Err(too_large());
            // An error means that the comparison has ended.
            let _ = parts.send(Err(io::Error::other("the body is too large"))).await;
        }
        if is_sending && !part.is_empty() {
            is_sending = parts.send(Ok(part)).await.is_ok();
        }
    }
    if is_sending {
        // The same.
        let _ = parts.send(Ok(Bytes::new())).await;
    }
    result
}

/// The permit of an audit to compute. While it waits for records, others compute. Clones share the permit.
#[derive(Clone)]
struct AuditPermit {
    permits: Arc<Semaphore>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl AuditPermit {
    async fn acquire(permits: Arc<Semaphore>) -> Self {
        // The semaphore is never closed.
        let held = permits.clone().acquire_owned().await.ok();
        Self { permits, held: Arc::new(Mutex::new(held)) }
    }

    /// Calls a function that waits, without the permit. Blocks until it has the permit again.
    fn release_while<T>(&self, wait: impl FnOnce() -> T) -> T {
        drop(self.held.lock().take());
        let done = wait();
        let held = Handle::current().block_on(self.permits.clone().acquire_owned()).ok();
        *self.held.lock() = held;
        done
    }
}

/// Reads the parts of a body on a blocking thread.
pub(super) struct BodyReader {
    received: mpsc::Receiver<io::Result<Bytes>>,
    part: Bytes,
    is_ended: bool,
    permit: AuditPermit,
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && !self.is_ended {
            let received = match self.received.try_recv() {
                Ok(part) => Some(part),
                Err(_) => self.permit.release_while(|| self.received.blocking_recv()),
            };
            self.part = received.unwrap_or_else(|| Err(io::Error::other("the client has left")))?;
            self.is_ended = self.part.is_empty();
        }
        let taken = self.part.len().min(into.len());
        self.part.split_to(taken).copy_to_slice(&mut into[..taken]);
        Ok(taken)
    }
}
