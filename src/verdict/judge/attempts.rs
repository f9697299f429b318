//! The attempts after failures.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    finding::{Finding, at, client_of, number, seconds, token_requests},
    seen::{QueryRead, Seen, is_failure, knew},
    settings::VerdictSettings,
};
use crate::{
    account::{journal::Request, listing::PageStart},
    api_name::ApiName,
};

/// A wait of this many milliseconds need not grow.
const LONG_WAIT_MS: i64 = 30_000;

/// The number of later reads in which the repetition of a request is looked for.
const MAX_LATER_READS: usize = 256;

/// The attempts at each page of reads with failures, with the index of the last read: a failed request is followed by one for
/// the same page, in the same read or in the next one, if that begins the same query again.
fn attempts(seen: &Seen) -> Vec<(Option<usize>, Vec<&Request>)> {
    let mut all: Vec<(Option<usize>, Vec<&Request>)> = Vec::new();
    for group in &seen.groups {
        let mut previous: Option<(&QueryRead, HashMap<PageStart, usize>)> = None;
        for &nth in group {
            let read = &seen.reads[nth];
            let before = previous.take().filter(|(before, _)| before.has_window_of(read.asked, read.seen_at));
            let failed = |begin: &PageStart, all: &[(Option<usize>, Vec<&Request>)]| {
                let chain = *before.as_ref()?.1.get(begin)?;
                all[chain].1.last().filter(|last| is_failure(last)).map(|_| chain)
            };
            let mut starts: HashMap<PageStart, usize> = HashMap::new();
            // Most reads have no failure, and follow none.
            let has_failure = read.pages.iter().any(|page| is_to_be_repeated(seen.request(page)));
            let follows_failure = before.as_ref().is_some_and(|(_, starts)| !starts.is_empty());
            let pages = if has_failure || follows_failure { &*read.pages } else { &[] };
            for page in pages {
                let chain = *starts.entry(page.begin).or_insert_with(|| {
                    failed(&page.begin, &all).unwrap_or_else(|| {
                        all.push((None, Vec::new()));
                        all.len() - 1
                    })
                });
                all[chain].0 = Some(nth);
                all[chain].1.push(seen.request(page));
            }
            previous = Some((read, starts));
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

/// For each read, the later ones of its group, in order.
fn later_reads(seen: &Seen) -> Vec<&[usize]> {
    let mut later: Vec<&[usize]> = vec![&[]; seen.reads.len()];
    for group in &seen.groups {
        for (at, &nth) in group.iter().enumerate() {
            later[nth] = &group[at + 1..];
        }
    }
    later
}

/// Whether the client began to read again what a failed request of a read asked for: the same window, one that has moved with
/// the time, or one that contains it.
fn is_read_again(seen: &Seen, read: &QueryRead, later: &[usize], failed: &Request) -> bool {
    later.iter().take(MAX_LATER_READS).map(|&nth| &seen.reads[nth]).any(|later| {
        let contains = later.asked.from <= read.asked.from && later.asked.to >= read.asked.to;
        let mut firsts = later.pages.iter().filter(|page| page.begin.is_first()).map(|page| seen.request(page));
        (contains || later.has_window_of(read.asked, read.seen_at)) && firsts.any(|first| knew(first, failed))
    })
}

/// A 401, 429 or 5xx, or a response that is cut or cannot be read.
fn is_to_be_repeated(request: &Request) -> bool {
    is_failure(request) || matches!(request.status, Some(401 | 429)) && request.api != Some(ApiName::Token)
}

pub(in crate::verdict) fn retries(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let later = later_reads(seen);
    for (read, attempts) in attempts(seen) {
        finding.is_seen |= attempts.iter().any(|request| is_to_be_repeated(request));
        let Some(last) = attempts.last().filter(|last| is_to_be_repeated(last)) else { continue };
        let is_repeated = read.is_some_and(|nth| is_read_again(seen, &seen.reads[nth], later[nth], last));
        if !is_repeated {
            finding.requests.push(last.number);
        }
    }
    finding.counted("failures not repeated")
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
