//! From a window, a filter and a place to the events of a page.
//!
//! The events of a stream have one order: by time, then by track, then by number. Counting what happened up to an
//! instant costs one step per track, so the instant at which the n-th event happens is found by bisection, and a page is
//! the few events round it. Only a search by text has to read; it reads newest first, no further than the page, and
//! never beyond the window.

use std::{borrow::Cow, ops::Range};

use super::{AgentType, Entry, Happening, Millis, Stream, World, lifecycle::ACCOUNT_MADE};

/// How many events a search reads at a time.
const SEARCH_STRIDE: u64 = 512;

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The first millisecond of it.
    pub from: Millis,
    /// The last one.
    pub to: Millis,
}

/// Which events of a stream are wanted. The default wants all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Places in the stream's list of codes, as bits; `None` for all.
    pub kinds: Option<u32>,
    /// Kinds of agents; `None` for all. Events without a device have none.
    pub agents: Option<Vec<AgentType>>,
    /// A text that must occur, in any case, in one of the fields by which the stream is searched.
    pub search: Option<String>,
}

/// In which direction time runs through a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// From the last event of the window to the first.
    NewestFirst,
    /// From the first to the last.
    OldestFirst,
}

/// One event, by its address. [`World::tell`] tells what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event(pub(super) Happening);

/// The events of one stream that a window and a filter choose.
#[derive(Clone, Debug)]
pub struct Selection<'w> {
    world: &'w World,
    tracks: Cow<'w, [usize]>,
    /// Counted from the beginning of the world, over the chosen tracks.
    places: Range<u64>,
    to: Millis,
    search: Option<String>,
    whole: bool,
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.0.at
    }
}

impl World {
    /// The events of a stream that happened in a window and pass a filter.
    #[must_use]
    pub fn select(&self, stream: Stream, window: Window, filter: Filter) -> Selection<'_> {
        let whole = filter.kinds.is_none() && filter.agents.is_none();
        let all = &self.streams[stream as usize];
        let tracks = if whole {
            Cow::Borrowed(all.as_slice())
        } else {
            let wanted = |&track: &usize| {
                let track = self.life.track(track);
                filter.kinds.is_none_or(|kinds| kinds >> track.kind.ordinal() & 1 == 1)
                    && filter
                        .agents
                        .as_ref()
                        .is_none_or(|agents| track.agent.is_some_and(|agent| agents.contains(&agent)))
            };
            Cow::Owned(all.iter().copied().filter(wanted).collect())
        };
        let from = Millis(window.from.0.max(ACCOUNT_MADE.0));
        let to = Millis(window.to.0.clamp(ACCOUNT_MADE.0 - 1, LAST.0));
        let last = self.count(&tracks, to);
        let places = self.count(&tracks, Millis(from.0 - 1)).min(last)..last;
        let search = filter.search.map(|text| text.to_lowercase());
        Selection { world: self, tracks, places, to, search, whole }
    }

    /// The events of a stream at places counted from the beginning of the world, oldest first.
    #[must_use]
    pub fn slice(&self, stream: Stream, places: Range<u64>, near: Millis) -> Vec<Event> {
        self.slice_of(&self.streams[stream as usize], places, near)
    }

    fn count(&self, tracks: &[usize], until: Millis) -> u64 {
        let moment = self.life.after(until);
        tracks.iter().map(|&track| self.life.count(track, moment)).sum()
    }

    fn slice_of(&self, tracks: &[usize], places: Range<u64>, near: Millis) -> Vec<Event> {
        if places.is_empty() {
            return Vec::new();
        }
        let last = self.instant_of(tracks, places.end - 1, near);
        let first = self.instant_of(tracks, places.start, last);
        let (after, until) = (self.life.after(Millis(first.0 - 1)), self.life.after(last));
        let mut found = Vec::new();
        let mut before = 0;
        for &track in tracks {
            before += self.life.count(track, after);
            self.life.collect(track, after, until, &mut found);
        }
        found.sort_unstable();
        // Both fit: what was found is in memory.
        let place = |place: u64| usize::try_from(place - before).unwrap_or(usize::MAX).min(found.len());
        let (start, end) = (place(places.start), place(places.end));
        found[start..end].iter().copied().map(Event).collect()
    }

    /// The instant at which the event at a place happens: the first one by which more than `place` events happened.
    fn instant_of(&self, tracks: &[usize], place: u64, near: Millis) -> Millis {
        let happened = |at: i64| self.count(tracks, Millis(at)) > place;
        let mut late = near.0;
        let mut stride = 3_600_000;
        while !happened(late) && late < LAST.0 {
            late = (late + stride).min(LAST.0);
            stride *= 2;
        }
        // Go back by ever longer strides, then halve: a page is near its neighbour far more often than not.
        let mut stride = 3_600_000;
        let mut early = ACCOUNT_MADE.0 - 1;
        while late - stride > early {
            if !happened(late - stride) {
                early = late - stride;
                break;
            }
            late -= stride;
            stride *= 2;
        }
        while late - early > 1 {
            let middle = early + (late - early) / 2;
            if happened(middle) {
                late = middle;
            } else {
                early = middle;
            }
        }
        Millis(late)
    }
}

