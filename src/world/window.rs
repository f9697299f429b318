//! The types of a query: window, filter and order; and the event that a query returns.

use super::{kinds::AgentType, time::Millis, tracks::EventRef};

/// A time range, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The first millisecond.
    pub from: Millis,
    /// The last millisecond.
    pub to: Millis,
}

/// Selects events of a category. The default selects all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Event kinds, as a bit set: bit `n` is the `n`-th code of the category. `None` selects all.
    pub kinds: Option<u32>,
    /// Agent types; `None` selects all. An event without a device matches no agent type.
    pub agents: Option<Vec<AgentType>>,
    /// A text that must occur in one of the search fields of the category. Matching ignores case.
    pub search: Option<String>,
}

/// The order of the events in a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// From the last event of the window to the first.
    NewestFirst,
    /// From the first to the last.
    OldestFirst,
}

/// A reference to an event. [`World::render`](super::World::render) returns its record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Event(pub(super) EventRef);

impl Event {
    /// The time of the event.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.0.at
    }
}
