//! Searching the events of a selection for a text.
//!
//! First the fleet is asked which of its devices the text names. When they are few, their events are found one by one
//! through the schedules, and the history of all others is not looked at; when they are many (or when the text may name
//! something else, such as an application), a page is found soon by reading. Both read newest first, and only as far as
//! the page. What cannot be avoided is a look at every device that lived in the window.

use std::collections::HashSet;

use super::{
    company::World,
    query::Selection,
    term::{Cancellation, Search},
    time::Millis,
    tracks::{DeviceRef, EventRef},
    window::{Event, Order},
};

/// How many events are read at a time.
const STRIDE: usize = 512;
/// How much time is looked at first for the events of few devices; twice as much each time after.
const FIRST_STRETCH_MS: i64 = 3_600_000;

/// How many found events are held at once while a page of a search is looked for by its number.
const SKIP_AT_ONCE: usize = 4_096;

/// A page of a search, and how far it has read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The events, in the order that was asked for.
    pub events: Vec<Event>,
    /// How many events, found or not, lie before the next page.
    pub read: u64,
}

impl Selection<'_> {
    /// How many events there are. Counted without looking at any of them, unless there is a search.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.search {
            None => self.unsearched(),
            Some(_) => self.after(0, usize::MAX, Order::NewestFirst).events.len() as u64,
        }
    }

    /// Up to `take` events after the first `skip`, in an order.
    #[must_use]
    pub fn page(&self, skip: u64, take: usize, order: Order) -> Vec<Event> {
        if self.search.is_none() {
            return self.unsearched_page(skip, take, order);
        }
        if skip >= self.unsearched() {
            return Vec::new();
        }
        let (mut read, mut left) = (0, skip);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_AT_ONCE);
            let found = self.after(read, part, order);
            if found.events.len() < part {
                return Vec::new();
            }
            read = found.read;
            left -= part as u64;
        }
        self.after(read, take, order).events
    }

    /// Up to `take` events, in an order, after the first `read` of those that the window and the filter without its
    /// search choose. Where a search goes on from is a place among all of these, so that it reads nothing twice.
    #[must_use]
    pub fn after(&self, read: u64, take: usize, order: Order) -> Found {
        let Some(search) = &self.search else {
            let events = self.unsearched_page(read, take, order);
            return Found { read: read + events.len() as u64, events };
        };
        search.after(self, read, take, order)
    }
}

impl Search {
    /// See [`Selection::after`].
    fn after(&self, selection: &Selection<'_>, read: u64, take: usize, order: Order) -> Found {
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
        while found.read < end && found.events.len() < take && !self.cancellation.is_cancelled() {
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
    while until >= first && found.events.len() < take && !cancellation.is_cancelled() {
        let after = Millis((until.0 - stretch).max(first.0 - 1));
        let mut events = world.events_of(tracks, &slots, after, until);
        events.retain(|event| world.processes.device(&event.0).is_some_and(|device| few.contains(&device)));
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

impl World {
    /// The events of some tracks and some places of the fleet, after one instant and not after another.
    fn events_of(&self, tracks: &[usize], slots: &HashSet<u64>, after: Millis, until: Millis) -> Vec<Event> {
        let (after, until) = (self.processes.after(after), self.processes.after(until));
        let mut found: Vec<EventRef> = Vec::new();
        for &track in tracks {
            for &slot in slots {
                self.processes.collect_of(track, slot, after, until, &mut found);
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
