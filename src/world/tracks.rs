//! What the processes consist of: tracks of events, and how one event is addressed.

use super::{
    kinds::{AgentType, Kind},
    random::Key,
    time::Millis,
    variants::VariantMask,
};

/// When a track's events come, seen from the occurrences of its schedule.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// At the occurrence.
    Occurrence,
    /// In the block that comes so many blocks after the occurrence's, each of the block's occurrences at a time of its own.
    Blocks(u64),
    /// A fixed active_ms after the occurrence.
    ActiveTime(u64),
    /// After (or, with a negative delay, before) the event of another track, by milliseconds drawn from this range.
    Echo { of: usize, from: i64, to: i64 },
}

/// A sequence of events of one kind, rendered of the occurrences of one mask of one schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) kind: Kind,
    pub(super) agent: Option<AgentType>,
    pub(super) process: Process,
    /// Which attempt a webhook's record is, from 0; which beat of its process an access is.
    pub(super) nth: u8,
    pub(super) schedule: usize,
    pub(super) mask: VariantMask,
    pub(super) when: When,
    /// The one millisecond of [`SHARED_MS`] in which events of an echo come that another echo could coincide with.
    pub(super) residue: Option<i64>,
    /// Own randomness of the track.
    pub(super) key: Key,
}

/// Logins of one administrator come from many tracks. Each track has one millisecond of so many for itself.
pub(super) const SHARED_MS: i64 = 64;

impl Track {
    /// How far a residue moves an event, at most.
    pub(super) fn slack(&self) -> i64 {
        if self.residue.is_some() { SHARED_MS } else { 0 }
    }
}

/// What a schedule's occurrences are about; says who the event names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Process {
    /// The first devices join.
    Enrolment,
    /// A device replaces another: the new one.
    Arrival,
    /// A device replaces another: the old one.
    Departure,
    /// Compliance and all that hangs on it.
    Compliance,
    /// Access for a while.
    Grant,
    /// An administrator sees to a device.
    Administration,
    /// A device reports.
    Report,
    /// Somebody works with an app that no rule guards.
    Browse,
    /// An administrator's day.
    AdminDay,
}

/// One event, before it is rendered: which track, which of its events, when.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct EventRef {
    /// When it happened.
    pub(crate) at: Millis,
    pub(super) track: usize,
    pub(super) index: u64,
}

/// A device: its slot in the fleet, and the how manieth device it is there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct DeviceRef {
    pub(crate) slot: u64,
    pub(crate) generation: u64,
}

/// Where to look up the status of a fleet's devices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compliance {
    pub(super) schedule: usize,
    /// The tracks that end a non-compliance, one for each mask of it.
    pub(super) ends: [usize; 3],
    pub(super) exempt: usize,
    pub(super) unexempt: usize,
}

/// A part of the fleet that runs one kind of agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) agent: AgentType,
    pub(super) first: u64,
    pub(super) devices: u64,
}
