//! Counts and finds events.
//!
//! Each event belongs to a [`Track`]. It happens at an occurrence of a schedule, some blocks or some active time after
//! it, or as an echo of an event of another track (the login before an administrator's action, the webhook attempt
//! after a change). The number of events of a track before an instant and the time of its n-th event are computed
//! directly, without summation and without stored data. Only an echo needs a look at single events: the few whose base
//! event is within the delay range.
//!
//! Variants of a process are assigned to runs of 64 occurrences: a [`VariantMask`] is a set of 64 bits, and each run
//! has its own arrangement of the bits. Counting the occurrences of a variant is therefore counting bits.

use super::{
    processes::Processes,
    random::{Key, Permutation, RngStream},
    time::Millis,
    tracks::{EventRef, Process, SHARED_MS, Track, When},
    variants::VariantMask,
};

/// An instant, with the active time in both calendars at the end of its millisecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Millis,
    pub(super) working_hours: u64,
    pub(super) device_uptime: u64,
}

impl Processes {
    /// The key for the arrangement of the variant masks of a track's schedule.
    pub(super) fn variant_key(&self, track: &Track) -> Key {
        self.schedules[track.schedule].variant_key
    }

    pub(super) fn track(&self, index: usize) -> &Track {
        &self.tracks[index]
    }

    pub(super) fn tracks(&self) -> impl Iterator<Item = (usize, &Track)> {
        self.tracks.iter().enumerate()
    }

    /// The moment at the end of the millisecond `at`: events before it happened at or before `at`.
    pub(super) fn after(&self, at: Millis) -> Moment {
        let next = Millis(at.0 + 1);
        Moment {
            at,
            working_hours: self.working_hours.active_ms(next),
            device_uptime: self.device_uptime.active_ms(next),
        }
    }

    /// Counts the events of a track that happened at or before a moment.
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
            When::ActiveTime(delay_active_ms) => {
                schedule.occurrences_before(active_ms, delay_active_ms, schedule.jitter)
            }
            When::Echo { of, from, to } => {
                let slack = spec.slack();
                let lower = self.count_base(of, spec.mask, self.after(Millis(moment.at.0 - to - slack)));
                let upper = self.count_base(of, spec.mask, self.after(Millis(moment.at.0 - from + slack)));
                let within = (lower..upper).filter(|&index| self.at(track, index) <= moment.at).count();
                return lower + within as u64;
            }
        };
        spec.mask.before(self.variant_key(spec), occurrences)
    }

    /// Counts the events of an echo's base track that happened at or before a moment and belong to the echo's mask.
    fn count_base(&self, base: usize, mask: VariantMask, moment: Moment) -> u64 {
        let (base_mask, variant_key) = (self.tracks[base].mask, self.variant_key(&self.tracks[base]));
        let count = self.count(base, moment);
        if base_mask == mask { count } else { mask.before(variant_key, base_mask.occurrence(variant_key, count)) }
    }

    /// The time of the event with number `index` of a track.
    pub(super) fn at(&self, track: usize, index: u64) -> Millis {
        let spec = &self.tracks[track];
        let schedule = &self.schedules[spec.schedule];
        let occurrence = spec.mask.occurrence(self.variant_key(spec), index);
        let active_ms = match spec.when {
            When::Occurrence => schedule.active_ms_of(occurrence, 0, schedule.jitter),
            When::Blocks(blocks) => schedule.active_ms_of(occurrence, blocks * schedule.block, spec.key),
            When::ActiveTime(delay_active_ms) => schedule.active_ms_of(occurrence, delay_active_ms, schedule.jitter),
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

    /// Adds the events of a track that happened after the moment `after` and not after `until`.
    pub(super) fn collect(&self, track: usize, after: Moment, until: Moment, into: &mut Vec<EventRef>) {
        let spec = &self.tracks[track];
        if let When::Echo { of, from, to } = spec.when {
            // Echoes are not in the order of their base events: examine all whose base event is within the delay range.
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

    /// Adds the events of a track that happened between two moments and are about one slot of the fleet.
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
        // The maximum active time from an occurrence to its event. The delay of an echo is less than a round, which
        // `occurrences_near` adds at each end.
        let delay_active_ms = match spec.when {
            When::Occurrence => 0,
            When::Blocks(blocks) => (blocks + 1) * schedule.block,
            When::ActiveTime(delay_active_ms) => delay_active_ms,
            When::Echo { of, .. } => match self.tracks[of].when {
                When::Blocks(blocks) => (blocks + 1) * schedule.block,
                When::ActiveTime(delay_active_ms) => delay_active_ms,
                When::Occurrence | When::Echo { .. } => 0,
            },
        };
        into.extend(
            schedule
                .occurrences_near(slot, from.saturating_sub(delay_active_ms), to)
                .filter_map(|occurrence| self.index_of(track, occurrence))
                .map(|index| EventRef { at: self.at(track, index), track, index })
                .filter(|event_ref| event_ref.at > after.at && event_ref.at <= until.at),
        );
    }

    /// The index of the event of a track that belongs to an occurrence; `None` if it has none. The inverse of
    /// [`occurrence`](Self::occurrence).
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
                let mask_occurrence =
                    self.tracks[of].mask.occurrence(self.variant_key(spec), self.index_of(of, occurrence)?);
                spec.mask
                    .has(self.variant_key(spec), mask_occurrence)
                    .then(|| spec.mask.before(self.variant_key(spec), mask_occurrence))
            }
        }
    }

    /// The occurrence that an event belongs to.
    pub(super) fn occurrence(&self, event_ref: &EventRef) -> u64 {
        let spec = &self.tracks[event_ref.track];
        match spec.when {
            When::Occurrence | When::ActiveTime(_) => spec.mask.occurrence(self.variant_key(spec), event_ref.index),
            When::Blocks(_) => {
                let (order, start) = self.pairing(spec, spec.mask.occurrence(self.variant_key(spec), event_ref.index));
                spec.mask.occurrence(self.variant_key(spec), start + order.backward(event_ref.index - start))
            }
            When::Echo { of, .. } => {
                let mask_occurrence = spec.mask.occurrence(self.variant_key(spec), event_ref.index);
                let base = EventRef {
                    track: of,
                    index: self.tracks[of].mask.before(self.variant_key(spec), mask_occurrence),
                    ..*event_ref
                };
                self.occurrence(&base)
            }
        }
    }

    /// The active time of the event of a [`When::Blocks`] track that belongs to an occurrence. For other tracks: of the
    /// occurrence itself.
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

    /// The permutation that assigns the events of a [`When::Blocks`] track to the occurrences of a block, and the index
    /// of the first of these events.
    fn pairing(&self, track: &Track, occurrence: u64) -> (Permutation, u64) {
        let (block, occurrences) = self.schedules[track.schedule].block_of(occurrence);
        let (start, end) = (
            track.mask.before(self.variant_key(track), occurrences.start),
            track.mask.before(self.variant_key(track), occurrences.end),
        );
        (Permutation::new(track.key.sub(block), end - start), start)
    }

    /// The key for the lags of a track's events.
    pub(super) fn lag_key(&self, track: usize) -> Key {
        self.tracks[track].key.stream(RngStream::Lag)
    }
}
