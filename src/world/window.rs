//! The types of a query: window, filter and order; and the event that a query returns.

use std::fmt;

use super::{kinds::AgentType, time::Millis, tracks::EventRef};

/// A time range, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The first millisecond.
    pub from: Millis,
    /// The last millisecond.
    pub to: Millis,
}

impl Window {
    /// The part of the window until an instant, which is included.
    pub(crate) fn until(self, end: Millis) -> Self {
        Self { from: self.from, to: self.to.min(end) }
    }
}

/// Selects events. The default selects all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Event kinds, as a bit set: those of [`Category::kinds`](super::Category::kinds). `None` selects all.
    pub kinds: Option<u64>,
    /// Agent types; `None` selects all. An event without a device matches no agent type.
    pub agents: Option<Vec<AgentType>>,
    /// A text that must occur in one of the search fields of the category. Matching ignores case.
    pub search: Option<String>,
}

impl Filter {
    /// Whether an event of a kind and an agent type passes, without regard to the search text. `kind` is its bit in
    /// [`kinds`](Self::kinds).
    pub(crate) fn admits(&self, kind: u64, agent: Option<AgentType>) -> bool {
        self.kinds.is_none_or(|kinds| kinds & kind != 0)
            && self.agents.as_ref().is_none_or(|agents| agent.is_some_and(|agent| agents.contains(&agent)))
    }
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

/// The id of an event, unique in its account and category. The same seed, number of devices and version give the same
/// ids in every run. Its text is `17-4211` for a generated event and `injected-3` for an injected one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum EventId {
    /// A generated event: its track in the history, and its index in the track.
    Generated {
        /// The track.
        track: u16,
        /// The index in the track, from 0.
        index: u64,
    },
    /// An event that a test injected: its number since the last reset, from 1.
    Injected(u64),
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generated { track, index } => write!(f, "{track}-{index}"),
            Self::Injected(number) => write!(f, "injected-{number}"),
        }
    }
}

impl Event {
    /// The id of the event.
    #[must_use]
    pub fn id(&self) -> EventId {
        // A history has a few hundred tracks.
        EventId::Generated { track: u16::try_from(self.0.track).unwrap_or(u16::MAX), index: self.0.index }
    }

    /// The generated event with this time and id; `None` for an injected one.
    pub(crate) fn from_id(at: Millis, id: EventId) -> Option<Self> {
        match id {
            EventId::Generated { track, index } => Some(Self(EventRef { at, track: track.into(), index })),
            EventId::Injected(_) => None,
        }
    }

    /// The time of the event.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.0.at
    }
}
