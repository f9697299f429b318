//! How events are counted and found.
//!
//! Every event belongs to a [`Track`]: at an occurrence of a schedule, some blocks later, some active time later, or as the
//! echo of another track (the login before an administrator's act, the webhook entry after a change). How many events a
//! track has before an instant, and when its n-th event happens, are closed forms: nothing is summed and nothing is stored.
//! Only for an echo, the few events are looked at whose cause lies within its delay.
//!
//! Which variant of a process an occurrence takes is decided for 64 occurrences at a time: a [`VariantMask`] is a set of 64
//! bits that is rearranged for each run, so counting the occurrences of a variant is counting bits.

use super::{
    processes::Processes,
    random::{Key, Permutation, RngStream},
    time::Millis,
    tracks::{EventRef, Process, SHARED_MS, Track, When},
    variants::VariantMask,
};

/// An instant, as both rhythms count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Millis,
    pub(super) working_hours: u64,
    pub(super) device_uptime: u64,
}

impl Processes {
    /// How the masks of a track's schedule are arranged.
    pub(super) fn variant_key(&self, track: &Track) -> Key {
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
    pub(super) fn active_ms_of(&self, track: usize, occurrence: u64) -> u64 {
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

    /// Randomness for how late the events of a track become visible.
    pub(super) fn lag_key(&self, track: usize) -> Key {
        self.tracks[track].key.stream(RngStream::Lag)
    }
}
