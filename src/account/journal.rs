//! The journal: what clients asked of an account, and what they got.
//!
//! The last requests are kept, with all that is secret in them masked before it is stored. Stamps are of the account's
//! clock; how long an answer took is of the machine's.

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

/// How many requests an account's journal keeps, unless the account says otherwise.
pub const DEFAULT_JOURNAL: u32 = 10_000;
/// How many it can be told to keep.
pub const MAX_JOURNAL: u32 = 1_000_000;
/// How many bytes the journals of a server keep together. Beyond, a journal that has more than its share drops of its own
/// past as much as it notes; what others have is never touched. So journals that grew large and fell silent can keep as much
/// again.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How many bytes of what a request says are kept of it.
pub(crate) const MAX_PARAMETER_BYTES: usize = 4_096;

/// One request, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Counted from 1 since the account began.
    pub number: u64,
    /// When it came.
    pub at: Instant,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The API, where the path has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<&'static str>,
    /// The access token that it came with, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it asked for, in the query and in the body; secrets are masked.
    pub parameters: Parameters,
    /// The status of the answer; `None` when the connection ended without one.
    pub status: Option<u16>,
    /// How many entries the answer had, where it is a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Where the bucket of its quota stood afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaStatus>,
    /// The fault that broke it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// How long the answer took, in microseconds of the machine's time.
    pub duration_us: u64,
}

/// What [`Journal::subscribe`] shows when the account is gone.
pub(crate) const CLOSED: u64 = u64::MAX;

/// What a request asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Of the query and of a form, decoded.
    pub(crate) pairs: Vec<(String, String)>,
    /// The JSON of a body, as it came.
    pub(crate) body: Option<Box<str>>,
}

/// The journal of one account.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    /// The number of the last request that was noted.
    last: watch::Sender<u64>,
    total: Arc<Total>,
}

/// What the journals of a server keep.
#[derive(Debug, Default)]
pub(crate) struct Total {
    bytes: AtomicUsize,
    /// How many of them keep anything.
    journals: AtomicUsize,
}

#[derive(Debug)]
struct State {
    requests: VecDeque<Arc<Request>>,
    bytes: usize,
    noted: u64,
    keep: usize,
    /// Which epoch of the account it is of.
    epoch: u64,
}

/// A part of a journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// The requests, oldest first.
    pub requests: Vec<Arc<Request>>,
    /// What to ask for to go on from here.
    pub next_after: u64,
    /// How many requests were noted since the account began; those before the first that is kept are forgotten.
    pub noted: u64,
    /// How often the account began anew before.
    #[serde(skip)]
    pub epoch: u64,
}

impl Parameters {
    /// What was asked for under a name: in the query or in the form, or in the JSON of the body.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let pair = self.pairs.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| Value::from(value.as_str())).or_else(|| self.json()?.get(name).cloned())
    }

    /// The body, where it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.as_deref()?).ok()
    }

    fn bytes(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        pairs + self.body.as_ref().map_or(0, |body| body.len())
    }
}

/// An object: the pairs by their names, then the names of the body; a body that is no object stands as `body`.
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
    /// About how much it takes.
    fn bytes(&self) -> usize {
        let texts = [Some(&self.method), Some(&self.path), self.token.as_ref(), self.fault.as_ref()];
        size_of::<Self>() + texts.into_iter().flatten().map(String::len).sum::<usize>() + self.parameters.bytes()
    }
}

impl Total {
    /// How many bytes the journals keep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Journal {
    pub(super) fn new(keep: u32, total: Arc<Total>) -> Self {
        let state = State { requests: VecDeque::new(), bytes: 0, noted: 0, keep: keep as usize, epoch: 0 };
        Self { state: Mutex::new(state), last: watch::Sender::new(0), total }
    }

    /// Notes a request that came in a epoch of the account; its number is given here.
    pub(crate) fn record(&self, mut request: Request, epoch: u64) {
        let bytes = request.bytes();
        let mut state = self.state();
        if state.epoch != epoch {
            return;
        }
        state.noted += 1;
        request.number = state.noted;
        if state.keep > 0 {
            if state.requests.is_empty() {
                self.total.journals.fetch_add(1, Ordering::Relaxed);
            }
            state.bytes += bytes;
            state.requests.push_back(Arc::new(request));
            let mut total = self.total.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let share = MAX_BYTES / self.total.journals.load(Ordering::Relaxed).max(1);
            while state.requests.len() > state.keep
                || (total > MAX_BYTES && state.bytes > share && state.requests.len() > 1)
            {
                let dropped = state.drop_first();
                self.total.bytes.fetch_sub(dropped, Ordering::Relaxed);
                total = total.saturating_sub(dropped);
            }
        }
        let noted = state.noted;
        drop(state);
        if self.last.receiver_count() > 0 {
            self.render(noted);
        }
    }

