//! How what happens is counted and found.
//!
//! Everything that happens is part of a process (`processes` has them all). A process befalls the members of a [`Schedule`] occurrence by occurrence.
//! Its events are [`Track`]s: at the occurrence itself, some blocks later, some active_ms later, or as the echo of another track
//! (the login before an administrator's act, the webhook after a change). All are counted and found without looking at
//! others; only for an echo, those few are looked at whose cause lies within its delay.
//!
//! Which version of a process a occurrence tells is decided for 64 occurrences at a time: a [`VariantMask`] is a set of 64 bits that is
//! rearranged for each run, so counting the occurrences of a mask is counting bits.

use super::{
    Millis,
    activity::Action,
    admin::AdminEvent,
    calendar::{ActivityCalendar, CalendarKind},
    device::DeviceEvent,
    processes::{BRIEF, NONCOMPLIANT, RECEIVER_FAILS, RECEIVER_FAILS_TWICE},
    random::{Key, Permutation, RngStream},
    roster::AgentType,
    schedule::Schedule,
    variants::VariantMask,
    webhook::WebhookEvent,
};

/// 2013-10-04T08:00:00Z, when the company's account was made. Nothing happened before.
pub(super) const ACCOUNT_MADE: Millis = Millis(1_380_873_600_000);

/// What kind of event a track tells. Its category follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Device(DeviceEvent),
    Admin(AdminEvent),
    Webhook(WebhookEvent),
    Report,
    Access(Action),
    /// Nothing is spec of it; others are its echoes.
    Silent,
}

/// One of the five sequences of events that the APIs tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Category {
    /// What happens to devices.
    Device = 0,
    /// What administrators do.
    Admin = 1,
    /// What the company's webhook was spec.
    Webhook = 2,
    /// What devices report of themselves.
    DeviceReport = 3,
    /// Which applications devices access.
    Activity = 4,
}

impl Category {
    /// All categories.
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
    pub(super) fn category(self) -> Option<Category> {
        match self {
            Self::Device(_) => Some(Category::Device),
            Self::Admin(_) => Some(Category::Admin),
            Self::Webhook(_) => Some(Category::Webhook),
            Self::Report => Some(Category::DeviceReport),
            Self::Access(_) => Some(Category::Activity),
            Self::Silent => None,
        }
    }

    /// The place of this kind in the list of its category's codes.
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

/// A sequence of events of one kind, spec of the occurrences of one mask of one schedule.
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
    fn slack(&self) -> i64 {
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

/// One event, before it is spec: which track, which of its events, when.
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
    working_hours: u64,
    device_uptime: u64,
}

/// All processes of one company.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    pub(super) working_hours: ActivityCalendar,
    pub(super) device_uptime: ActivityCalendar,
    pub(super) schedules: Vec<Schedule>,
    pub(super) tracks: Vec<Track>,
    /// The schedules by which devices replace each other.
    pub(super) replacements: Vec<usize>,
    pub(super) compliance: Vec<Compliance>,
    pub(super) key: Key,
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

impl Timeline {
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

    /// How the masks of a track's schedule are arranged.
    fn variant_key(&self, track: &Track) -> Key {
        self.schedules[track.schedule].variant_key
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
        Moment {
            at,
            working_hours: self.working_hours.active_ms(next),
            device_uptime: self.device_uptime.active_ms(next),
        }
    }

