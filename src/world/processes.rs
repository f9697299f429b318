//! The processes of the company: the events of devices and administrators, their rates and their dependencies.
//!
//! A device becomes non-compliant and compliant again, is exempted for a limited time, gets access and loses it, and is
//! replaced by another device. This file is the table of these processes; [`Processes::count`] and [`Processes::at`]
//! find their events.
//!
//! The construction guarantees these invariants:
//!
//! - The non-compliance of a device begins at most once per round of 48 blocks and ends within 25 blocks, so beginnings
//!   and endings alternate. A device is exempted only while it is non-compliant.
//! - Blocked accesses lie strictly inside a non-compliance. Allowed accesses to guarded apps lie inside an exemption,
//!   or in the blocks of the round in which no non-compliance is possible.
//! - A replaced device stays after the arrival of its successor until every process that began before the arrival has
//!   ended.

use super::{
    calendar::{ActivityCalendar, CalendarKind},
    codes::{Action, AdminEvent, DeviceEvent, WebhookEvent},
    kinds::{AgentType, Category, Kind},
    random::{Key, RngStream},
    schedule::Schedule,
    time::ACCOUNT_MADE,
    tracks::{Compliance, Fleet, Process, Replacement, SHARED_MS, Track, When},
    variants::VariantMask,
};

/// Non-compliance that ends after about a quarter of a working day (active time).
pub(super) const BRIEF: VariantMask = VariantMask::range(0, 30);
/// Non-compliance that ends after about one working day (active time).
const LONG: VariantMask = VariantMask::range(30, 38);
/// Non-compliance that ends after about 1.5 working days (active time), with an exemption by an administrator.
const EXCUSED: VariantMask = VariantMask::range(38, 42);
pub(super) const NONCOMPLIANT: VariantMask = VariantMask::range(0, 42);
/// Blocks from the start of a non-compliance to its end, and to the start and end of its exemption.
const BRIEF_ENDS: u64 = 4;
const LONG_ENDS: u64 = 16;
const EXCUSED_ENDS: u64 = 24;
const EXEMPT_BEGINS: u64 = 2;
const EXEMPT_ENDS: u64 = 18;
/// Blocks in a round of compliance. No non-compliance reaches the blocks from [`COMPLIANT_FROM`] on.
const COMPLIANCE_ROUND: u64 = 48;
const COMPLIANT_FROM: u64 = EXCUSED_ENDS + 2;

/// Occurrences for which the first attempt at the webhook fails; `RECEIVER_FAILS_TWICE`: the second attempt as well.
pub(super) const RECEIVER_FAILS: VariantMask = VariantMask::range(0, 3)
    .or(VariantMask::range(34, 36))
    .or(VariantMask::range(40, 41))
    .or(VariantMask::range(58, 59));
pub(super) const RECEIVER_FAILS_TWICE: VariantMask = VariantMask::range(0, 1).or(VariantMask::range(35, 36));

/// Arrivals of a device that has the MAC addresses of the device that it replaces.
pub(super) const DUPLICATE_MAC: VariantMask =
    VariantMask::range(7, 10).or(VariantMask::range(29, 32)).or(VariantMask::range(44, 46));

/// Working days from the creation of the account to the start of all processes except enrolment.
const ENROLMENT_DAYS: u64 = 3;

/// A part of the fleet whose devices have similar lifetimes.
struct Part {
    offset: u64,
    step: u64,
    /// Half of the mean time between two replacements at a slot, in weeks.
    weeks: u64,
}

/// Even slots keep a device for about three years, the other slots for about a year or for about ten weeks.
const PARTS: [Part; 3] = [
    Part { offset: 0, step: 2, weeks: 78 },
    Part { offset: 1, step: 4, weeks: 26 },
    Part { offset: 3, step: 4, weeks: 5 },
];

/// All processes of one company.
#[derive(Clone, Debug)]
pub(super) struct Processes {
    pub(super) working_hours: ActivityCalendar,
    pub(super) device_uptime: ActivityCalendar,
    pub(super) schedules: Vec<Schedule>,
    pub(super) tracks: Vec<Track>,
    /// The indexes of the schedules that enrol the first devices.
    pub(super) enrolments: Vec<usize>,
    pub(super) replacements: Vec<Replacement>,
    /// The indexes of the tracks of device reports.
    pub(super) reports: Vec<usize>,
    pub(super) compliance: Vec<Compliance>,
    pub(super) key: Key,
}

