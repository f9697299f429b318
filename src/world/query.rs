//! From a window, a filter and a place to the events of a page.
//!
//! The events of a category have one order: by time, then by track, then by number. Counting what happened up to an
//! instant costs one step per track, so the instant at which the n-th event happens is found by bisection, and a page is
//! the few events round it. Filters on kinds and agents choose tracks. What was not visible yet when somebody looked can
//! only be among the events of the last [`Lag`](super::Lag), so only those are looked at one by one. Searching for a
//! text has a file of its own.

use std::{borrow::Cow, ops::Range};

use super::{
    company::World,
    kinds::Category,
    term::{Cancellation, Search, SearchTerm},
    time::{ACCOUNT_MADE, LAST, Millis},
    window::{Event, Filter, Order, Window},
};

/// The events of one category that a window and a filter choose.
#[derive(Clone, Debug)]
pub struct Selection<'w> {
    pub(super) world: &'w World,
    pub(super) tracks: Cow<'w, [usize]>,
    /// The events that are surely visible, counted from the beginning of the world over the chosen tracks.
    pub(super) places: Range<u64>,
    /// The visible ones among the last, which come after those; oldest first.
    pub(super) fresh: Vec<Event>,
    /// The instant of the last of the places, or a later one.
    pub(super) hint: Millis,
    pub(super) search: Option<Search>,
    whole: bool,
}

/// The events of a window, part by part.
#[derive(Clone, Debug)]
pub struct Events<'w> {
    world: &'w World,
    category: Category,
    places: Range<u64>,
    hint: Millis,
    stride: usize,
}

impl Events<'_> {
    /// How many are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.places.end - self.places.start
    }
}

impl Iterator for Events<'_> {
    type Item = Vec<Event>;

    fn next(&mut self) -> Option<Vec<Event>> {
        let end = self.places.end.min(self.places.start.saturating_add(self.stride as u64));
        let part = self.world.slice(self.category, self.places.start..end, self.hint);
        self.hint = part.last()?.at();
        self.places.start = end;
        Some(part)
    }
}

