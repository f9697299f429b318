//! The pages of each read.

use std::collections::HashMap;

use serde_json::Value;

use super::super::{
    finding::Finding,
    seen::{NOW_TOLERANCE_MS, PageRequest, QueryRead, ReadEnd, Seen, knew},
    settings::VerdictSettings,
    spans::Spans,
};
use crate::account::{journal::Request, listing::PageStart};

/// Pages of each read as requests that violate a rule.
fn by_read(seen: &Seen, violations: fn(&Seen, &QueryRead) -> Vec<PageRequest>, what: &'static str) -> Finding {
    let mut finding = Finding { is_seen: !seen.reads.is_empty(), ..Finding::default() };
    for read in &seen.reads {
        finding.requests.extend(violations(seen, read).iter().map(|page| seen.request(page).number));
    }
    finding.counted(what)
}

/// A read of which no page was received is not judged here: its failure is judged by other rules. What a read leaves unread
/// must be in another one, so a client may stop where it knows the entries, and may read again what it gave up.
pub(in crate::verdict) fn pages_to_end(seen: &Seen, _: &VerdictSettings) -> Finding {
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
            finding.is_seen |= read.has_window() || read.end == ReadEnd::Seen || missing_ms == 0;
            // The window of a client that asks for the last hour moves until it reads it again.
            let is_read_again = |next: &&QueryRead| next.has_window_of(read.asked, read.seen_at);
            let has_moved = missing_ms <= NOW_TOLERANCE_MS && polls.get(nth + 1).is_some_and(is_read_again);
            let is_cut_short = read.end == ReadEnd::Ahead && missing_ms > 0 && !has_moved;
            if is_cut_short || read.skips_pages {
                finding.requests.extend(read.pages.last().map(|page| seen.request(page).number));
            }
        }
    }
    finding.counted("queries not read to the end")
}

/// After a page without entries, or after a page number beyond the end, there is no further page.
pub(in crate::verdict) fn stops_at_end(seen: &Seen, _: &VerdictSettings) -> Finding {
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
pub(in crate::verdict) fn no_page_twice(seen: &Seen, _: &VerdictSettings) -> Finding {
    fn again(seen: &Seen, read: &QueryRead) -> Vec<PageRequest> {
        if read.pages.len() < 2 {
            return Vec::new();
        }
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
pub(in crate::verdict) fn same_query_with_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    const FIELDS: [&str; 5] = ["event_category", "start_time", "end_time", "age", "filter"];
    let mut finding = Finding::default();
    for query in &seen.reads {
        let Some(first) = query.pages.iter().rfind(|page| page.begin.is_first()) else { continue };
        let mut first_fields = None;
        for page in query.pages.iter().filter(|page| page.begin.is_by_token() && !page.begin.is_first()) {
            finding.is_seen = true;
            let first = first_fields.get_or_insert_with(|| seen.request(first).parameters.json().unwrap_or_default());
            let fields = seen.request(page).parameters.json().unwrap_or_default();
            let differs = |name: &str| {
                let wanted = fields.get(name).map(normal);
                wanted.is_some_and(|wanted| wanted != first.get(name).map_or(Value::Null, normal))
            };
            if FIELDS.into_iter().any(differs) {
                finding.requests.push(seen.request(page).number);
            }
        }
    }
    finding.counted("requests with another query")
}

/// A value without what is the same as nothing, and with lists in order.
fn normal(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let normal = match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(normal).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), normal(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other.clone(),
    };
    if is_empty(&normal) { Value::Null } else { normal }
}