    /// How many events of a track happened at or before the moment's instant.
    pub(super) fn count(&self, track: usize, moment: Moment) -> u64 {
        let spec = &self.tracks[track];
        let schedule = &self.schedules[spec.schedule];
        let active_ms = match spec.process {
            Process::Report => moment.device_uptime,
            _ => moment.working_hours,
        };
        let occurrences = match spec.when {
            When::Occurrence => schedule.occurrences_before(active_ms, 0, schedule.jitter),
            When::Blocks(blocks) => schedule.occurrences_before(active_ms, blocks * schedule.block, spec.key),
            When::ActiveTime(later) => schedule.occurrences_before(active_ms, later, schedule.jitter),
            When::Echo { of, from, to } => {
                let slack = spec.slack();
                let surely = self.count_base(of, spec.mask, self.after(Millis(moment.at.0 - to - slack)));
                let perhaps = self.count_base(of, spec.mask, self.after(Millis(moment.at.0 - from + slack)));
                let late = (surely..perhaps).filter(|&index| self.at(track, index) <= moment.at).count();
                return surely + late as u64;
            }
        };
        spec.mask.before(self.variant_key(spec), occurrences)
    }

    /// How many events of an echo's base happened by a moment, of the echo's own mask.
    fn count_base(&self, base: usize, mask: VariantMask, moment: Moment) -> u64 {
        let (base_cast, variant_key) = (self.tracks[base].mask, self.variant_key(&self.tracks[base]));
        let count = self.count(base, moment);
        if base_cast == mask { count } else { mask.before(variant_key, base_cast.occurrence(variant_key, count)) }
    }

    /// When the `index`-th event of a track happens.
    pub(super) fn at(&self, track: usize, index: u64) -> Millis {
        let spec = &self.tracks[track];
        let schedule = &self.schedules[spec.schedule];
        let occurrence = spec.mask.occurrence(self.variant_key(spec), index);
        let active_ms = match spec.when {
            When::Occurrence => schedule.active_ms_of(occurrence, 0, schedule.jitter),
            When::Blocks(blocks) => schedule.active_ms_of(occurrence, blocks * schedule.block, spec.key),
            When::ActiveTime(later) => schedule.active_ms_of(occurrence, later, schedule.jitter),
            When::Echo { of, from, to } => {
                let base = self.at(of, self.tracks[of].mask.before(self.variant_key(spec), occurrence));
                let delay = spec.key.below(occurrence, (to - from).cast_unsigned() + 1).cast_signed() + from;
                let at = base.0 + delay;
                return Millis(spec.residue.map_or(at, |residue| at - at.rem_euclid(SHARED_MS) + residue));
            }
        };
        match spec.process {
            Process::Report => self.device_uptime.instant(active_ms),
            _ => self.working_hours.instant(active_ms),
        }
    }

    /// Adds the events of a track that happened after one moment and not after another.
    pub(super) fn collect(&self, track: usize, after: Moment, until: Moment, into: &mut Vec<EventRef>) {
        let spec = &self.tracks[track];
        if let When::Echo { of, from, to } = spec.when {
            // Echoes overtake each other: look at all whose cause lies near enough.
            let slack = spec.slack();
            let first = self.count_base(of, spec.mask, self.after(Millis(after.at.0 - to - slack)));
            let last = self.count_base(of, spec.mask, self.after(Millis(until.at.0 - from + slack)));
            into.extend(
                (first..last)
                    .map(|index| EventRef { at: self.at(track, index), track, index })
                    .filter(|event_ref| event_ref.at > after.at && event_ref.at <= until.at),
            );
        } else {
            let (first, last) = (self.count(track, after), self.count(track, until));
            into.extend((first..last).map(|index| EventRef { at: self.at(track, index), track, index }));
        }
    }

