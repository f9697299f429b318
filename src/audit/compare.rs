//! Compares records with the expected events.
//!
//! Each record is compared by the hash of its compared values. Events that are equal in all of these are equal: each
//! record takes one of them. What no record has and what takes no event is kept, and paired at the end: a record with the
//! time of a missing event, or with all other values of one, is an altered record of it.

use std::collections::BTreeMap;

use super::{
    expected::{Expected, Form, Hashes},
    fields::{ComparedFields, MAX_FIELDS},
    findings::Findings,
    index::{Found, Index, NONE, mixed},
    input::{InputError, RecordSink},
    query::AuditQuery,
    record::{Parsed, RecordKey, Values, hash_texts},
    report::{MAX_VALUE, UnreadableRecord},
    time::RecordTime,
};
use crate::{
    account::Account,
    world::{Cancellation, Categories, Category, Millis, Window},
};

/// The maximum number of records.
pub(super) const MAX_RECORDS: u64 = 5_000_000;
/// The maximum number of records that match no event.
const MAX_UNMATCHED: usize = 1_000_000;
/// The number of unmatched records whose values are kept for the report.
const MAX_KEPT: usize = 2_048;
/// How far outside of the window a record can be an altered event of the window: a day, and all time zones.
pub(super) const MARGIN_MS: i64 = 26 * 3_600_000;
/// If more events have the same millisecond, a record is looked up by its hash.
const MAX_AT_ONCE: usize = 64;

/// The comparison, record by record.
pub(super) struct Comparison<'a> {
    pub(super) account: &'a Account,
    pub(super) query: &'a AuditQuery,
    pub(super) now: Millis,
    pub(super) window: Window,
    pub(super) expected: &'a Expected,
    pub(super) cancellation: &'a Cancellation,
    /// The fields of rows.
    compared: ComparedFields,
    /// The events in the forms of the records so far, by form.
    forms: [Option<FormEvents>; Form::COUNT],
    /// The event that the last record took.
    last: usize,
    /// Whether a record has taken the event.
    pub(super) is_matched: Vec<bool>,
    pub(super) received: u64,
    /// The number of expected events that were taken.
    pub(super) matched: u64,
    /// The records that found all equal events taken, with the last such event.
    pub(super) duplicates: Vec<(u64, u32)>,
    /// Records with a time outside of the window.
    pub(super) outside_by_time: u64,
    /// Records of events that are not required.
    pub(super) not_expected: u64,
    pub(super) unmatched: Vec<Unmatched>,
    pub(super) unreadable: Findings<UnreadableRecord>,
    /// The number of rows that have each mapped field.
    mapped: [u64; MAX_FIELDS],
}

/// The events in a form.
pub(super) struct FormEvents {
    pub(super) compared: ComparedFields,
    pub(super) hashes: Hashes,
    /// By precision, for times that are less precise than those of the API.
    indexes: BTreeMap<i64, Index>,
}

/// A record that is equal to no event.
pub(super) struct Unmatched {
    pub(super) record: u64,
    pub(super) form: Form,
    pub(super) key: RecordKey,
    /// The event that is equal and taken, for a time that may be outside of the window.
    pub(super) taken: Option<u32>,
    /// The hashes of the compared texts, in order.
    pub(super) texts: Box<[u64]>,
    /// The values of the compared fields, for the first of these records.
    pub(super) values: Option<Vec<Option<String>>>,
}

impl Unmatched {
    /// What a second record with the same change has in common.
    pub(super) fn identity(&self) -> (u64, i64) {
        (self.key.texts, self.key.time.at.0)
    }
}

