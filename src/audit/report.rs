//! What an audit found.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    cause::{Cause, DuplicateCause},
    findings::Findings,
    text::{ReportText, Section},
};
use crate::{clock::Instant, world::Category};

/// The maximum length of a value in a report, in characters.
pub(super) const MAX_VALUE: usize = 300;
/// The number of examples of each finding in the text of a report.
const SHOWN: usize = 3;

/// The comparison of a connector's records with the events that it should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// The name of the account.
    pub account: String,
    /// The category.
    #[serde(serialize_with = "category_code")]
    pub category: Category,
    /// The start of the window.
    pub from: Instant,
    /// The end of the window; not part of it.
    pub to: Instant,
    /// The time of the audit. Events that are not visible yet are not expected.
    pub now: Instant,
    /// What to check first, if nothing is as it should be. Sentences.
    pub hints: Vec<String>,
    /// Whether there is no finding: each event is among the records once and unchanged, and nothing else that is judged.
    pub is_complete: bool,
    /// The number of events that the connector should have.
    pub expected: u64,
    /// The number of records.
    pub received: u64,
    /// The number of expected events that are among the records, unchanged.
    pub matched: u64,
    /// The number of records that are not judged: with a time outside of the window, or of events that are not expected.
    pub outside: u64,
    /// Expected events that no record has.
    pub missing: Findings<MissingEvent>,
    /// Records of events that an earlier record has, too.
    pub duplicated: Findings<DuplicatedRecord>,
    /// Records that have some values of an event, but not all.
    pub altered: Findings<AlteredRecord>,
    /// Records of no event.
    pub unknown: Findings<UnknownRecord>,
    /// Records that cannot be read.
    pub unreadable: Findings<UnreadableRecord>,
}

/// The comparison of the served pages with the events of a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServedReport {
    /// The name of the account.
    pub account: String,
    /// The category.
    #[serde(serialize_with = "category_code")]
    pub category: Category,
    /// The start of the window.
    pub from: Instant,
    /// The end of the window; not part of it.
    pub to: Instant,
    /// The time of the audit. Events that are not visible yet are not expected.
    pub now: Instant,
    /// What to check first, if nothing is as it should be. Sentences.
    pub hints: Vec<String>,
    /// Whether each event was served at least once in a whole response.
    pub is_complete: bool,
    /// The number of events that the connector should have read.
    pub expected: u64,
    /// The number of these events that were in a whole 200 response.
    pub served: u64,
    /// Events that were in none.
    pub missed: Findings<MissingEvent>,
    /// Events that were in more than one, or more than once in one. This is usual for a connector whose windows overlap.
    pub repeated: Findings<RepeatedEvent>,
}

/// An event of the history, as a row of the API.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EventRow {
    /// The id of the event.
    pub id: String,
    /// The time of the event.
    pub at: Instant,
    /// The time at which the event becomes visible.
    pub visible_at: Instant,
    /// Whether a test injected the event.
    pub is_injected: bool,
    /// The fields of the row and their values.
    pub fields: Vec<(&'static str, String)>,
}

/// An event that is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MissingEvent {
    /// The event.
    pub event: EventRow,
    /// Why it is missing.
    #[serde(flatten)]
    pub cause: Cause,
}

/// A record of an event that an earlier record has, too.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DuplicatedRecord {
    /// The number of the record, from 1.
    pub record: u64,
    /// The event.
    pub event: EventRow,
    /// Why it is there twice.
    #[serde(flatten)]
    pub cause: DuplicateCause,
}

/// A record with other values than its event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AlteredRecord {
    /// The number of the record, from 1.
    pub record: u64,
    /// The event.
    pub event: EventRow,
    /// The fields that differ. Empty for a record whose text is no longer in memory (only those of the first altered or
    /// unknown records are kept), and where long values differ behind their first 300 characters.
    pub differences: Vec<Difference>,
}

