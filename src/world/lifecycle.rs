//! What happens to devices and administrators, and when.
//!
//! Everything that happens is part of a story: a device falls out of compliance and returns, is exempted for a while,
//! is granted access and loses it, is replaced by another one. A story befalls the members of a [`Rota`] turn by turn.
//! Its events are [`Track`]s: at the turn itself, some blocks later, some effort later, or as the echo of another track
//! (the login before an administrator's act, the webhook after a change). All are counted and found without looking at
//! others; only for an echo, those few are looked at whose cause lies within its delay.
//!
//! Which version of a story a turn tells is decided for 64 turns at a time: a [`Cast`] is a set of 64 bits that is
//! rearranged for each run, so counting the turns of a cast is counting bits.
//!
//! The stories keep their promises by construction:
//!
//! - A device's non-compliance begins at most once in 48 blocks and is over after 25 at the latest, so beginnings and
//!   endings alternate. It is exempted only while it is non-compliant.
//! - Accesses that are blocked lie strictly inside a non-compliance; accesses to guarded apps that are allowed lie in the
//!   blocks of the round in which no non-compliance can be under way, or inside an exemption.
//! - A replaced device outlives its successor's arrival by longer than any story lasts that began before it.

use super::{
    Millis,
    activity::Action,
    admin::AdminEvent,
    device::DeviceEvent,
    random::{Key, Lane, Permutation},
    rhythm::{Beat, Rhythm},
    roster::AgentType,
    rota::Rota,
    webhook::WebhookEvent,
};

/// 2013-10-04T08:00:00Z, when the company's account was made. Nothing happened before.
pub(super) const ACCOUNT_MADE: Millis = Millis(1_380_873_600_000);

/// What kind of event a track tells. Its stream follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Device(DeviceEvent),
    Admin(AdminEvent),
    Webhook(WebhookEvent),
    Report,
    Access(Action),
}

/// One of the five sequences of events that the APIs tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stream {
    /// What happens to devices.
    Device = 0,
    /// What administrators do.
    Admin = 1,
    /// What the company's webhook was told.
    Webhook = 2,
    /// What devices report of themselves.
    DeviceReport = 3,
    /// Which applications devices access.
    Activity = 4,
}

impl Stream {
    /// All streams.
    pub const ALL: [Self; 5] = [Self::Device, Self::Admin, Self::Webhook, Self::DeviceReport, Self::Activity];
}

impl Kind {
    pub(super) fn stream(self) -> Stream {
        match self {
            Self::Device(_) => Stream::Device,
            Self::Admin(_) => Stream::Admin,
            Self::Webhook(_) => Stream::Webhook,
            Self::Report => Stream::DeviceReport,
            Self::Access(_) => Stream::Activity,
        }
    }

    /// The place of this kind in the list of its stream's codes.
    pub(super) fn ordinal(self) -> u8 {
        match self {
            Self::Device(event) => event as u8,
            Self::Admin(event) => event as u8,
            Self::Webhook(event) => event as u8,
            Self::Report => 0,
            Self::Access(action) => action as u8,
        }
    }
}

/// A set of turns, as many of each run of 64 as it has bits. Which of them is decided run by run, for all casts of a rota
/// in the same way: disjoint casts stay disjoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cast(u64);

impl Cast {
    pub(super) const ALL: Self = Self(u64::MAX);

