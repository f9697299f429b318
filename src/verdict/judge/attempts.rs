//! The attempts after failures.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    finding::{Finding, at, client_of, number, seconds, token_requests},
    seen::{QueryRead, Seen, is_failure},
    settings::VerdictSettings,
};
use crate::{
    account::{journal::Request, listing::PageStart},
    world::{Category, Millis},
};

/// A wait of this many milliseconds need not grow.
const LONG_WAIT_MS: i64 = 30_000;

/// The attempts at each page, with the index of the read: a failed request is followed by one for the same page.
fn attempts(seen: &Seen) -> Vec<(Option<usize>, Vec<&Request>)> {
    let mut all: Vec<(Option<usize>, Vec<&Request>)> = Vec::new();
    for (read, QueryRead { pages, .. }) in seen.reads.iter().enumerate() {
        let mut starts: HashMap<PageStart, usize> = HashMap::new();
        for page in pages {
            let nth = *starts.entry(page.begin).or_insert_with(|| {
                all.push((Some(read), Vec::new()));
                all.len() - 1
            });
            all[nth].1.push(seen.request(page));
        }
    }
    // Token requests have no pages. Each one that fails is followed by another.
    let mut tokens: BTreeMap<Option<String>, Vec<&Request>> = BTreeMap::new();
    for request in token_requests(seen) {
        tokens.entry(client_of(request)).or_default().push(request);
    }
    for requests in tokens.values() {
        all.extend(requests.split_inclusive(|request| !is_failure(request)).map(|attempts| (None, attempts.to_vec())));
    }
    all
}

/// The requests that begin a read again after a failure.
struct Restarts<'s> {
    seen: &'s Seen,
    /// For each API and category, the number of the last request that a request for a first page knew.
    first_pages: HashMap<(Option<&'s str>, Category), u64>,
    /// For each read, the next one of its group, and the earliest start of a window of all later ones.
    later: Vec<Option<(usize, Millis)>>,
}

impl<'s> Restarts<'s> {
    fn of(seen: &'s Seen) -> Self {
        let mut first_pages: HashMap<(Option<&str>, Category), u64> = HashMap::new();
        for read in &seen.reads {
            let known = read.pages.iter().filter(|page| page.begin.is_first());
            if let Some(last) = known.map(|page| seen.request(page).arrived_after).max() {
                let latest = first_pages.entry((read.api, read.category)).or_default();
                *latest = last.max(*latest);
            }
        }
        let mut later = vec![None; seen.reads.len()];
        for group in &seen.groups {
            let mut following: Option<(usize, Millis)> = None;
            for &nth in group.iter().rev() {
                later[nth] = following;
                let from = seen.reads[nth].asked.from;
                following = Some((nth, following.map_or(from, |(_, earliest)| earliest.min(from))));
            }
        }
        Self { seen, first_pages, later }
    }

    /// Whether the client began to read again what a failed request of a read asked for.
    fn has(&self, nth: usize, failed: &Request) -> bool {
        let read = &self.seen.reads[nth];
        let is_first = failed.page.as_deref().is_some_and(|page| page.query.begin.is_first());
        // A first page may be repeated with another window, as a client does that asks for the last hour.
        if is_first {
            return self.first_pages.get(&(read.api, read.category)).is_some_and(|last| *last >= failed.number);
        }
        self.later[nth].is_some_and(|(next, earliest)| {
            earliest <= read.asked.from || self.seen.reads[next].has_window_of(read.asked, read.seen_at)
        })
    }
}

/// A 401, 429 or 5xx, or a response that is cut or cannot be read.
fn is_to_be_repeated(request: &Request) -> bool {
    is_failure(request) || matches!(request.status, Some(401 | 429)) && request.api != Some("token")
}

pub(in crate::verdict) fn retries(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let restarts = Restarts::of(seen);
    for (read, attempts) in attempts(seen) {
        finding.is_seen |= attempts.iter().any(|request| is_to_be_repeated(request));
        let Some(last) = attempts.last().filter(|last| is_to_be_repeated(last)) else { continue };
        if read.is_none_or(|nth| !restarts.has(nth, last)) {
            finding.requests.push(last.number);
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "failures not repeated")
}

/// From the third attempt on, the wait is compared with the one before.
pub(in crate::verdict) fn growing_waits(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let mut shortest_ms = i64::MAX;
    for (_, attempts) in attempts(seen) {
        for three in attempts.windows(3) {
            let [first, second, third] = three else { continue };
            let is_frozen = first.is_frozen || second.is_frozen || third.is_frozen;
            if is_failure(first) && is_failure(second) && !is_frozen {
                let (before_ms, after_ms) = (at(second) - at(first), at(third) - at(second));
                finding.is_seen = true;
                shortest_ms = shortest_ms.min(after_ms);
                if after_ms <= before_ms && after_ms < LONG_WAIT_MS {
                    finding.requests.push(third.number);
                }
            }
        }
    }
    finding.measure(seconds(shortest_ms), "seconds, the shortest wait")
}

pub(in crate::verdict) fn bounded_attempts(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let mut most = 0;
    for (_, attempts) in attempts(seen) {
        for failures in attempts.split(|request| !is_failure(request)).filter(|failures| !failures.is_empty()) {
            finding.is_seen = true;
            most = most.max(failures.len());
            finding.requests.extend(failures.iter().skip(settings.max_attempts as usize).map(|request| request.number));
        }
    }
    finding.measure(number(most), "failed attempts in a row, at most")
}
