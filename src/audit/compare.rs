//! Compares records with the expected events.
//!
//! Each record is compared by the hash of its compared values. Events that are equal in all of these are equal: each
//! record takes one of them. What no record has and what takes no event is kept, and paired at the end: a record with the
//! time of a missing event, or with all other values of one, is an altered record of it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::{
    expected::{Expected, Form, Hashes},
    fields::ComparedFields,
    input::{InputError, RecordSink},
    query::AuditQuery,
    record::{Parsed, RecordKey, Values, hash_texts},
    report::{AlteredRecord, Difference, Findings, UnknownRecord, UnreadableRecord},
    time::RecordTime,
};
use crate::{
    account::Account,
    world::{Millis, Window},
};

/// The maximum number of records.
pub(super) const MAX_RECORDS: u64 = 5_000_000;
/// The maximum number of records that match no event.
const MAX_UNMATCHED: usize = 1_000_000;
/// The number of unmatched records whose values are kept for the report.
const MAX_KEPT: usize = 2_048;
/// The maximum length of a value in a report, in characters.
const MAX_VALUE: usize = 300;
/// How far outside of the window a record can be an altered event of the window: a day, and all time zones.
const MARGIN_MS: i64 = 26 * 3_600_000;
/// The minimum number of compared values, besides the times, that tell an event without its time.
const MIN_TEXTS: usize = 2;
/// No event.
const NONE: u32 = u32::MAX;

/// The comparison, record by record.
pub(super) struct Comparison<'a> {
    account: &'a Account,
    query: &'a AuditQuery,
    now: Millis,
    pub(super) expected: &'a Expected,
    compared: ComparedFields,
    /// Set by the first record.
    form: Option<Form>,
    /// The event that the last record took.
    last: usize,
    hashes: Hashes,
    /// By precision, for times that are less precise than those of the API.
    indexes: BTreeMap<i64, Index>,
    /// Whether a record has taken the event.
    pub(super) is_matched: Vec<bool>,
    pub(super) received: u64,
    /// The number of expected events that were taken.
    pub(super) matched: u64,
    /// The records that found all equal events taken, with the last such event.
    pub(super) duplicates: Vec<(u64, u32)>,
    unmatched: Vec<Unmatched>,
    pub(super) unreadable: Findings<UnreadableRecord>,
}

/// The events by the hash of their compared values, at one precision of the time.
struct Index {
    /// The first event of each hash that is not taken, or the last one.
    first: HashMap<u64, u32, FixedState>,
    /// The next event of the same hash.
    next: Vec<u32>,
}

/// A record that is equal to no event.
struct Unmatched {
    record: u64,
    key: RecordKey,
    /// The hashes of the compared texts, in order.
    texts: Box<[u64]>,
    /// The values of the compared fields, for the first of these records.
    values: Option<Vec<Option<String>>>,
}

/// What the records that are equal to no event are.
#[derive(Default)]
pub(super) struct Leftovers {
    pub(super) altered: Findings<AlteredRecord>,
    pub(super) unknown: Findings<UnknownRecord>,
    pub(super) outside: u64,
}