    /// The bits with a place from `from` up to `to` in a fixed, scattered order. Disjoint ranges are disjoint casts.
    const fn range(from: u64, to: u64) -> Self {
        let (mut bits, mut place) = (0, from);
        while place < to {
            bits |= 1 << (place * 37 % 64);
            place += 1;
        }
        Self(bits)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The residues that the cast is in one run of 64 turns: another arrangement in each run of each rota.
    fn bits(self, casting: Key, run: u64) -> u64 {
        const HALVES: [u64; 6] = [
            0x5555_5555_5555_5555,
            0x3333_3333_3333_3333,
            0x0F0F_0F0F_0F0F_0F0F,
            0x00FF_00FF_00FF_00FF,
            0x0000_FFFF_0000_FFFF,
            0x0000_0000_FFFF_FFFF,
        ];
        let draw = casting.at(run);
        let mut bits = self.0;
        for (level, half) in HALVES.into_iter().enumerate() {
            if draw >> level & 1 == 1 {
                bits = (bits & half) << (1 << level) | (bits >> (1 << level)) & half;
            }
        }
        bits.rotate_left((draw >> 6 & 63) as u32)
    }

    fn has(self, casting: Key, turn: u64) -> bool {
        self == Self::ALL || self.bits(casting, turn / 64) >> (turn % 64) & 1 == 1
    }

    /// How many of the turns before `turn` are in the cast.
    fn before(self, casting: Key, turn: u64) -> u64 {
        if self == Self::ALL {
            return turn;
        }
        let below = self.bits(casting, turn / 64) & ((1 << (turn % 64)) - 1);
        turn / 64 * u64::from(self.0.count_ones()) + u64::from(below.count_ones())
    }

    /// The `index`-th turn of the cast.
    fn turn(self, casting: Key, index: u64) -> u64 {
        if self == Self::ALL {
            return index;
        }
        let ones = u64::from(self.0.count_ones());
        let run = index / ones;
        let mut bits = self.bits(casting, run);
        for _ in 0..index % ones {
            bits &= bits - 1;
        }
        run * 64 + u64::from(bits.trailing_zeros())
    }
}

/// When a track's events come, seen from the turns of its rota.
#[derive(Clone, Copy, Debug)]
enum When {
    /// At the turn.
    Turn,
    /// In the block that comes so many blocks after the turn's, each of the block's turns at a time of its own.
    Blocks(u64),
    /// A fixed effort after the turn.
    Effort(u64),
    /// After (or, with a negative delay, before) the event of another track, by milliseconds drawn from this range.
    Echo { of: usize, from: i64, to: i64 },
}

/// A sequence of events of one kind, told of the turns of one cast of one rota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) kind: Kind,
    pub(super) agent: Option<AgentType>,
    pub(super) story: Story,
    /// Which attempt a webhook's entry is, from 0; which beat of its story an access is.
    pub(super) nth: u8,
    rota: usize,
    cast: Cast,
    when: When,
    /// Own randomness of the track.
    key: Key,
}

/// What a rota's turns are about; says who the event names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Story {
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
    Care,
    /// A device reports.
    Report,
    /// Somebody works with an app that no rule guards.
    Browse,
    /// An administrator's day.
    Office,
}

/// One event, before it is told: which track, which of its events, when.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Happening {
    /// When it happened.
    pub(crate) at: Millis,
    pub(super) track: usize,
    pub(super) index: u64,
}

/// A device: its place in the fleet, and the how manieth device it is there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct DeviceRef {
    pub(crate) slot: u64,
    pub(crate) generation: u64,
}

/// Whether a device keeps the company's policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It keeps it.
    Compliant,
    /// It does not.
    NonCompliant,
    /// It does not, and an administrator has excused it for a while.
    Exempted,
}

impl Status {
    /// The console's word for it, which the API's activities use.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::NonCompliant => "Non-compliant",
            Self::Exempted => "Exempted",
        }
    }

    /// The API's word for it in device reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::NonCompliant => "non-compliant",
            Self::Exempted => "exempted",
        }
    }
}

/// An instant, as both rhythms count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: Millis,
    office: u64,
    uptime: u64,
}

/// Non-compliance that is mended within hours.
const BRIEF: Cast = Cast::range(0, 30);
/// Non-compliance that lasts for days.
const LONG: Cast = Cast::range(30, 38);
/// Non-compliance that an administrator excuses for a while.
const EXCUSED: Cast = Cast::range(38, 42);
const NONCOMPLIANT: Cast = Cast::range(0, 42);
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
const RECEIVER_FAILS: Cast = Cast::range(0, 3).or(Cast::range(34, 36)).or(Cast::range(40, 41)).or(Cast::range(58, 59));
const RECEIVER_FAILS_TWICE: Cast = Cast::range(0, 1).or(Cast::range(35, 36));