    /// Tells whoever follows; whoever was told that the account is gone is told nothing else.
    fn render(&self, noted: u64) {
        self.last.send_if_modified(|last| {
            let is_open = *last != CLOSED;
            if is_open {
                *last = noted;
            }
            is_open
        });
    }

    /// Up to `limit` requests after the one of a number (none, where it is beyond the last one), fewer where they have more than so many bytes.
    pub(crate) fn after(&self, number: u64, limit: usize, most_bytes: usize) -> Requests {
        let state = self.state();
        // Beyond the end there is nothing yet; from there, the client goes on where the journal does.
        let number = number.min(state.noted);
        let first = state.noted - state.requests.len() as u64;
        let skip = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        // However little fits, one always does.
        let fits = |request: &&Arc<Request>| {
            let is_first = bytes == 0;
            bytes += request.bytes();
            is_first || bytes <= most_bytes
        };
        let requests: Vec<Arc<Request>> =
            state.requests.iter().skip(skip).take(limit).take_while(fits).cloned().collect();
        let (noted, epoch) = (state.noted, state.epoch);
        drop(state);
        let next_after = requests.last().map_or(number, |last| last.number);
        Requests { requests, next_after, noted, epoch }
    }

    /// Tells whenever something was noted.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Forgets all, and counts from 1 again.
    pub(super) fn reset(&self, epoch: u64) {
        let mut state = self.state();
        self.forget(&mut state);
        (state.noted, state.epoch) = (0, epoch);
        drop(state);
        self.render(0);
    }

    fn forget(&self, state: &mut State) {
        if !state.requests.is_empty() {
            self.total.journals.fetch_sub(1, Ordering::Relaxed);
        }
        self.total.bytes.fetch_sub(state.bytes, Ordering::Relaxed);
        (state.requests, state.bytes) = (VecDeque::new(), 0);
    }

    /// Tells whoever follows that nothing will be noted any more.
    pub(super) fn close(&self) {
        self.last.send_replace(CLOSED);
    }

    /// How many requests are kept.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.state().requests.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Drops the oldest request, and tells how much it took.
    fn drop_first(&mut self) -> usize {
        let bytes = self.requests.pop_front().map_or(0, |request| request.bytes());
        self.bytes -= bytes;
        bytes
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut state = self.state();
        self.forget(&mut state);
    }
}

/// A secret as it is shown: its first and last four characters, if there are enough others.
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
    fn the_last_requests_are_kept_and_counted_on() {
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
        assert_eq!(numbers(99, 10), (vec![], 5, 5), "beyond the end there is nothing yet");
        let few = journal.after(0, 10, 2 * request("/1").bytes());
        assert_eq!((few.requests.len(), few.next_after), (2, 4), "as many as fit");
        assert_eq!(journal.after(0, 10, 1).requests.len(), 1, "and one however large it is");
        journal.record(request("/late"), 1);
        assert_eq!(numbers(5, 10), (vec![], 5, 5), "what comes from another epoch is not noted");
        assert!(total.bytes.load(Ordering::Relaxed) > 0);
        assert_eq!(total.journals.load(Ordering::Relaxed), 1);
        drop(journal);
        assert_eq!((total.bytes.load(Ordering::Relaxed), total.journals.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn beyond_what_all_journals_may_keep_those_with_more_than_their_share_drop_their_own() {
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
        assert_eq!(quiet.len(), 50, "below its share, a journal keeps all");
        noisy.record(request(&large), 0);
        assert!(total.bytes.load(Ordering::Relaxed) <= MAX_BYTES);
        assert_eq!(quiet.len(), 50);
    }

    #[test]
    fn secrets_show_their_ends_only() {
        assert_eq!(masked("TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234"), "TEST…1234");
        assert_eq!(masked("sandbox-short"), "…");
        assert_eq!(masked("üüüüüüüüüüüüüüüü"), "üüüü…üüüü");
    }
}
