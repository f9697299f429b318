//! Audits: whether a connector lost, doubled or changed a log, and why.
//!
//! An audit compares the records that a connector stored with the events of the history. What the connector was served is
//! derived from the journal, which stores the query of each page and not its events. From both follows the cause of each
//! missing and of each doubled event.

mod cause;
mod compare;
mod error;
mod expected;
mod fields;
mod findings;
mod formats;
mod index;
mod input;
mod pairs;
mod query;
mod record;
mod report;
mod served;
mod text;
mod time;
mod windows;

use std::{collections::BTreeMap, io::BufRead, ops::Range};

use serde::Serialize;

pub(crate) use self::served::delivered_ids;
pub use self::{
    cause::{Cause, DuplicateCause},
    error::AuditError,
    fields::{FieldMap, FieldMapError},
    findings::Findings,
    input::RecordFormat,
    query::{AuditQuery, DEFAULT_EXAMPLES, MAX_EXAMPLES},
    report::{
        AlteredRecord, AuditReport, Difference, DuplicatedRecord, EventRow, MissingEvent, RepeatedEvent, ServedReport,
        UnknownRecord, UnreadableRecord,
    },
};
use self::{
    compare::{Comparison, MAX_RECORDS},
    expected::Expected,
    fields::{ComparedFields, shown},
    pairs::Leftovers,
    served::{ServedPages, numbers},
};
use crate::{
    account::Account,
    clock::Instant,
    world::{Cancellation, Category, Millis, Window},
};

impl Account {
    /// Compares what a connector stored with the events of a category in a window, whose end is excluded. The records are
    /// rows of the API.
    ///
    /// # Errors
    ///
    /// If the window or the number of records is too large, or a record cannot be serialized.
    pub fn audit<R: Serialize>(
        &self,
        category: Category,
        window: Range<Instant>,
        records: impl IntoIterator<Item = R>,
    ) -> Result<AuditReport, AuditError> {
        self.audit_with(&AuditQuery::new(category).window(window), records)
    }

    /// Like [`audit`](Self::audit), with all settings.
    ///
    /// # Errors
    ///
    /// The same, and if the map does not fit the category, or if the query has no window and no request asked for one.
    pub fn audit_with<R: Serialize>(
        &self,
        query: &AuditQuery,
        records: impl IntoIterator<Item = R>,
    ) -> Result<AuditReport, AuditError> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, &record)
                .map_err(|error| AuditError::Invalid(format!("A record cannot be serialized: {error}")))?;
            lines.push(b'\n');
        }
        self.audit_stream(query, RecordFormat::Json, &*lines)
    }

    /// Like [`audit_with`](Self::audit_with), for records in a format: NDJSON, a JSON array or CSV.
    ///
    /// # Errors
    ///
    /// The same, and if the records as a whole cannot be read.
    pub fn audit_stream(
        &self,
        query: &AuditQuery,
        format: RecordFormat,
        records: impl BufRead,
    ) -> Result<AuditReport, AuditError> {
        self.audit_cancellable(query, format, records, &Cancellation::default())
    }

    /// The same, with a report that is of no use after a cancellation.
    pub(crate) fn audit_cancellable(
        &self,
        query: &AuditQuery,
        format: RecordFormat,
        records: impl BufRead,
        cancellation: &Cancellation,
    ) -> Result<AuditReport, AuditError> {
        let now = self.clock().now();
        let compared = ComparedFields::new(query.category, query.map.as_ref())?;
        let served = ServedPages::of(self, query.category, cancellation);
        let window = window_of(query, &served)?;
        let expected = self.expected(query, window, now, &served)?;
        let mut comparison = Comparison::new(self, query, now, window, &expected, compared.clone(), cancellation);
        input::read(records, format, &compared, &mut comparison)?;
        let Leftovers { altered, unknown } = comparison.pair();
        let mut hints: Vec<String> = comparison
            .absent()
            .map(|(field, place)| format!("No record has {field} at {}. Check map.", shown(place)))
            .collect();
        let Comparison { is_matched, received, matched, duplicates, unreadable, .. } = comparison;
        let outside = comparison.outside_by_time + comparison.not_expected;
        hints.extend(hint(expected.count, received, [comparison.outside_by_time, unknown.count, unreadable.count]));
        let lost: Vec<usize> =
            (0..expected.keys.len()).filter(|&nth| expected.required[nth] && !is_matched[nth]).collect();
        let missing = missing(query, &served, &expected, &lost)?;
        let duplicated = duplicated(query, &served, &expected, &duplicates)?;
        let findings = missing.count + duplicated.count + altered.count + unknown.count + unreadable.count;
        Ok(AuditReport {
            account: self.name().to_owned(),
            category: query.category,
            from: window.from.into(),
            to: Millis(window.to.0 + 1).into(),
            now: now.into(),
            hints,
            is_complete: findings == 0,
            expected: expected.count,
            received,
            matched,
            outside,
            missing,
            duplicated,
            altered,
            unknown,
            unreadable,
        })
    }

    /// Compares what was served in whole 200 responses with the events of a window.
    ///
    /// # Errors
    ///
    /// If the window is too large, or if the query has none and no request asked for one.
    pub fn audit_served(&self, query: &AuditQuery) -> Result<ServedReport, AuditError> {
        self.audit_served_cancellable(query, &Cancellation::default())
    }

    /// The same, with a report that is of no use after a cancellation.
    pub(crate) fn audit_served_cancellable(
        &self,
        query: &AuditQuery,
        cancellation: &Cancellation,
    ) -> Result<ServedReport, AuditError> {
        let now = self.clock().now();
        let pages = ServedPages::of(self, query.category, cancellation);
        let window = window_of(query, &pages)?;
        let expected = self.expected(query, window, now, &pages)?;
        let all: Vec<usize> = (0..expected.keys.len()).filter(|&nth| expected.required[nth]).collect();
        let mut missed_events = Vec::new();
        let mut served = 0;
        let mut repeated = Findings::default();
        pages.deliveries(&expected, &all, |event, requests| {
            served += u64::from(!requests.is_empty());
            if requests.is_empty() {
                missed_events.push(event);
            } else if requests.len() > 1 {
                repeated.add(None, query.examples, || {
                    let times = requests.len() as u64;
                    Some(RepeatedEvent { event: expected.row(event)?, times, requests: numbers(requests) })
                });
            }
        })?;
        Ok(ServedReport {
            account: self.name().to_owned(),
            category: query.category,
            from: window.from.into(),
            to: Millis(window.to.0 + 1).into(),
            now: now.into(),
            hints: (expected.count == 0).then(|| NOTHING_EXPECTED.to_owned()).into_iter().collect(),
            is_complete: missed_events.is_empty(),
            expected: expected.count,
            served,
            missed: missing(query, &pages, &expected, &missed_events)?,
            repeated,
        })
    }

    /// Like [`audit`](Self::audit), for a test.
    ///
    /// # Panics
    ///
    /// If the records are not complete, with the first findings and their causes.
    #[track_caller]
    pub fn assert_complete<R: Serialize>(
        &self,
        category: Category,
        window: Range<Instant>,
        records: impl IntoIterator<Item = R>,
    ) {
        match self.audit(category, window, records) {
            Ok(report) => assert!(report.is_complete, "{report}"),
            Err(error) => panic!("the audit is not possible: {error}"),
        }
    }

    fn expected(
        &self,
        query: &AuditQuery,
        window: Window,
        now: Millis,
        served: &ServedPages,
    ) -> Result<Expected, AuditError> {
        let events = self.world().events(query.category, window, 1).left();
        if events > MAX_RECORDS {
            return Err(AuditError::Invalid(format!(
                "The window must have at most {MAX_RECORDS} events, the window from {} to {} has {events}",
                Instant::from(window.from),
                Instant::from(Millis(window.to.0 + 1))
            )));
        }
        // A test may change the format after the connector has read.
        let row_format = served.row_format().unwrap_or_else(|| self.config().row_format);
        Ok(Expected::find(self, query, window, now, row_format))
    }
}

