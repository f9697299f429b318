//! The requests of a journal, in order, within the limits of the journal and of all journals together.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::watch;

use super::request::Request;
use crate::world::Millis;

/// The number of bytes that all journals of a server share. Beyond it, a journal above its equal share drops its oldest
/// requests when it records a new one. A journal never drops requests of another one. Large journals that stay idle can
/// therefore keep the total above this number.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// No request was dropped.
const NONE_DROPPED: Millis = Millis(i64::MIN);
/// The value of [`Journal::subscribe`] after the account is deleted.
pub(crate) const CLOSED: u64 = u64::MAX;

/// The journal of one account.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    /// The number of requests that have arrived.
    arrivals: AtomicU64,
    /// The number of requests recorded since the last reset. It changes under the lock, and is read without it.
    noted: AtomicU64,
    /// The number of the last recorded request.
    last: watch::Sender<u64>,
    total: Arc<Total>,
}

/// The totals over all journals of a server.
#[derive(Debug, Default)]
pub(crate) struct Total {
    bytes: AtomicUsize,
    /// The number of journals that are not empty.
    journals: AtomicUsize,
}

#[derive(Debug)]
struct State {
    requests: VecDeque<Arc<Request>>,
    bytes: usize,
    /// The latest arrival of a dropped request.
    dropped_until: Millis,
    capacity: usize,
    /// The epoch of the account.
    epoch: u64,
}

/// All stored requests of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The requests, oldest first.
    pub(crate) requests: Vec<Arc<Request>>,
    /// Whether the journal has dropped no request since the last reset.
    pub(crate) is_whole: bool,
    /// The latest arrival of a dropped request; far in the past if none was.
    pub(crate) dropped_until: Millis,
}

/// A part of a journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// The requests, oldest first.
    pub requests: Vec<Arc<Request>>,
    /// The value of `after` for the next call.
    pub next_after: u64,
    /// The number of requests recorded since the last reset. Only the most recent ones are kept.
    pub noted: u64,
    /// The epoch of the account: the number of resets.
    pub epoch: u64,
}

impl Total {
    /// The number of bytes in all journals.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Journal {
    pub(crate) fn new(capacity: u32, total: Arc<Total>) -> Self {
        let state = State {
            requests: VecDeque::new(),
            bytes: 0,
            dropped_until: NONE_DROPPED,
            capacity: capacity as usize,
            epoch: 0,
        };
        Self {
            state: Mutex::new(state),
            arrivals: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            last: watch::Sender::new(0),
            total,
        }
    }

    /// Records a request of an epoch, and assigns its number. A request of another epoch is ignored.
    pub(crate) fn record(&self, mut request: Request, epoch: u64) {
        let bytes = request.bytes();
        let mut state = self.state();
        if state.epoch != epoch {
            return;
        }
        let noted = self.noted() + 1;
        self.noted.store(noted, Ordering::Release);
        request.number = noted;
        if state.capacity > 0 {
            if state.requests.is_empty() {
                self.total.journals.fetch_add(1, Ordering::Relaxed);
            }
            state.bytes += bytes;
            state.requests.push_back(Arc::new(request));
            let mut total = self.total.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let share = MAX_BYTES / self.total.journals.load(Ordering::Relaxed).max(1);
            while state.requests.len() > state.capacity
                || (total > MAX_BYTES && state.bytes > share && state.requests.len() > 1)
            {
                let freed = state.evict_oldest();
                self.total.bytes.fetch_sub(freed, Ordering::Relaxed);
                total = total.saturating_sub(freed);
            }
        }
        drop(state);
        if self.last.receiver_count() > 0 {
            self.notify(noted);
        }
    }

    /// Notifies the subscribers. After [`CLOSED`], the value never changes again.
    fn notify(&self, noted: u64) {
        self.last.send_if_modified(|last| {
            let is_open = *last != CLOSED;
            if is_open {
                *last = noted;
            }
            is_open
        });
    }

    /// Up to `limit` requests with a number greater than `number`, of at most `max_bytes` bytes, but at least one if
    /// there is any.
    pub(crate) fn after(&self, number: u64, limit: usize, max_bytes: usize) -> Requests {
        let state = self.state();
        // A number beyond the end is cut to the end, so that the client continues with the next recorded request.
        let noted = self.noted();
        let number = number.min(noted);
        let first = noted - state.requests.len() as u64;
        let skip = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        // The first request always fits, regardless of its size.
        let fits = |request: &&Arc<Request>| {
            let is_first = bytes == 0;
            bytes += request.bytes();
            is_first || bytes <= max_bytes
        };
        let requests: Vec<Arc<Request>> =
            state.requests.iter().skip(skip).take(limit).take_while(fits).cloned().collect();
        let epoch = state.epoch;
        drop(state);
        let next_after = requests.last().map_or(number, |last| last.number);
        Requests { requests, next_after, noted, epoch }
    }