impl RecordSink for Comparison<'_> {
    fn take(&mut self, record: Result<Parsed<'_>, String>) -> Result<(), InputError> {
        match record {
            Ok(Parsed::Row(values)) => self.compare(Form::Rows, &values),
            Ok(Parsed::V3(values)) => self.compare(Form::V3, &values),
            Ok(Parsed::Lines(lines)) => lines.iter().try_for_each(|values| self.compare(Form::Lines, values)),
            Err(why) => self.unread(why),
        }
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        account: &'a Account,
        query: &'a AuditQuery,
        now: Millis,
        window: Window,
        expected: &'a Expected,
        compared: ComparedFields,
        cancellation: &'a Cancellation,
    ) -> Self {
        Self {
            account,
            query,
            now,
            window,
            expected,
            cancellation,
            compared,
            forms: [const { None }; Form::COUNT],
            last: 0,
            is_matched: vec![false; expected.keys.len()],
            received: 0,
            matched: 0,
            duplicates: Vec::new(),
            outside_by_time: 0,
            not_expected: 0,
            unmatched: Vec::new(),
            unreadable: Findings::default(),
            mapped: [0; MAX_FIELDS],
        }
    }

    /// Renders the expected events in a form, for its first record.
    fn begin(&mut self, form: Form) {
        let compared = match form {
            Form::Rows => self.compared.clone(),
            Form::Lines => ComparedFields::v2(),
            Form::V3 => ComparedFields::v3(),
        };
        let hashes = self.expected.hashes(&compared, form, self.cancellation);
        self.forms[form as usize] = Some(FormEvents { compared, hashes, indexes: BTreeMap::new() });
    }

    /// The events in the form of a record that was read.
    pub(super) fn events(&self, form: Form) -> &FormEvents {
        // `compare` renders them before it reads the first record of a form.
        self.forms[form as usize].as_ref().expect("the events of a form that was read")
    }

    /// The mapped fields, with their places, that no record has.
    pub(super) fn absent(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sources = self.compared.sources.iter().flatten().filter(|_| self.forms[Form::Rows as usize].is_some());
        sources.filter(|(nth, _)| self.mapped[*nth] == 0).map(|(nth, place)| (self.compared.names[*nth], &**place))
    }

    fn count(&mut self) -> Result<u64, InputError> {
        self.received += 1;
        if self.received > MAX_RECORDS {
            return Err(InputError::Invalid(format!("The body must have at most {MAX_RECORDS} records, got more")));
        }
        Ok(self.received)
    }

    fn unread(&mut self, reason: String) -> Result<(), InputError> {
        let record = self.count()?;
        self.unreadable.add(None, self.query.examples, || Some(UnreadableRecord { record, reason }));
        Ok(())
    }

    fn compare(&mut self, form: Form, values: &Values<'_>) -> Result<(), InputError> {
        if self.forms[form as usize].is_none() {
            self.begin(form);
        }
        for (nth, _) in self.compared.sources.iter().flatten() {
            self.mapped[*nth] += u64::from(values.get(*nth).is_some());
        }
        let key = match values.key(&self.events(form).compared, self.expected.row_format.zone_hours) {
            Ok(key) => key,
            Err(why) => return self.unread(why),
        };
        let record = self.count()?;
        if form == Form::V3 && self.is_of_other_category(values) {
            self.not_expected += 1;
            return Ok(());
        }
        if !self.is_near(key.time) {
            self.outside_by_time += 1;
            return Ok(());
        }
        match self.find(form, &key) {
            Found::Free(event) => {
                self.is_matched[event as usize] = true;
                self.matched += u64::from(self.expected.required[event as usize]);
                self.not_expected += u64::from(!self.expected.required[event as usize]);
            }
            Found::Taken(event) if !self.expected.required[event as usize] => self.not_expected += 1,
            Found::Taken(event) if !self.may_be_outside(key.time) => self.duplicates.push((record, event)),
            found => {
                let taken = if let Found::Taken(event) = found { Some(event) } else { None };
                if self.unmatched.len() == MAX_UNMATCHED {
                    return Err(InputError::Invalid(format!(
                        "More than {MAX_UNMATCHED} records match no event; category, window and map must be those of the records"
                    )));
                }
                let compared = &self.events(form).compared;
                let texts = compared.texts.iter().map(|&nth| hash_texts(std::iter::once(values.get(nth)))).collect();
                let shortened = |text: &str| -> String { text.chars().take(MAX_VALUE).collect() };
                let kept = || (0..compared.names.len()).map(|nth| values.get(nth).map(shortened)).collect();
                let values = (self.unmatched.len() < MAX_KEPT).then(kept);
                self.unmatched.push(Unmatched { record, form, key, taken, texts, values });
            }
        }
        Ok(())
    }

    /// Whether an entry of v3 is of the category that the audit is not about.
    fn is_of_other_category(&self, values: &Values<'_>) -> bool {
        let codes = |category: Category| category.event_codes();
        values.get(1).is_some_and(|code| {
            !codes(self.expected.category).contains(&code)
                && Categories::DEVICE_AND_ADMIN.iter().any(|category| codes(category).contains(&code))
        })
    }

    /// Whether a record can be an event of the window, perhaps with the time of another time zone.
    fn is_near(&self, time: RecordTime) -> bool {
        let Window { from, to } = self.window;
        time.at.0.saturating_add(time.unit_ms - 1) >= from.0 - MARGIN_MS && time.at.0 <= to.0 + MARGIN_MS
    }

    /// Whether a part of what the time of a record can be is outside of the window.
    pub(super) fn may_be_outside(&self, time: RecordTime) -> bool {
        time.at < self.window.from || time.at.0.saturating_add(time.unit_ms - 1) > self.window.to.0
    }

    /// Whether the time of a record is in the window.
    pub(super) fn is_inside(&self, time: RecordTime) -> bool {
        let Window { from, to } = self.window;
        (RecordTime::truncated(from, time.unit_ms)..=to.0).contains(&time.at.0)
    }

    /// Finds an event that is equal to a record.
    fn find(&mut self, form: Form, key: &RecordKey) -> Found {
        let unit_ms = key.time.unit_ms;
        if unit_ms == 1
            && let Some(found) = self.find_by_time(form, key)
        {
            return found;
        }
        let expected = self.expected;
        let Some(FormEvents { hashes, indexes, .. }) = &mut self.forms[form as usize] else { return Found::None };
        let index = indexes.entry(unit_ms).or_insert_with(|| Index::new(expected, hashes, unit_ms));
        let at = RecordTime::truncated(key.time.at, unit_ms);
        index.find(mixed(key.texts, at, key.last_seen), &self.is_matched)
    }

    /// Few events have the same millisecond, and records usually come in the order of time, forwards or backwards. So the
    /// events beside the last one are tried before a search by time. `None` if too many events have the millisecond.
    fn find_by_time(&mut self, form: Form, key: &RecordKey) -> Option<Found> {
        let keys = &self.expected.keys;
        let hashes = &self.events(form).hashes;
        let at = key.time.at;
        let is_there = |nth: &usize| keys.get(*nth).is_some_and(|event| event.at == at);
        let beside = [self.last + 1, self.last.wrapping_sub(1), self.last].into_iter().find(is_there);
        let mut nth = beside.unwrap_or_else(|| keys.partition_point(|event| event.at < at));
        let start = nth.saturating_sub(MAX_AT_ONCE);
        while nth > 0 && keys[nth - 1].at == at {
            nth -= 1;
            if nth == start {
                return None;
            }
        }
        if keys.get(nth + MAX_AT_ONCE).is_some_and(|event| event.at == at) {
            return None;
        }
        let (mut found, mut last) = (Found::None, self.last);
        while keys.get(nth).is_some_and(|event| event.at == at) {
            if hashes.texts[nth] == key.texts && hashes.last_seen.get(nth).copied() == key.last_seen {
                last = nth;
                // At most five million events are expected.
                let event = u32::try_from(nth).unwrap_or(NONE);
                if !self.is_matched[nth] {
                    found = Found::Free(event);
                    break;
                }
                found = Found::Taken(event);
            }
            nth += 1;
        }
        self.last = last;
        Some(found)
    }
}