impl Cast {
    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// All stories of one company.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    office: Rhythm,
    uptime: Rhythm,
    rotas: Vec<Rota>,
    tracks: Vec<Track>,
    /// The rotas by which devices replace each other.
    lives: Vec<usize>,
    compliance: Vec<Compliance>,
    key: Key,
}

/// Where to look up the status of a fleet's devices.
#[derive(Clone, Copy, Debug)]
struct Compliance {
    rota: usize,
    /// The tracks that end a non-compliance, one for each cast of it.
    ends: [usize; 3],
    exempt: usize,
    unexempt: usize,
}

/// A part of the fleet that runs one kind of agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) agent: AgentType,
    pub(super) first: u64,
    pub(super) devices: u64,
}

impl Lifecycle {
    pub(super) fn new(seed: u64, zone_hours: i64, fleets: &[Fleet], admins: u64) -> Self {
        let mut life = Self {
            office: Rhythm::new(Beat::Office, zone_hours),
            uptime: Rhythm::new(Beat::Uptime, zone_hours),
            rotas: Vec::new(),
            tracks: Vec::new(),
            lives: Vec::new(),
            compliance: Vec::new(),
            key: Key::new(seed, Lane::Order),
        };
        for fleet in fleets {
            life.tell_of_devices(*fleet);
        }
        life.tell_of_administrators(admins);
        life.tracks.shrink_to_fit();
        life
    }

    /// How the casts of a track's rota are arranged.
    fn casting(&self, track: &Track) -> Key {
        self.rotas[track.rota].casting
    }

    pub(super) fn track(&self, index: usize) -> &Track {
        &self.tracks[index]
    }

    pub(super) fn tracks(&self) -> impl Iterator<Item = (usize, &Track)> {
        self.tracks.iter().enumerate()
    }

    /// The moment that comes right after `at`: what lies before it happened at or before `at`.
    pub(super) fn after(&self, at: Millis) -> Moment {
        let next = Millis(at.0 + 1);
        Moment { at, office: self.office.effort(next), uptime: self.uptime.effort(next) }
    }

    /// How many events of a track happened at or before the moment's instant.
    pub(super) fn count(&self, track: usize, moment: Moment) -> u64 {
        let told = &self.tracks[track];
        let rota = &self.rotas[told.rota];
        let effort = match told.story {
            Story::Report => moment.uptime,
            _ => moment.office,
        };
        let turns = match told.when {
            When::Turn => rota.turns_before(effort, 0, rota.jitter),
            When::Blocks(blocks) => rota.turns_before(effort, blocks * rota.block, told.key),
            When::Effort(later) => rota.turns_before(effort, later, rota.jitter),
            When::Echo { of, from, to } => {
                let surely = self.count_base(of, told.cast, self.after(Millis(moment.at.0 - to)));
                let perhaps = self.count_base(of, told.cast, self.after(Millis(moment.at.0 - from)));
                let late = (surely..perhaps).filter(|&index| self.at(track, index) <= moment.at).count();
                return surely + late as u64;
            }
        };
        told.cast.before(self.casting(told), turns)
    }

    /// How many events of an echo's base happened by a moment, of the echo's own cast.
    fn count_base(&self, base: usize, cast: Cast, moment: Moment) -> u64 {
        let (base_cast, casting) = (self.tracks[base].cast, self.casting(&self.tracks[base]));
        let count = self.count(base, moment);
        if base_cast == cast { count } else { cast.before(casting, base_cast.turn(casting, count)) }
    }

    /// When the `index`-th event of a track happens.
    pub(super) fn at(&self, track: usize, index: u64) -> Millis {
        let told = &self.tracks[track];
        let rota = &self.rotas[told.rota];
        let turn = told.cast.turn(self.casting(told), index);
        let effort = match told.when {
            When::Turn => rota.effort_of(turn, 0, rota.jitter),
            When::Blocks(blocks) => rota.effort_of(turn, blocks * rota.block, told.key),
            When::Effort(later) => rota.effort_of(turn, later, rota.jitter),
            When::Echo { of, from, to } => {
                let base = self.at(of, self.tracks[of].cast.before(self.casting(told), turn));
                let delay = told.key.below(turn, (to - from).cast_unsigned() + 1).cast_signed() + from;
                return Millis(base.0 + delay);
            }
        };
        match told.story {
            Story::Report => self.uptime.instant(effort),
            _ => self.office.instant(effort),
        }
    }

