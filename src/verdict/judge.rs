//! How each rule judges the requests.

use std::collections::HashMap;

use super::{
    seen::{PageRequest, Query, Seen, is_failure},
    settings::VerdictSettings,
};
use crate::account::{journal::Request, listing::PageStart};

/// What a rule found.
#[derive(Default)]
pub(super) struct Finding {
    /// Whether there was anything to judge.
    pub(super) is_seen: bool,
    /// The numbers of the requests that violate the rule.
    pub(super) requests: Vec<u64>,
    /// Names of other things that violate it.
    pub(super) names: Vec<String>,
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

/// The quota refused the request, and no fault did.
fn is_over_quota(request: &Request) -> bool {
    request.status == Some(429) && request.fault.is_none()
}

pub(super) fn within_quota(seen: &Seen, _: &VerdictSettings) -> Finding {
    Finding::of(api_requests(seen).map(|request| (request, is_over_quota(request))), "requests over the quota")
}

/// The next request of a token to an API after a 429 must find the quota open; after a 429 of a fault, it must come when
/// that 429 said.
pub(super) fn waits_after_429(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut last: HashMap<(Option<&str>, Option<&str>), &Request> = HashMap::new();
    let mut finding = Finding::default();
    let mut shortest_ms = i64::MAX;
    for request in api_requests(seen) {
        let refused = last.insert((request.api, request.token.as_deref()), request);
        let Some(refused) = refused.filter(|refused| refused.status == Some(429)) else { continue };
        let waited_ms = at(request) - at(refused);
        let is_early = if is_over_quota(refused) {
            is_over_quota(request)
        } else {
            // On a frozen clock, the wait of the client does not show.
            let until = refused.quota.map_or(i64::MIN, |quota| quota.reset_seconds);
            !seen.is_frozen && at(request).div_euclid(1000) < until
        };
        finding.is_seen = true;
        shortest_ms = shortest_ms.min(waited_ms);
        if is_early {
            finding.requests.push(request.number);
        }
    }
    finding.measure(seconds(shortest_ms), "seconds, the shortest wait after a 429")
}

/// A token request is premature if the client's last token was not refused since, and lives for longer than a tenth of its
/// life: good clients fetch the next token a little early.
pub(super) fn keeps_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut issued: HashMap<Option<String>, &Request> = HashMap::new();
    let mut last_401 = 0;
    let mut finding = Finding::default();
    for request in &seen.requests {
        if request.status == Some(401) && request.api != Some("token") {
            last_401 = request.number;
        }
        if request.api != Some("token") || request.status != Some(200) || is_failure(request) {
            continue;
        }
        finding.is_seen = true;
        let client = request.parameters.get("client_id").map(|id| id.to_string());
        if let Some(previous) = issued.insert(client, request)
            && last_401 < previous.number
            && at(request) - at(previous) < seen.token_life_ms / 10 * 9
        {
            finding.requests.push(request.number);
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "token requests too many")
}

/// Between a 401 and the next request with another result, there must be exactly one issued token, and no repetition of the
/// refused token.
pub(super) fn one_token_after_expiry(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    // The refused token, and the number of tokens that were issued since.
    let mut refused: Option<(Option<String>, u32)> = None;
    for request in &seen.requests {
        if request.api == Some("token") {
            if let Some((_, issued)) = &mut refused
                && request.status == Some(200)
                && !is_failure(request)
            {
                *issued += 1;
                if *issued > 1 {
                    finding.requests.push(request.number);
                }
            }
            continue;
        }
        let is_refused = request.status == Some(401) && request.fault.is_none() && request.token.is_some();
        match &refused {
            _ if !is_refused => refused = refused.filter(|_| request.api.is_none()),
            Some((token, _)) if *token == request.token => finding.requests.push(request.number),
            _ => {
                finding.is_seen = true;
                refused = Some((request.token.clone(), 0));
            }
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "requests too many after a 401")
}

pub(super) fn token_in_header(seen: &Seen, _: &VerdictSettings) -> Finding {
    let judged = api_requests(seen).filter(|request| request.token.is_some());
    let in_url = |request: &Request| request.parameters.has_pair("access_token");
    Finding::of(judged.map(|request| (request, in_url(request))), "requests with the token in the URL")
}

/// Pages of one query as requests, each with whether it violates a rule.
fn by_query(seen: &Seen, violations: fn(&Seen, &Query) -> Vec<PageRequest>, what: &'static str) -> Finding {
    let mut finding = Finding { is_seen: !seen.queries.is_empty(), ..Finding::default() };
    for query in &seen.queries {
        finding.requests.extend(violations(seen, query).iter().map(|page| seen.request(page).number));
    }
    let count = finding.requests.len();
    finding.measure(number(count), what)
}

/// A query of which no page was received is not judged here: its failure is judged by other rules. A query may be given up
/// if a later one reads the same window to its end.
pub(super) fn pages_to_end(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    for polls in seen.polls() {
        for (nth, query) in polls.iter().enumerate() {
            finding.is_seen = true;
            let covers = |later: &&Query| {
                later.is_read_to_end && later.asked.from <= query.window.from && later.window.to >= query.window.to
            };
            if !query.is_read_to_end && !polls[nth + 1..].iter().any(covers) {
                finding.requests.extend(query.pages.last().map(|page| seen.request(page).number));
            }
        }
    }
    let count = finding.requests.len();
    finding.measure(number(count), "queries not read to the end")
}

/// After a page without entries, or after a page number beyond the end, there is no further page.
pub(super) fn stops_at_end(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn beyond(_: &Seen, query: &Query) -> Vec<PageRequest> {
        let is_end = |page: &&PageRequest| page.is_delivered && page.entries == Some(0);
        query.pages.iter().filter(is_end).skip(1).copied().collect()
    }
    by_query(seen, beyond, "requests after the end")
}

/// A page is read twice if it is requested after the client received it. A page that a fault made the client read again is
/// not counted.
pub(super) fn no_page_twice(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn again(seen: &Seen, query: &Query) -> Vec<PageRequest> {
        let mut received: HashMap<(PageStart, usize), &PageRequest> = HashMap::new();
        let mut twice = Vec::new();
        for page in &query.pages {
            match received.get(&(page.begin, page.take)) {
                Some(first) if seen.request(first).fault.is_none() && page.entries != Some(0) => twice.push(*page),
                None if page.is_delivered => drop(received.insert((page.begin, page.take), page)),
                Some(_) | None => {}
            }
        }
        twice
    }
    by_query(seen, again, "pages read twice")
}

/// The fields beside a page token must be those of the first page.
pub(super) fn same_query_with_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    const FIELDS: [&str; 5] = ["event_category", "start_time", "end_time", "age", "filter"];
    let mut finding = Finding::default();
    for query in &seen.queries {
        let Some(first) = query.pages.iter().find(|page| page.begin.is_first()) else { continue };
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

/// Compares each window of a query with those before it: `latest_start` is the latest start that the next one may have.
fn windows(seen: &Seen, latest_start: fn(&Query) -> i64, what: &'static str) -> Finding {
    let mut finding = Finding::default();
    let mut largest_ms = 0;
    for polls in seen.polls() {
        // A client may read older windows in between, so the latest of all earlier windows counts.
        let mut latest: Option<i64> = None;
        for query in polls {
            if let Some(latest) = latest {
                finding.is_seen = true;
                // The client asked for more than it could read: the readable window begins with the retention.
                let late_ms = query.asked.from.0.min(query.window.from.0) - latest;
                largest_ms = largest_ms.max(late_ms);
                if late_ms > 0 {
                    finding.requests.extend(query.pages.first().map(|page| seen.request(page).number));
                }
            }
            latest = latest.max(Some(latest_start(query)));
        }
    }
    finding.measure(seconds(largest_ms), what)
}

pub(super) fn no_gaps(seen: &Seen, _: &VerdictSettings) -> Finding {
    windows(seen, |before| before.window.to.0 + 1, "seconds, the largest gap")
}

/// Events of the last `lag` before a request may not be visible yet, so the next window must have them again.
pub(super) fn overlaps_lag(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn latest_start(before: &Query) -> i64 {
        before.window.to.0.min(before.seen_at.0 - before.lag_ms) + 1
    }
    let has_lag = seen.queries.iter().any(|query| query.lag_ms > 0);
    if has_lag { windows(seen, latest_start, "seconds, the largest missing overlap") } else { Finding::default() }
}

pub(super) fn no_future(seen: &Seen, settings: &VerdictSettings) -> Finding {
    let mut finding = Finding { is_seen: !seen.queries.is_empty(), ..Finding::default() };
    let mut largest_ms = 0;
    for query in &seen.queries {
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

/// The attempts at each page: a failed request is followed by one for the same page.
fn attempts(seen: &Seen) -> Vec<Vec<&Request>> {
    let mut all: Vec<Vec<&Request>> = Vec::new();
    for query in &seen.queries {
        let mut pages: HashMap<(PageStart, usize), usize> = HashMap::new();
        for page in &query.pages {
            let nth = *pages.entry((page.begin, page.take)).or_insert_with(|| {
                all.push(Vec::new());
                all.len() - 1
            });
            all[nth].push(seen.request(page));
        }
    }
    // Token requests have no pages. Each one that fails is followed by another.
    let tokens: Vec<&Request> = token_requests(seen).collect();
    all.extend(tokens.split_inclusive(|request| !is_failure(request)).map(<[_]>::to_vec));
    all
}

pub(super) fn retries(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    for attempts in attempts(seen) {
        finding.is_seen |= attempts.iter().any(|request| is_failure(request));
        // A first page may be repeated with another window, as a client does that asks for the last hour.
        let is_repeated = |failed: &Request| {
            let Some(page) = failed.page.as_deref().filter(|page| page.query.begin.is_first()) else { return false };
            api_requests(seen).any(|later| {
                let same = |later: &crate::account::journal::RequestedPage| {
                    later.query.category == page.query.category && later.query.begin.is_first()
                };
                later.number > failed.number && later.api == failed.api && later.page.as_deref().is_some_and(same)
            })
        };
        finding
            .requests
            .extend(attempts.last().filter(|last| is_failure(last) && !is_repeated(last)).map(|last| last.number));
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
    for attempts in attempts(seen) {
        for three in attempts.windows(3) {
            let [first, second, third] = three else { continue };
            if is_failure(first) && is_failure(second) {
                let (before_ms, after_ms) = (at(second) - at(first), at(third) - at(second));
                finding.is_seen = true;
                shortest_ms = shortest_ms.min(after_ms);
                if after_ms < before_ms || after_ms == 0 {
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
    for attempts in attempts(seen) {
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
    for polls in seen.polls() {
        for pair in polls.windows(2) {
            let [before, after] = pair else { continue };
            // Windows of different times may be read at once. A poll asks up to now.
            if before.asked.to < before.seen_at || after.asked.to < after.seen_at {
                continue;
            }
            let interval_ms = after.seen_at.0 - before.seen_at.0;
            finding.is_seen = true;
            shortest_ms = shortest_ms.min(interval_ms);
            if interval_ms < i64::from(settings.min_poll_seconds) * 1000 {
                finding.requests.extend(after.pages.first().map(|page| seen.request(page).number));
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
    let is_ignored = |request: &Request| request.ignored.as_ref().is_some_and(|ignored| !ignored.is_empty());
    Finding::of(judged.map(|request| (&**request, is_ignored(request))), "requests with ignored input")
}

pub(super) fn faults_applied(seen: &Seen, _: &VerdictSettings) -> Finding {
    let never = seen.faults.iter().filter(|fault| fault.applied == 0);
    let names: Vec<String> = never.filter_map(|fault| fault.rule.name.clone()).collect();
    let count = names.len();
    Finding { is_seen: !seen.faults.is_empty(), names, ..Finding::default() }.measure(number(count), "rules")
}
