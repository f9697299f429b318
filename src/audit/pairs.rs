//! Pairs the records that are equal to no event with the events that no record has: a record with the time of a missing event,
//! or with all other values of one, is an altered record of it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    compare::{Comparison, MARGIN_MS, Unmatched},
    expected::{Expected, Form, Hashes},
    findings::Findings,
    index::{FreeEvents, Index, NONE, mixed},
    record::{RecordKey, hash_texts},
    report::{AlteredRecord, Difference, MAX_VALUE, UnknownRecord},
    time::RecordTime,
};
use crate::world::{Millis, Window};

/// The minimum number of compared values, besides the times, that tell an event without its time.
const MIN_TEXTS: usize = 2;
/// The number of expected events at the time of a record that are compared with it value by value.
const MAX_CANDIDATES: usize = 256;
/// The same, with the events that are not expected.
const MAX_EXAMINED: usize = 4_096;
/// The number of events whose hashes are kept for further records.
const MAX_CACHED: usize = 100_000;

/// The altered events by the identities of their records.
type AlteredEvents = HashMap<(u64, i64), u32>;

/// What the records that are equal to no event are.
#[derive(Default)]
pub(super) struct Leftovers {
    pub(super) altered: Findings<AlteredRecord>,
    pub(super) unknown: Findings<UnknownRecord>,
}

/// The hashes of the compared texts of events, for the records at their times.
#[derive(Default)]
struct TextHashes(HashMap<(u32, Form), Box<[u64]>>);