/// 2200-01-01: nobody asks for later.
const LAST: Millis = Millis(7_258_118_400_000);

impl Selection<'_> {
    /// How many events there are.
    ///
    /// Counted without looking at any of them, unless there is a search.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.search {
            None => self.places.end - self.places.start,
            Some(_) => self.page(0, usize::MAX, Order::NewestFirst).len() as u64,
        }
    }

    /// The places of the events in their stream, counted from the beginning of the world.
    ///
    /// `None` when a filter leaves some of the stream's events out.
    #[must_use]
    pub fn places(&self) -> Option<Range<u64>> {
        (self.whole && self.search.is_none()).then(|| self.places.clone())
    }

    /// Up to `take` events after the first `skip`, in an order.
    #[must_use]
    pub fn page(&self, skip: u64, take: usize, order: Order) -> Vec<Event> {
        if let Some(text) = &self.search {
            return self.found(text, skip, take, order);
        }
        let Range { start, end } = self.places;
        let (skip, take) = (skip.min(end - start), take as u64);
        match order {
            Order::OldestFirst => {
                let start = start + skip;
                self.slice(start..end.min(start.saturating_add(take)))
            }
            Order::NewestFirst => {
                let end = end - skip;
                let mut events = self.slice(start.max(end.saturating_sub(take))..end);
                events.reverse();
                events
            }
        }
    }

    fn slice(&self, places: Range<u64>) -> Vec<Event> {
        self.world.slice_of(&self.tracks, places, self.to)
    }

    fn found(&self, text: &str, skip: u64, take: usize, order: Order) -> Vec<Event> {
        let Range { start, end } = self.places;
        let mut skipped = 0;
        let mut found = Vec::new();
        let mut read = 0;
        while read < end - start && found.len() < take {
            let stride = SEARCH_STRIDE.min(end - start - read);
            let events = match order {
                Order::OldestFirst => self.slice(start + read..start + read + stride),
                Order::NewestFirst => {
                    let mut events = self.slice(end - read - stride..end - read);
                    events.reverse();
                    events
                }
            };
            read += stride;
            for event in events {
                if !self.world.mentions(&event, text) {
                    continue;
                }
                if skipped < skip {
                    skipped += 1;
                } else if found.len() < take {
                    found.push(event);
                }
            }
        }
        found
    }
}

impl World {
    /// Whether a text, in lower case, occurs in one of the fields by which an event's stream is searched.
    fn mentions(&self, event: &Event, text: &str) -> bool {
        let has = |field: &str| field.to_lowercase().contains(text);
        match self.tell(event) {
            Entry::Admin(_) => true,
            Entry::Device(entry) => has(&entry.device.name) || has(&entry.device.id),
            Entry::Webhook(entry) => has(&entry.device.name) || has(&entry.device.id),
            Entry::Report(entry) => has(&entry.device.name) || has(&entry.device.id),
            Entry::Activity(entry) => [
                entry.device.name.as_str(),
                &entry.device.id,
                entry.device.group,
                &entry.app_user.email,
                entry.app_name,
                entry.access_rule,
                entry.device_status.label(),
            ]
            .into_iter()
            .any(has),
        }
    }
}
