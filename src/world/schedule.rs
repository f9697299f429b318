//! A round-robin schedule with random access: which member has the n-th occurrence, and when.
//!
//! A schedule cycles through the members of a group. In each *round*, each member has one occurrence. A round is
//! divided into `classes` *blocks* of equal active time. Member `i` has its occurrence in block `i mod classes` of each
//! round. A keyed permutation of the members of a block determines their ranks. Each rank has an equal interval of the
//! block, and jitter moves the occurrence within its interval. Random access follows, in constant time and without
//! state:
//!
//! - the number of occurrences before an instant, and the time of the n-th occurrence;
//! - the member of the n-th occurrence, and the occurrence of a member in a round.
//!
//! Two occurrences of one member are at least `classes − 1` blocks apart. A process that starts at an occurrence and
//! ends within that time therefore never overlaps the next process of the same member.
//!
//! Occurrences are numbered from 0. The module [`timeline`](super::timeline) maps them to events.

use super::random::{Key, Permutation};

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The slot in the fleet of the first member.
    pub(super) first: u64,
    /// The distance between two consecutive members, in slots of the fleet.
    pub(super) step: u64,
    /// The number of members. A schedule without members has no occurrences.
    pub(super) members: u64,
    /// The active time at which the first block begins.
    pub(super) begin: u64,
    /// The active time of a block.
    pub(super) block: u64,
    /// The number of blocks in a round.
    pub(super) classes: u64,
    /// The number of rounds.
    pub(super) rounds: u64,
    /// Key for the order of the members in a block.
    pub(super) order: Key,
    /// Key for the offsets of occurrences within their intervals.
    pub(super) jitter: Key,
    /// Key for the arrangement of the variant masks.
    pub(super) variant_key: Key,
}

/// The position of an occurrence in its block.
#[derive(Clone, Copy, Debug)]
struct Position {
    block: u64,
    class: u64,
    rank: u64,
    /// The number of occurrences in the block.
    size: u64,
}

impl Schedule {
    /// Counts the occurrences before `active_ms`. Each one is shifted by `delay`; `jitter` is the key for its offset.
    pub(super) fn occurrences_before(&self, active_ms: u64, delay: u64, jitter: Key) -> u64 {
        let Some(since) = active_ms.checked_sub(self.begin + delay) else { return 0 };
        if self.members == 0 {
            return 0;
        }
        let block = since / self.block;
        let rest = since - block * self.block;
        let round = block / self.classes;
        if round >= self.rounds {
            return self.rounds * self.members;
        }
        let class = block - round * self.classes;
        let before = round * self.members + self.class_start(class);
        let size = self.class_size(class);
        if size == 0 {
            return before;
        }
        let mut rank = rest * size / self.block;
        let (mut start, mut end) = (self.interval_start(rank, size), self.interval_start(rank + 1, size));
        if end <= rest {
            rank += 1;
            (start, end) = (end, self.interval_start(rank + 1, size));
        }
        let occurrence = before + rank;
        occurrence + u64::from(start + jitter.below(occurrence, end - start) < rest)
    }

    /// The active time of an occurrence, shifted by `delay`; `jitter` is the key for its offset.
    pub(super) fn active_ms_of(&self, occurrence: u64, delay: u64, jitter: Key) -> u64 {
        let Position { block, rank, size, .. } = self.position(occurrence);
        let (start, end) = (self.interval_start(rank, size), self.interval_start(rank + 1, size));
        self.begin + delay + block * self.block + start + jitter.below(occurrence, end - start)
    }

    /// The slot in the fleet of the member that has an occurrence.
    pub(super) fn slot_of(&self, occurrence: u64) -> u64 {
        let Position { block, class, rank, size } = self.position(occurrence);
        let member = self.block_order(block, size).forward(rank) * self.classes + class;
        self.first + member * self.step
    }

    /// The round of an occurrence.
    pub(super) fn round_of(&self, occurrence: u64) -> u64 {
        occurrence / self.members
    }

    /// The block of an occurrence, and the range of the occurrences in that block.
    pub(super) fn block_of(&self, occurrence: u64) -> (u64, std::ops::Range<u64>) {
        let Position { block, rank, size, .. } = self.position(occurrence);
        (block, occurrence - rank..occurrence - rank + size)
    }

    /// The block at an active time; `None` before the first block.
    pub(super) fn block_at(&self, active_ms: u64) -> Option<u64> {
        Some(active_ms.checked_sub(self.begin)? / self.block)
    }

    /// The occurrences in a block.
    pub(super) fn occurrences_in(&self, block: u64) -> std::ops::Range<u64> {
        let class = block % self.classes;
        let start = block / self.classes * self.members + self.class_start(class);
        start..start + self.class_size(class)
    }

    /// Whether the device slot `slot` is a member.
    pub(super) fn has(&self, slot: u64) -> bool {
        slot >= self.first
            && (slot - self.first).is_multiple_of(self.step)
            && (slot - self.first) / self.step < self.members
    }

    /// The number of occurrences before `active_ms` of the member at `slot`, and the last of them.
    pub(super) fn occurrences_of(&self, slot: u64, active_ms: u64) -> (u64, Option<u64>) {
        let member = (slot - self.first) / self.step;
        let class = member % self.classes;
        let Some(since) = active_ms.checked_sub(self.begin) else { return (0, None) };
        let block = since / self.block;
        // The number of completed blocks of the member's class, then whether a block of this class is in progress.
        let completed = if block > class { (block - class - 1) / self.classes + 1 } else { 0 };
        let current = block % self.classes == class;
        let completed = completed.min(self.rounds);
        if current && completed < self.rounds {
            let occurrence = self.occurrence_in_round(member, completed);
            if self.active_ms_of(occurrence, 0, self.jitter) < active_ms {
                return (completed + 1, Some(occurrence));
            }
        }
        (completed, completed.checked_sub(1).map(|round| self.occurrence_in_round(member, round)))
    }