impl AlteredRecord {
    /// What differs, in one line.
    pub(crate) fn difference(&self) -> String {
        if self.differences.is_empty() {
            return format!(
                "a value differs behind its first {MAX_VALUE} characters, or its text is no longer in memory"
            );
        }
        self.differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// A field with another value than expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The name of the field in the API.
    pub field: &'static str,
    /// The value of the event.
    pub expected: String,
    /// The value of the record; `None` if the record has none.
    pub received: Option<String>,
}

/// A record of no event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnknownRecord {
    /// The number of the record, from 1.
    pub record: u64,
    /// The compared fields and their values.
    #[serde(serialize_with = "as_map")]
    pub fields: Vec<(&'static str, Option<String>)>,
}

/// A record that cannot be read. Each line of a day of v2 counts as a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnreadableRecord {
    /// The number of the record, from 1.
    pub record: u64,
    /// Why it cannot be read.
    pub reason: String,
}

/// An event that was served more than once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RepeatedEvent {
    /// The event.
    pub event: EventRow,
    /// How often it was served.
    pub times: u64,
    /// The numbers of the requests, at most ten.
    pub requests: Vec<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn category_code<S: Serializer>(category: &Category, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(category.code())
}

fn as_map<S: Serializer>(fields: &[(&'static str, Option<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

impl Serialize for EventRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("visible_at", &self.visible_at)?;
        map.serialize_entry("injected", &self.is_injected)?;
        map.end()
    }
}

impl fmt::Display for EventRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.at)?;
        let of = |wanted: &str| self.fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        if let Some(event) = of("event").or_else(|| of("action")) {
            write!(f, " {event}")?;
        }
        if let Some(whose) = of("device_name").or_else(|| of("admin_email")) {
            write!(f, " of {whose}")?;
        }
        Ok(())
    }
}

impl AuditReport {
    /// The report as text, with at most so many examples of each finding.
    pub(super) fn text(&self, max: usize) -> ReportText {
        let Self { category, from, to, expected, received, matched, .. } = self;
        let verdict = if self.is_complete { "complete" } else { "not complete" };
        let mut headline = format!(
            "The {} records from {from} to {to} are {verdict}: {matched} of {expected} events matched, {received} \
             records received",
            category.code()
        );
        if self.outside > 0 {
            headline += &format!(", {} of them not judged", self.outside);
        }
        let unreadable = |found: &UnreadableRecord| format!("record {} cannot be read: {}", found.record, found.reason);
        let duplicated =
            |found: &DuplicatedRecord| format!("record {} is {} again: {}", found.record, found.event, found.cause);
        let altered =
            |found: &AlteredRecord| format!("record {} is {}, but {}", found.record, found.event, found.difference());
        let unknown = |found: &UnknownRecord| {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
            let fields: Vec<String> = found.fields.iter().map(|(name, of)| format!("{name}={}", value(of))).collect();
            format!("record {} matches no event: {}", found.record, fields.join(" "))
        };
        let sections = vec![
            Section::new("unreadable", &self.unreadable, max, unreadable),
            Section::new("missing", &self.missing, max, MissingEvent::to_string),
            Section::new("duplicated", &self.duplicated, max, duplicated),
            Section::new("altered", &self.altered, max, altered),
            Section::new("unknown", &self.unknown, max, unknown),
        ];
        ReportText { headline, hints: self.hints.clone(), sections }
    }
}

impl ServedReport {
    /// The report as text, with at most so many examples of each finding.
    pub(super) fn text(&self, max: usize) -> ReportText {
        let Self { category, from, to, expected, served, .. } = self;
        let category = category.code();
        let headline = format!("The server served {served} of {expected} {category} events from {from} to {to}");
        let repeated = |found: &RepeatedEvent| {
            let requests: Vec<String> = found.requests.iter().map(u64::to_string).collect();
            format!("{} {} times, in requests {}", found.event, found.times, requests.join(", "))
        };
        let sections = vec![
            Section::new("missed", &self.missed, max, MissingEvent::to_string),
            Section::new("repeated", &self.repeated, max, repeated),
        ];
        ReportText { headline, hints: self.hints.clone(), sections }
    }
}

/// The alternate form has all examples.
impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(if f.alternate() { usize::MAX } else { SHOWN }).fmt(f)
    }
}

/// The alternate form has all examples.
impl fmt::Display for ServedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(if f.alternate() { usize::MAX } else { SHOWN }).fmt(f)
    }
}

impl fmt::Display for MissingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event, self.cause)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.received {
            Some(received) => write!(f, "{} is {received:?} instead of {:?}", self.field, self.expected),
            None => write!(f, "{} is missing instead of {:?}", self.field, self.expected),
        }
    }
}