    /// Adds the events of a track, between two moments, that tell of one slot of the fleet.
    pub(super) fn collect_of(&self, track: usize, slot: u64, after: Moment, until: Moment, into: &mut Vec<EventRef>) {
        let spec = &self.tracks[track];
        let schedule = &self.schedules[spec.schedule];
        if spec.process == Process::AdminDay || !schedule.has(slot) {
            return;
        }
        let (from, to) = match spec.process {
            Process::Report => (after.device_uptime, until.device_uptime),
            _ => (after.working_hours, until.working_hours),
        };
        // Events come up to so much active_ms after their occurrence; what an echo adds or takes is less than a round.
        let later = match spec.when {
            When::Occurrence => 0,
            When::Blocks(blocks) => (blocks + 1) * schedule.block,
            When::ActiveTime(later) => later,
            When::Echo { of, .. } => match self.tracks[of].when {
                When::Blocks(blocks) => (blocks + 1) * schedule.block,
                When::ActiveTime(later) => later,
                When::Occurrence | When::Echo { .. } => 0,
            },
        };
        into.extend(
            schedule
                .occurrences_near(slot, from.saturating_sub(later), to)
                .filter_map(|occurrence| self.index_of(track, occurrence))
                .map(|index| EventRef { at: self.at(track, index), track, index })
                .filter(|event_ref| event_ref.at > after.at && event_ref.at <= until.at),
        );
    }

    /// Which event of a track tells of a occurrence, if one does: the inverse of [`occurrence`](Self::occurrence).
    fn index_of(&self, track: usize, occurrence: u64) -> Option<u64> {
        let spec = &self.tracks[track];
        match spec.when {
            When::Occurrence | When::ActiveTime(_) => spec
                .mask
                .has(self.variant_key(spec), occurrence)
                .then(|| spec.mask.before(self.variant_key(spec), occurrence)),
            When::Blocks(_) => spec.mask.has(self.variant_key(spec), occurrence).then(|| {
                let (order, start) = self.pairing(spec, occurrence);
                start + order.forward(spec.mask.before(self.variant_key(spec), occurrence) - start)
            }),
            When::Echo { of, .. } => {
                let spec_occurrence =
                    self.tracks[of].mask.occurrence(self.variant_key(spec), self.index_of(of, occurrence)?);
                spec.mask
                    .has(self.variant_key(spec), spec_occurrence)
                    .then(|| spec.mask.before(self.variant_key(spec), spec_occurrence))
            }
        }
    }

    /// The occurrence that an event tells of.
    pub(super) fn occurrence(&self, event_ref: &EventRef) -> u64 {
        let spec = &self.tracks[event_ref.track];
        match spec.when {
            When::Occurrence | When::ActiveTime(_) => spec.mask.occurrence(self.variant_key(spec), event_ref.index),
            When::Blocks(_) => {
                let (order, start) = self.pairing(spec, spec.mask.occurrence(self.variant_key(spec), event_ref.index));
                spec.mask.occurrence(self.variant_key(spec), start + order.backward(event_ref.index - start))
            }
            When::Echo { of, .. } => {
                let slot_occurrence = spec.mask.occurrence(self.variant_key(spec), event_ref.index);
                let base = EventRef {
                    track: of,
                    index: self.tracks[of].mask.before(self.variant_key(spec), slot_occurrence),
                    ..*event_ref
                };
                self.occurrence(&base)
            }
        }
    }

    /// The active_ms at which a track that comes some blocks later tells of a occurrence.
    fn active_ms_of(&self, track: usize, occurrence: u64) -> u64 {
        let track = &self.tracks[track];
        let schedule = &self.schedules[track.schedule];
        match track.when {
            When::Blocks(blocks) => {
                let (order, start) = self.pairing(track, occurrence);
                let index = start + order.forward(track.mask.before(self.variant_key(track), occurrence) - start);
                schedule.active_ms_of(
                    track.mask.occurrence(self.variant_key(track), index),
                    blocks * schedule.block,
                    track.key,
                )
            }
            _ => schedule.active_ms_of(occurrence, 0, schedule.jitter),
        }
    }

    /// Which ending of a block belongs to which beginning, and the index of the first of them.
    fn pairing(&self, track: &Track, occurrence: u64) -> (Permutation, u64) {
        let (block, occurrences) = self.schedules[track.schedule].block_of(occurrence);
        let (start, end) = (
            track.mask.before(self.variant_key(track), occurrences.start),
            track.mask.before(self.variant_key(track), occurrences.end),
        );
        (Permutation::new(track.key.sub(block), end - start), start)
    }

