//! The data types of processes: tracks of events, and references to events and devices.

use super::{
    kinds::{AgentType, Kind},
    random::Key,
    time::Millis,
    variants::VariantMask,
};

/// The time of a track's events, relative to the occurrences of its schedule.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// At the occurrence.
    Occurrence,
    /// In the block that is this number of blocks after the occurrence's block. Each event has its own time in that
    /// block.
    Blocks(u64),
    /// This much active time after the occurrence.
    ActiveTime(u64),
    /// At the event of another track (the base), plus a delay between `from` and `to`, in milliseconds. A negative
    /// delay is before the base event.
    Echo { of: usize, from: i64, to: i64 },
}

/// A sequence of events of one kind: one event for each occurrence of a schedule in a variant mask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) kind: Kind,
    pub(super) agent: Option<AgentType>,
    pub(super) process: Process,
    /// The number of the attempt (webhook tracks) or of the access within its process (access tracks), from 0.
    pub(super) nth: u8,
    pub(super) schedule: usize,
    pub(super) mask: VariantMask,
    pub(super) when: When,
    /// The residue of the event times modulo [`SHARED_MS`]. Each login track has its own, so that their events never
    /// coincide.
    pub(super) residue: Option<i64>,
    /// The random key of the track.
    pub(super) key: Key,
}

/// The number of residues, in milliseconds. An administrator's logins come from many tracks, and each has one residue.
pub(super) const SHARED_MS: i64 = 64;

impl Track {
    /// The upper bound of the shift by a residue, in milliseconds.
    pub(super) fn slack(&self) -> i64 {
        if self.residue.is_some() { SHARED_MS } else { 0 }
    }
}

/// The process that a schedule's occurrences belong to. It determines the device or administrator of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Process {
    /// The first devices join the account.
    Enrolment,
    /// A device replaces another device: events of the new device.
    Arrival,
    /// A device replaces another device: events of the old device.
    Departure,
    /// Compliance status, exemptions, and the accesses that depend on them.
    Compliance,
    /// Access is granted for a limited time.
    Grant,
    /// An administrator acts on a device.
    Administration,
    /// A device sends a report.
    Report,
    /// A user accesses an application that every device may access.
    Browse,
    /// The working day of an administrator.
    AdminDay,
}

/// A reference to an event: its track, its index in the track, and its time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct EventRef {
    /// The time of the event.
    pub(crate) at: Millis,
    pub(super) track: usize,
    pub(super) index: u64,
}

/// A reference to a device: its slot in the fleet and its generation there, from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct DeviceRef {
    pub(crate) slot: u64,
    pub(crate) generation: u64,
}

/// The schedule and tracks that determine the compliance status of a fleet's devices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compliance {
    pub(super) schedule: usize,
    /// The tracks that end a non-compliance, one for each variant.
    pub(super) ends: [usize; 3],
    pub(super) exempt: usize,
    pub(super) unexempt: usize,
}

/// The schedule that replaces the devices of a part of the fleet, and the tracks with which replaced devices leave, one for
/// each variant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replacement {
    pub(super) schedule: usize,
    pub(super) departures: [usize; 4],
}

/// The part of the fleet with one type of agent. Administrators use it as well, with their numbers as slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) agent: AgentType,
    pub(super) first: u64,
    pub(super) devices: u64,
}