impl Processes {
    pub(super) fn new(seed: u64, zone_hours: i64, fleets: &[Fleet], admins: u64) -> Self {
        let mut processes = Self {
            working_hours: ActivityCalendar::new(CalendarKind::WorkingHours, zone_hours),
            device_uptime: ActivityCalendar::new(CalendarKind::DeviceUptime, zone_hours),
            schedules: Vec::new(),
            tracks: Vec::new(),
            enrolments: Vec::new(),
            replacements: Vec::new(),
            reports: Vec::new(),
            compliance: Vec::new(),
            key: Key::new(seed, RngStream::Order),
        };
        for fleet in fleets {
            processes.add_device_processes(*fleet);
        }
        processes.add_admin_processes(admins);
        processes.tracks.shrink_to_fit();
        processes
    }

    fn add_device_processes(&mut self, fleet: Fleet) {
        self.enrol(fleet);
        for part in PARTS {
            if fleet.agent == AgentType::Endpoint {
                self.add_replacements(fleet, part.offset, part.step, part.weeks);
            }
        }
        if fleet.agent == AgentType::DomainController {
            self.add_replacements(fleet, 0, 1, PARTS[0].weeks);
        }
        let compliance = self.add_compliance(fleet);
        self.add_administration(fleet);

        let day = self.device_uptime.day();
        let reports = self.schedule(fleet, 0, 1, day / 3, 1);
        self.schedules[reports].begin = self.device_uptime.active_ms(ACCOUNT_MADE) + ENROLMENT_DAYS * day;
        let reports = self.add(fleet, Process::Report, reports, Kind::Report, VariantMask::ALL, When::Occurrence);
        self.reports.push(reports);

        // A domain controller has no user, so it has no accesses and no grants.
        if fleet.agent == AgentType::Endpoint {
            self.add_accesses(fleet, compliance);
            self.add_grants(fleet);
            let browsing = self.schedule(fleet, 0, 1, self.working_hours.day() / 5, 1);
            self.add(
                fleet,
                Process::Browse,
                browsing,
                Kind::Access(Action::Allowed),
                VariantMask::ALL,
                When::Occurrence,
            );
        }
    }

    /// Adds the enrolment: every slot of the fleet gets its first device within two working days.
    fn enrol(&mut self, fleet: Fleet) {
        let schedule = self.schedule(fleet, 0, 1, 2 * self.working_hours.day(), 1);
        self.schedules[schedule].begin = self.working_hours.active_ms(ACCOUNT_MADE);
        self.schedules[schedule].rounds = 1;
        self.enrolments.push(schedule);
        let added = self.add(
            fleet,
            Process::Enrolment,
            schedule,
            Kind::Device(DeviceEvent::Added),
            VariantMask::ALL,
            When::Occurrence,
        );
        self.notify(fleet, added, WebhookEvent::Added);
    }

    /// Adds the replacements: a new device arrives. The replaced device leaves some working days after that, when its
    /// processes have ended.
    fn add_replacements(&mut self, fleet: Fleet, offset: u64, step: u64, weeks: u64) {
        let schedule = self.schedule(fleet, offset, step, weeks * self.working_hours.week(), 2);
        // The first replacements come one block after the start, so that the first devices live about as long as all
        // others.
        self.schedules[schedule].begin += self.schedules[schedule].block;
        for (event, mask) in [
            (DeviceEvent::Added, VariantMask::ALL.without(DUPLICATE_MAC)),
            (DeviceEvent::AddedDuplicateMac, DUPLICATE_MAC),
        ] {
            let added = self.add(fleet, Process::Arrival, schedule, Kind::Device(event), mask, When::Occurrence);
            self.notify(fleet, added, WebhookEvent::Added);
        }
        let day = self.working_hours.day();
        let departures = [
            (DeviceEvent::Deleted, VariantMask::range(0, 20), 44),
            (DeviceEvent::DeletedUser, VariantMask::range(20, 37), 41),
            (DeviceEvent::DeletedApi, VariantMask::range(37, 50), 47),
            (DeviceEvent::Unseen, VariantMask::range(50, 64), 142),
        ]
        .map(|(event, mask, days_tenth)| {
            let delay = When::ActiveTime(day * days_tenth / 10);
            let departure = self.add(fleet, Process::Departure, schedule, Kind::Device(event), mask, delay);
            self.notify(fleet, departure, WebhookEvent::Deleted);
            if event == DeviceEvent::Deleted {
                self.log_in_before(fleet, departure);
            }
            departure
        });
        self.replacements.push(Replacement { schedule, departures });
    }

