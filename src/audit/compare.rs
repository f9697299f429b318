//! Compares records with the expected events.
//!
//! Each record is compared by the hash of its compared values. Events that are equal in all of these are equal: each
//! record takes one of them. What no record has and what takes no event is kept, and paired at the end: a record with the
//! time of a missing event, or with all other values of one, is an altered record of it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::{
    expected::{Expected, Form, Hashes},
    fields::{ComparedFields, MAX_FIELDS},
    input::{InputError, RecordSink},
    query::AuditQuery,
    record::{Parsed, RecordKey, Values, hash_texts},
    report::{AlteredRecord, Difference, Findings, UnknownRecord, UnreadableRecord},
    time::RecordTime,
};
use crate::{
    account::Account,
    world::{Cancellation, Millis, Window},
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
/// The number of expected events at the time of a record that are compared with it value by value.
const MAX_CANDIDATES: usize = 256;
/// The same, with the events that are not expected.
const MAX_EXAMINED: usize = 4_096;
/// If more events have the same millisecond, a record is looked up by its hash.
const MAX_AT_ONCE: usize = 64;
/// The number of events whose hashes are kept for further records.
const MAX_CACHED: usize = 100_000;
/// No event.
const NONE: u32 = u32::MAX;

/// The comparison, record by record.
pub(super) struct Comparison<'a> {
    account: &'a Account,
    query: &'a AuditQuery,
    now: Millis,
    window: Window,
    pub(super) expected: &'a Expected,
    cancellation: &'a Cancellation,
    /// The fields of rows.
    compared: ComparedFields,
    /// The events in the forms of the records so far.
    rows: Option<FormEvents>,
    lines: Option<FormEvents>,
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
    unmatched: Vec<Unmatched>,
    pub(super) unreadable: Findings<UnreadableRecord>,
    /// The number of rows that have each mapped field.
    mapped: [u64; MAX_FIELDS],
}

/// The events in a form.
struct FormEvents {
    compared: ComparedFields,
    hashes: Hashes,
    /// By precision, for times that are less precise than those of the API.
    indexes: BTreeMap<i64, Index>,
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
    form: Form,
    key: RecordKey,
    /// The event that is equal and taken, for a time that may be outside of the window.
    taken: Option<u32>,
    /// The hashes of the compared texts, in order.
    texts: Box<[u64]>,
    /// The values of the compared fields, for the first of these records.
    values: Option<Vec<Option<String>>>,
}

/// The altered events by the identities of their records.
type AlteredEvents = HashMap<(u64, i64), u32>;

/// What the records that are equal to no event are.
#[derive(Default)]
pub(super) struct Leftovers {
    pub(super) altered: Findings<AlteredRecord>,
    pub(super) unknown: Findings<UnknownRecord>,
}

/// The events that no record has taken, to find the next one quickly. Events that are not required are always free.
struct FreeEvents(Vec<u32>);

/// The hashes of the compared texts of events, for the records at their times.
#[derive(Default)]
struct TextHashes(HashMap<(u32, Form), Box<[u64]>>);

impl Unmatched {
    /// What a second record with the same change has in common.
    fn identity(&self) -> (u64, i64) {
        (self.key.texts, self.key.time.at.0)
    }
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
        match record {
            Ok(Parsed::Row(values)) => self.compare(Form::Rows, &values),
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
            rows: None,
            lines: None,
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
        };
        let hashes = self.expected.hashes(&compared, form, self.cancellation);
        *self.form_mut(form) = Some(FormEvents { compared, hashes, indexes: BTreeMap::new() });
    }

    fn form_mut(&mut self, form: Form) -> &mut Option<FormEvents> {
        match form {
            Form::Rows => &mut self.rows,
            Form::Lines => &mut self.lines,
        }
    }

    /// The events in the form of a record that was read.
    fn events(&self, form: Form) -> &FormEvents {
        let events = match form {
            Form::Rows => &self.rows,
            Form::Lines => &self.lines,
        };
        // `compare` renders them before it reads the first record of a form.
        events.as_ref().expect("the events of a form that was read")
    }

    /// The mapped fields, with their places, that no record has.
    pub(super) fn absent(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sources = self.compared.sources.iter().flatten().filter(|_| self.rows.is_some());
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
        if self.form_mut(form).is_none() {
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

    /// Whether a record can be an event of the window, perhaps with the time of another time zone.
    fn is_near(&self, time: RecordTime) -> bool {
        let Window { from, to } = self.window;
        time.at.0.saturating_add(time.unit_ms - 1) >= from.0 - MARGIN_MS && time.at.0 <= to.0 + MARGIN_MS
    }

    /// Whether a part of what the time of a record can be is outside of the window.
    fn may_be_outside(&self, time: RecordTime) -> bool {
        time.at < self.window.from || time.at.0.saturating_add(time.unit_ms - 1) > self.window.to.0
    }

    /// Whether the time of a record is in the window.
    fn is_inside(&self, time: RecordTime) -> bool {
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
        let events = match form {
            Form::Rows => &mut self.rows,
            Form::Lines => &mut self.lines,
        };
        let Some(FormEvents { hashes, indexes, .. }) = events else { return Found::None };
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
                index.is_some_and(|index| index.first.contains_key(&hash))
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

impl FreeEvents {
    fn new(is_matched: &[bool], required: &[bool]) -> Self {
        let count = u32::try_from(is_matched.len()).unwrap_or(NONE);
        let mut next: Vec<u32> = (0..=count).collect();
        for (nth, (is_matched, is_required)) in is_matched.iter().zip(required).enumerate() {
            if *is_matched && *is_required {
                next[nth] += 1;
            }
        }
        Self(next)
    }

    /// The first free event from an index on, or the number of events.
    fn from(&mut self, nth: usize) -> u32 {
        let mut nth = nth.min(self.0.len() - 1);
        // Each step halves the way of the next search.
        while self.0[nth] as usize != nth {
            let next = self.0[nth] as usize;
            self.0[nth] = self.0[next];
            nth = self.0[nth] as usize;
        }
        u32::try_from(nth).unwrap_or(NONE)
    }

    fn remove(&mut self, event: u32) {
        self.0[event as usize] = event + 1;
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
