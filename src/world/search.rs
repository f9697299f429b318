//! Searching the events of a selection for a text.
//!
//! First the fleet is asked which of its devices the text names. When they are few, their events are found one by one
//! through the schedules, and the history of all others is not looked at; when they are many (or when the text may name
//! something else, such as an application), a page is found soon by reading. Both read newest first, and only as far as
//! the page. What cannot be avoided is a look at every device that lived in the window.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Category, Event, EventRef, Millis, Order, Record, Window, World,
    query::Found,
    query::Selection,
    timeline::{DeviceRef, Kind},
};

/// How many devices are few: so many, and one more for each [`RARE`] that were looked at.
const FEW: usize = 256;
/// Of so many devices one is so rare that following it is cheaper than reading past all others.
const RARE: usize = 64;
/// How many events are read at a time.
const STRIDE: usize = 512;
/// How much time is looked at first for the events of few devices; twice as much each time after.
const FIRST_STRETCH_MS: i64 = 3_600_000;

/// How long whoever asked will wait: until they say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

/// Ends a cancellation when it is dropped.
#[derive(Debug)]
#[must_use = "the cancellation ends when this is dropped"]
pub struct Waiting(Cancellation);

impl Cancellation {
    /// As long as the answer is waited for.
    pub fn cancel_on_drop(&self) -> Waiting {
        Waiting(self.clone())
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A text that is looked for in any case.
#[derive(Clone, Debug)]
pub struct SearchTerm(String);

/// A text, and the devices that it names.
#[derive(Clone, Debug)]
pub(super) struct Search {
    term: SearchTerm,
    /// `None` when they are many, or when the text may name something else.
    few: Option<HashSet<DeviceRef>>,
    cancellation: Cancellation,
}

impl SearchTerm {
    /// What occurs where the text does, in any case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether the text occurs in a field.
    fn is_in(&self, field: &str) -> bool {
        if !(self.0.is_ascii() && field.is_ascii()) {
            return field.to_lowercase().contains(&self.0);
        }
        let (field, text) = (field.as_bytes(), self.0.as_bytes());
        text.is_empty() || field.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
    }
}

impl Search {
    pub(super) fn new(
        world: &World,
        category: Category,
        tracks: &[usize],
        window: Window,
        term: SearchTerm,
        cancellation: Cancellation,
    ) -> Self {
        // Only what the chosen tracks can say counts: nothing that was blocked says «Zoom», which everybody may use.
        let elsewhere = tracks.iter().any(|&track| {
            let track = world.timeline.track(track);
            let Kind::Access(action) = track.kind else { return false };
            super::activity::words(track.process, action).into_iter().any(|word| term.is_in(word))
        });
        let all = elsewhere || category == Category::Admin;
        let few = if all { None } else { world.few_named(category, window, &term, &cancellation) };
        Self { term, few, cancellation }
    }

    /// See [`Selection::after`].
    pub(super) fn after(&self, selection: &Selection<'_>, read: u64, take: usize, order: Order) -> Found {
        let mut found = Found { events: Vec::new(), read };
        if order == Order::OldestFirst {
            // Few would ask for it: no way round what is of other devices.
            self.read_on(selection, selection.unsearched(), take, order, &mut found);
            return found;
        }
        let fresh = selection.fresh.len() as u64;
        if self.few.is_none() || read < fresh {
            let end = if self.few.is_none() { selection.unsearched() } else { fresh };
            self.read_on(selection, end, take, order, &mut found);
        }
        if let Some(few) = &self.few
            && found.events.len() < take
        {
            follow(selection, few, take, &self.cancellation, &mut found);
        }
        found
    }

    /// Reads event after event.
    fn read_on(&self, selection: &Selection<'_>, end: u64, take: usize, order: Order, found: &mut Found) {
        while found.read < end && found.events.len() < take && !self.cancellation.is_over() {
            let left = usize::try_from(end - found.read).unwrap_or(usize::MAX);
            for event in selection.unsearched_page(found.read, STRIDE.min(left), order) {
                found.read += 1;
                if selection.world.render(&event).mentions(&self.term) {
                    found.events.push(event);
                    if found.events.len() == take {
                        return;
                    }
                }
            }
        }
    }
}

/// Finds the events of few devices, in ever longer stretches of time.
fn follow(
    selection: &Selection<'_>,
    few: &HashSet<DeviceRef>,
    take: usize,
    cancellation: &Cancellation,
    found: &mut Found,
) {
    let Selection { world, tracks, places, hint, .. } = selection;
    let solid = found.read.saturating_sub(selection.fresh.len() as u64);
    let Some(next) = places.end.checked_sub(solid.saturating_add(1)).filter(|&next| next >= places.start) else {
        return;
    };
    // The newest event that was not read yet, and all before it.
    let newest = world.instant_of(tracks, next, *hint);
    let newest_place = world.place_of(tracks, newest);
    let first = world.instant_of(tracks, places.start, newest);
    let slots: HashSet<u64> = few.iter().map(|device| device.slot).collect();
    let (mut until, mut stretch) = (newest, FIRST_STRETCH_MS);
    while until >= first && found.events.len() < take && !cancellation.is_over() {
        let after = Millis((until.0 - stretch).max(first.0 - 1));
        let mut events = world.events_of(tracks, &slots, after, until);
        events.retain(|event| world.timeline.device(&event.0).is_some_and(|device| few.contains(&device)));
        events.sort_unstable();
        for event in events.into_iter().rev() {
            // Of the events of the newest millisecond some may have been read before.
            if event.at() == newest && world.place(tracks, &event, newest_place) > next {
                continue;
            }
            found.events.push(event);
            if found.events.len() == take {
                let place = world.place(tracks, &event, world.place_of(tracks, event.at()));
                found.read = selection.fresh.len() as u64 + (places.end - place);
                return;
            }
        }
        until = after;
        stretch *= 2;
    }
    found.read = selection.unsearched();
}

impl Record {
    /// Whether a text occurs in one of the fields by which an record's category is searched.
    #[must_use]
    pub fn mentions(&self, term: &SearchTerm) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::Device(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Webhook(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Report(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Activity(record) => [
                record.device.name.as_str(),
                &record.device.id,
                &record.device.group,
                &record.app_user,
                &record.app_name,
                &record.access_rule,
                record.device_status.label(),
            ]
            .into_iter()
            .any(|field| term.is_in(field)),
        }
    }
}

impl World {
    /// The devices heard of in a window that a text names, if they are few.
    fn few_named(
        &self,
        category: Category,
        window: Window,
        term: &SearchTerm,
        cancellation: &Cancellation,
    ) -> Option<HashSet<DeviceRef>> {
        let (after, until) = (self.timeline.after(Millis(window.from.0 - 1)), self.timeline.after(window.to));
        let mut named = HashSet::new();
        let mut looked_at = 0;
        for slot in 0..u64::from(self.shape.devices) {
            if cancellation.is_over() {
                break;
            }
            for generation in self.timeline.generations(slot, after, until) {
                let device = DeviceRef { slot, generation };
                looked_at += 1;
                if self.names(category, device, term) {
                    if named.len() > FEW + looked_at / RARE {
                        return None;
                    }
                    named.insert(device);
                }
            }
        }
        Some(named)
    }

    /// Whether a text names a device, in one of the fields of a device by which a category is searched.
    fn names(&self, category: Category, device: DeviceRef, term: &SearchTerm) -> bool {
        term.is_in(&self.roster.hostname(device))
            || term.is_in(&self.roster.device_id(device))
            || (category == Category::Activity
                && (term.is_in(self.roster.group(device.slot)) || term.is_in(&self.roster.person(device.slot).email)))
    }

    /// The events of some tracks and some places of the fleet, after one instant and not after another.
    fn events_of(&self, tracks: &[usize], slots: &HashSet<u64>, after: Millis, until: Millis) -> Vec<Event> {
        let (after, until) = (self.timeline.after(after), self.timeline.after(until));
        let mut found: Vec<EventRef> = Vec::new();
        for &track in tracks {
            for &slot in slots {
                self.timeline.collect_of(track, slot, after, until, &mut found);
            }
        }
        found.into_iter().map(Event).collect()
    }

    /// How many events of some tracks happened before an instant.
    fn place_of(&self, tracks: &[usize], at: Millis) -> u64 {
        self.count(tracks, Millis(at.0 - 1))
    }

    /// The place of an event, when so many happened before its millisecond.
    fn place(&self, tracks: &[usize], event: &Event, before: u64) -> u64 {
        let same = self.between(tracks, Millis(event.at().0 - 1), event.at());
        before + same.iter().take_while(|other| *other < event).count() as u64
    }
}
