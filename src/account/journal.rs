//! The journal: the requests of an account and their results.
//!
//! The journal keeps the most recent requests. Secrets are masked before a request is stored. Timestamps use the
//! account's clock, and durations use the machine's clock.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::quota::QuotaStatus;
use crate::clock::Instant;

/// The default number of requests that a journal stores.
pub const DEFAULT_JOURNAL: u32 = 10_000;
/// The maximum number of requests that a journal can store.
pub const MAX_JOURNAL: u32 = 1_000_000;
/// The number of bytes that all journals of a server share. Beyond it, a journal above its equal share drops its oldest
/// requests when it records a new one. A journal never drops requests of another one. Large journals that stay idle can
/// therefore keep the total above this number.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The maximum number of bytes of a request's parameters that the journal stores.
pub(crate) const MAX_PARAMETER_BYTES: usize = 4_096;

/// One request and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// The number of the request, from 1 since the last reset.
    pub number: u64,
    /// The time at which the request arrived.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The API, if the path belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<&'static str>,
    /// The access token of the request, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The parameters in the query and in the body; secrets are masked.
    pub parameters: Parameters,
    /// The status of the response; `None` if the connection ended without one.
    pub status: Option<u16>,
    /// The number of entries, if the response is a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// The state of the quota bucket after the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaStatus>,
    /// The name of the fault rule that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The time until the response, in microseconds of the machine's time.
    pub duration_us: u64,
}

/// The value of [`Journal::subscribe`] after the account is deleted.
pub(crate) const CLOSED: u64 = u64::MAX;

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// The pairs of the query and of a form, decoded.
    pub(crate) pairs: Vec<(String, String)>,
    /// The JSON body, masked.
    pub(crate) body: Option<Box<str>>,
}

/// The journal of one account.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
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
    noted: u64,
    capacity: usize,
    /// The epoch of the account.
    epoch: u64,
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

impl Parameters {
    /// The value of a parameter in the query, in the form or in the JSON body.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let pair = self.pairs.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| Value::from(value.as_str())).or_else(|| self.json()?.get(name).cloned())
    }

    /// The body, if it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.as_deref()?).ok()
    }

    fn bytes(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        pairs + self.body.as_ref().map_or(0, |body| body.len())
    }
}

/// Serializes an object: the pairs, then the fields of the body. A field of the body replaces a pair of the same name.
/// A body that is not an object becomes the field `body`.
impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Map<String, Value> = Map::new();
        for (name, value) in &self.pairs {
            all.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
        }
        match (self.json(), &self.body) {
            (Some(Value::Object(fields)), _) => all.extend(fields),
            (Some(other), _) => drop(all.insert("body".to_owned(), other)),
            (None, Some(text)) => drop(all.insert("body".to_owned(), Value::from(&**text))),
            (None, None) => {}
        }
        all.serialize(serializer)
    }
}

impl Request {
    /// The approximate size in memory, in bytes.
    fn bytes(&self) -> usize {
        let texts = [Some(&self.method), Some(&self.path), self.token.as_ref(), self.fault.as_ref()];
        size_of::<Self>() + texts.into_iter().flatten().map(String::len).sum::<usize>() + self.parameters.bytes()
    }
}

impl Total {
    /// The number of bytes in all journals.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Journal {
    pub(super) fn new(capacity: u32, total: Arc<Total>) -> Self {
        let state = State { requests: VecDeque::new(), bytes: 0, noted: 0, capacity: capacity as usize, epoch: 0 };
        Self { state: Mutex::new(state), last: watch::Sender::new(0), total }
    }

    /// Records a request of an epoch, and assigns its number. A request of another epoch is ignored.
    pub(crate) fn record(&self, mut request: Request, epoch: u64) {
        let bytes = request.bytes();
        let mut state = self.state();
        if state.epoch != epoch {
            return;
        }
        state.noted += 1;
        request.number = state.noted;
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
        let noted = state.noted;
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
        let number = number.min(state.noted);
        let first = state.noted - state.requests.len() as u64;
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
        let (noted, epoch) = (state.noted, state.epoch);
        drop(state);
        let next_after = requests.last().map_or(number, |last| last.number);
        Requests { requests, next_after, noted, epoch }
    }

    /// A receiver that yields the number of the last request whenever it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Deletes all requests, and restarts the numbering at 1.
    pub(super) fn reset(&self, epoch: u64) {
        let mut state = self.state();
        self.clear(&mut state);
        (state.noted, state.epoch) = (0, epoch);
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
    pub(super) fn close(&self) {
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
        let bytes = self.requests.pop_front().map_or(0, |request| request.bytes());
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

/// A masked secret: its first and last four characters, or none if it has fewer than 16 characters.
pub(crate) fn masked(secret: &str) -> String {
    if secret.is_ascii() && secret.len() >= 16 {
        return [&secret[..4], "…", &secret[secret.len() - 4..]].concat();
    }
    let count = secret.chars().count();
    if count < 16 {
        return "…".to_owned();
    }
    let first: String = secret.chars().take(4).collect();
    let last: String = secret.chars().skip(count - 4).collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            duration_us: 1,
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

    #[test]
    fn masked_secrets_show_only_their_ends() {
        assert_eq!(masked("TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234"), "TEST…1234");
        assert_eq!(masked("sandbox-short"), "…");
        assert_eq!(masked("üüüüüüüüüüüüüüüü"), "üüüü…üüüü");
    }
}
