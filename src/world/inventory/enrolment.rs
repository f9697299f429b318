//! The devices in the order of their enrolment.

use std::{cmp::Ordering, ops::Range};

use super::list::Inventory;
use crate::world::{schedule::Schedule, time::Millis, tracks::DeviceRef};

/// A place in the order of enrolment. Devices that joined in the same millisecond have an order, too.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct EnrolmentCursor {
    /// The time of the enrolment.
    pub(crate) at: Millis,
    /// The schedule of the enrolment: the first devices of a part of the fleet, or the replacements in a part.
    pub(crate) source: u8,
    /// The occurrence of the schedule.
    pub(crate) occurrence: u64,
}

impl Inventory<'_> {
    /// Up to `take` devices after a place in the order of enrolment, or the oldest.
    pub(crate) fn after(&self, cursor: Option<EnrolmentCursor>, take: usize) -> Vec<(EnrolmentCursor, DeviceRef)> {
        let mut found = Vec::new();
        for source in 0..self.sources() {
            self.after_in(source, cursor, take, &mut found);
        }
        found.sort_unstable_by_key(|(cursor, _)| *cursor);
        found.truncate(take);
        found
    }

    /// The number of schedules with which devices enrol.
    pub(crate) fn sources(&self) -> u8 {
        let sources = self.processes().enrolments.len() + self.processes().replacements.len();
        u8::try_from(sources).unwrap_or(u8::MAX)
    }

    /// Adds the first `take` devices of one schedule after a place.
    fn after_in(
        &self,
        source: u8,
        cursor: Option<EnrolmentCursor>,
        take: usize,
        found: &mut Vec<(EnrolmentCursor, DeviceRef)>,
    ) {
        let processes = self.processes();
        let first = usize::from(source).checked_sub(processes.enrolments.len());
        let schedule = &processes.schedules[first
            .map_or_else(|| processes.enrolments[usize::from(source)], |nth| processes.replacements[nth].schedule)];
        let start = cursor.map_or(0, |cursor| {
            let until = |at: i64| {
                let moment = processes.after(Millis(at));
                schedule.occurrences_before(moment.working_hours, 0, schedule.jitter)
            };
            match source.cmp(&cursor.source) {
                Ordering::Less => until(cursor.at.0),
                Ordering::Equal => cursor.occurrence.saturating_add(1),
                Ordering::Greater => until(cursor.at.0 - 1),
            }
        });
        let arrived = self.occurrences(schedule);
        let enrolled = |occurrence: u64| {
            let slot = schedule.slot_of(occurrence);
            let generation = if first.is_none() { 0 } else { schedule.round_of(occurrence) + 1 };
            (occurrence, DeviceRef { slot, generation })
        };
        let mut left = take;
        for block in self.blocks(schedule, first.is_some()) {
            let occurrences = block.start.max(start)..block.end.min(arrived);
            if left == 0 || occurrences.is_empty() {
                continue;
            }
            let devices: Vec<_> = match self.few_survivors(schedule, first, &block, left) {
                Some(mut few) => {
                    few.retain(|occurrence| occurrences.contains(occurrence));
                    few.sort_unstable();
                    few.into_iter().map(enrolled).take(left).collect()
                }
                None => occurrences
                    .map(enrolled)
                    .filter(|(_, device)| !processes.has_left(*device, self.now))
                    .take(left)
                    .collect(),
            };
            left -= devices.len();
            found.extend(devices.into_iter().map(|(occurrence, device)| {
                (EnrolmentCursor { at: processes.enrolled_at(device), source, occurrence }, device)
            }));
        }
    }

    /// The blocks of a schedule whose arrivals can still be in the account, oldest first, as ranges of occurrences.
    fn blocks(&self, schedule: &Schedule, is_replacement: bool) -> Vec<Range<u64>> {
        if !is_replacement {
            return std::iter::once(0..schedule.members).collect();
        }
        let Some(current) = schedule.block_at(self.now.working_hours) else { return Vec::new() };
        // A device leaves at most one block after the arrival of its successor, which comes one round after its own.
        (current.saturating_sub(schedule.classes + 1)..=current).map(|block| schedule.occurrences_in(block)).collect()
    }

    /// The occurrences of a block whose devices are still in the account, if it takes less time to examine the successors
    /// that have not arrived, or have arrived a short time ago, than the block itself; in any order.
    fn few_survivors(
        &self,
        schedule: &Schedule,
        replacement: Option<usize>,
        block: &Range<u64>,
        take: usize,
    ) -> Option<Vec<u64>> {
        let processes = self.processes();
        let candidates: Vec<(&Schedule, Range<u64>)> = if replacement.is_some() {
            let successors = block.start + schedule.members..block.end + schedule.members;
            vec![(schedule, self.not_departed(schedule, successors))]
        } else {
            let replacements = processes.replacements.iter().map(|nth| &processes.schedules[nth.schedule]);
            let of_fleet = replacements.filter(|successors| successors.members > 0 && schedule.has(successors.first));
            of_fleet.map(|successors| (successors, self.not_departed(successors, 0..successors.members))).collect()
        };
        let examined: u64 = candidates.iter().map(|(_, successors)| successors.end - successors.start).sum();
        let size = block.end - block.start;
        // A part of the candidates survives, so a scan finds a device in about `4 * size / examined` steps.
        if examined.saturating_mul(examined) > 4 * size * take as u64 {
            return None;
        }
        let survivors = candidates.into_iter().flat_map(|(successors, range)| {
            range.filter_map(move |successor| {
                let (slot, generation) = (successors.slot_of(successor), successors.round_of(successor));
                let is_here = !processes.has_left(DeviceRef { slot, generation }, self.now);
                let round = if replacement.is_some() { generation.checked_sub(1)? } else { 0 };
                is_here.then(|| schedule.occurrence_of(slot, round))
            })
        });
        Some(survivors.collect())
    }

    /// The part of some occurrences of a replacement schedule whose replaced devices can still be in the account.
    fn not_departed(&self, schedule: &Schedule, successors: Range<u64>) -> Range<u64> {
        let longest = self.processes().longest_departure();
        let departed = schedule.occurrences_before(self.now.working_hours.saturating_sub(longest), 0, schedule.jitter);
        departed.clamp(successors.start, successors.end)..successors.end
    }
}