    fn add_compliance(&mut self, fleet: Fleet) -> usize {
        let schedule = self.schedule(fleet, 0, 1, self.working_hours.day() / 16, COMPLIANCE_ROUND);
        let process = Process::Compliance;
        let mut track =
            |event: DeviceEvent, mask, when| self.add(fleet, process, schedule, Kind::Device(event), mask, when);
        let noncompliant = track(DeviceEvent::NonCompliant, NONCOMPLIANT, When::Occurrence);
        let ends = [(BRIEF, BRIEF_ENDS), (LONG, LONG_ENDS), (EXCUSED, EXCUSED_ENDS)]
            .map(|(mask, blocks)| track(DeviceEvent::Compliant, mask, When::Blocks(blocks)));
        let exempt = track(DeviceEvent::ExemptAll, EXCUSED, When::Blocks(EXEMPT_BEGINS));
        let unexempt = track(DeviceEvent::Unexempt, EXCUSED, When::Blocks(EXEMPT_ENDS));
        self.compliance.push(Compliance { schedule, ends, exempt, unexempt });

        self.notify(fleet, noncompliant, WebhookEvent::StatusChangedToNonCompliant);
        for compliant in ends {
            self.notify(fleet, compliant, WebhookEvent::StatusChangedToCompliant);
        }
        self.notify(fleet, exempt, WebhookEvent::StatusChangedToExempted);
        self.log_in_before(fleet, exempt);
        self.log_in_before(fleet, unexempt);
        schedule
    }

    /// Adds accesses to guarded and watched apps. Blocked accesses lie inside a non-compliance, the others lie inside
    /// an exemption or in the blocks of the round that no non-compliance reaches.
    fn add_accesses(&mut self, fleet: Fleet, compliance: usize) {
        let (brief_or_long, all) = (BRIEF.or(LONG), VariantMask::ALL);
        for (nth, (action, mask, blocks)) in (0..).zip([
            (Action::Blocked, NONCOMPLIANT, 1),
            (Action::Blocked, brief_or_long, 2),
            (Action::MonitoredBlock, brief_or_long, 3),
            (Action::Blocked, LONG, 5),
            (Action::MonitoredBlock, LONG, 8),
            (Action::Blocked, LONG, 11),
            (Action::MonitoredBlock, LONG, 14),
            (Action::Allowed, EXCUSED, 5),
            (Action::MonitoredAllow, EXCUSED, 9),
            (Action::Allowed, EXCUSED, 15),
            (Action::Allowed, all, COMPLIANT_FROM + 1),
            (Action::MonitoredAllow, all, COMPLIANT_FROM + 5),
            (Action::Allowed, all, COMPLIANT_FROM + 9),
            (Action::Allowed, all, COMPLIANT_FROM + 14),
            (Action::MonitoredAllow, all, COMPLIANT_FROM + 18),
            (Action::Allowed, all, COMPLIANT_FROM + 21),
        ]) {
            debug_assert!(blocks < COMPLIANCE_ROUND, "an access lies outside its round");
            let kind = Kind::Access(action);
            let access = self.add(fleet, Process::Compliance, compliance, kind, mask, When::Blocks(blocks));
            self.tracks[access].nth = nth;
        }
    }

    fn add_grants(&mut self, fleet: Fleet) {
        const GRANTED: VariantMask = VariantMask::range(0, 40);
        let schedule = self.schedule(fleet, 0, 1, self.working_hours.day() / 8, 20);
        let granted = Kind::Device(DeviceEvent::AccessGranted);
        self.add(fleet, Process::Grant, schedule, granted, GRANTED, When::Occurrence);
        let revoked = Kind::Device(DeviceEvent::AccessRevoked);
        self.add(fleet, Process::Grant, schedule, revoked, GRANTED, When::Blocks(3));
    }

    fn add_administration(&mut self, fleet: Fleet) {
        let schedule = self.schedule(fleet, 0, 1, self.working_hours.day() / 4, 16);
        for (event, mask) in [
            (DeviceEvent::ScanThreat, VariantMask::range(0, 10)),
            (DeviceEvent::FetchLog, VariantMask::range(10, 18)),
            (DeviceEvent::ComplianceCheck, VariantMask::range(18, 34)),
        ] {
            let admin_action =
                self.add(fleet, Process::Administration, schedule, Kind::Device(event), mask, When::Occurrence);
            self.log_in_before(fleet, admin_action);
        }
    }