    /// The number of requests recorded since the last reset.
    pub(crate) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Counts a request that arrives, and returns its number in the order of arrival.
    pub(crate) fn arrive(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    /// All stored requests, oldest first.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let requests: Vec<Arc<Request>> = state.requests.iter().cloned().collect();
        Snapshot { is_whole: self.noted() == requests.len() as u64, dropped_until: state.dropped_until, requests }
    }

    /// A receiver that yields the number of the last request whenever it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Deletes all requests, and restarts the numbering at 1.
    pub(crate) fn reset(&self, epoch: u64) {
        let mut state = self.state();
        self.clear(&mut state);
        (state.dropped_until, state.epoch) = (NONE_DROPPED, epoch);
        self.noted.store(0, Ordering::Release);
        drop(state);
        self.notify(0);
    }

    fn clear(&self, state: &mut State) {
        if !state.requests.is_empty() {
            self.total.journals.fetch_sub(1, Ordering::Relaxed);
        }
        self.total.bytes.fetch_sub(state.bytes, Ordering::Relaxed);
        (state.requests, state.bytes) = (VecDeque::new(), 0);
    }

    /// Notifies the subscribers that the journal is closed.
    pub(crate) fn close(&self) {
        self.last.send_replace(CLOSED);
    }

    /// The number of stored requests.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.state().requests.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Drops the oldest request, and returns its size in bytes.
    fn evict_oldest(&mut self) -> usize {
        let Some(request) = self.requests.pop_front() else { return 0 };
        self.dropped_until = self.dropped_until.max(request.at.millis());
        let bytes = request.bytes();
        self.bytes -= bytes;
        bytes
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut state = self.state();
        self.clear(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::request::{Outcome, Parameters, ResponseChange},
        *,
    };

    fn request(path: &str) -> Request {
        Request {
            number: 0,
            at: crate::world::Millis(1_768_478_400_000).into(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            api: None,
            token: None,
            parameters: Parameters::default(),
            status: Some(200),
            entries: None,
            quota: None,
            fault: None,
            outcome: Outcome::Completed,
            bytes_sent: 0,
            ignored: None,
            page: None,
            duration_us: 1,
            arrival: 0,
            arrived_after: 0,
            change: ResponseChange::default(),
            is_over_quota: false,
            is_frozen: false,
            token_hash: None,
            token_life: None,
            is_unforeseeable: false,
        }
    }

    #[test]
    fn journal_keeps_last_requests_and_continues_numbering() {
        let total = Arc::new(Total::default());
        let journal = Journal::new(3, total.clone());
        for nth in 1..=5 {
            journal.record(request(&format!("/{nth}")), 0);
        }
        let numbers = |after, limit| {
            let part = journal.after(after, limit, usize::MAX);
            (part.requests.iter().map(|request| request.number).collect::<Vec<_>>(), part.next_after, part.noted)
        };
        assert_eq!(numbers(0, 10), (vec![3, 4, 5], 5, 5));
        assert_eq!(numbers(3, 1), (vec![4], 4, 5));
        assert_eq!(numbers(5, 10), (vec![], 5, 5));
        assert_eq!(numbers(99, 10), (vec![], 5, 5), "a number beyond the end returns nothing");
        let few = journal.after(0, 10, 2 * request("/1").bytes());
        assert_eq!((few.requests.len(), few.next_after), (2, 4), "as many as fit into the byte limit");
        assert_eq!(journal.after(0, 10, 1).requests.len(), 1, "at least one, whatever its size");
        journal.record(request("/late"), 1);
        assert_eq!(numbers(5, 10), (vec![], 5, 5), "requests of another epoch are ignored");
        assert!(total.bytes.load(Ordering::Relaxed) > 0);
        assert_eq!(total.journals.load(Ordering::Relaxed), 1);
        drop(journal);
        assert_eq!((total.bytes.load(Ordering::Relaxed), total.journals.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn journals_above_their_share_drop_their_own_requests() {
        let total = Arc::new(Total::default());
        let (noisy, quiet) = (Journal::new(1_000_000, total.clone()), Journal::new(10_000, total.clone()));
        let large = "x".repeat(500_000);
        for _ in 0..200 {
            noisy.record(request(&large), 0);
        }
        assert!(total.bytes.load(Ordering::Relaxed) <= MAX_BYTES);
        for _ in 0..50 {
            quiet.record(request(&large), 0);
        }
        assert_eq!(quiet.len(), 50, "a journal below its share keeps everything");
        noisy.record(request(&large), 0);
        assert!(total.bytes.load(Ordering::Relaxed) <= MAX_BYTES);
        assert_eq!(quiet.len(), 50);
    }
}
