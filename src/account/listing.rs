//! The query of a page, and the events that it selects: generated and injected events, merged by time.
//!
//! In the same millisecond, injected events count as later. A query gives the same events whenever it is computed, so
//! the journal stores the query of a page instead of its events.

use std::sync::Arc;

use super::injected::{Injected, InjectedEvents, Snapshot};
use crate::world::{
    Cancellation, Categories, Event, EventId, Filter, Found, Millis, Order, Record, Selection, Window, World,
};

/// The number of events per batch while a search skips the events before a page.
const SKIP_AT_ONCE: usize = 4_096;

/// The query of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PageQuery {
    pub(crate) categories: Categories,
    /// The window that the client requested. For a page token, this is the readable window of the first page.
    pub(crate) asked: Window,
    /// The readable window, already limited to retention and to now, or to the newest event that is dated ahead.
    pub(crate) window: Window,
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    /// The start of the page.
    pub(crate) begin: PageStart,
    /// The maximum number of events.
    pub(crate) take: usize,
    /// The time of the request for the first page. Events that become visible later are on none of the pages.
    pub(crate) seen_at: Millis,
    /// The snapshot of the injected events at that time.
    pub(crate) snapshot: Snapshot,
}

impl PageQuery {
    /// The readable window until the time of the request. What is later is not read, even where an event is dated ahead.
    pub(crate) fn past(&self) -> Window {
        self.window.until(self.seen_at)
    }
}

/// The start of a page.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum PageStart {
    /// After this number of entries.
    Skip(u64),
    /// At the end of the previous page.
    At(Position),
}

/// A position in the merged events, in the order of the pages.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Position {
    /// The number of generated events before it that pass the filter, without regard to the search text.
    pub(crate) generated: u64,
    /// The number of injected events before it that pass the filter.
    pub(crate) injected: u64,
}

/// An event of a page.
#[derive(Clone, Debug)]
pub(crate) enum PageEvent {
    Generated(Event),
    Injected(Arc<Injected>),
}

/// The place of an event among all events of its category, generated and injected, visible or not. Orders by time.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct EventKey {
    pub(crate) at: Millis,
    /// Generated ids order before injected ones, as in pages.
    pub(crate) id: EventId,
}

/// The generated and the injected events of a query.
pub(crate) struct MergedEvents<'w> {
    selection: Selection<'w>,
    /// In the order of the pages.
    injected_events: Vec<Arc<Injected>>,
    order: Order,
}

/// The events of a page, and the start of the next page.
pub(crate) struct Listing {
    pub(crate) events: Vec<PageEvent>,
    pub(crate) end: Position,
}

impl PageStart {
    /// Whether it is the start of the first page.
    pub(crate) fn is_first(self) -> bool {
        matches!(self, Self::Skip(0) | Self::At(Position { generated: 0, injected: 0 }))
    }

    /// Whether a page token leads there, or could.
    pub(crate) fn is_by_token(self) -> bool {
        matches!(self, Self::At(_))
    }
}

impl PageQuery {
    /// The injected events of the query, oldest first.
    pub(crate) fn injected_events(&self, injected: &InjectedEvents) -> Vec<Arc<Injected>> {
        let Self { categories, window, filter, seen_at, snapshot, .. } = self;
        injected.select(*categories, *window, filter, *seen_at, Some(*snapshot))
    }

    /// The events of the page.
    pub(crate) fn list(
        &self,
        world: &World,
        injected_events: Vec<Arc<Injected>>,
        cancellation: &Cancellation,
    ) -> Listing {
        self.merged(world, injected_events, cancellation).page(self.begin, self.take)
    }

    /// All events of the query, on any page.
    pub(crate) fn merged<'w>(
        &self,
        world: &'w World,
        mut injected_events: Vec<Arc<Injected>>,
        cancellation: &Cancellation,
    ) -> MergedEvents<'w> {
        if self.order == Order::NewestFirst {
            injected_events.reverse();
        }
        let Self { categories, window, filter, seen_at, order, .. } = self;
        let selection = world.select_cancellable(*categories, *window, filter.clone(), *seen_at, cancellation.clone());
        MergedEvents { selection, injected_events, order: *order }
    }
}