    /// Adds the events of a track that happened after one moment and not after another.
    pub(super) fn collect(&self, track: usize, after: Moment, until: Moment, into: &mut Vec<Happening>) {
        let told = &self.tracks[track];
        if let When::Echo { of, from, to } = told.when {
            // Echoes overtake each other: look at all whose cause lies near enough.
            let first = self.count_base(of, told.cast, self.after(Millis(after.at.0 - to)));
            let last = self.count_base(of, told.cast, self.after(Millis(until.at.0 - from)));
            into.extend(
                (first..last)
                    .map(|index| Happening { at: self.at(track, index), track, index })
                    .filter(|happening| happening.at > after.at && happening.at <= until.at),
            );
        } else {
            let (first, last) = (self.count(track, after), self.count(track, until));
            into.extend((first..last).map(|index| Happening { at: self.at(track, index), track, index }));
        }
    }

    /// Adds the events of a track, between two moments, that tell of one place of the fleet.
    pub(super) fn collect_of(&self, track: usize, slot: u64, after: Moment, until: Moment, into: &mut Vec<Happening>) {
        let told = &self.tracks[track];
        let rota = &self.rotas[told.rota];
        if told.story == Story::Office || !rota.has(slot) {
            return;
        }
        let (from, to) = match told.story {
            Story::Report => (after.uptime, until.uptime),
            _ => (after.office, until.office),
        };
        // Events come up to so much effort after their turn; what an echo adds or takes is less than a round.
        let later = match told.when {
            When::Turn => 0,
            When::Blocks(blocks) => (blocks + 1) * rota.block,
            When::Effort(later) => later,
            When::Echo { of, .. } => match self.tracks[of].when {
                When::Blocks(blocks) => (blocks + 1) * rota.block,
                When::Effort(later) => later,
                When::Turn | When::Echo { .. } => 0,
            },
        };
        into.extend(
            rota.turns_near(slot, from.saturating_sub(later), to)
                .filter_map(|turn| self.index_of(track, turn))
                .map(|index| Happening { at: self.at(track, index), track, index })
                .filter(|happening| happening.at > after.at && happening.at <= until.at),
        );
    }

    /// Which event of a track tells of a turn, if one does: the inverse of [`turn`](Self::turn).
    fn index_of(&self, track: usize, turn: u64) -> Option<u64> {
        let told = &self.tracks[track];
        match told.when {
            When::Turn | When::Effort(_) => {
                told.cast.has(self.casting(told), turn).then(|| told.cast.before(self.casting(told), turn))
            }
            When::Blocks(_) => told.cast.has(self.casting(told), turn).then(|| {
                let (order, start) = self.pairing(told, turn);
                start + order.forward(told.cast.before(self.casting(told), turn) - start)
            }),
            When::Echo { of, .. } => {
                let told_at = self.tracks[of].cast.turn(self.casting(told), self.index_of(of, turn)?);
                told.cast.has(self.casting(told), told_at).then(|| told.cast.before(self.casting(told), told_at))
            }
        }
    }

    /// The turn that an event tells of.
    pub(super) fn turn(&self, happening: &Happening) -> u64 {
        let told = &self.tracks[happening.track];
        match told.when {
            When::Turn | When::Effort(_) => told.cast.turn(self.casting(told), happening.index),
            When::Blocks(_) => {
                let (order, start) = self.pairing(told, told.cast.turn(self.casting(told), happening.index));
                told.cast.turn(self.casting(told), start + order.backward(happening.index - start))
            }
            When::Echo { of, .. } => {
                let slot_turn = told.cast.turn(self.casting(told), happening.index);
                let base = Happening {
                    track: of,
                    index: self.tracks[of].cast.before(self.casting(told), slot_turn),
                    ..*happening
                };
                self.turn(&base)
            }
        }
    }