impl Comparison<'_> {
    /// Pairs the records that are equal to no event with the events that no record has.
    pub(super) fn pair(&mut self) -> Leftovers {
        let unmatched = std::mem::take(&mut self.unmatched);
        let mut leftovers = Leftovers::default();
        let unmatched = self.without_events_outside(unmatched);
        let mut left = Vec::new();
        // The altered record of each event, to tell a second record with the same change.
        let mut altered = AlteredEvents::new();
        let (mut free, mut hashes) =
            (FreeEvents::new(&self.is_matched, &self.expected.required), TextHashes::default());
        for record in unmatched {
            if self.cancellation.is_cancelled() {
                break;
            }
            if self.is_inside(record.key.time)
                && let Some(event) = self.at_the_same_time(&record, &mut free, &mut hashes)
            {
                altered.insert(record.identity(), event);
                self.alter(event, &record, &mut leftovers.altered);
                if self.expected.required[event as usize] {
                    free.remove(event);
                }
            } else if let Some(&event) = altered.get(&record.identity()) {
                self.duplicate(&record, event);
            } else {
                left.push(record);
            }
        }
        let mut left = self.pair_by_texts(left, &mut altered, &mut leftovers.altered);
        left.sort_unstable_by_key(|record| record.record);
        for record in left {
            if self.is_inside(record.key.time) {
                leftovers.unknown.add(None, self.query.examples, || {
                    let fields = self.fields(&record)?;
                    Some(UnknownRecord { record: record.record, fields })
                });
            } else {
                self.outside_by_time += 1;
            }
        }
        leftovers
    }

    /// Records that a record is an event that an earlier record has with the same change.
    fn duplicate(&mut self, record: &Unmatched, event: u32) {
        if self.expected.required[event as usize] {
            self.duplicates.push((record.record, event));
        } else {
            self.not_expected += 1;
        }
    }

    /// The free event at the time of a record that has the most values of the record, but at least one.
    fn at_the_same_time(&self, record: &Unmatched, free: &mut FreeEvents, hashes: &mut TextHashes) -> Option<u32> {
        let RecordTime { at, unit_ms } = record.key.time;
        let from = RecordTime::truncated(at, unit_ms);
        let keys = &self.expected.keys;
        let mut best: Option<(usize, bool, u32)> = None;
        let mut next = keys.partition_point(|key| key.at.0 < from);
        let (mut required, mut all) = (0, 0);
        while required < MAX_CANDIDATES && all < MAX_EXAMINED {
            let event = free.from(next);
            next = event as usize + 1;
            if keys.get(event as usize).is_none_or(|key| key.at.0 >= from + unit_ms) {
                break;
            }
            let texts = hashes.of(self, event, record.form);
            // Two points for a value in the same field, one for one in another field.
            let same = texts.iter().zip(&record.texts).filter(|(one, other)| one == other).count();
            let score = same + record.texts.iter().filter(|text| texts.contains(text)).count();
            let is_required = self.expected.required[event as usize];
            (required, all) = (required + usize::from(is_required), all + 1);
            if score > 0 && best.is_none_or(|(most, was_required, _)| (score, is_required) > (most, was_required)) {
                best = Some((score, is_required, event));
            }
        }
        best.map(|(_, _, event)| event)
    }

    /// Removes the records of events just outside of the window, which are not judged. A time that is less precise than
    /// those of the API may be on both sides of an end.
    fn without_events_outside(&mut self, records: Vec<Unmatched>) -> Vec<Unmatched> {
        let window = self.window;
        let may_be_outside = |record: &Unmatched| self.may_be_outside(record.key.time);
        let (near, mut left): (Vec<_>, Vec<_>) = records.into_iter().partition(may_be_outside);
        if near.is_empty() {
            return left;
        }
        let before = Window { from: Millis(window.from.0 - MARGIN_MS), to: Millis(window.from.0 - 1) };
        let after = Window { from: Millis(window.to.0 + 1), to: Millis(window.to.0 + MARGIN_MS) };
        let mut indexes: HashMap<(i64, Form, bool), Index> = HashMap::new();
        for (is_after, margin) in [(false, before), (true, after)] {
            let events = Expected::find(self.account, self.query, margin, self.now, self.expected.row_format);
            let mut hashes: HashMap<Form, Hashes> = HashMap::new();
            for record in &near {
                let (unit_ms, form) = (record.key.time.unit_ms, record.form);
                indexes.entry((unit_ms, form, is_after)).or_insert_with(|| {
                    let hashes = hashes
                        .entry(form)
                        .or_insert_with(|| events.hashes(&self.events(form).compared, form, self.cancellation));
                    Index::new(&events, hashes, unit_ms)
                });
            }
        }
        for record in near {
            let RecordKey { time, last_seen, texts } = record.key;
            let hash = mixed(texts, RecordTime::truncated(time.at, time.unit_ms), last_seen);
            let is_event = [false, true].into_iter().any(|is_after| {
                let index = indexes.get(&(time.unit_ms, record.form, is_after));
                index.is_some_and(|index| index.has(hash))
            });
            if is_event {
                self.outside_by_time += 1;
            } else if let Some(event) = record.taken {
                self.duplicates.push((record.record, event));
            } else {
                left.push(record);
            }
        }
        left.sort_unstable_by_key(|record| record.record);
        left
    }

    /// Pairs records and missing events that are equal but for their times, both in the order of time.
    fn pair_by_texts(
        &mut self,
        records: Vec<Unmatched>,
        altered: &mut AlteredEvents,
        findings: &mut Findings<AlteredRecord>,
    ) -> Vec<Unmatched> {
        let mut left = Vec::new();
        let mut of_form: BTreeMap<Form, Vec<Unmatched>> = BTreeMap::new();
        for record in records {
            if self.events(record.form).compared.texts.len() < MIN_TEXTS {
                left.push(record);
            } else {
                of_form.entry(record.form).or_default().push(record);
            }
        }
        for (form, mut records) in of_form {
            let mut free: HashMap<u64, VecDeque<u32>> = HashMap::new();
            for (nth, texts) in self.events(form).hashes.texts.iter().enumerate() {
                if !self.is_matched[nth] && self.expected.required[nth] {
                    free.entry(*texts).or_default().push_back(u32::try_from(nth).unwrap_or(NONE));
                }
            }
            records.sort_by_key(|record| record.key.time.at);
            for record in records {
                if let Some(&event) = altered.get(&record.identity()) {
                    self.duplicate(&record, event);
                } else if let Some(event) = free.get_mut(&record.key.texts).and_then(VecDeque::pop_front) {
                    altered.insert(record.identity(), event);
                    self.alter(event, &record, findings);
                } else {
                    left.push(record);
                }
            }
        }
        left
    }

    /// Records that a record is an altered event. One of an event that is not required is not judged.
    fn alter(&mut self, event: u32, record: &Unmatched, altered: &mut Findings<AlteredRecord>) {
        let nth = event as usize;
        self.is_matched[nth] = true;
        if !self.expected.required[nth] {
            self.not_expected += 1;
            return;
        }
        altered.add(None, self.query.examples, || {
            let row = self.expected.row(nth)?;
            let compared = &self.events(record.form).compared;
            let expected = self.expected.values(nth, record.form);
            let received = record.values.as_deref().unwrap_or_default();
            let differs = |nth: usize| {
                let (expected, received) = (expected.get(nth)?, received.get(nth)?);
                let is_time = nth == compared.time || Some(nth) == compared.last_seen;
                let is_equal = if is_time {
                    self.is_same_time(expected, received.as_deref(), record.key.time.unit_ms)
                } else {
                    // Kept values are shortened.
                    received.as_ref().is_some_and(|received| expected.chars().take(MAX_VALUE).eq(received.chars()))
                };
                let field = compared.names[nth];
                (!is_equal).then(|| Difference { field, expected: expected.clone(), received: received.clone() })
            };
            let differences = compared.indexes().filter_map(differs).collect();
            Some(AlteredRecord { record: record.record, event: row, differences })
        });
    }

    fn is_same_time(&self, expected: &str, received: Option<&str>, unit_ms: i64) -> bool {
        let zone_hours = self.expected.row_format.zone_hours;
        let truncated =
            |text: &str| RecordTime::parse(text, zone_hours).map(|time| RecordTime::truncated(time.at, unit_ms));
        truncated(expected) == received.and_then(truncated)
    }

    fn fields(&self, record: &Unmatched) -> Option<Vec<(&'static str, Option<String>)>> {
        let (values, compared) = (record.values.as_ref()?, &self.events(record.form).compared);
        Some(compared.indexes().map(|nth| (compared.names[nth], values.get(nth).cloned().flatten())).collect())
    }
}

impl TextHashes {
    fn of(&mut self, comparison: &Comparison<'_>, event: u32, form: Form) -> &[u64] {
        if self.0.len() >= MAX_CACHED {
            self.0.clear();
        }
        self.0.entry((event, form)).or_insert_with(|| {
            let values = comparison.expected.values(event as usize, form);
            let texts = comparison.events(form).compared.texts.iter();
            texts.map(|&nth| hash_texts(std::iter::once(values.get(nth).map(String::as_str)))).collect()
        })
    }
}
