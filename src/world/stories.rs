//! The stories: what befalls devices and administrators, how often, and what follows from what.
//!
//! A device falls out of compliance and returns, is exempted for a while, is granted access and loses it, is replaced by
//! another one. This is the table; how its events are counted and found is [`lifecycle`](super::lifecycle)'s.
//!
//! The stories keep their promises by construction:
//!
//! - A device's non-compliance begins at most once in 48 blocks and is over after 25 at the latest, so beginnings and
//!   endings alternate. It is exempted only while it is non-compliant.
//! - Accesses that are blocked lie strictly inside a non-compliance; accesses to guarded apps that are allowed lie in the
//!   blocks of the round in which no non-compliance can be under way, or inside an exemption.
//! - A replaced device outlives its successor's arrival by longer than any story lasts that began before it.

use super::{
    activity::Action,
    admin::AdminEvent,
    cast::Cast,
    device::DeviceEvent,
    lifecycle::{ACCOUNT_MADE, Compliance, Fleet, Kind, Lifecycle, SHARED_MS, Story, Stream, Track, When},
    random::Lane,
    roster::AgentType,
    rota::Rota,
    webhook::WebhookEvent,
};

/// Non-compliance that is mended within hours.
pub(super) const BRIEF: Cast = Cast::range(0, 30);
/// Non-compliance that lasts for days.
const LONG: Cast = Cast::range(30, 38);
/// Non-compliance that an administrator excuses for a while.
const EXCUSED: Cast = Cast::range(38, 42);
pub(super) const NONCOMPLIANT: Cast = Cast::range(0, 42);
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
pub(super) const RECEIVER_FAILS: Cast =
    Cast::range(0, 3).or(Cast::range(34, 36)).or(Cast::range(40, 41)).or(Cast::range(58, 59));
pub(super) const RECEIVER_FAILS_TWICE: Cast = Cast::range(0, 1).or(Cast::range(35, 36));

/// Working days from the making of the account until ordinary life begins.
const ENROLMENT_DAYS: u64 = 3;

/// A part of the fleet with lives of similar length.
struct Part {
    offset: u64,
    step: u64,
    /// Half of the mean length of a life.
    weeks: u64,
}

/// Every second place keeps its device for years, the others for about a year or for some months.
const PARTS: [Part; 3] = [
    Part { offset: 0, step: 2, weeks: 78 },
    Part { offset: 1, step: 4, weeks: 26 },
    Part { offset: 3, step: 4, weeks: 5 },
];

impl Lifecycle {
    pub(super) fn tell_of_devices(&mut self, fleet: Fleet) {
        self.enrol(fleet);
        for part in PARTS {
            if fleet.agent == AgentType::Endpoint {
                self.tell_lives(fleet, part.offset, part.step, part.weeks);
            }
        }
        if fleet.agent == AgentType::DomainController {
            self.tell_lives(fleet, 0, 1, PARTS[0].weeks);
        }
        let compliance = self.tell_compliance(fleet);
        self.tell_care(fleet);

        let day = self.uptime.day();
        let reports = self.rota(fleet, 0, 1, day / 3, 1);
        self.rotas[reports].begin = self.uptime.effort(ACCOUNT_MADE) + ENROLMENT_DAYS * day;
        self.add(fleet, Story::Report, reports, Kind::Report, Cast::ALL, When::Turn);

        // Nobody works at a domain controller.
        if fleet.agent == AgentType::Endpoint {
            self.tell_accesses(fleet, compliance);
            self.tell_grants(fleet);
            let browsing = self.rota(fleet, 0, 1, self.office.day() / 5, 1);
            self.add(fleet, Story::Browse, browsing, Kind::Access(Action::Allowed), Cast::ALL, When::Turn);
        }
    }

    /// Every place of the fleet gets its first device within two working days.
    fn enrol(&mut self, fleet: Fleet) {
        let rota = self.rota(fleet, 0, 1, 2 * self.office.day(), 1);
        self.rotas[rota].begin = self.office.effort(ACCOUNT_MADE);
        self.rotas[rota].rounds = 1;
        let added = self.add(fleet, Story::Enrolment, rota, Kind::Device(DeviceEvent::Added), Cast::ALL, When::Turn);
        self.notify(fleet, added, WebhookEvent::Added);
    }

