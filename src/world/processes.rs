//! The processes: what befalls devices and administrators, how often, and what follows from what.
//!
//! A device falls out of compliance and returns, is exempted for a while, is granted access and loses it, is replaced by
//! another one. This is the table; how its events are counted and found is [`lifecycle`](super::timeline)'s.
//!
//! The processes keep their promises by construction:
//!
//! - A device's non-compliance begins at most once in 48 blocks and is over after 25 at the latest, so beginnings and
//!   endings alternate. It is exempted only while it is non-compliant.
//! - Accesses that are blocked lie strictly inside a non-compliance; accesses to guarded apps that are allowed lie in the
//!   blocks of the round in which no non-compliance can be under way, or inside an exemption.
//! - A replaced device outlives its successor's arrival by longer than any process lasts that began before it.

use super::{
    calendar::{ActivityCalendar, CalendarKind},
    kinds::{Action, AdminEvent, AgentType, Category, DeviceEvent, Kind, WebhookEvent},
    random::{Key, RngStream},
    schedule::Schedule,
    time::ACCOUNT_MADE,
    tracks::{Compliance, Fleet, Process, SHARED_MS, Track, When},
    variants::VariantMask,
};

/// Non-compliance that is mended within hours.
pub(super) const BRIEF: VariantMask = VariantMask::range(0, 30);
/// Non-compliance that lasts for days.
const LONG: VariantMask = VariantMask::range(30, 38);
/// Non-compliance that an administrator excuses for a while.
const EXCUSED: VariantMask = VariantMask::range(38, 42);
pub(super) const NONCOMPLIANT: VariantMask = VariantMask::range(0, 42);
/// Blocks from the beginning of a non-compliance to its end, and of an exemption.
const BRIEF_ENDS: u64 = 4;
const LONG_ENDS: u64 = 16;
const EXCUSED_ENDS: u64 = 24;
const EXEMPT_BEGINS: u64 = 2;
const EXEMPT_ENDS: u64 = 18;
/// Blocks of a round of compliance; those from [`CALM`] on are free of any non-compliance.
const COMPLIANCE_ROUND: u64 = 48;
const CALM: u64 = EXCUSED_ENDS + 2;

/// The webhook's receiver fails at the first attempt; and at the second as well.
pub(super) const RECEIVER_FAILS: VariantMask = VariantMask::range(0, 3)
    .or(VariantMask::range(34, 36))
    .or(VariantMask::range(40, 41))
    .or(VariantMask::range(58, 59));
pub(super) const RECEIVER_FAILS_TWICE: VariantMask = VariantMask::range(0, 1).or(VariantMask::range(35, 36));

/// Working days from the making of the account until ordinary life begins.
const ENROLMENT_DAYS: u64 = 3;

/// A part of the fleet with replacements of similar length.
struct Part {
    offset: u64,
    step: u64,
    /// Half of the mean length of a timeline.
    weeks: u64,
}

/// Every second place keeps its device for years, the others for about a year or for some months.
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
    /// The schedules by which devices replace each other.
    pub(super) replacements: Vec<usize>,
    pub(super) compliance: Vec<Compliance>,
    pub(super) key: Key,
}