fn mixed(texts: u64, at: i64, last_seen: Option<i64>) -> u64 {
    let mut mixed = texts;
    for part in [Some(at), last_seen].into_iter().flatten() {
        mixed = (mixed ^ part.cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
    mixed
}

impl RecordSink for Comparison<'_> {
    fn take(&mut self, record: Result<Parsed<'_>, String>) -> Result<(), InputError> {
        let form = match &record {
            Ok(Parsed::Row(_)) | Err(_) => Form::Rows,
            Ok(Parsed::Lines(_)) => Form::Lines,
        };
        if record.is_ok() && self.form.is_none() {
            self.begin(form);
        }
        match record {
            Ok(_) if self.form != Some(form) => {
                self.unread("it has another form than the first record".to_owned())?;
            }
            Ok(Parsed::Row(values)) => self.compare(&values)?,
            Ok(Parsed::Lines(lines)) => lines.iter().try_for_each(|values| self.compare(values))?,
            Err(why) => self.unread(why)?,
        }
        Ok(())
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        account: &'a Account,
        query: &'a AuditQuery,
        now: Millis,
        expected: &'a Expected,
        compared: ComparedFields,
    ) -> Self {
        Self {
            account,
            query,
            now,
            expected,
            compared,
            form: None,
            last: 0,
            hashes: Hashes::default(),
            indexes: BTreeMap::new(),
            is_matched: vec![false; expected.keys.len()],
            received: 0,
            matched: 0,
            duplicates: Vec::new(),
            unmatched: Vec::new(),
            unreadable: Findings::default(),
        }
    }

    /// Renders the expected events in the form of the first record.
    fn begin(&mut self, form: Form) {
        if form == Form::Lines {
            self.compared = ComparedFields::v2();
        }
        self.form = Some(form);
        self.hashes = self.expected.hashes(&self.compared, form);
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

    fn compare(&mut self, values: &Values<'_>) -> Result<(), InputError> {
        let key = match values.key(&self.compared, self.expected.config.row_format.zone_hours) {
            Ok(key) => key,
            Err(why) => return self.unread(why),
        };
        let record = self.count()?;
        match self.find(&key) {
            Found::Free(event) => {
                self.is_matched[event as usize] = true;
                self.matched += u64::from(self.expected.required[event as usize]);
            }
            Found::Taken(event) => self.duplicates.push((record, event)),
            Found::None => {
                if self.unmatched.len() == MAX_UNMATCHED {
                    return Err(InputError::Invalid(format!(
                        "More than {MAX_UNMATCHED} records are no event; category, window and map must be those of the records"
                    )));
                }
                let texts =
                    self.compared.texts.iter().map(|&nth| hash_texts(std::iter::once(values.get(nth)))).collect();
                let shortened = |text: &str| -> String { text.chars().take(MAX_VALUE).collect() };
                let kept = || (0..self.compared.names.len()).map(|nth| values.get(nth).map(shortened)).collect();
                let values = (self.unmatched.len() < MAX_KEPT).then(kept);
                self.unmatched.push(Unmatched { record, key, texts, values });
            }
        }
        Ok(())
    }

    /// Finds an event that is equal to a record.
    fn find(&mut self, key: &RecordKey) -> Found {
        let unit_ms = key.time.unit_ms;
        if unit_ms == 1 {
            return self.find_by_time(key);
        }
        let (expected, hashes) = (self.expected, &self.hashes);
        let index = self.indexes.entry(unit_ms).or_insert_with(|| Index::new(expected, hashes, unit_ms));
        let at = RecordTime::truncated(key.time.at, unit_ms);
        index.find(mixed(key.texts, at, key.last_seen), &self.is_matched)
    }

    /// Few events have the same millisecond, and records usually come in the order of time, forwards or backwards. So the
    /// events beside the last one are tried before a search by time.
    fn find_by_time(&mut self, key: &RecordKey) -> Found {
        let keys = &self.expected.keys;
        let at = key.time.at;
        let is_there = |nth: &usize| keys.get(*nth).is_some_and(|event| event.at == at);
        let beside = [self.last + 1, self.last.wrapping_sub(1), self.last].into_iter().find(is_there);
        let mut nth = beside.unwrap_or_else(|| keys.partition_point(|event| event.at < at));
        while nth > 0 && keys[nth - 1].at == at {
            nth -= 1;
        }
        let mut found = Found::None;
        while keys.get(nth).is_some_and(|event| event.at == at) {
            if self.hashes.texts[nth] == key.texts && self.hashes.last_seen.get(nth).copied() == key.last_seen {
                self.last = nth;
                // At most five million events are expected.
                let event = u32::try_from(nth).unwrap_or(NONE);
                if !self.is_matched[nth] {
                    return Found::Free(event);
                }
                found = Found::Taken(event);
            }
            nth += 1;
        }
        found
    }

    /// Pairs the records that are equal to no event with the events that no record has.
    pub(super) fn pair(&mut self, window: Window) -> Leftovers {
        let unmatched = std::mem::take(&mut self.unmatched);
        let mut leftovers = Leftovers::default();
        let is_inside = |time: RecordTime| {
            let (from, to) = (RecordTime::truncated(window.from, time.unit_ms), window.to.0);
            (from..=to).contains(&time.at.0)
        };
        let mut left = Vec::new();
        // The altered record of each event, to tell a second record with the same change.
        let mut altered: HashMap<(u64, i64), u32> = HashMap::new();
        for record in unmatched {
            let identity = (record.key.texts, record.key.time.at.0);
            if is_inside(record.key.time)
                && let Some(event) = self.at_the_same_time(&record)
            {
                altered.insert(identity, event);
                self.alter(event, &record, &mut leftovers.altered);
            } else if let Some(&event) = altered.get(&identity) {
                self.duplicates.push((record.record, event));
            } else {
                left.push(record);
            }
        }
        let left = self.without_events_outside(left, window, &is_inside, &mut leftovers);
        let mut left = self.pair_by_texts(left, &mut leftovers.altered);
        left.sort_unstable_by_key(|record| record.record);
        for record in left {
            if is_inside(record.key.time) {
                leftovers.unknown.add(None, self.query.examples, || {
                    let fields = self.fields(&record)?;
                    Some(UnknownRecord { record: record.record, fields })
                });
            } else {
                leftovers.outside += 1;
            }
        }
        leftovers
    }

    /// The free event at the time of a record that has the most values of the record, but at least one.
    fn at_the_same_time(&self, record: &Unmatched) -> Option<u32> {
        let RecordTime { at, unit_ms } = record.key.time;
        let from = RecordTime::truncated(at, unit_ms);
        let keys = &self.expected.keys;
        let first = keys.partition_point(|key| key.at.0 < from);
        let candidates = (first..keys.len()).take_while(|&nth| keys[nth].at.0 < from + unit_ms);
        let free = candidates.filter(|&nth| !self.is_matched[nth]);
        let scored = free.map(|nth| (self.equal_values(nth, record), self.expected.required[nth], nth));
        let (score, _, nth) = scored.max_by_key(|&(score, is_required, nth)| (score, is_required, usize::MAX - nth))?;
        (score > 0).then(|| u32::try_from(nth).unwrap_or(NONE))
    }

    /// How many values of a record an event has: two points for one in the same field, one for one in another field.
    fn equal_values(&self, nth: usize, record: &Unmatched) -> usize {
        let values = self.expected.values(nth, self.form.unwrap_or(Form::Rows));
        let hashes: Vec<u64> = self
            .compared
            .texts
            .iter()
            .map(|&nth| hash_texts(std::iter::once(values.get(nth).map(String::as_str))))
            .collect();
        let same = hashes.iter().zip(&record.texts).filter(|(one, other)| one == other).count();
        same + record.texts.iter().filter(|text| hashes.contains(text)).count()
    }

    /// Removes the records of events just outside of the window, which are not judged.
    fn without_events_outside(
        &self,
        records: Vec<Unmatched>,
        window: Window,
        is_inside: &impl Fn(RecordTime) -> bool,
        leftovers: &mut Leftovers,
    ) -> Vec<Unmatched> {
        let is_near = |record: &Unmatched| {
            let at = record.key.time.at.0;
            at >= window.from.0 - MARGIN_MS && at <= window.to.0 + MARGIN_MS
        };
        let (near, mut left): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| !is_inside(record.key.time) && is_near(record));
        if near.is_empty() {
            return left;
        }
        let form = self.form.unwrap_or(Form::Rows);
        let before = Window { from: Millis(window.from.0 - MARGIN_MS), to: Millis(window.from.0 - 1) };
        let after = Window { from: Millis(window.to.0 + 1), to: Millis(window.to.0 + MARGIN_MS) };
        let mut indexes: HashMap<(i64, bool), Index> = HashMap::new();
        for (is_after, margin) in [(false, before), (true, after)] {
            let events = Expected::find(self.account, self.query, margin, self.now);
            let hashes = events.hashes(&self.compared, form);
            for record in &near {
                let unit_ms = record.key.time.unit_ms;
                indexes.entry((unit_ms, is_after)).or_insert_with(|| Index::new(&events, &hashes, unit_ms));
            }
        }
        for record in near {
            let RecordKey { time, last_seen, texts } = record.key;
            let hash = mixed(texts, RecordTime::truncated(time.at, time.unit_ms), last_seen);
            let is_event = [false, true].into_iter().any(|is_after| {
                indexes.get(&(time.unit_ms, is_after)).is_some_and(|index| index.first.contains_key(&hash))
            });
            if is_event {
                leftovers.outside += 1;
            } else {
                left.push(record);
            }
        }
        left
    }

    /// Pairs records and missing events that are equal but for their times, both in the order of time.
    fn pair_by_texts(&mut self, records: Vec<Unmatched>, altered: &mut Findings<AlteredRecord>) -> Vec<Unmatched> {
        if self.compared.texts.len() < MIN_TEXTS || records.is_empty() {
            return records;
        }
        let mut free: HashMap<u64, VecDeque<u32>> = HashMap::new();
        for (nth, texts) in self.hashes.texts.iter().enumerate() {
            if !self.is_matched[nth] && self.expected.required[nth] {
                free.entry(*texts).or_default().push_back(u32::try_from(nth).unwrap_or(NONE));
            }
        }
        let mut records = records;
        records.sort_by_key(|record| record.key.time.at);
        let mut left = Vec::new();
        for record in records {
            match free.get_mut(&record.key.texts).and_then(VecDeque::pop_front) {
                Some(event) => self.alter(event, &record, altered),
                None => left.push(record),
            }
        }
        left
    }

    /// Notes that a record is an altered event.
    fn alter(&mut self, event: u32, record: &Unmatched, altered: &mut Findings<AlteredRecord>) {
        let nth = event as usize;
        self.is_matched[nth] = true;
        altered.add(None, self.query.examples, || {
            let row = self.expected.row(nth)?;
            let expected = self.expected.values(nth, self.form.unwrap_or(Form::Rows));
            let received = record.values.as_deref().unwrap_or_default();
            let differs = |nth: usize| {
                let (expected, received) = (expected.get(nth)?, received.get(nth)?);
                let is_time = nth == self.compared.time || Some(nth) == self.compared.last_seen;
                let is_equal = if is_time {
                    self.is_same_time(expected, received.as_deref(), record.key.time.unit_ms)
                } else {
                    // Kept values are shortened.
                    received.as_ref().is_some_and(|received| expected.chars().take(MAX_VALUE).eq(received.chars()))
                };
                let field = self.compared.names[nth];
                (!is_equal).then(|| Difference { field, expected: expected.clone(), received: received.clone() })
            };
            let differences = self.compared_fields().filter_map(differs).collect();
            Some(AlteredRecord { record: record.record, event: row, differences })
        });
    }

    fn is_same_time(&self, expected: &str, received: Option<&str>, unit_ms: i64) -> bool {
        let zone_hours = self.expected.config.row_format.zone_hours;
        let truncated =
            |text: &str| RecordTime::parse(text, zone_hours).map(|time| RecordTime::truncated(time.at, unit_ms));
        truncated(expected) == received.and_then(truncated)
    }

    /// The indexes of the compared fields, in the order of the row.
    fn compared_fields(&self) -> impl Iterator<Item = usize> + '_ {
        let ComparedFields { time, last_seen, texts, names, .. } = &self.compared;
        (0..names.len()).filter(move |nth| nth == time || Some(*nth) == *last_seen || texts.contains(nth))
    }

    fn fields(&self, record: &Unmatched) -> Option<Vec<(&'static str, Option<String>)>> {
        let values = record.values.as_ref()?;
        Some(self.compared_fields().map(|nth| (self.compared.names[nth], values.get(nth).cloned().flatten())).collect())
    }
}