impl World {
    /// The events of a category that happened in a window and pass a filter, whenever they became visible.
    #[must_use]
    pub fn select(&self, category: Category, window: Window, filter: Filter) -> Selection<'_> {
        self.select_seen(category, window, filter, Millis(i64::MAX))
    }

    /// Those of them that somebody sees who looks at an instant.
    #[must_use]
    pub fn select_seen(&self, category: Category, window: Window, filter: Filter, seen_at: Millis) -> Selection<'_> {
        self.select_cancellable(category, window, filter, seen_at, Cancellation::default())
    }

    /// The same for somebody who may stop waiting: a search gives up then, with whatever it has found.
    #[must_use]
    pub fn select_cancellable(
        &self,
        category: Category,
        window: Window,
        filter: Filter,
        seen_at: Millis,
        cancellation: Cancellation,
    ) -> Selection<'_> {
        let whole = filter.kinds.is_none() && filter.agents.is_none() && filter.search.is_none();
        let tracks = self.tracks(category, &filter);
        let from = Millis(window.from.0.clamp(ACCOUNT_MADE.0, LAST.0 + 1));
        let to = Millis(window.to.0.clamp(ACCOUNT_MADE.0 - 1, LAST.0));
        // Whatever happened so long ago has surely arrived.
        let settled =
            Millis((seen_at.0.saturating_sub(self.lag().longest_ms())).clamp(from.0 - 1, to.0.max(from.0 - 1)));
        let last = self.count(&tracks, settled);
        let places = self.count(&tracks, Millis(from.0 - 1)).min(last)..last;
        let fresh = if settled < to { self.between(&tracks, settled, to) } else { Vec::new() };
        let fresh = fresh.into_iter().filter(|event| self.visible_at(event) <= seen_at).collect();
        let term = filter.search.map(|text| SearchTerm::new(&text));
        let search = term.map(|term| Search::new(self, category, &tracks, Window { from, to }, term, cancellation));
        Selection { world: self, tracks, places, fresh, hint: settled, search, whole }
    }

    /// When an event can be seen: when it happened, and its lag after that.
    #[must_use]
    pub fn visible_at(&self, event: &Event) -> Millis {
        let Event(event_ref) = event;
        let delay_ms = self.lag().draw(self.processes.lag_key(event_ref.track), event_ref.index);
        Millis(event_ref.at.0 + delay_ms)
    }

    /// How many events of a window a lag may still hide from a client that looks at an instant: each of them is looked at.
    #[must_use]
    pub fn unsettled(&self, category: Category, window: Window, seen_at: Millis) -> u64 {
        let tracks = &self.categories[category as usize];
        let from = Millis(seen_at.0.saturating_sub(self.lag().longest_ms()).max(window.from.0 - 1));
        let to = window.to.min(seen_at);
        if from < to { self.count(tracks, to) - self.count(tracks, from) } else { 0 }
    }

    /// The events of a window, oldest first, up to `stride` at a time.
    #[must_use]
    pub fn events(&self, category: Category, window: Window, stride: usize) -> Events<'_> {
        let selection = self.select(category, window, Filter::default());
        Events { world: self, category, places: selection.places.clone(), hint: selection.hint, stride: stride.max(1) }
    }

    /// The events of a category at places counted from the beginning of the world, oldest first.
    ///
    /// `near` is an instant from which to look for them, the nearer the faster.
    #[must_use]
    pub fn slice(&self, category: Category, places: Range<u64>, hint: Millis) -> Vec<Event> {
        self.slice_of(&self.categories[category as usize], places, hint)
    }

    fn tracks(&self, category: Category, filter: &Filter) -> Cow<'_, [usize]> {
        let all = &self.categories[category as usize];
        if filter.kinds.is_none() && filter.agents.is_none() {
            return Cow::Borrowed(all.as_slice());
        }
        let wanted = |&track: &usize| {
            let track = self.processes.track(track);
            filter.kinds.is_none_or(|kinds| kinds >> track.kind.ordinal() & 1 == 1)
                && filter.agents.as_ref().is_none_or(|agents| track.agent.is_some_and(|agent| agents.contains(&agent)))
        };
        Cow::Owned(all.iter().copied().filter(wanted).collect())
    }

    /// How many events of some tracks happened at or before an instant.
    pub(super) fn count(&self, tracks: &[usize], until: Millis) -> u64 {
        let moment = self.processes.after(until);
        tracks.iter().map(|&track| self.processes.count(track, moment)).sum()
    }

    /// The events of some tracks that happened after one instant and not after another, oldest first.
    pub(super) fn between(&self, tracks: &[usize], after: Millis, until: Millis) -> Vec<Event> {
        let (after, until) = (self.processes.after(after), self.processes.after(until));
        let mut found = Vec::new();
        for &track in tracks {
            self.processes.collect(track, after, until, &mut found);
        }
        found.sort_unstable();
        found.into_iter().map(Event).collect()
    }

    fn slice_of(&self, tracks: &[usize], places: Range<u64>, hint: Millis) -> Vec<Event> {
        if places.is_empty() {
            return Vec::new();
        }
        let last = self.instant_of(tracks, places.end - 1, hint);
        let first = self.instant_of(tracks, places.start, last);
        let mut found = self.between(tracks, Millis(first.0 - 1), last);
        let before = self.count(tracks, Millis(first.0 - 1));
        // Both fit: what was found is in memory.
        let place = |place: u64| usize::try_from(place - before).unwrap_or(usize::MAX).min(found.len());
        let (start, end) = (place(places.start), place(places.end));
        found.truncate(end);
        found.drain(..start);
        found
    }

    /// The instant at which the event at a place happens: the first one by which more than `place` events happened.
    pub(super) fn instant_of(&self, tracks: &[usize], place: u64, hint: Millis) -> Millis {
        let happened = |at: i64| self.count(tracks, Millis(at)) > place;
        let mut late = hint.0.clamp(ACCOUNT_MADE.0, LAST.0);
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

impl Selection<'_> {
    /// The places of the events in their category, counted from the beginning of the world.
    ///
    /// `None` when a filter leaves some of the category's events out.
    #[must_use]
    pub fn places(&self) -> Option<Range<u64>> {
        self.whole.then(|| self.places.clone())
    }

    /// The events that come after [`places`](Self::places) and are visible although later ones are not; oldest first.
    #[must_use]
    pub fn fresh(&self) -> &[Event] {
        &self.fresh
    }

    /// An instant near the last of [`places`](Self::places).
    #[must_use]
    pub fn hint(&self) -> Millis {
        self.hint
    }

    /// Whether there is a search: then places are known only by looking.
    #[must_use]
    pub fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// How many events happened at or before an instant, when the search is left out.
    #[must_use]
    pub fn until(&self, at: Millis) -> u64 {
        let solid = self.world.count(&self.tracks, at.min(self.hint)).clamp(self.places.start, self.places.end);
        let fresh = self.fresh.iter().take_while(|event| event.at() <= at).count();
        solid - self.places.start + fresh as u64
    }

    /// How many events there are when the search is left out.
    #[must_use]
    pub fn unsearched(&self) -> u64 {
        self.places.end - self.places.start + self.fresh.len() as u64
    }

    /// A page when the search is left out.
    pub(super) fn unsearched_page(&self, skip: u64, take: usize, order: Order) -> Vec<Event> {
        let total = self.unsearched();
        let skip = skip.min(total);
        let take = (take as u64).min(total - skip);
        // Counted from the oldest.
        let (start, end) = match order {
            Order::OldestFirst => (skip, skip + take),
            Order::NewestFirst => (total - skip - take, total - skip),
        };
        let solid = self.places.end - self.places.start;
        let places = self.places.start + start.min(solid)..self.places.start + end.min(solid);
        let mut events = self.world.slice_of(&self.tracks, places, self.hint);
        // Both are at most the number of fresh ones, which are in memory.
        let fresh = |place: u64| usize::try_from(place.saturating_sub(solid)).unwrap_or(usize::MAX);
        events.extend_from_slice(&self.fresh[fresh(start)..fresh(end)]);
        if order == Order::NewestFirst {
            events.reverse();
        }
        events
    }
}