    /// A device arrives in place of another, which ends what it had begun and leaves some days later.
    fn tell_lives(&mut self, fleet: Fleet, offset: u64, step: u64, weeks: u64) {
        const TWINS: Cast = Cast::range(7, 10).or(Cast::range(29, 32)).or(Cast::range(44, 46));
        let rota = self.rota(fleet, offset, step, weeks * self.office.week(), 2);
        // The first devices live as long as all others: nobody is replaced in what would be the block before the first.
        self.rotas[rota].begin += self.rotas[rota].block;
        self.lives.push(rota);
        for (event, cast) in [(DeviceEvent::Added, Cast::ALL.without(TWINS)), (DeviceEvent::AddedDuplicateMac, TWINS)] {
            let added = self.add(fleet, Story::Arrival, rota, Kind::Device(event), cast, When::Turn);
            self.notify(fleet, added, WebhookEvent::Added);
        }
        let day = self.office.day();
        for (event, cast, days_tenth) in [
            (DeviceEvent::Deleted, Cast::range(0, 20), 44),
            (DeviceEvent::DeletedUser, Cast::range(20, 37), 41),
            (DeviceEvent::DeletedApi, Cast::range(37, 50), 47),
            (DeviceEvent::Unseen, Cast::range(50, 64), 142),
        ] {
            let later = When::Effort(day * days_tenth / 10);
            let left = self.add(fleet, Story::Departure, rota, Kind::Device(event), cast, later);
            self.notify(fleet, left, WebhookEvent::Deleted);
            if event == DeviceEvent::Deleted {
                self.log_in_before(fleet, left);
            }
        }
    }

    fn tell_compliance(&mut self, fleet: Fleet) -> usize {
        let rota = self.rota(fleet, 0, 1, self.office.day() / 16, COMPLIANCE_ROUND);
        let story = Story::Compliance;
        let mut tell = |event: DeviceEvent, cast, when| self.add(fleet, story, rota, Kind::Device(event), cast, when);
        let lost = tell(DeviceEvent::NonCompliant, NONCOMPLIANT, When::Turn);
        let ends = [(BRIEF, BRIEF_ENDS), (LONG, LONG_ENDS), (EXCUSED, EXCUSED_ENDS)]
            .map(|(cast, blocks)| tell(DeviceEvent::Compliant, cast, When::Blocks(blocks)));
        let exempt = tell(DeviceEvent::ExemptAll, EXCUSED, When::Blocks(EXEMPT_BEGINS));
        let unexempt = tell(DeviceEvent::Unexempt, EXCUSED, When::Blocks(EXEMPT_ENDS));
        self.compliance.push(Compliance { rota, ends, exempt, unexempt });

        self.notify(fleet, lost, WebhookEvent::StatusChangedToNonCompliant);
        for kept in ends {
            self.notify(fleet, kept, WebhookEvent::StatusChangedToCompliant);
        }
        self.notify(fleet, exempt, WebhookEvent::StatusChangedToExempted);
        self.log_in_before(fleet, exempt);
        self.log_in_before(fleet, unexempt);
        rota
    }