    /// The effort at which a track that comes some blocks later tells of a turn.
    fn effort_of(&self, track: usize, turn: u64) -> u64 {
        let track = &self.tracks[track];
        let rota = &self.rotas[track.rota];
        match track.when {
            When::Blocks(blocks) => {
                let (order, start) = self.pairing(track, turn);
                let index = start + order.forward(track.cast.before(self.casting(track), turn) - start);
                rota.effort_of(track.cast.turn(self.casting(track), index), blocks * rota.block, track.key)
            }
            _ => rota.effort_of(turn, 0, rota.jitter),
        }
    }

    /// Which ending of a block belongs to which beginning, and the index of the first of them.
    fn pairing(&self, track: &Track, turn: u64) -> (Permutation, u64) {
        let (block, turns) = self.rotas[track.rota].block_of(turn);
        let (start, end) =
            (track.cast.before(self.casting(track), turns.start), track.cast.before(self.casting(track), turns.end));
        (Permutation::new(track.key.sub(block), end - start), start)
    }

    /// The device that an event tells of; none for the events of administrators.
    pub(super) fn device(&self, happening: &Happening) -> Option<DeviceRef> {
        let told = &self.tracks[happening.track];
        let rota = &self.rotas[told.rota];
        let turn = self.turn(happening);
        let slot = rota.slot_of(turn);
        let generation = match told.story {
            Story::Office => return None,
            Story::Enrolment => 0,
            Story::Arrival => rota.round_of(turn) + 1,
            Story::Departure => rota.round_of(turn),
            Story::Report | Story::Browse => self.generation(slot, self.office.effort(happening.at)),
            Story::Compliance | Story::Grant | Story::Care => {
                self.generation(slot, rota.effort_of(turn, 0, rota.jitter))
            }
        };
        Some(DeviceRef { slot, generation })
    }

    /// The administrator whose day an event tells of.
    pub(super) fn officer(&self, happening: &Happening) -> Option<u64> {
        let told = &self.tracks[happening.track];
        (told.story == Story::Office).then(|| self.rotas[told.rota].slot_of(self.turn(happening)))
    }

    /// The generations of a place of the fleet of which something is heard between two moments.
    pub(super) fn generations(&self, slot: u64, after: Moment, until: Moment) -> std::ops::RangeInclusive<u64> {
        // The one before may not have left yet, or end what it began.
        self.generation(slot, after.office).saturating_sub(1)..=self.generation(slot, until.office)
    }

    /// Which device is at a place of the fleet at an effort of the office.
    fn generation(&self, slot: u64, effort: u64) -> u64 {
        let life = self.lives.iter().map(|&rota| &self.rotas[rota]).find(|rota| rota.has(slot));
        life.map_or(0, |rota| rota.turns_of(slot, effort).0)
    }

    /// The status that a device had when an instant was over, and the lapse of compliance that it was in: randomness, and
    /// the turn, as [`detail`](Self::detail) has them for the events of the lapse.
    pub(super) fn status(&self, device: DeviceRef, at: Millis) -> (Status, Option<(Key, u64)>) {
        let now = self.after(at).office;
        let compliant = (Status::Compliant, None);
        let Some(compliance) = self.compliance.iter().find(|found| self.rotas[found.rota].has(device.slot)) else {
            return compliant;
        };
        let rota = &self.rotas[compliance.rota];
        let (_, Some(turn)) = rota.turns_of(device.slot, now) else { return compliant };
        let began = rota.effort_of(turn, 0, rota.jitter);
        if !NONCOMPLIANT.has(rota.casting, turn) || self.generation(device.slot, began) != device.generation {
            return compliant;
        }
        let happened =
            |track: usize| self.tracks[track].cast.has(rota.casting, turn) && self.effort_of(track, turn) < now;
        if compliance.ends.into_iter().any(happened) {
            return compliant;
        }
        let exempted = happened(compliance.exempt) && !happened(compliance.unexempt);
        let status = if exempted { Status::Exempted } else { Status::NonCompliant };
        (status, Some((rota.order.lane(Lane::Detail), turn)))
    }

