//! Finds the events of a page from a window, a filter and a position.
//!
//! The events of a category have a total order: by time, then by track, then by index in the track. Counting the events
//! up to an instant takes one step per track. Bisection over these counts finds the instant of the n-th event, and a
//! page consists of the few events around it. A filter on kinds or agents selects tracks. Only events of the last
//! [`Lag`](super::Lag) can be invisible to a client, so only these are examined one by one. The text search is in
//! [`search`](super::search).

use std::{borrow::Cow, ops::Range};

use super::{
    company::World,
    kinds::{Categories, Category},
    term::{Cancellation, Search, SearchTerm},
    time::{ACCOUNT_MADE, HISTORY_END, Millis},
    window::{Event, Filter, Order, Window},
};

/// The events that a window and a filter select.
#[derive(Clone, Debug)]
pub struct Selection<'w> {
    pub(super) world: &'w World,
    pub(super) tracks: Cow<'w, [usize]>,
    /// Positions of the events that are certainly visible, among all events of the selected tracks.
    pub(super) places: Range<u64>,
    /// The visible events after those, oldest first; the lag may hide others of the same period.
    pub(super) fresh: Vec<Event>,
    /// The instant of the last event in `places`, or a later instant.
    pub(super) hint: Millis,
    pub(super) search: Option<Search>,
    unfiltered: bool,
}

/// Iterator over the events of a window, in chunks.
#[derive(Clone, Debug)]
pub struct Events<'w> {
    world: &'w World,
    category: Category,
    places: Range<u64>,
    hint: Millis,
    stride: usize,
}

impl Events<'_> {
    /// The number of remaining events.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.places.end - self.places.start
    }
}

impl Iterator for Events<'_> {
    type Item = Vec<Event>;

    fn next(&mut self) -> Option<Vec<Event>> {
        let end = self.places.end.min(self.places.start.saturating_add(self.stride as u64));
        let chunk = self.world.slice(self.category, self.places.start..end, self.hint);
        self.hint = chunk.last()?.at();
        self.places.start = end;
        Some(chunk)
    }
}