impl Processes {
    pub(super) fn new(seed: u64, zone_hours: i64, fleets: &[Fleet], admins: u64) -> Self {
        let mut timeline = Self {
            working_hours: ActivityCalendar::new(CalendarKind::WorkingHours, zone_hours),
            device_uptime: ActivityCalendar::new(CalendarKind::DeviceUptime, zone_hours),
            schedules: Vec::new(),
            tracks: Vec::new(),
            replacements: Vec::new(),
            compliance: Vec::new(),
            key: Key::new(seed, RngStream::Order),
        };
        for fleet in fleets {
            timeline.add_device_processes(*fleet);
        }
        timeline.add_admin_processes(admins);
        timeline.tracks.shrink_to_fit();
        timeline
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
        self.add(fleet, Process::Report, reports, Kind::Report, VariantMask::ALL, When::Occurrence);

        // Nobody works at a domain controller.
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

    /// Every slot of the fleet gets its first device within two working days.
    fn enrol(&mut self, fleet: Fleet) {
        let schedule = self.schedule(fleet, 0, 1, 2 * self.working_hours.day(), 1);
        self.schedules[schedule].begin = self.working_hours.active_ms(ACCOUNT_MADE);
        self.schedules[schedule].rounds = 1;
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

    /// A device arrives in place of another, which ends what it had begun and leaves some days later.
    fn add_replacements(&mut self, fleet: Fleet, offset: u64, step: u64, weeks: u64) {
        const TWINS: VariantMask =
            VariantMask::range(7, 10).or(VariantMask::range(29, 32)).or(VariantMask::range(44, 46));
        let schedule = self.schedule(fleet, offset, step, weeks * self.working_hours.week(), 2);
        // The first devices live as long as all others: nobody is replaced in what would be the block before the first.
        self.schedules[schedule].begin += self.schedules[schedule].block;
        self.replacements.push(schedule);
        for (event, mask) in
            [(DeviceEvent::Added, VariantMask::ALL.without(TWINS)), (DeviceEvent::AddedDuplicateMac, TWINS)]
        {
            let added = self.add(fleet, Process::Arrival, schedule, Kind::Device(event), mask, When::Occurrence);
            self.notify(fleet, added, WebhookEvent::Added);
        }
        let day = self.working_hours.day();
        for (event, mask, days_tenth) in [
            (DeviceEvent::Deleted, VariantMask::range(0, 20), 44),
            (DeviceEvent::DeletedUser, VariantMask::range(20, 37), 41),
            (DeviceEvent::DeletedApi, VariantMask::range(37, 50), 47),
            (DeviceEvent::Unseen, VariantMask::range(50, 64), 142),
        ] {
            let later = When::ActiveTime(day * days_tenth / 10);
            let left = self.add(fleet, Process::Departure, schedule, Kind::Device(event), mask, later);
            self.notify(fleet, left, WebhookEvent::Deleted);
            if event == DeviceEvent::Deleted {
                self.log_in_before(fleet, left);
            }
        }
    }

    fn add_compliance(&mut self, fleet: Fleet) -> usize {
        let schedule = self.schedule(fleet, 0, 1, self.working_hours.day() / 16, COMPLIANCE_ROUND);
        let process = Process::Compliance;
        let mut track =
            |event: DeviceEvent, mask, when| self.add(fleet, process, schedule, Kind::Device(event), mask, when);
        let lost = track(DeviceEvent::NonCompliant, NONCOMPLIANT, When::Occurrence);
        let ends = [(BRIEF, BRIEF_ENDS), (LONG, LONG_ENDS), (EXCUSED, EXCUSED_ENDS)]
            .map(|(mask, blocks)| track(DeviceEvent::Compliant, mask, When::Blocks(blocks)));
        let exempt = track(DeviceEvent::ExemptAll, EXCUSED, When::Blocks(EXEMPT_BEGINS));
        let unexempt = track(DeviceEvent::Unexempt, EXCUSED, When::Blocks(EXEMPT_ENDS));
        self.compliance.push(Compliance { schedule, ends, exempt, unexempt });

        self.notify(fleet, lost, WebhookEvent::StatusChangedToNonCompliant);
        for kept in ends {
            self.notify(fleet, kept, WebhookEvent::StatusChangedToCompliant);
        }
        self.notify(fleet, exempt, WebhookEvent::StatusChangedToExempted);
        self.log_in_before(fleet, exempt);
        self.log_in_before(fleet, unexempt);
        schedule
    }

    /// Accesses to guarded and watched apps: those that are blocked lie inside a non-compliance, the others in an
    /// exemption or in the calm blocks of the round.
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
            (Action::Allowed, all, CALM + 1),
            (Action::MonitoredAllow, all, CALM + 5),
            (Action::Allowed, all, CALM + 9),
            (Action::Allowed, all, CALM + 14),
            (Action::MonitoredAllow, all, CALM + 18),
            (Action::Allowed, all, CALM + 21),
        ]) {
            debug_assert!(blocks < COMPLIANCE_ROUND, "an access must not reach into the next round");
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
            let act = self.add(fleet, Process::Administration, schedule, Kind::Device(event), mask, When::Occurrence);
            self.log_in_before(fleet, act);
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
            let soon = When::Echo { of: arrival, from: minutes * 60_000, to: (minutes + 4) * 60_000 };
            self.add(people, Process::AdminDay, schedule, Kind::Admin(event), mask, soon);
        }
    }

    /// The webhook's receiver hears of each event of a track within five seconds; when it fails, again 4 s and 60 s after.
    fn notify(&mut self, fleet: Fleet, of: usize, event: WebhookEvent) {
        let Track { schedule, mask, process, .. } = self.tracks[of];
        // The attempts share their randomness, so each repetition keeps its distance from the first.
        let key = self.key.stream(RngStream::Delay).sub(of as u64);
        for (nth, (mask, later)) in
            (0..).zip([(mask, 0), (mask.and(RECEIVER_FAILS), 4_000), (mask.and(RECEIVER_FAILS_TWICE), 64_000)])
        {
            if !mask.is_empty() {
                let when = When::Echo { of, from: 120 + later, to: 5_000 + later };
                let record = self.add(fleet, process, schedule, Kind::Webhook(event), mask, when);
                self.tracks[record].nth = nth;
                self.tracks[record].key = key;
            }
        }
    }

    /// Whoever acts has logged in one to nine minutes before.
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
        debug_assert!(residue.is_none_or(|residue| residue < SHARED_MS), "no millisecond is left for another login");
        self.tracks.push(Track { kind, agent, process, nth: 0, schedule, mask, when, residue, key });
        self.tracks.len() - 1
    }
}