    fn add_admin_processes(&mut self, admins: u64) {
        let people = Fleet { agent: AgentType::Endpoint, first: 0, devices: admins };
        let day = self.working_hours.day();
        let schedule = self.schedule(people, 0, 1, day, 1);
        let arrival = self.add(people, Process::AdminDay, schedule, Kind::Silent, VariantMask::ALL, When::Occurrence);
        let at_once = When::Echo { of: arrival, from: 0, to: 0 };
        self.add(people, Process::AdminDay, schedule, Kind::Admin(AdminEvent::Login), VariantMask::ALL, at_once);
        let failed = VariantMask::range(20, 28);
        let before = When::Echo { of: arrival, from: -90_000, to: -9_000 };
        self.add(people, Process::AdminDay, schedule, Kind::Admin(AdminEvent::FailedAuth), failed, before);
        for (event, mask, minutes) in [
            (AdminEvent::Config, VariantMask::range(0, 22), 9),
            (AdminEvent::RevMobileCode, VariantMask::range(26, 32), 14),
            (AdminEvent::SubmitTicket, VariantMask::range(32, 37), 22),
            (AdminEvent::Whitelist, VariantMask::range(37, 45), 31),
            (AdminEvent::ChangedPassword, VariantMask::range(45, 48), 3),
            (AdminEvent::CacChange, VariantMask::range(48, 52), 17),
        ] {
            let after_arrival = When::Echo { of: arrival, from: minutes * 60_000, to: (minutes + 4) * 60_000 };
            self.add(people, Process::AdminDay, schedule, Kind::Admin(event), mask, after_arrival);
        }
    }

    /// The active time from the arrival of a successor to the departure of the replaced device, of a departure track.
    pub(super) fn departure_delay(&self, track: usize) -> u64 {
        match self.tracks[track].when {
            When::ActiveTime(delay) => delay,
            _ => 0,
        }
    }

    /// The longest of these delays.
    pub(super) fn longest_departure(&self) -> u64 {
        let departures = self.replacements.iter().flat_map(|replacement| replacement.departures);
        departures.map(|track| self.departure_delay(track)).max().unwrap_or(0)
    }

    /// Adds the webhook notifications for the events of a track. The first attempt comes 0.12 s to 5 s after the event.
    /// If it fails, a second attempt comes 4 s after it. If that fails too, a third attempt comes 60 s after the
    /// second.
    fn notify(&mut self, fleet: Fleet, of: usize, event: WebhookEvent) {
        let Track { schedule, mask, process, .. } = self.tracks[of];
        // All attempts use the same key, so the delays between the attempts of one notification are exact.
        let key = self.key.stream(RngStream::Delay).sub(of as u64);
        for (nth, (mask, delay)) in
            (0..).zip([(mask, 0), (mask.and(RECEIVER_FAILS), 4_000), (mask.and(RECEIVER_FAILS_TWICE), 64_000)])
        {
            if !mask.is_empty() {
                let when = When::Echo { of, from: 120 + delay, to: 5_000 + delay };
                let record = self.add(fleet, process, schedule, Kind::Webhook(event), mask, when);
                self.tracks[record].nth = nth;
                self.tracks[record].key = key;
            }
        }
    }

    /// Adds the login of the acting administrator, one to nine minutes before the action.
    fn log_in_before(&mut self, fleet: Fleet, of: usize) {
        let Track { schedule, mask, process, .. } = self.tracks[of];
        let before = When::Echo { of, from: -9 * 60_000, to: -60_000 };
        self.add(fleet, process, schedule, Kind::Admin(AdminEvent::Login), mask, before);
    }

    fn schedule(&mut self, fleet: Fleet, offset: u64, step: u64, block: u64, classes: u64) -> usize {
        let key = self.key.sub(self.schedules.len() as u64);
        self.schedules.push(Schedule {
            first: fleet.first + offset,
            step,
            members: fleet.devices.saturating_sub(offset).div_ceil(step),
            begin: self.working_hours.active_ms(ACCOUNT_MADE) + ENROLMENT_DAYS * self.working_hours.day(),
            block,
            classes,
            rounds: u64::MAX / (1 << 32),
            order: key.stream(RngStream::Order),
            jitter: key.stream(RngStream::Jitter),
            variant_key: key.stream(RngStream::Variants),
        });
        self.schedules.len() - 1
    }

    fn add(
        &mut self,
        fleet: Fleet,
        process: Process,
        schedule: usize,
        kind: Kind,
        mask: VariantMask,
        when: When,
    ) -> usize {
        let key = self.key.stream(RngStream::Pairing).sub(self.tracks.len() as u64);
        let agent = (kind.category() != Some(Category::Admin)).then_some(fleet.agent);
        let residue = (kind == Kind::Admin(AdminEvent::Login)).then(|| {
            let logins = self.tracks.iter().filter(|track| track.residue.is_some()).count();
            i64::try_from(logins).unwrap_or(i64::MAX)
        });
        debug_assert!(residue.is_none_or(|residue| residue < SHARED_MS), "more login tracks than residues");
        self.tracks.push(Track { kind, agent, process, nth: 0, schedule, mask, when, residue, key });
        self.tracks.len() - 1
    }
}
