//! The list of the devices: its length, and the device at a place.

use std::ops::Range;

use crate::world::{
    company::World, processes::Processes, roster::Device, schedule::Schedule, time::Millis, timeline::Moment,
    tracks::DeviceRef,
};

/// The devices of a company at an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inventory<'w> {
    pub(super) world: &'w World,
    pub(super) now: Moment,
}

impl World {
    /// The devices that are in the account at an instant.
    pub(crate) fn inventory(&self, at: Millis) -> Inventory<'_> {
        Inventory { world: self, now: self.processes.after(at) }
    }

    /// The time at which the company's device with an id leaves the account.
    pub(crate) fn left_at(&self, id: &str) -> Option<Millis> {
        self.processes.left_at(self.roster.with_id(id)?)
    }
}

impl<'w> Inventory<'w> {
    pub(super) fn processes(&self) -> &'w Processes {
        &self.world.processes
    }

    /// The instant.
    pub(crate) fn at(&self) -> Millis {
        self.now.at
    }

    /// The number of devices.
    pub(crate) fn len(&self) -> u64 {
        self.segments().into_iter().map(|(_, places)| places.end - places.start).sum()
    }

    /// The device at a place of the list: first the devices that stay, in the order in which their slots of the fleet
    /// were enrolled, then those that leave soon.
    pub(crate) fn at_place(&self, place: u64) -> Option<DeviceRef> {
        let mut left = place;
        for (segment, places) in self.segments() {
            let length = places.end - places.start;
            if left < length {
                return Some(self.device_in(segment, places.start + left));
            }
            left -= length;
        }
        None
    }

    /// The place of a device in the list; the inverse of [`at_place`](Self::at_place).
    pub(crate) fn place_of(&self, device: &Device) -> Option<u64> {
        let device = device.place?;
        let mut before = 0;
        for (segment, places) in self.segments() {
            if let Some(position) = self.position_in(segment, device).filter(|position| places.contains(position)) {
                return Some(before + position - places.start);
            }
            before += places.end - places.start;
        }
        None
    }

    /// The parts of the list, each with its range of positions.
    fn segments(&self) -> Vec<(Segment, Range<u64>)> {
        let processes = self.processes();
        let staying = processes.enrolments.iter().map(|&schedule| {
            let enrolled = self.occurrences(&processes.schedules[schedule]);
            (Segment::Staying(schedule), 0..enrolled)
        });
        let leaving = processes.replacements.iter().flat_map(|replacement| {
            let schedule = &processes.schedules[replacement.schedule];
            let arrived = self.occurrences(schedule);
            replacement.departures.into_iter().map(move |track| {
                let announced = processes.tracks[track].mask.before(schedule.variant_key, arrived);
                (Segment::Leaving(track), processes.count(track, self.now)..announced)
            })
        });
        staying.chain(leaving).collect()
    }

    fn device_in(&self, segment: Segment, position: u64) -> DeviceRef {
        let processes = self.processes();
        match segment {
            Segment::Staying(schedule) => processes.current(processes.schedules[schedule].slot_of(position), self.now),
            Segment::Leaving(track) => {
                let schedule = &processes.schedules[processes.tracks[track].schedule];
                let occurrence = processes.tracks[track].mask.occurrence(schedule.variant_key, position);
                DeviceRef { slot: schedule.slot_of(occurrence), generation: schedule.round_of(occurrence) }
            }
        }
    }

    fn position_in(&self, segment: Segment, device: DeviceRef) -> Option<u64> {
        let processes = self.processes();
        match segment {
            Segment::Staying(schedule) => {
                let schedule = &processes.schedules[schedule];
                let is_current = processes.current(device.slot, self.now) == device;
                (schedule.has(device.slot) && is_current).then(|| schedule.occurrence_of(device.slot, 0))
            }
            Segment::Leaving(track) => {
                let (schedule, mask) =
                    (&processes.schedules[processes.tracks[track].schedule], processes.tracks[track].mask);
                let occurrence =
                    schedule.has(device.slot).then(|| schedule.occurrence_of(device.slot, device.generation))?;
                mask.has(schedule.variant_key, occurrence).then(|| mask.before(schedule.variant_key, occurrence))
            }
        }
    }

    /// The number of occurrences of a schedule until now.
    pub(super) fn occurrences(&self, schedule: &Schedule) -> u64 {
        schedule.occurrences_before(self.now.working_hours, 0, schedule.jitter)
    }

    /// Whether a device is in the account.
    pub(crate) fn has(&self, device: DeviceRef) -> bool {
        self.processes().enrolled_at(device) <= self.now.at && !self.processes().has_left(device, self.now)
    }
}

/// A part of the list of devices.
#[derive(Clone, Copy, Debug)]
enum Segment {
    /// The current devices of the slots that this schedule has enrolled.
    Staying(usize),
    /// The replaced devices that leave with the events of this track.
    Leaving(usize),
}

impl Processes {
    /// The newest device at a slot of the fleet.
    pub(super) fn current(&self, slot: u64, now: Moment) -> DeviceRef {
        DeviceRef { slot, generation: self.generation(slot, now.working_hours) }
    }

    /// The time at which a device joins the account.
    pub(super) fn enrolled_at(&self, device: DeviceRef) -> Millis {
        let arrival = match device.generation.checked_sub(1) {
            None => self
                .enrolments
                .iter()
                .map(|&nth| &self.schedules[nth])
                .find(|schedule| schedule.has(device.slot))
                .map(|schedule| (schedule, 0)),
            Some(round) => {
                self.replacement(device.slot).map(|replacement| (&self.schedules[replacement.schedule], round))
            }
        };
        arrival.map_or(Millis(i64::MAX), |(schedule, round)| {
            let occurrence = schedule.occurrence_of(device.slot, round);
            self.working_hours.instant(schedule.active_ms_of(occurrence, 0, schedule.jitter))
        })
    }

    /// Whether a device that has joined the account has left it again.
    pub(super) fn has_left(&self, device: DeviceRef, now: Moment) -> bool {
        self.departure(device).is_some_and(|departure| departure < now.working_hours)
    }

    /// The time at which a device leaves the account.
    fn left_at(&self, device: DeviceRef) -> Option<Millis> {
        self.departure(device).map(|departure| self.working_hours.instant(departure))
    }

    /// The active time at which a device leaves the account.
    fn departure(&self, device: DeviceRef) -> Option<u64> {
        let replacement = self.replacement(device.slot)?;
        let schedule = &self.schedules[replacement.schedule];
        let occurrence = schedule.occurrence_of(device.slot, device.generation);
        let has_variant = |track: &&usize| self.tracks[**track].mask.has(schedule.variant_key, occurrence);
        let track = replacement.departures.iter().find(has_variant)?;
        Some(schedule.active_ms_of(occurrence, self.departure_delay(*track), schedule.jitter))
    }
}
