//! A response body that is sent slowly or aborted, as a fault requires.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{
    abort::ConnectionAbortedError,
    account::{Account, fault::WaitClock},
    clock::after,
    world::Millis,
};

/// The delay before a connection is aborted in the body, so that the sent bytes reach the network.
const FLUSH: Duration = Duration::from_millis(20);
/// The number of parts per second of a slow body.
const PARTS_PER_SECOND: u32 = 10;

/// The end of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// The whole body is sent.
    Complete,
    /// The connection is aborted, after a delay for the sent bytes.
    Aborted,
    /// The delay is over; the connection is aborted.
    AbortedNow,
}

/// The rate of a slow body.
pub(super) struct Pace {
    pub(super) account: Arc<Account>,
    pub(super) epoch: u64,
    pub(super) waits_on: WaitClock,
    /// The time of the account's clock at the start.
    pub(super) from: Millis,
    pub(super) bytes_per_second: u32,
    pub(super) sent: u64,
}

/// A body that a fault changes.
pub(super) struct FaultyBody {
    bytes: Bytes,
    /// The number of announced bytes that are not sent yet.
    left: u64,
    pace: Option<Pace>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ending: Ending,
}

impl FaultyBody {
    /// Creates a body of these bytes, with `announced` as its announced length.
    pub(super) fn new(bytes: Bytes, announced: u64, pace: Option<Pace>, ending: Ending) -> Self {
        Self { bytes, left: announced, pace, wait: None, ending }
    }
}

impl Pace {
    /// The size of the next part, if `left` bytes remain.
    fn part(&self, left: usize) -> usize {
        let part = (self.bytes_per_second / PARTS_PER_SECOND).max(1);
        left.min(usize::try_from(part).unwrap_or(usize::MAX))
    }

    /// Waits until the next part is sent, if `left` bytes remain.
    fn wait(&self, left: usize) -> impl Future<Output = ()> + Send + use<> {
        let (account, epoch, waits_on, due) = (self.account.clone(), self.epoch, self.waits_on, self.due(left));
        let part_ms = (self.part(left) as u64 * 1000).div_ceil(self.bytes_per_second.into());
        async move {
            match waits_on {
                WaitClock::Account => account.clock().wait_until(due, epoch).await,
                _ => account.clock().sleep(Duration::from_millis(part_ms), epoch).await,
            }
        }
    }

    /// The time of the account's clock at which the next part is sent, if `left` bytes remain.
    fn due(&self, left: usize) -> Millis {
        let sent = self.sent + self.part(left) as u64;
        after(self.from, sent.saturating_mul(1000).div_ceil(self.bytes_per_second.into()))
    }
}

impl http_body::Body for FaultyBody {
    type Data = Bytes;
    type Error = ConnectionAbortedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionAbortedError>>> {
        let this = &mut *self;
        loop {
            let is_due = this.wait.is_some();
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(context));
                this.wait = None;
            }
            if this.bytes.is_empty() {
                match this.ending {
                    Ending::Complete => return Poll::Ready(None),
                    Ending::Aborted => {
                        this.ending = Ending::AbortedNow;
                        this.wait = Some(Box::pin(tokio::time::sleep(FLUSH)));
                        continue;
                    }
                    Ending::AbortedNow => return Poll::Ready(Some(Err(ConnectionAbortedError))),
                }
            }
            let part = match &mut this.pace {
                None => this.bytes.split_to(this.bytes.len()),
                Some(pace) if is_due => {
                    let part = pace.part(this.bytes.len());
                    pace.sent += part as u64;
                    this.bytes.split_to(part)
                }
                Some(pace) => {
                    this.wait = Some(Box::pin(pace.wait(this.bytes.len())));
                    continue;
                }
            };
            this.left -= part.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.ending == Ending::Complete
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
