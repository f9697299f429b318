//! Searches the events of a selection for a text.
//!
//! If the text can match fields other than those of a device, such as the application, the search reads event by event.
//! Otherwise it first examines every device that was in the fleet during the window. If few devices match, the
//! schedules give their events directly, without the events of other devices. If many match, the search reads event by
//! event, and a page is full soon. In all cases, the search stops when the page is full. The direct path serves only
//! the newest-first order.

use std::collections::HashSet;

use super::{
    company::World,
    query::Selection,
    term::{Cancellation, Search},
    time::Millis,
    tracks::{DeviceRef, EventRef},
    window::{Event, Order},
};

/// The number of events that are read at a time.
const SCAN_CHUNK: usize = 512;
/// The first time span in which the events of few devices are collected, in milliseconds. Each next span is twice as
/// long.
const FIRST_SPAN_MS: i64 = 3_600_000;

/// The maximum number of found events in memory while [`Selection::page`] skips matches.
const SKIP_AT_ONCE: usize = 4_096;

/// A page of search results, and the position up to which the search has read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The events, in the requested order.
    pub events: Vec<Event>,
    /// The number of events, matching or not, before the next page.
    pub read: u64,
}

impl Selection<'_> {
    /// The number of events. Without a search text, this reads no events.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.search {
            None => self.unsearched(),
            Some(_) => self.after(0, usize::MAX, Order::NewestFirst).events.len() as u64,
        }
    }

    /// Up to `take` events after the first `skip`, in the given order.
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

    /// Up to `take` matching events, in the given order, after the first `read` events. `read` counts all events that
    /// the window and the filter select, matching or not, so a search that continues reads no event twice.
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
            // The path for few devices supports only the newest-first order.
            self.scan(selection, selection.unsearched(), take, order, &mut found);
            return found;
        }
        let fresh = selection.fresh.len() as u64;
        if self.few.is_none() || read < fresh {
            let end = if self.few.is_none() { selection.unsearched() } else { fresh };
            self.scan(selection, end, take, order, &mut found);
        }
        if let Some(few) = &self.few
            && found.events.len() < take
        {
            collect_by_device(selection, few, take, &self.cancellation, &mut found);
        }
        found
    }

    /// Reads event by event.
    fn scan(&self, selection: &Selection<'_>, end: u64, take: usize, order: Order, found: &mut Found) {
        while found.read < end && found.events.len() < take && !self.cancellation.is_cancelled() {
            let left = usize::try_from(end - found.read).unwrap_or(usize::MAX);
            for event in selection.unsearched_page(found.read, SCAN_CHUNK.min(left), order) {
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

/// Collects the events of few devices, in time spans of growing length.
fn collect_by_device(
    selection: &Selection<'_>,
    few: &HashSet<DeviceRef>,
    take: usize,
    cancellation: &Cancellation,
    found: &mut Found,
) {
    let Selection { world, tracks, places, hint, .. } = selection;
    let settled_read = found.read.saturating_sub(selection.fresh.len() as u64);
    let Some(next) = places.end.checked_sub(settled_read.saturating_add(1)).filter(|&next| next >= places.start) else {
        return;
    };
    // The newest event that the search has not read yet.
    let newest = world.instant_of(tracks, next, *hint);
    let before_newest = world.count_before(tracks, newest);
    let first = world.instant_of(tracks, places.start, newest);
    let slots: HashSet<u64> = few.iter().map(|device| device.slot).collect();
    let (mut until, mut span_ms) = (newest, FIRST_SPAN_MS);
    while until >= first && found.events.len() < take && !cancellation.is_cancelled() {
        let after = Millis((until.0 - span_ms).max(first.0 - 1));
        let mut events = world.events_of(tracks, &slots, after, until);
        events.retain(|event| world.processes.device(&event.0).is_some_and(|device| few.contains(&device)));
        events.sort_unstable();
        for event in events.into_iter().rev() {
            // The search may have read some events of this millisecond already.
            if event.at() == newest && world.position(tracks, &event, before_newest) > next {
                continue;
            }
            found.events.push(event);
            if found.events.len() == take {
                let position = world.position(tracks, &event, world.count_before(tracks, event.at()));
                found.read = selection.fresh.len() as u64 + (places.end - position);
                return;
            }
        }
        until = after;
        span_ms *= 2;
    }
    found.read = selection.unsearched();
}

impl World {
    /// The events of some tracks at some slots of the fleet, after `after` and not after `until`.
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

    /// Counts the events of some tracks that happened before an instant.
    fn count_before(&self, tracks: &[usize], at: Millis) -> u64 {
        self.count(tracks, Millis(at.0 - 1))
    }

    /// The position of an event, if `before` events happened before its millisecond.
    fn position(&self, tracks: &[usize], event: &Event, before: u64) -> u64 {
        let same = self.between(tracks, Millis(event.at().0 - 1), event.at());
        before + same.iter().take_while(|other| *other < event).count() as u64
    }
}