const NOTHING_EXPECTED: &str =
    "No event was expected in this window, so the audit tested nothing. Check category, from and to.";

/// What to check first, if no record is what it should be.
fn hint(expected: u64, received: u64, [outside, unknown, unreadable]: [u64; 3]) -> Option<String> {
    let text = match received {
        _ if expected == 0 => NOTHING_EXPECTED,
        0 => "There was no record.",
        all if all == unreadable => "No record could be read. Check the format of the records and map.",
        all if all == outside => "All records are outside of the window. Check from, to and category.",
        all if all == unknown => {
            "No record is like an event of this account. Check the account, its seed, category and map."
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// The window of an audit, both ends included.
fn window_of(query: &AuditQuery, served: &ServedPages) -> Result<Window, AuditError> {
    match &query.window {
        Some(Range { start, end }) if start >= end => {
            Err(AuditError::Invalid(format!("from must be before to ({end}), got {start}")))
        }
        Some(Range { start, end }) => Ok(Window { from: start.millis(), to: Millis(end.millis().0 - 1) }),
        None => served.span().ok_or_else(|| {
            let category = query.category.code();
            AuditError::Invalid(format!(
                "from and to must be given, as the journal has no request for {category} events"
            ))
        }),
    }
}

fn missing(
    query: &AuditQuery,
    served: &ServedPages,
    expected: &Expected,
    events: &[usize],
) -> Result<Findings<MissingEvent>, AuditError> {
    let mut missing = Findings::default();
    for (&event, cause) in events.iter().zip(served.causes(expected, events)?) {
        missing.add(Some(cause.code()), query.examples, || Some(MissingEvent { event: expected.row(event)?, cause }));
    }
    Ok(missing)
}

fn duplicated(
    query: &AuditQuery,
    served: &ServedPages,
    expected: &Expected,
    doubles: &[(u64, u32)],
) -> Result<Findings<DuplicatedRecord>, AuditError> {
    let mut events: Vec<usize> = doubles.iter().map(|&(_, event)| event as usize).collect();
    events.sort_unstable();
    events.dedup();
    let causes: BTreeMap<usize, DuplicateCause> = served.duplicate_causes(expected, &events)?.into_iter().collect();
    let mut findings = Findings::default();
    for &(record, event) in doubles {
        let cause = causes.get(&(event as usize)).cloned().unwrap_or(DuplicateCause::Unknown);
        findings.add(Some(cause.code()), query.examples, || {
            Some(DuplicatedRecord { record, event: expected.row(event as usize)?, cause })
        });
    }
    Ok(findings)
}
