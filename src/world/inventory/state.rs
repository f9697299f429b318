//! The state of devices, and the numbers of devices by their state.

use super::list::Inventory;
use crate::world::{
    kinds::{Severity, Status},
    processes::{BRIEF, NONCOMPLIANT, Processes},
    roster::Device,
    time::Millis,
    timeline::Moment,
    tracks::{DeviceRef, EventRef},
};

/// A device in the account, and its state at an instant.
#[derive(Clone, Debug)]
pub(crate) struct DeviceState {
    /// The device.
    pub(crate) device: Device,
    /// The time at which the device joined the account.
    pub(crate) enrolled_at: Millis,
    /// The compliance status.
    pub(crate) status: Status,
    /// The severity of the policy violation; `NoIssue` for a compliant device.
    pub(crate) severity: Severity,
    pub(crate) violation: Option<Violation>,
}

/// The policy violation of a device that is not compliant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Violation {
    /// The part of the policy, in the codes of the API.
    pub(crate) category: &'static str,
    /// The violation, in the words of the device's reports.
    pub(crate) text: String,
    /// The severity of the violation while the device is not exempted.
    pub(crate) severity: Severity,
}

/// Numbers of devices, by status and severity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct DeviceCounts([[u64; 3]; 3]);

impl DeviceCounts {
    const STATUSES: [Status; 3] = [Status::Compliant, Status::NonCompliant, Status::Exempted];
    const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::NoIssue];

    /// The number of devices with a status and a severity.
    pub(crate) fn of(&mut self, status: Status, severity: Severity) -> &mut u64 {
        &mut self.0[status as usize][severity as usize]
    }

    /// The number of all devices.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// The number of devices with a status.
    pub(crate) fn with_status(&self, status: Status) -> u64 {
        self.0[status as usize].iter().sum()
    }

    /// The number of devices with a severity.
    pub(crate) fn with_severity(&self, severity: Severity) -> u64 {
        self.0.iter().map(|of_status| of_status[severity as usize]).sum()
    }

    /// The numbers that are not 0.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Status, Severity, u64)> {
        let all = Self::STATUSES.into_iter().flat_map(|status| Self::SEVERITIES.map(|severity| (status, severity)));
        let counts = *self;
        all.map(move |(status, severity)| (status, severity, counts.0[status as usize][severity as usize]))
            .filter(|(.., count)| *count > 0)
    }
}

/// What identifies a device.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identifier<'a> {
    Id(&'a str),
    MacAddress(&'a str),
    Hostname(&'a str),
}

impl<'a> Identifier<'a> {
    /// The id or the MAC address that a text is.
    pub(crate) fn of(text: &'a str) -> Self {
        if text.contains([':', '-']) { Self::MacAddress(text) } else { Self::Id(text) }
    }
}

impl Inventory<'_> {
    /// The device with an id, a MAC address or a hostname. Two devices of a slot can have the same MAC address; the newer
    /// one counts.
    pub(crate) fn find(&self, by: Identifier<'_>) -> Option<DeviceRef> {
        let roster = &self.world.roster;
        match by {
            Identifier::Id(id) => roster.with_id(id).filter(|device| self.has(*device)),
            Identifier::MacAddress(address) => {
                let owner = roster.with_mac_address(address)?;
                let newest = self.processes().current(owner.slot, self.now);
                let candidates = [
                    Some(newest),
                    newest.generation.checked_sub(1).map(|generation| DeviceRef { generation, ..newest }),
                ];
                let has_it = |device: &DeviceRef| self.has(*device) && self.processes().mac_owner(*device) == owner;
                candidates.into_iter().flatten().find(has_it)
            }
            Identifier::Hostname(name) => roster.with_hostname(name).find(|device| self.has(*device)),
        }
    }

    /// The state of a device.
    pub(crate) fn state(&self, place: DeviceRef) -> DeviceState {
        let processes = self.processes();
        let device = self.world.roster.device(place);
        let (status, noncompliance) = processes.status(place, self.now.at);
        let violation = noncompliance.map(|(key, occurrence)| {
            let (category, text) = self.world.violation(key, occurrence, &device);
            let severity = processes.severity(place, Status::NonCompliant, noncompliance);
            Violation { category, text: text.to_owned(), severity }
        });
        let severity = processes.severity(place, status, noncompliance);
        DeviceState { enrolled_at: processes.enrolled_at(place), status, severity, violation, device }
    }

    /// The time of the last change of the status of a device.
    pub(crate) fn last_change(&self, device: &Device) -> Option<Millis> {
        self.processes().last_change(device.place?, self.now)
    }

    /// The time at which a device was last seen, according to its last report, and the address that it came from.
    pub(crate) fn last_seen(&self, device: &Device) -> Option<(Millis, String)> {
        let place = device.place?;
        let event_ref = self.processes().last_report(place, self.now)?;
        Some((self.world.last_seen(&event_ref), self.world.public_ip(&event_ref, place)))
    }

    /// The numbers of devices by status and severity.
    pub(crate) fn counts(&self) -> DeviceCounts {
        let processes = self.processes();
        let mut counts = DeviceCounts::default();
        for compliance in &processes.compliance {
            let schedule = &processes.schedules[compliance.schedule];
            let begun = self.occurrences(schedule);
            let ended = compliance.ends.map(|track| processes.count(track, self.now));
            let brief = BRIEF.before(schedule.variant_key, begun) - ended[0];
            let all = NONCOMPLIANT.before(schedule.variant_key, begun) - ended.iter().sum::<u64>();
            let exempted =
                processes.count(compliance.exempt, self.now) - processes.count(compliance.unexempt, self.now);
            *counts.of(Status::NonCompliant, Severity::Warning) += brief;
            *counts.of(Status::NonCompliant, Severity::Critical) += all - brief - exempted;
            *counts.of(Status::Exempted, Severity::Warning) += exempted;
        }
        *counts.of(Status::Compliant, Severity::NoIssue) = self.len() - counts.total();
        counts
    }
}

impl Processes {
    /// The last report of a device before a moment.
    fn last_report(&self, device: DeviceRef, now: Moment) -> Option<EventRef> {
        let track =
            self.reports.iter().copied().find(|&track| self.schedules[self.tracks[track].schedule].has(device.slot))?;
        let schedule = &self.schedules[self.tracks[track].schedule];
        // A replaced device sends no reports after the arrival of its successor.
        let successor = self.enrolled_at(DeviceRef { generation: device.generation + 1, ..device });
        let until = if successor <= now.at { self.after(successor) } else { now };
        let (count, _) = schedule.occurrences_of(device.slot, until.device_uptime);
        // The last report before the arrival in the same millisecond can be one of the successor.
        let reports = (0..count).rev().take(2).map(|round| {
            let index = schedule.occurrence_of(device.slot, round);
            EventRef { at: self.at(track, index), track, index }
        });
        reports.into_iter().find(|event_ref| self.device(event_ref) == Some(device))
    }
}