impl MergedEvents<'_> {
    /// Up to `take` events from a start.
    pub(crate) fn page(&self, begin: PageStart, take: usize) -> Listing {
        let begin = match begin {
            PageStart::At(position) => position,
            PageStart::Skip(skip) => self.position_after(skip),
        };
        self.after(begin, take)
    }

    /// Up to `take` events from a position.
    pub(crate) fn after(&self, begin: Position, take: usize) -> Listing {
        let Found { events: found, read } = self.selection.after(begin.generated, take, self.order);
        let generated = found.len();
        let mut found = found.into_iter().map(PageEvent::Generated).peekable();
        let skip = usize::try_from(begin.injected).unwrap_or(usize::MAX);
        let mut injected_events = self.injected_events.iter().skip(skip).cloned().map(PageEvent::Injected).peekable();
        let mut events = Vec::with_capacity(generated);
        let mut end = begin;
        while events.len() < take {
            let injected_first = match (found.peek(), injected_events.peek()) {
                (Some(generated), Some(injected)) => match self.order {
                    Order::NewestFirst => injected.at() >= generated.at(),
                    Order::OldestFirst => injected.at() < generated.at(),
                },
                (_, injected) => injected.is_some(),
            };
            let next = if injected_first { injected_events.next() } else { found.next() };
            let Some(next) = next else { break };
            end.injected += u64::from(injected_first);
            events.push(next);
        }
        let left = found.count();
        end.generated = match generated - left {
            _ if left == 0 => read,
            0 => begin.generated,
            // The search has read past the last event of the page, so it runs again to find the position of that event.
            taken => self.selection.after(begin.generated, taken, self.order).read,
        };
        Listing { events, end }
    }

    /// The position after `skip` events.
    fn position_after(&self, skip: u64) -> Position {
        if self.selection.is_searched() {
            return self.position_by_reading(skip);
        }
        if self.injected_events.is_empty() {
            return Position { generated: skip, injected: 0 };
        }
        // Bisects for the number of injected events before the position. The number of events before the n-th injected
        // event is n plus the number of generated events before it.
        let before = |nth: usize| nth as u64 + self.generated_before(self.injected_events[nth].at);
        let (mut low, mut high) = (0, self.injected_events.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) < skip { low = middle + 1 } else { high = middle }
        }
        let injected = low as u64;
        Position { generated: skip - injected, injected }
    }

    /// The number of generated events before an injected event at an instant.
    fn generated_before(&self, at: Millis) -> u64 {
        match self.order {
            Order::OldestFirst => self.selection.until(at),
            Order::NewestFirst => self.selection.unsearched() - self.selection.until(at),
        }
    }

    /// The position after `skip` events of a search, which must read the events to count them.
    fn position_by_reading(&self, skip: u64) -> Position {
        let (mut position, mut left) = (Position::default(), skip);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_AT_ONCE);
            let Listing { events, end } = self.after(position, part);
            position = end;
            if events.len() < part {
                break;
            }
            left -= part as u64;
        }
        position
    }
}

impl PageEvent {
    pub(crate) fn at(&self) -> Millis {
        match self {
            Self::Generated(event) => event.at(),
            Self::Injected(event) => event.at,
        }
    }

    pub(crate) fn key(&self) -> EventKey {
        match self {
            Self::Generated(event) => EventKey { at: event.at(), id: event.id() },
            Self::Injected(event) => EventKey { at: event.at, id: event.id() },
        }
    }

    pub(crate) fn to_record(&self, world: &World) -> Record {
        match self {
            Self::Generated(event) => world.render(event),
            Self::Injected(event) => event.entry.clone(),
        }
    }
}
