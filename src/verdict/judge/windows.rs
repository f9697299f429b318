//! The windows of the reads, and the time between polls.

use super::super::{
    finding::{Finding, at, seconds},
    seen::{QueryRead, Seen},
    settings::VerdictSettings,
    spans::Spans,
};
use crate::{account::journal::Request, api_name::ApiName, world::Millis};

/// The spans between those that `judged` gives for the reads of each group, without the spans of `excused`.
/// Each is a violation of the request whose window comes after it.
fn gaps(
    seen: &Seen,
    judged: impl Fn(&QueryRead) -> (Millis, Millis),
    excused: impl Fn(&[&QueryRead]) -> Spans,
    what: &'static str,
) -> Finding {
    let mut finding = Finding::default();
    let mut largest_ms = 0;
    for mut polls in seen.polls().filter(|polls| polls.len() > 1) {
        finding.is_seen = true;
        polls.sort_by_key(|read| judged(read).0);
        let excused = excused(&polls);
        for (from, to) in Spans::union(polls.iter().map(|read| judged(read))).gaps() {
            let missing_ms = excused.missing(from, to);
            if missing_ms > 0 {
                largest_ms = largest_ms.max(missing_ms);
                let after = polls.partition_point(|read| judged(read).0 <= to);
                let page = polls.get(after).and_then(|read| read.pages.first());
                finding.requests.extend(page.map(|page| seen.request(page).number));
            }
        }
    }
    finding.measure(seconds(largest_ms), what)
}

pub(in crate::verdict) fn no_gaps(seen: &Seen, _: &VerdictSettings) -> Finding {
    gaps(seen, QueryRead::covered, |_| Spans::default(), "seconds, the largest gap")
}

/// Events of the last `lag` before a request may not be visible yet, so another window must have them again. A time that no
/// window has is a gap, and not judged here.
pub(in crate::verdict) fn overlaps_lag(seen: &Seen, _: &VerdictSettings) -> Finding {
    let settled = |read: &QueryRead| {
        let (from, to) = read.covered();
        (from, to.min(Millis(read.seen_at.0 - read.lag_ms)))
    };
    let uncovered = |polls: &[&QueryRead]| {
        let covered = Spans::union(polls.iter().map(|read| read.covered()));
        Spans::union(covered.gaps())
    };
    let has_lag = seen.reads.iter().any(|read| read.lag_ms > 0);
    let what = "seconds, the largest missing overlap";
    if has_lag { gaps(seen, settled, uncovered, what) } else { Finding::default() }
}

pub(in crate::verdict) fn no_future(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding { is_seen: !seen.reads.is_empty(), ..Finding::default() };
    let mut largest_ms = 0;
    for query in &seen.reads {
        let future_ms = query.asked.to.0.saturating_sub(query.seen_at.0);
        // The last day of a window of days ends with the day.
        let is_by_day = query.api.is_some_and(ApiName::has_days);
        if !is_by_day && future_ms > i64::from(settings.future_seconds) * 1000 {
            largest_ms = largest_ms.max(future_ms);
            finding.requests.extend(query.pages.first().map(|page| seen.request(page).number));
        }
    }
    finding.measure(seconds(largest_ms), "seconds, the farthest future")
}

pub(in crate::verdict) fn poll_interval(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let mut shortest_ms = i64::MAX;
    // The time of the first attempt at the first page.
    let begun_at = |read: &QueryRead| read.pages.first().map(|page| seen.request(page));
    for polls in seen.polls() {
        // Windows of different times may be read at once. A poll asks up to now.
        let polls: Vec<&Request> =
            polls.into_iter().filter(|read| read.is_poll() && !seen.is_failed(read)).filter_map(begun_at).collect();
        for pair in polls.windows(2) {
            let [before, after] = pair else { continue };
            if before.is_frozen || after.is_frozen {
                continue;
            }
            let interval_ms = at(after) - at(before);
            finding.is_seen = true;
            shortest_ms = shortest_ms.min(interval_ms);
            if interval_ms < i64::from(settings.min_poll_seconds) * 1000 {
                finding.requests.push(after.number);
            }
        }
    }
    finding.measure(seconds(shortest_ms), "seconds, the shortest interval")
}
