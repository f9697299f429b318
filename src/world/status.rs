//! The state of devices at an instant, and the device or administrator of an event.

use super::{
    kinds::{Severity, Status},
    processes::{BRIEF, DUPLICATE_MAC, NONCOMPLIANT, Processes, RECEIVER_FAILS, RECEIVER_FAILS_TWICE},
    random::{Key, RngStream},
    time::Millis,
    timeline::Moment,
    tracks::{DeviceRef, EventRef, Process, Replacement},
};

impl Processes {
    /// The device that an event is about; `None` for the events of [`Process::AdminDay`].
    pub(super) fn device(&self, event_ref: &EventRef) -> Option<DeviceRef> {
        let track = &self.tracks[event_ref.track];
        let schedule = &self.schedules[track.schedule];
        let occurrence = self.occurrence(event_ref);
        let slot = schedule.slot_of(occurrence);
        let generation = match track.process {
            Process::AdminDay => return None,
            Process::Enrolment => 0,
            Process::Arrival => schedule.round_of(occurrence) + 1,
            Process::Departure => schedule.round_of(occurrence),
            Process::Report | Process::Browse => self.generation(slot, self.working_hours.active_ms(event_ref.at)),
            Process::Compliance | Process::Grant | Process::Administration => {
                self.generation(slot, schedule.active_ms_of(occurrence, 0, schedule.jitter))
            }
        };
        Some(DeviceRef { slot, generation })
    }

    /// The administrator of an event of [`Process::AdminDay`]; `None` for other events.
    pub(super) fn acting_admin(&self, event_ref: &EventRef) -> Option<u64> {
        let track = &self.tracks[event_ref.track];
        (track.process == Process::AdminDay).then(|| self.schedules[track.schedule].slot_of(self.occurrence(event_ref)))
    }

    /// The generations at a slot of the fleet that can have events between two moments.
    pub(super) fn generations(&self, slot: u64, after: Moment, until: Moment) -> std::ops::RangeInclusive<u64> {
        // The previous generation may still be in the fleet or have unfinished processes.
        self.generation(slot, after.working_hours).saturating_sub(1)..=self.generation(slot, until.working_hours)
    }

    /// The device at a slot of the fleet at an instant.
    pub(super) fn device_at(&self, slot: u64, at: Millis) -> DeviceRef {
        DeviceRef { slot, generation: self.generation(slot, self.after(at).working_hours) }
    }

    /// The device whose MAC addresses a device has: itself, or an earlier one at its slot.
    pub(super) fn mac_owner(&self, device: DeviceRef) -> DeviceRef {
        let DeviceRef { slot, mut generation } = device;
        if let Some(replacement) = self.replacement(slot) {
            let schedule = &self.schedules[replacement.schedule];
            let has_duplicate =
                |round: u64| DUPLICATE_MAC.has(schedule.variant_key, schedule.occurrence_of(slot, round));
            while generation > 0 && has_duplicate(generation - 1) {
                generation -= 1;
            }
        }
        DeviceRef { slot, generation }
    }

    /// The replacement of the devices at a slot of the fleet.
    pub(super) fn replacement(&self, slot: u64) -> Option<&Replacement> {
        self.replacements.iter().find(|replacement| self.schedules[replacement.schedule].has(slot))
    }

    /// The generation at a slot of the fleet, at an active time of the working-hours calendar.
    pub(super) fn generation(&self, slot: u64, active_ms: u64) -> u64 {
        let replacement = self.replacement(slot);
        replacement.map_or(0, |replacement| self.schedules[replacement.schedule].occurrences_of(slot, active_ms).0)
    }

    /// The status of a device after all events at `at`, and the key and occurrence of its current non-compliance.
    /// [`detail`](Self::detail) returns the same pair for the events of that non-compliance.
    pub(super) fn status(&self, device: DeviceRef, at: Millis) -> (Status, Option<(Key, u64)>) {
        let now = self.after(at).working_hours;
        let compliant = (Status::Compliant, None);
        let Some(compliance) = self.compliance.iter().find(|found| self.schedules[found.schedule].has(device.slot))
        else {
            return compliant;
        };
        let schedule = &self.schedules[compliance.schedule];
        let (_, Some(occurrence)) = schedule.occurrences_of(device.slot, now) else { return compliant };
        let began = schedule.active_ms_of(occurrence, 0, schedule.jitter);
        if !NONCOMPLIANT.has(schedule.variant_key, occurrence)
            || self.generation(device.slot, began) != device.generation
        {
            return compliant;
        }
        let happened = |track: usize| {
            self.tracks[track].mask.has(schedule.variant_key, occurrence) && self.active_ms_of(track, occurrence) < now
        };
        if compliance.ends.into_iter().any(happened) {
            return compliant;
        }
        let exempted = happened(compliance.exempt) && !happened(compliance.unexempt);
        let status = if exempted { Status::Exempted } else { Status::NonCompliant };
        (status, Some((schedule.order.stream(RngStream::Detail), occurrence)))
    }