    /// Whether the non-compliance that a turn tells of is mended within hours.
    pub(super) fn lapses_briefly(&self, slot: u64, turn: u64) -> bool {
        let compliance = self.compliance.iter().find(|found| self.rotas[found.rota].has(slot));
        compliance.is_some_and(|found| BRIEF.has(self.rotas[found.rota].casting, turn))
    }

    /// How many hours an exemption is granted for: as long as it lasts, rounded up to what a console offers.
    pub(super) fn exemption_hours(&self, exempt: &Happening) -> i64 {
        const OFFERED: [i64; 7] = [12, 24, 48, 72, 96, 168, 336];
        let rota = self.tracks[exempt.track].rota;
        let turn = self.turn(exempt);
        let Some(compliance) = self.compliance.iter().find(|found| found.rota == rota) else { return OFFERED[1] };
        let ends = self.office.instant(self.effort_of(compliance.unexempt, turn));
        let hours = (ends.0 - exempt.at.0) / 3_600_000 + 1;
        OFFERED.into_iter().find(|offered| *offered >= hours).unwrap_or(hours)
    }

    /// Randomness for what an event says. Events that tell of the same turn of the same story share it.
    pub(super) fn detail(&self, happening: &Happening) -> (Key, u64) {
        (self.rotas[self.tracks[happening.track].rota].order.lane(Lane::Detail), self.turn(happening))
    }

    /// Randomness for how late the events of a track become visible.
    pub(super) fn lag_key(&self, track: usize) -> Key {
        self.tracks[track].key.lane(Lane::Lag)
    }

    /// The hours from the beginning of a story to one of its later events, at least 1.
    pub(super) fn hours_since_turn(&self, happening: &Happening) -> i64 {
        let rota = &self.rotas[self.tracks[happening.track].rota];
        let began = self.office.instant(rota.effort_of(self.turn(happening), 0, rota.jitter));
        ((happening.at.0 - began.0) / 3_600_000).max(1)
    }

    fn tell_of_devices(&mut self, fleet: Fleet) {
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

    fn tell_of_administrators(&mut self, admins: u64) {
        let people = Fleet { agent: AgentType::Endpoint, first: 0, devices: admins };
        let day = self.office.day();
        let rota = self.rota(people, 0, 1, day, 1);
        let login = self.add(people, Story::Office, rota, Kind::Admin(AdminEvent::Login), Cast::ALL, When::Turn);
        let failed = Cast::range(20, 28);
        let before = When::Echo { of: login, from: -90_000, to: -9_000 };
        self.add(people, Story::Office, rota, Kind::Admin(AdminEvent::FailedAuth), failed, before);
        for (event, cast, minutes) in [
            (AdminEvent::Config, Cast::range(0, 22), 9),
            (AdminEvent::RevMobileCode, Cast::range(26, 32), 14),
            (AdminEvent::SubmitTicket, Cast::range(32, 37), 22),
            (AdminEvent::Whitelist, Cast::range(37, 45), 31),
            (AdminEvent::ChangedPassword, Cast::range(45, 48), 3),
            (AdminEvent::CacChange, Cast::range(48, 52), 17),
        ] {
            let soon = When::Echo { of: login, from: minutes * 60_000, to: (minutes + 4) * 60_000 };
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
            if cast.0 != 0 {
                let when = When::Echo { of, from: 120 + later, to: 5_000 + later };
                let entry = self.add(fleet, story, rota, Kind::Webhook(event), cast, when);
                self.tracks[entry].nth = nth;
                self.tracks[entry].key = key;
            }
        }
    }

    /// Whether the webhook's receiver fails at an attempt.
    pub(super) fn receiver_fails(&self, attempt: &Happening) -> bool {
        let told = &self.tracks[attempt.track];
        let turn = told.cast.turn(self.casting(told), attempt.index);
        match told.nth {
            0 => RECEIVER_FAILS.has(self.casting(told), turn),
            1 => RECEIVER_FAILS_TWICE.has(self.casting(told), turn),
            _ => false,
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
        let agent = (kind.stream() != Stream::Admin).then_some(fleet.agent);
        self.tracks.push(Track { kind, agent, story, nth: 0, rota, cast, when, key });
        self.tracks.len() - 1
    }
}

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