impl World {
    /// Selects the events of a category, or of several, that happened in a window and pass a filter, visible or not.
    #[must_use]
    pub fn select(&self, categories: impl Into<Categories>, window: Window, filter: Filter) -> Selection<'_> {
        self.select_seen(categories, window, filter, Millis(i64::MAX))
    }

    /// Like [`select`](Self::select), but only the events that are visible at `seen_at`.
    #[must_use]
    pub fn select_seen(
        &self,
        categories: impl Into<Categories>,
        window: Window,
        filter: Filter,
        seen_at: Millis,
    ) -> Selection<'_> {
        self.select_cancellable(categories, window, filter, seen_at, Cancellation::default())
    }

    /// Like [`select_seen`](Self::select_seen), with a cancellation: a cancelled search stops and returns the events
    /// found so far.
    #[must_use]
    pub fn select_cancellable(
        &self,
        categories: impl Into<Categories>,
        window: Window,
        filter: Filter,
        seen_at: Millis,
        cancellation: Cancellation,
    ) -> Selection<'_> {
        let unfiltered = filter.kinds.is_none() && filter.agents.is_none() && filter.search.is_none();
        let categories = categories.into();
        let tracks = self.tracks(categories, &filter);
        let from = Millis(window.from.0.clamp(ACCOUNT_MADE.0, HISTORY_END.0 + 1));
        // A lag is not negative, so nothing is visible before its time.
        let to = Millis(self.end_of(categories, window.until(seen_at).to).0.clamp(ACCOUNT_MADE.0 - 1, HISTORY_END.0));
        // The longest lag of events up to this instant is over, so they are visible.
        let settled =
            Millis((seen_at.0.saturating_sub(self.lag().longest_ms())).clamp(from.0 - 1, to.0.max(from.0 - 1)));
        let last = self.count(&tracks, settled);
        let places = self.count(&tracks, Millis(from.0 - 1)).min(last)..last;
        let fresh = if settled < to { self.between(&tracks, settled, to) } else { Vec::new() };
        let fresh = fresh.into_iter().filter(|event| self.visible_at(event) <= seen_at).collect();
        let term = filter.search.map(|text| SearchTerm::new(&text));
        let search = term.map(|term| Search::new(self, categories, &tracks, Window { from, to }, term, cancellation));
        Selection { world: self, tracks, places, fresh, hint: settled, search, unfiltered }
    }

    /// The instant at which an event becomes visible: its time plus its lag.
    #[must_use]
    pub fn visible_at(&self, event: &Event) -> Millis {
        let Event(event_ref) = event;
        let delay_ms = self.lag().draw(self.processes.lag_key(event_ref.track), event_ref.index);
        Millis(event_ref.at.0 + delay_ms)
    }

    /// The number of events of a window that the lag may still hide at `seen_at`. A selection examines each of them.
    #[must_use]
    pub fn unsettled(&self, categories: impl Into<Categories>, window: Window, seen_at: Millis) -> u64 {
        let tracks = &*self.tracks_of(categories.into());
        let from = Millis(seen_at.0.saturating_sub(self.lag().longest_ms()).max(window.from.0 - 1));
        let to = window.to.min(seen_at);
        if from < to { self.count(tracks, to) - self.count(tracks, from) } else { 0 }
    }

    /// The events of a window, oldest first, in chunks of up to `stride` events.
    #[must_use]
    pub fn events(&self, category: Category, window: Window, stride: usize) -> Events<'_> {
        let selection = self.select(category, window, Filter::default());
        Events { world: self, category, places: selection.places.clone(), hint: selection.hint, stride: stride.max(1) }
    }

    /// The events at some positions of a category, oldest first. Position 0 is the first event of the history.
    ///
    /// The search for them starts at the instant `hint`; it is fast if `hint` is near the last of them.
    #[must_use]
    pub fn slice(&self, category: Category, places: Range<u64>, hint: Millis) -> Vec<Event> {
        self.slice_of(&self.categories[category as usize], places, hint)
    }

    /// Whether an event passes a filter.
    #[must_use]
    pub fn passes(&self, event: &Event, filter: &Filter) -> bool {
        let track = self.processes.track(event.0.track);
        filter.admits(track.kind.bit(), track.agent)
            && filter.search.as_ref().is_none_or(|text| self.render(event).mentions(&SearchTerm::new(text)))
    }

    /// The end of a window, as far as the history has events of these categories.
    fn end_of(&self, categories: Categories, to: Millis) -> Millis {
        let since = self.config.webhook_since.filter(|_| categories.contains(Category::Webhook));
        since.map_or(to, |since| to.min(since))
    }

    fn tracks(&self, categories: Categories, filter: &Filter) -> Cow<'_, [usize]> {
        let all = self.tracks_of(categories);
        if filter.kinds.is_none() && filter.agents.is_none() {
            return all;
        }
        let is_admitted = |track: &usize| {
            let track = self.processes.track(*track);
            filter.admits(track.kind.bit(), track.agent)
        };
        Cow::Owned(all.iter().copied().filter(is_admitted).collect())
    }

    fn tracks_of(&self, categories: Categories) -> Cow<'_, [usize]> {
        if let Some(category) = categories.single() {
            return Cow::Borrowed(&self.categories[category as usize]);
        }
        let mut all: Vec<usize> =
            categories.iter().flat_map(|category| self.categories[category as usize].iter().copied()).collect();
        all.sort_unstable();
        Cow::Owned(all)
    }

    /// Counts the events of some tracks that happened at or before an instant.
    pub(super) fn count(&self, tracks: &[usize], until: Millis) -> u64 {
        let moment = self.processes.after(until);
        tracks.iter().map(|&track| self.processes.count(track, moment)).sum()
    }

    /// The events of some tracks that happened after `after` and not after `until`, oldest first.
    pub(super) fn between(&self, tracks: &[usize], after: Millis, until: Millis) -> Vec<Event> {
        let (after, until) = (self.processes.after(after), self.processes.after(until));
        let mut found = Vec::new();
        for &track in tracks {
            self.processes.collect(track, after, until, &mut found);
        }
        found.sort_unstable();
        found.into_iter().map(Event).collect()
    }

    pub(super) fn slice_of(&self, tracks: &[usize], places: Range<u64>, hint: Millis) -> Vec<Event> {
        if places.is_empty() {
            return Vec::new();
        }
        let last = self.instant_of(tracks, places.end - 1, hint);
        let first = self.instant_of(tracks, places.start, last);
        let mut found = self.between(tracks, Millis(first.0 - 1), last);
        let before = self.count(tracks, Millis(first.0 - 1));
        // Both fit in a `usize`: the events are in memory.
        let position = |position: u64| usize::try_from(position - before).unwrap_or(usize::MAX).min(found.len());
        let (start, end) = (position(places.start), position(places.end));
        found.truncate(end);
        found.drain(..start);
        found
    }

    /// The instant of the event at `position`: the first instant up to which more than `position` events happened.
    pub(super) fn instant_of(&self, tracks: &[usize], position: u64, hint: Millis) -> Millis {
        let happened = |at: i64| self.count(tracks, Millis(at)) > position;
        let mut late = hint.0.clamp(ACCOUNT_MADE.0, HISTORY_END.0);
        let mut stride = 3_600_000;
        while !happened(late) && late < HISTORY_END.0 {
            late = (late + stride).min(HISTORY_END.0);
            stride *= 2;
        }
        // Step back with doubling strides, then bisect: `hint` is usually near the result.
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
    /// The positions of the events in their category. Position 0 is the first event of the history.
    ///
    /// `None` if the filter excludes some events of the category. [`fresh`](Self::fresh) events are not included.
    #[must_use]
    pub fn places(&self) -> Option<Range<u64>> {
        self.unfiltered.then(|| self.places.clone())
    }

    /// The visible events after [`places`](Self::places), oldest first; the lag may hide others of the same period.
    #[must_use]
    pub fn fresh(&self) -> &[Event] {
        &self.fresh
    }

    /// An instant near the last event in [`places`](Self::places).
    #[must_use]
    pub fn hint(&self) -> Millis {
        self.hint
    }

    /// Whether the filter has a search text. Positions are then unknown until the search has read the events.
    #[must_use]
    pub fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// The number of selected events at or before an instant, without regard to the search text.
    #[must_use]
    pub fn until(&self, at: Millis) -> u64 {
        let settled_count = self.world.count(&self.tracks, at.min(self.hint)).clamp(self.places.start, self.places.end);
        let fresh = self.fresh.iter().take_while(|event| event.at() <= at).count();
        settled_count - self.places.start + fresh as u64
    }

    /// The number of selected events, without regard to the search text.
    #[must_use]
    pub fn unsearched(&self) -> u64 {
        self.places.end - self.places.start + self.fresh.len() as u64
    }

    /// A page of the selected events, without regard to the search text.
    pub(super) fn unsearched_page(&self, skip: u64, take: usize, order: Order) -> Vec<Event> {
        let total = self.unsearched();
        let skip = skip.min(total);
        let take = (take as u64).min(total - skip);
        // Indexes among the selected events, oldest first.
        let (start, end) = match order {
            Order::OldestFirst => (skip, skip + take),
            Order::NewestFirst => (total - skip - take, total - skip),
        };
        let settled_count = self.places.end - self.places.start;
        let places = self.places.start + start.min(settled_count)..self.places.start + end.min(settled_count);
        let mut events = self.world.slice_of(&self.tracks, places, self.hint);
        // Both are at most `self.fresh.len()`, so they fit in a `usize`.
        let fresh = |position: u64| usize::try_from(position.saturating_sub(settled_count)).unwrap_or(usize::MAX);
        events.extend_from_slice(&self.fresh[fresh(start)..fresh(end)]);
        if order == Order::NewestFirst {
            events.reverse();
        }
        events
    }
}
