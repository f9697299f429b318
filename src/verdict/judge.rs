//! How each rule judges the requests.

use std::collections::{HashMap, HashSet};

use super::{
    seen::{NOW_TOLERANCE_MS, PageRequest, QueryRead, Seen, is_failure, knew},
    settings::VerdictSettings,
    spans::Spans,
};
use crate::{
    account::{
        journal::{PageChange, Request},
        listing::PageStart,
    },
    world::{Category, Millis},
};

/// A wait of this many milliseconds need not grow.
const LONG_WAIT_MS: i64 = 30_000;

/// The number of different texts of a finding.
const MAX_TEXTS: usize = 5;

/// What a rule found.
#[derive(Default)]
pub(super) struct Finding {
    /// Whether there was anything to judge.
    pub(super) is_seen: bool,
    /// The numbers of the requests that violate the rule.
    pub(super) requests: Vec<u64>,
    /// Names of other things that violate it.
    pub(super) names: Vec<String>,
    /// What the violations are, if the rule tells.
    pub(super) texts: Vec<String>,
    pub(super) measured: Option<Measured>,
}

/// A measured figure.
pub(super) struct Measured {
    pub(super) value: f64,
    /// What it is, with its unit.
    pub(super) what: &'static str,
}

impl Finding {
    /// A finding from the requests that a rule judges, and whether each violates it.
    fn of<'r>(judged: impl Iterator<Item = (&'r Request, bool)>, what: &'static str) -> Self {
        let mut finding = Self::default();
        for (request, violates) in judged {
            finding.is_seen = true;
            if violates {
                finding.requests.push(request.number);
            }
        }
        let count = finding.requests.len();
        finding.measure(number(count), what)
    }

    fn measure(self, value: f64, what: &'static str) -> Self {
        if self.is_seen { Self { measured: Some(Measured { value, what }), ..self } } else { self }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a journal has at most a million requests")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "times between requests are far below 2^53 milliseconds")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// The requests to the APIs that have a quota.
fn api_requests(seen: &Seen) -> impl Iterator<Item = &Request> {
    seen.requests.iter().map(|request| &**request).filter(|request| request.api.is_some_and(|api| api != "token"))
}

fn token_requests(seen: &Seen) -> impl Iterator<Item = &Request> {
    seen.requests.iter().map(|request| &**request).filter(|request| request.api == Some("token"))
}

fn at(request: &Request) -> i64 {
    request.at.millis().0
}

pub(super) fn within_quota(seen: &Seen, _: &VerdictSettings) -> Finding {
    Finding::of(api_requests(seen).map(|request| (request, request.is_over_quota)), "requests over the quota")
}

/// The first request of a token to an API that knows of a 429 must find the quota open; after a 429 of a fault, it must come
/// when that 429 said. A 429 for too many requests at once says nothing about the next one.
pub(super) fn waits_after_429(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut last: HashMap<(Option<&str>, Option<&str>), &Request> = HashMap::new();
    let mut finding = Finding::default();
    let mut shortest_ms = i64::MAX;
    for request in api_requests(seen) {
        let key = (request.api, request.token.as_deref());
        if let Some(refused) = last.get(&key).filter(|refused| knew(request, refused)) {
            let is_early = if refused.is_over_quota {
                request.is_over_quota
            } else {
                // On a frozen clock, the wait of the client does not show.
                let until = refused.quota.map_or(i64::MIN, |quota| quota.reset_seconds);
                !seen.is_frozen && at(request).div_euclid(1000) < until
            };
            finding.is_seen = true;
            shortest_ms = shortest_ms.min(at(request) - at(refused));
            if is_early {
                finding.requests.push(request.number);
            }
            last.remove(&key);
        }
        if request.status == Some(429) && (request.is_over_quota || request.fault.is_some()) {
            last.insert(key, request);
        }
    }
    finding.measure(seconds(shortest_ms), "seconds, the shortest wait after a 429")
}

/// A token request is premature if the client's last token was not refused since, and lives for longer than a tenth of its
/// life: good clients fetch the next token a little early.
pub(super) fn keeps_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut issued: HashMap<Option<String>, &Request> = HashMap::new();
    // Each 401 allows one token: workers may get one each.
    let mut refusals: u32 = 0;
    let mut finding = Finding::default();
    for request in &seen.requests {
        if request.status == Some(401) && request.api != Some("token") {
            refusals = refusals.saturating_add(1);
        }
        if request.api != Some("token") || !is_issued(request) {
            continue;
        }
        finding.is_seen = true;
        let is_after_401 = refusals > 0;
        refusals = refusals.saturating_sub(1);
        let client = request.parameters.get("client_id").map(|id| id.to_string());
        let Some(previous) = issued.insert(client, request) else { continue };
        let life_ms = previous.token_expires_at.map_or(0, |expires| expires.0 - at(previous));
        // A client may refuse a response with another content type.
        let is_usable = previous.change == PageChange::Unchanged;
        if !is_after_401 && is_usable && knew(request, previous) && at(request) - at(previous) < life_ms / 10 * 9 {
            finding.requests.push(request.number);
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "token requests too many")
}

/// The client received a token.
fn is_issued(request: &Request) -> bool {
    request.token_expires_at.is_some() && request.is_whole_200()
}

/// After a 401, each client that got one must fetch one token, and must not repeat the refused one. A 401 counts for a token
/// only that was accepted before, or that a fault refused: a client can do nothing about a wrong one.
pub(super) fn one_token_after_expiry(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let mut accepted: HashSet<&str> = HashSet::new();
    // The first 401 of each token.
    let mut refused: HashMap<&str, &Request> = HashMap::new();
    // The 401 after which the client has no other token yet, and the tokens that may and that were fetched since.
    let mut waiting: Option<&Request> = None;
    let (mut allowed, mut fetched) = (0, 0);
    for request in &seen.requests {
        let request = &**request;
        if request.api == Some("token") {
            if allowed > 0 && is_issued(request) {
                // A client may refuse a response with another content type.
                fetched += u32::from(request.change == PageChange::Unchanged);
                waiting = None;
                if fetched > allowed {
                    finding.requests.push(request.number);
                }
            }
            continue;
        }
        let Some(token) = request.token.as_deref().filter(|_| request.api.is_some()) else { continue };
        if request.status != Some(401) {
            let is_other = refused.is_empty() || !refused.contains_key(token);
            if request.status.is_some() && is_other {
                (waiting, allowed, fetched) = (None, 0, 0);
            }
            accepted.insert(token);
            continue;
        }
        match refused.get(token) {
            Some(first) if knew(request, first) => finding.requests.push(request.number),
            // Another worker got the same 401 at the same time.
            Some(_) => allowed += 1,
            None => {
                finding.is_seen = true;
                refused.insert(token, request);
                allowed += 1;
                if accepted.contains(token) || request.fault.is_some() {
                    waiting = Some(request);
                }
            }
        }
    }
    finding.requests.extend(waiting.map(|request| request.number));
    let count = finding.requests.len();
    finding.measure(number(count), "requests too many or too few after a 401")
}

pub(super) fn token_in_header(seen: &Seen, _: &VerdictSettings) -> Finding {
    let judged = api_requests(seen).filter(|request| request.token.is_some());
    let in_url = |request: &Request| request.parameters.has_pair("access_token");
    Finding::of(judged.map(|request| (request, in_url(request))), "requests with the token in the URL")
}

/// Pages of each read as requests that violate a rule.
fn by_read(seen: &Seen, violations: fn(&Seen, &QueryRead) -> Vec<PageRequest>, what: &'static str) -> Finding {
    let mut finding = Finding { is_seen: !seen.reads.is_empty(), ..Finding::default() };
    for read in &seen.reads {
        finding.requests.extend(violations(seen, read).iter().map(|page| seen.request(page).number));
    }
    let count = finding.requests.len();
    finding.measure(number(count), what)
}

/// A read of which no page was received is not judged here: its failure is judged by other rules. What a read leaves unread
/// must be in another one, so a client may stop where it knows the entries, and may read again what it gave up.
pub(super) fn pages_to_end(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    for polls in seen.polls() {
        let received = Spans::union(polls.iter().map(|read| read.received()));
        for (nth, read) in polls.iter().enumerate() {
            let (mut from, to) = read.unread();
            if !read.has_window() {
                // Without a window, the client decides how far back it begins.
                from = from.max(received.start().unwrap_or(to));
            }
            let missing_ms = received.missing(from, to);
            finding.is_seen |= read.has_window() || read.is_read_to_end || missing_ms == 0;
            // The window of a client that asks for the last hour moves until it reads it again.
            let is_read_again = |next: &&QueryRead| next.has_window_of(read.asked, read.seen_at);
            let has_moved = missing_ms <= NOW_TOLERANCE_MS && polls.get(nth + 1).is_some_and(is_read_again);
            if !read.is_read_to_end && !read.is_ended_by_fault && missing_ms > 0 && !has_moved {
                finding.requests.extend(read.pages.last().map(|page| seen.request(page).number));
            }
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "queries not read to the end")
}

/// After a page without entries, or after a page number beyond the end, there is no further page.
pub(super) fn stops_at_end(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn beyond(seen: &Seen, read: &QueryRead) -> Vec<PageRequest> {
        let is_end = |page: &&PageRequest| page.is_delivered && page.entries == Some(0);
        let mut ends = read.pages.iter().filter(is_end);
        let Some(first) = ends.next().map(|page| seen.request(page)) else { return Vec::new() };
        ends.filter(|page| knew(seen.request(page), first)).copied().collect()
    }
    by_read(seen, beyond, "requests after the end")
}

/// A page is read twice if it is requested after the client received it. A page that a fault made the client read again is
/// not counted.
pub(super) fn no_page_twice(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn again(seen: &Seen, read: &QueryRead) -> Vec<PageRequest> {
        let mut received: HashMap<PageStart, &Request> = HashMap::new();
        let mut twice = Vec::new();
        for page in &read.pages {
            let request = seen.request(page);
            match received.get(&page.begin) {
                Some(first) if first.fault.is_none() && page.entries != Some(0) && knew(request, first) => {
                    twice.push(*page);
                }
                None if page.is_delivered => drop(received.insert(page.begin, request)),
                Some(_) | None => {}
            }
        }
        twice
    }
    by_read(seen, again, "pages read twice")
}

/// The fields beside a page token must be those of the first page.
pub(super) fn same_query_with_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    const FIELDS: [&str; 5] = ["event_category", "start_time", "end_time", "age", "filter"];
    let mut finding = Finding::default();
    for query in &seen.reads {
        let Some(first) = query.pages.iter().rfind(|page| page.begin.is_first()) else { continue };
        let mut first_fields = None;
        for page in query.pages.iter().filter(|page| page.begin.is_by_token() && !page.begin.is_first()) {
            finding.is_seen = true;
            let first = first_fields.get_or_insert_with(|| seen.request(first).parameters.json().unwrap_or_default());
            let fields = seen.request(page).parameters.json().unwrap_or_default();
            let differs = |name: &str| fields.get(name).is_some_and(|value| first.get(name) != Some(value));
            if FIELDS.into_iter().any(differs) {
                finding.requests.push(seen.request(page).number);
            }
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "requests with another query")
}

/// What is missing between the earliest and the latest of the windows of each group. It is a violation of the request whose
/// window comes after it.
fn windows(
    seen: &Seen,
    covered: impl Fn(&QueryRead) -> (Millis, Millis),
    missing_ms: impl Fn(&[&QueryRead], (Millis, Millis)) -> i64,
    what: &'static str,
) -> Finding {
    let mut finding = Finding::default();
    let mut largest_ms = 0;
    for mut polls in seen.polls().filter(|polls| polls.len() > 1) {
        finding.is_seen = true;
        polls.sort_by_key(|read| covered(read).0);
        let union = Spans::union(polls.iter().map(|read| covered(read)));
        for gap in union.gaps() {
            let missing_ms = missing_ms(&polls, gap);
            if missing_ms > 0 {
                largest_ms = largest_ms.max(missing_ms);
                let after = polls.partition_point(|read| covered(read).0 <= gap.1);
                let page = polls.get(after).and_then(|read| read.pages.first());
                finding.requests.extend(page.map(|page| seen.request(page).number));
            }
        }
    }
    finding.measure(seconds(largest_ms), what)
}

pub(super) fn no_gaps(seen: &Seen, _: &VerdictSettings) -> Finding {
    windows(seen, QueryRead::covered, |_, (from, to)| to.0 - from.0 + 1, "seconds, the largest gap")
}

/// Events of the last `lag` before a request may not be visible yet, so another window must have them again. A time that no
/// window has is a gap, and not judged here.
pub(super) fn overlaps_lag(seen: &Seen, _: &VerdictSettings) -> Finding {
    let settled = |read: &QueryRead| {
        let (from, to) = read.covered();
        (from, to.min(Millis(read.seen_at.0 - read.lag_ms)))
    };
    let missing_ms = |polls: &[&QueryRead], (from, to): (Millis, Millis)| {
        let gaps_ms = Spans::union(polls.iter().map(|read| read.covered())).missing(from, to);
        to.0 - from.0 + 1 - gaps_ms
    };
    let has_lag = seen.reads.iter().any(|read| read.lag_ms > 0);
    let what = "seconds, the largest missing overlap";
    if has_lag { windows(seen, settled, missing_ms, what) } else { Finding::default() }
}

pub(super) fn no_future(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding { is_seen: !seen.reads.is_empty(), ..Finding::default() };
    let mut largest_ms = 0;
    for query in &seen.reads {
        let future_ms = query.asked.to.0.saturating_sub(query.seen_at.0);
        // The days of activities end with the day.
        let is_by_day = query.api == Some("activities-v3");
        if !is_by_day && future_ms > i64::from(settings.future_seconds) * 1000 {
            largest_ms = largest_ms.max(future_ms);
            finding.requests.extend(query.pages.first().map(|page| seen.request(page).number));
        }
    }
    finding.measure(seconds(largest_ms), "seconds, the farthest future")
}

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
    let tokens: Vec<&Request> = token_requests(seen).collect();
    all.extend(tokens.split_inclusive(|request| !is_failure(request)).map(|attempts| (None, attempts.to_vec())));
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

pub(super) fn retries(seen: &Seen, _: &VerdictSettings) -> Finding {
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
pub(super) fn growing_waits(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    if seen.is_frozen {
        return finding;
    }
    let mut shortest_ms = i64::MAX;
    for (_, attempts) in attempts(seen) {
        for three in attempts.windows(3) {
            let [first, second, third] = three else { continue };
            if is_failure(first) && is_failure(second) {
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

pub(super) fn bounded_attempts(seen: &Seen, settings: &VerdictSettings) -> Finding {
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

pub(super) fn valid_requests(seen: &Seen, _: &VerdictSettings) -> Finding {
    let is_refused = |request: &Request| matches!(request.status, Some(400 | 406 | 415)) && request.fault.is_none();
    let all = seen.requests.iter().map(|request| &**request).filter(|request| request.api.is_some());
    Finding::of(all.map(|request| (request, is_refused(request))), "refused requests")
}

pub(super) fn poll_interval(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    if seen.is_frozen {
        return finding;
    }
    let mut shortest_ms = i64::MAX;
    // The time of the first attempt at the first page.
    let begun_at = |read: &QueryRead| read.pages.first().map(|page| seen.request(page));
    for polls in seen.polls() {
        // Windows of different times may be read at once. A poll asks up to now.
        let polls: Vec<&Request> = polls.into_iter().filter(|read| read.is_poll()).filter_map(begun_at).collect();
        for pair in polls.windows(2) {
            let [before, after] = pair else { continue };
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

pub(super) fn known_paths(seen: &Seen, _: &VerdictSettings) -> Finding {
    let is_unknown = |request: &Request| matches!(request.status, Some(404 | 405)) && request.fault.is_none();
    Finding::of(seen.requests.iter().map(|request| (&**request, is_unknown(request))), "requests")
}

pub(super) fn no_ignored_input(seen: &Seen, _: &VerdictSettings) -> Finding {
    let judged = seen.requests.iter().filter(|request| request.ignored.is_some());
    let ignored = |request: &Request| request.ignored.clone().unwrap_or_default();
    let mut finding = Finding::of(
        judged.clone().map(|request| (&**request, !ignored(request).is_empty())),
        "requests with ignored input",
    );
    for text in judged.flat_map(|request| ignored(request)) {
        if finding.texts.len() < MAX_TEXTS && !finding.texts.contains(&text) {
            finding.texts.push(text);
        }
    }
    finding
}

pub(super) fn faults_applied(seen: &Seen, _: &VerdictSettings) -> Finding {
    let never = seen.faults.iter().filter(|fault| fault.applied == 0);
    let names: Vec<String> = never.filter_map(|fault| fault.rule.name.clone()).collect();
    let count = names.len();
    Finding { is_seen: !seen.faults.is_empty(), names, ..Finding::default() }.measure(number(count), "rules")
}
