//! How what happens is counted and found.
//!
//! Everything that happens is part of a story (`stories` has them all). A story befalls the members of a [`Rota`] turn by turn.
//! Its events are [`Track`]s: at the turn itself, some blocks later, some effort later, or as the echo of another track
//! (the login before an administrator's act, the webhook after a change). All are counted and found without looking at
//! others; only for an echo, those few are looked at whose cause lies within its delay.
//!
//! Which version of a story a turn tells is decided for 64 turns at a time: a [`Cast`] is a set of 64 bits that is
//! rearranged for each run, so counting the turns of a cast is counting bits.

use super::{
    Millis,
    activity::Action,
    admin::AdminEvent,
    cast::Cast,
    device::DeviceEvent,
    random::{Key, Lane, Permutation},
    rhythm::{Beat, Rhythm},
    roster::AgentType,
    rota::Rota,
    stories::{BRIEF, NONCOMPLIANT, RECEIVER_FAILS, RECEIVER_FAILS_TWICE},
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
    /// Nothing is told of it; others are its echoes.
    Silent,
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

    /// The name of the category: as v3.3 has it, and `activity`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Admin => "admin",
            Self::Webhook => "webhook",
            Self::DeviceReport => "device_report",
            Self::Activity => "activity",
        }
    }
}

impl Kind {
    pub(super) fn stream(self) -> Option<Stream> {
        match self {
            Self::Device(_) => Some(Stream::Device),
            Self::Admin(_) => Some(Stream::Admin),
            Self::Webhook(_) => Some(Stream::Webhook),
            Self::Report => Some(Stream::DeviceReport),
            Self::Access(_) => Some(Stream::Activity),
            Self::Silent => None,
        }
    }

    /// The place of this kind in the list of its stream's codes.
    pub(super) fn ordinal(self) -> u8 {
        match self {
            Self::Device(event) => event as u8,
            Self::Admin(event) => event as u8,
            Self::Webhook(event) => event as u8,
            Self::Report | Self::Silent => 0,
            Self::Access(action) => action as u8,
        }
    }
}

/// When a track's events come, seen from the turns of its rota.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
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
    pub(super) rota: usize,
    pub(super) cast: Cast,
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
    fn slack(&self) -> i64 {
        if self.residue.is_some() { SHARED_MS } else { 0 }
    }
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

/// All stories of one company.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    pub(super) office: Rhythm,
    pub(super) uptime: Rhythm,
    pub(super) rotas: Vec<Rota>,
    pub(super) tracks: Vec<Track>,
    /// The rotas by which devices replace each other.
    pub(super) lives: Vec<usize>,
    pub(super) compliance: Vec<Compliance>,
    pub(super) key: Key,
}

/// Where to look up the status of a fleet's devices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compliance {
    pub(super) rota: usize,
    /// The tracks that end a non-compliance, one for each cast of it.
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
                let slack = told.slack();
                let surely = self.count_base(of, told.cast, self.after(Millis(moment.at.0 - to - slack)));
                let perhaps = self.count_base(of, told.cast, self.after(Millis(moment.at.0 - from + slack)));
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
                let at = base.0 + delay;
                return Millis(told.residue.map_or(at, |residue| at - at.rem_euclid(SHARED_MS) + residue));
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
            let slack = told.slack();
            let first = self.count_base(of, told.cast, self.after(Millis(after.at.0 - to - slack)));
            let last = self.count_base(of, told.cast, self.after(Millis(until.at.0 - from + slack)));
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

    /// Which device is at a place of the fleet at an instant.
    pub(super) fn device_at(&self, slot: u64, at: Millis) -> DeviceRef {
        DeviceRef { slot, generation: self.generation(slot, self.after(at).office) }
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
}