    /// Accesses to guarded and watched apps: those that are blocked lie inside a non-compliance, the others in an
    /// exemption or in the calm blocks of the round.
    fn tell_accesses(&mut self, fleet: Fleet, compliance: usize) {
        let (brief_or_long, all) = (BRIEF.or(LONG), Cast::ALL);
        for (nth, (action, cast, blocks)) in (0..).zip([
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
            let access = self.add(fleet, Story::Compliance, compliance, kind, cast, When::Blocks(blocks));
            self.tracks[access].nth = nth;
        }
    }

    fn tell_grants(&mut self, fleet: Fleet) {
        const GRANTED: Cast = Cast::range(0, 40);
        let rota = self.rota(fleet, 0, 1, self.office.day() / 8, 20);
        let granted = Kind::Device(DeviceEvent::AccessGranted);
        self.add(fleet, Story::Grant, rota, granted, GRANTED, When::Turn);
        let revoked = Kind::Device(DeviceEvent::AccessRevoked);
        self.add(fleet, Story::Grant, rota, revoked, GRANTED, When::Blocks(3));
    }

    fn tell_care(&mut self, fleet: Fleet) {
        let rota = self.rota(fleet, 0, 1, self.office.day() / 4, 16);
        for (event, cast) in [
            (DeviceEvent::ScanThreat, Cast::range(0, 10)),
            (DeviceEvent::FetchLog, Cast::range(10, 18)),
            (DeviceEvent::ComplianceCheck, Cast::range(18, 34)),
        ] {
            let act = self.add(fleet, Story::Care, rota, Kind::Device(event), cast, When::Turn);
            self.log_in_before(fleet, act);
        }
    }

    pub(super) fn tell_of_administrators(&mut self, admins: u64) {
        let people = Fleet { agent: AgentType::Endpoint, first: 0, devices: admins };
        let day = self.office.day();
        let rota = self.rota(people, 0, 1, day, 1);
        let arrival = self.add(people, Story::Office, rota, Kind::Silent, Cast::ALL, When::Turn);
        let at_once = When::Echo { of: arrival, from: 0, to: 0 };
        self.add(people, Story::Office, rota, Kind::Admin(AdminEvent::Login), Cast::ALL, at_once);
        let failed = Cast::range(20, 28);
        let before = When::Echo { of: arrival, from: -90_000, to: -9_000 };
        self.add(people, Story::Office, rota, Kind::Admin(AdminEvent::FailedAuth), failed, before);
        for (event, cast, minutes) in [
            (AdminEvent::Config, Cast::range(0, 22), 9),
            (AdminEvent::RevMobileCode, Cast::range(26, 32), 14),
            (AdminEvent::SubmitTicket, Cast::range(32, 37), 22),
            (AdminEvent::Whitelist, Cast::range(37, 45), 31),
            (AdminEvent::ChangedPassword, Cast::range(45, 48), 3),
            (AdminEvent::CacChange, Cast::range(48, 52), 17),
        ] {
            let soon = When::Echo { of: arrival, from: minutes * 60_000, to: (minutes + 4) * 60_000 };
            self.add(people, Story::Office, rota, Kind::Admin(event), cast, soon);
        }
    }

    /// The webhook's receiver hears of each event of a track within five seconds; when it fails, again 4 s and 60 s after.
    fn notify(&mut self, fleet: Fleet, of: usize, event: WebhookEvent) {
        let Track { rota, cast, story, .. } = self.tracks[of];
        // The attempts share their randomness, so each repetition keeps its distance from the first.
        let key = self.key.lane(Lane::Delay).sub(of as u64);
        for (nth, (cast, later)) in
            (0..).zip([(cast, 0), (cast.and(RECEIVER_FAILS), 4_000), (cast.and(RECEIVER_FAILS_TWICE), 64_000)])
        {
            if !cast.is_empty() {
                let when = When::Echo { of, from: 120 + later, to: 5_000 + later };
                let entry = self.add(fleet, story, rota, Kind::Webhook(event), cast, when);
                self.tracks[entry].nth = nth;
                self.tracks[entry].key = key;
            }
        }
    }

    /// Whoever acts has logged in one to nine minutes before.
    fn log_in_before(&mut self, fleet: Fleet, of: usize) {
        let Track { rota, cast, story, .. } = self.tracks[of];
        let before = When::Echo { of, from: -9 * 60_000, to: -60_000 };
        self.add(fleet, story, rota, Kind::Admin(AdminEvent::Login), cast, before);
    }

    fn rota(&mut self, fleet: Fleet, offset: u64, step: u64, block: u64, classes: u64) -> usize {
        let key = self.key.sub(self.rotas.len() as u64);
        self.rotas.push(Rota {
            first: fleet.first + offset,
            step,
            members: fleet.devices.saturating_sub(offset).div_ceil(step),
            begin: self.office.effort(ACCOUNT_MADE) + ENROLMENT_DAYS * self.office.day(),
            block,
            classes,
            rounds: u64::MAX / (1 << 32),
            order: key.lane(Lane::Order),
            jitter: key.lane(Lane::Jitter),
            casting: key.lane(Lane::Casting),
        });
        self.rotas.len() - 1
    }

    fn add(&mut self, fleet: Fleet, story: Story, rota: usize, kind: Kind, cast: Cast, when: When) -> usize {
        let key = self.key.lane(Lane::Pairing).sub(self.tracks.len() as u64);
        let agent = (kind.stream() != Some(Stream::Admin)).then_some(fleet.agent);
        let residue = (kind == Kind::Admin(AdminEvent::Login)).then(|| {
            let logins = self.tracks.iter().filter(|track| track.residue.is_some()).count();
            i64::try_from(logins).unwrap_or(i64::MAX)
        });
        debug_assert!(residue.is_none_or(|residue| residue < SHARED_MS), "no millisecond is left for another login");
        self.tracks.push(Track { kind, agent, story, nth: 0, rota, cast, when, residue, key });
        self.tracks.len() - 1
    }
}
