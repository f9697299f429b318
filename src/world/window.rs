//! What is asked of the history: a window, a filter, an order; and the event as an answer.

use super::{kinds::AgentType, time::Millis, tracks::EventRef};

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The first millisecond of it.
    pub from: Millis,
    /// The last one.
    pub to: Millis,
}

/// Which events of a category are wanted. The default wants all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Places in the category's list of codes, as bits; `None` for all.
    pub kinds: Option<u32>,
    /// Kinds of agents; `None` for all. Events without a device have none.
    pub agents: Option<Vec<AgentType>>,
    /// A text that must occur, in any case, in one of the fields by which the category is searched.
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

/// One event, by its address. [`World::render`] tells what it says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Event(pub(super) EventRef);

impl Event {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.0.at
    }
}