    /// The device that an event tells of; none for the events of administrators.
    pub(super) fn device(&self, event_ref: &EventRef) -> Option<DeviceRef> {
        let spec = &self.tracks[event_ref.track];
        let schedule = &self.schedules[spec.schedule];
        let occurrence = self.occurrence(event_ref);
        let slot = schedule.slot_of(occurrence);
        let generation = match spec.process {
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

    /// The administrator whose day an event tells of.
    pub(super) fn acting_admin(&self, event_ref: &EventRef) -> Option<u64> {
        let spec = &self.tracks[event_ref.track];
        (spec.process == Process::AdminDay).then(|| self.schedules[spec.schedule].slot_of(self.occurrence(event_ref)))
    }

    /// The generations of a slot of the fleet of which something is heard between two moments.
    pub(super) fn generations(&self, slot: u64, after: Moment, until: Moment) -> std::ops::RangeInclusive<u64> {
        // The one before may not have left yet, or end what it began.
        self.generation(slot, after.working_hours).saturating_sub(1)..=self.generation(slot, until.working_hours)
    }

    /// Which device is at a slot of the fleet at an instant.
    pub(super) fn device_at(&self, slot: u64, at: Millis) -> DeviceRef {
        DeviceRef { slot, generation: self.generation(slot, self.after(at).working_hours) }
    }

    /// Which device is at a slot of the fleet at an active_ms of the working_hours.
    fn generation(&self, slot: u64, active_ms: u64) -> u64 {
        let replacement =
            self.replacements.iter().map(|&schedule| &self.schedules[schedule]).find(|schedule| schedule.has(slot));
        replacement.map_or(0, |schedule| schedule.occurrences_of(slot, active_ms).0)
    }

    /// The status that a device had when an instant was over, and the noncompliance of compliance that it was in: randomness, and
    /// the occurrence, as [`detail`](Self::detail) has them for the events of the noncompliance.
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

    /// Whether the non-compliance that a occurrence tells of is mended within hours.
    pub(super) fn is_brief(&self, slot: u64, occurrence: u64) -> bool {
        let compliance = self.compliance.iter().find(|found| self.schedules[found.schedule].has(slot));
        compliance.is_some_and(|found| BRIEF.has(self.schedules[found.schedule].variant_key, occurrence))
    }

    /// How many hours an exemption is granted for: as long as it lasts, rounded up to what a console offers.
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

    /// Randomness for what an event says. Events that tell of the same occurrence of the same process share it.
    pub(super) fn detail(&self, event_ref: &EventRef) -> (Key, u64) {
        (
            self.schedules[self.tracks[event_ref.track].schedule].order.stream(RngStream::Detail),
            self.occurrence(event_ref),
        )
    }

    /// Randomness for how late the events of a track become visible.
    pub(super) fn lag_key(&self, track: usize) -> Key {
        self.tracks[track].key.stream(RngStream::Lag)
    }

    /// The hours from the beginning of a process to one of its later events, at least 1.
    pub(super) fn hours_since_start(&self, event_ref: &EventRef) -> i64 {
        let schedule = &self.schedules[self.tracks[event_ref.track].schedule];
        let began = self.working_hours.instant(schedule.active_ms_of(self.occurrence(event_ref), 0, schedule.jitter));
        ((event_ref.at.0 - began.0) / 3_600_000).max(1)
    }

    /// Whether the webhook's receiver fails at an attempt.
    pub(super) fn receiver_fails(&self, attempt: &EventRef) -> bool {
        let spec = &self.tracks[attempt.track];
        let occurrence = spec.mask.occurrence(self.variant_key(spec), attempt.index);
        match spec.nth {
            0 => RECEIVER_FAILS.has(self.variant_key(spec), occurrence),
            1 => RECEIVER_FAILS_TWICE.has(self.variant_key(spec), occurrence),
            _ => false,
        }
    }
}