    /// The time of the last change of the status of a device, at or before a moment.
    pub(super) fn last_change(&self, device: DeviceRef, now: Moment) -> Option<Millis> {
        let compliance = self.compliance.iter().find(|found| self.schedules[found.schedule].has(device.slot))?;
        let schedule = &self.schedules[compliance.schedule];
        let (rounds, _) = schedule.occurrences_of(device.slot, now.working_hours);
        for round in (0..rounds).rev() {
            let occurrence = schedule.occurrence_of(device.slot, round);
            let began = schedule.active_ms_of(occurrence, 0, schedule.jitter);
            let generation = self.generation(device.slot, began);
            if generation < device.generation {
                return None;
            }
            if generation > device.generation || !NONCOMPLIANT.has(schedule.variant_key, occurrence) {
                continue;
            }
            let later = [compliance.exempt, compliance.unexempt].into_iter().chain(compliance.ends);
            let of_occurrence = later.filter(|&track| self.tracks[track].mask.has(schedule.variant_key, occurrence));
            let times = of_occurrence.map(|track| self.active_ms_of(track, occurrence));
            let last = times.filter(|&at| at < now.working_hours).fold(began, u64::max);
            return Some(self.working_hours.instant(last));
        }
        None
    }

    /// The severity of the findings of a device with this status and non-compliance, as [`status`](Self::status) returns
    /// them. It depends on the variant, so that devices can be counted by their severity.
    pub(super) fn severity(&self, device: DeviceRef, status: Status, noncompliance: Option<(Key, u64)>) -> Severity {
        match (status, noncompliance) {
            (Status::NonCompliant, Some((_, occurrence))) if !self.is_brief(device.slot, occurrence) => {
                Severity::Critical
            }
            (Status::NonCompliant | Status::Exempted, _) => Severity::Warning,
            (Status::Compliant, _) => Severity::NoIssue,
        }
    }

    /// Whether an occurrence has the [`BRIEF`] variant of non-compliance.
    pub(super) fn is_brief(&self, slot: u64, occurrence: u64) -> bool {
        let compliance = self.compliance.iter().find(|found| self.schedules[found.schedule].has(slot));
        compliance.is_some_and(|found| BRIEF.has(self.schedules[found.schedule].variant_key, occurrence))
    }

    /// The duration for which an exemption is granted, in hours: its actual duration, rounded up to an option of the
    /// console.
    pub(super) fn exemption_hours(&self, exempt: &EventRef) -> i64 {
        const OFFERED: [i64; 7] = [12, 24, 48, 72, 96, 168, 336];
        let schedule = self.tracks[exempt.track].schedule;
        let occurrence = self.occurrence(exempt);
        let Some(compliance) = self.compliance.iter().find(|found| found.schedule == schedule) else {
            return OFFERED[1];
        };
        let ends = self.working_hours.instant(self.active_ms_of(compliance.unexempt, occurrence));
        let hours = (ends.0 - exempt.at.0) / 3_600_000 + 1;
        OFFERED.into_iter().find(|offered| *offered >= hours).unwrap_or(hours)
    }

    /// The random key and the occurrence for the content of an event. All events of one occurrence share them.
    pub(super) fn detail(&self, event_ref: &EventRef) -> (Key, u64) {
        (
            self.schedules[self.tracks[event_ref.track].schedule].order.stream(RngStream::Detail),
            self.occurrence(event_ref),
        )
    }

    /// The full hours from the start of a process to one of its events, at least 1.
    pub(super) fn hours_since_start(&self, event_ref: &EventRef) -> i64 {
        let schedule = &self.schedules[self.tracks[event_ref.track].schedule];
        let began = self.working_hours.instant(schedule.active_ms_of(self.occurrence(event_ref), 0, schedule.jitter));
        ((event_ref.at.0 - began.0) / 3_600_000).max(1)
    }

    /// Whether the webhook's receiver fails at this attempt.
    pub(super) fn receiver_fails(&self, attempt: &EventRef) -> bool {
        let track = &self.tracks[attempt.track];
        let occurrence = track.mask.occurrence(self.variant_key(track), attempt.index);
        match track.nth {
            0 => RECEIVER_FAILS.has(self.variant_key(track), occurrence),
            1 => RECEIVER_FAILS_TWICE.has(self.variant_key(track), occurrence),
            _ => false,
        }
    }
}