/// What an index has for a hash.
enum Found {
    /// An event that no record has taken.
    Free(u32),
    /// Only events that were taken; the last of them.
    Taken(u32),
    None,
}

impl Index {
    fn new(expected: &Expected, hashes: &Hashes, unit_ms: i64) -> Self {
        let count = expected.keys.len();
        let mut first: HashMap<u64, u32, FixedState> =
            HashMap::with_capacity_and_hasher(count, FixedState::with_seed(0));
        let mut next = vec![NONE; count];
        // From the last event to the first, so that each chain is in the order of time.
        for nth in (0..count).rev() {
            let last_seen = hashes.last_seen.get(nth).map(|&seen| RecordTime::truncated(Millis(seen), unit_ms));
            let at = RecordTime::truncated(expected.keys[nth].at, unit_ms);
            let hash = mixed(hashes.texts[nth], at, last_seen);
            // At most five million events are expected.
            let event = u32::try_from(nth).unwrap_or(NONE);
            if let Some(later) = first.insert(hash, event) {
                next[nth] = later;
            }
        }
        Self { first, next }
    }

    fn find(&mut self, hash: u64, is_matched: &[bool]) -> Found {
        let Some(first) = self.first.get_mut(&hash) else { return Found::None };
        while is_matched[*first as usize] {
            match self.next[*first as usize] {
                NONE => return Found::Taken(*first),
                later => *first = later,
            }
        }
        Found::Free(*first)
    }
}