    /// The occurrences of the member at `slot` in the rounds around a range of active time, with one extra round at
    /// each end.
    pub(super) fn occurrences_near(&self, slot: u64, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let member = (slot - self.first) / self.step;
        let round = |active_ms: u64| active_ms.saturating_sub(self.begin) / self.block / self.classes;
        let rounds = round(from).saturating_sub(1)..(round(to) + 2).min(self.rounds);
        rounds.map(move |round| self.occurrence_in_round(member, round))
    }

    /// The occurrence of the member at `slot` in a round.
    pub(super) fn occurrence_of(&self, slot: u64, round: u64) -> u64 {
        self.occurrence_in_round((slot - self.first) / self.step, round)
    }

    /// The occurrence of a member in a round.
    fn occurrence_in_round(&self, member: u64, round: u64) -> u64 {
        let class = member % self.classes;
        let block = round * self.classes + class;
        let rank = self.block_order(block, self.class_size(class)).backward(member / self.classes);
        round * self.members + self.class_start(class) + rank
    }

    fn position(&self, occurrence: u64) -> Position {
        let (round, rest) = (occurrence / self.members, occurrence % self.members);
        // The first `large_classes` classes have one member more than the others.
        let (small_size, large_classes) = (self.members / self.classes, self.members % self.classes);
        let (class, rank) = if rest < large_classes * (small_size + 1) {
            (rest / (small_size + 1), rest % (small_size + 1))
        } else {
            let rest = rest - large_classes * (small_size + 1);
            (large_classes + rest / small_size, rest % small_size)
        };
        Position { block: round * self.classes + class, class, rank, size: self.class_size(class) }
    }

    fn class_size(&self, class: u64) -> u64 {
        self.members / self.classes + u64::from(class < self.members % self.classes)
    }

    fn class_start(&self, class: u64) -> u64 {
        class * (self.members / self.classes) + class.min(self.members % self.classes)
    }

    fn block_order(&self, block: u64, size: u64) -> Permutation {
        Permutation::new(self.order.sub(block), size)
    }

    /// The start of the interval of a rank, relative to its block. No overflow: a block is below 2⁴¹, and a class has
    /// at most 2¹⁷ members.
    fn interval_start(&self, rank: u64, size: u64) -> u64 {
        rank * self.block / size
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::random::RngStream;

    fn schedule(seed: u64, members: u64, classes: u64, block: u64) -> Schedule {
        let key = Key::new(seed, RngStream::Order);
        let (order, jitter, variant_key) = (key.sub(0), key.sub(1), key.sub(2));
        Schedule {
            first: 3,
            step: 2,
            members,
            begin: 1000,
            block,
            classes,
            rounds: u64::MAX / 1_000_000,
            order,
            jitter,
            variant_key,
        }
    }

    proptest! {
        #[test]
        fn occurrences_before_is_the_inverse_of_active_ms_of(
            seed: u64, members in 1_u64..300, classes in 1_u64..60, block in 400_u64..100_000, delay in 0_u64..9999, occurrence in 0_u64..5000,
        ) {
            let schedule = schedule(seed, members, classes, block);
            let at = schedule.active_ms_of(occurrence, delay, schedule.jitter);
            prop_assert_eq!(schedule.occurrences_before(at, delay, schedule.jitter), occurrence);
            prop_assert_eq!(schedule.occurrences_before(at + 1, delay, schedule.jitter), occurrence + 1);
        }

        #[test]
        fn each_member_has_one_occurrence_per_round(
            seed: u64, members in 1_u64..200, classes in 1_u64..60, round in 0_u64..9,
        ) {
            let schedule = schedule(seed, members, classes, 5000);
            let mut slots: Vec<u64> = (0..members).map(|nth| schedule.slot_of(round * members + nth)).collect();
            for (nth, &slot) in (0..).zip(&slots) {
                let occurrence = round * members + nth;
                let after = schedule.active_ms_of(occurrence, 0, schedule.jitter) + 1;
                prop_assert_eq!(schedule.occurrences_of(slot, after), (round + 1, Some(occurrence)));
                prop_assert_eq!(schedule.occurrences_of(slot, after - 1).0, round);
            }
            slots.sort_unstable();
            prop_assert_eq!(slots, (0..members).map(|member| 3 + 2 * member).collect::<Vec<_>>());
        }

        #[test]
        fn occurrences_of_a_member_keep_their_distance(seed: u64, members in 1_u64..200, classes in 1_u64..60) {
            let schedule = schedule(seed, members, classes, 5000);
            for slot in [3, 3 + 2 * (members - 1)] {
                let occurrence = |round| schedule.occurrence_in_round((slot - 3) / 2, round);
                for round in 0..5 {
                    let gap = schedule.active_ms_of(occurrence(round + 1), 0, schedule.jitter) - schedule.active_ms_of(occurrence(round), 0, schedule.jitter);
                    prop_assert!(gap > (classes - 1) * 5000 && gap < (classes + 1) * 5000);
                }
            }
        }
    }
}
