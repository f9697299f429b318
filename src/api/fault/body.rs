//! A body that arrives as a fault wants it: slowly, or not to its end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{abort::ConnectionAbortedError, account::Account, clock::after, world::Millis};

/// How long a connection is kept that ends in mid-body, so that what was sent has left.
const FLUSH: Duration = Duration::from_millis(20);
/// How many parts a second of a slow body is sent in.
const PARTS_PER_SECOND: u32 = 10;

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Complete,
    /// The connection ends; before that, what was sent is given some time to leave.
    Aborted,
    AbortedNow,
}

/// How fast a body is sent, by the account's clock.
pub(super) struct Pace {
    pub(super) account: Arc<Account>,
    pub(super) epoch: u64,
    pub(super) from: Millis,
    pub(super) bytes_per_second: u32,
    pub(super) sent: u64,
}

/// A body on its way.
pub(super) struct FaultyBody {
    bytes: Bytes,
    /// How many bytes were announced and not sent yet.
    left: u64,
    pace: Option<Pace>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ending: Ending,
}

impl FaultyBody {
    /// A body of these bytes, of which `announced` are announced.
    pub(super) fn new(bytes: Bytes, announced: u64, pace: Option<Pace>, ending: Ending) -> Self {
        Self { bytes, left: announced, pace, wait: None, ending }
    }
}

impl Pace {
    /// How many of the bytes that are left come next.
    fn part(&self, left: usize) -> usize {
        let part = (self.bytes_per_second / PARTS_PER_SECOND).max(1);
        left.min(usize::try_from(part).unwrap_or(usize::MAX))
    }

    /// When they come.
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
                    let due = pace.due(this.bytes.len());
                    let (account, epoch) = (pace.account.clone(), pace.epoch);
                    this.wait = Some(Box::pin(async move { account.clock().wait_until(due, epoch).await }));
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
