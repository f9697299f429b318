//! Whose occurrence it is, and when.
//!
//! A schedule walks through the members of a group for ever. A *round* gives each member one occurrence. It is cut into `classes`
//! *blocks* of equal active_ms: member `i` has its occurrence in block `i mod classes` of every round, at a rank that a keyed
//! permutation of the block's members decides, evenly spaced over the block with some jitter. From this follows all
//! that random access needs, each in constant time and whatever came before:
//!
//! - how many occurrences lie before an instant, and when the n-th one is;
//! - whose occurrence the n-th one is, and which occurrence a member has in a round;
//! - two occurrences of one member are at least `classes − 1` blocks apart. What begins at a occurrence and ends within that many
//!   blocks can therefore never overlap itself.
//!
//! Turns are numbered from 0. What a occurrence means is rendered in [`lifecycle`](super::timeline).

use super::random::{Key, Permutation};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The slot in the fleet of the first member.
    pub(super) first: u64,
    /// The distance in the fleet from one member to the next.
    pub(super) step: u64,
    /// How many members there are; a schedule without members has no occurrences.
    pub(super) members: u64,
    /// The active_ms at which the first block begins.
    pub(super) begin: u64,
    /// The active_ms that a block takes.
    pub(super) block: u64,
    /// How many blocks make a round.
    pub(super) classes: u64,
    /// How many rounds there are.
    pub(super) rounds: u64,
    /// Decides the order in a block.
    pub(super) order: Key,
    /// Decides how far into its slot a occurrence falls.
    pub(super) jitter: Key,
    /// Decides which occurrences are which mask's.
    pub(super) variant_key: Key,
}

/// Where a occurrence stands in its block.
#[derive(Clone, Copy, Debug)]
struct Place {
    block: u64,
    class: u64,
    rank: u64,
    /// How many occurrences the block has.
    size: u64,
}

impl Schedule {
    /// How many occurrences come at less than `active_ms`, when each is delayed by `lag` and jittered by `jitter`.
    pub(super) fn occurrences_before(&self, active_ms: u64, lag: u64, jitter: Key) -> u64 {
        let Some(since) = active_ms.checked_sub(self.begin + lag) else { return 0 };
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
        let (mut start, mut end) = (self.slot_start(rank, size), self.slot_start(rank + 1, size));
        if end <= rest {
            rank += 1;
            (start, end) = (end, self.slot_start(rank + 1, size));
        }
        let occurrence = before + rank;
        occurrence + u64::from(start + jitter.below(occurrence, end - start) < rest)
    }

    /// The active_ms at which a occurrence comes, when it is delayed by `lag` and jittered by `jitter`.
    pub(super) fn active_ms_of(&self, occurrence: u64, lag: u64, jitter: Key) -> u64 {
        let Place { block, rank, size, .. } = self.place(occurrence);
        let (start, end) = (self.slot_start(rank, size), self.slot_start(rank + 1, size));
        self.begin + lag + block * self.block + start + jitter.below(occurrence, end - start)
    }

    /// The slot in the fleet of the member whose occurrence it is.
    pub(super) fn slot_of(&self, occurrence: u64) -> u64 {
        let Place { block, class, rank, size } = self.place(occurrence);
        let member = self.block_order(block, size).forward(rank) * self.classes + class;
        self.first + member * self.step
    }

    /// Which round a occurrence belongs to.
    pub(super) fn round_of(&self, occurrence: u64) -> u64 {
        occurrence / self.members
    }

    /// The first occurrence of the block that a occurrence stands in, and the first one after that block.
    pub(super) fn block_of(&self, occurrence: u64) -> (u64, std::ops::Range<u64>) {
        let Place { block, rank, size, .. } = self.place(occurrence);
        (block, occurrence - rank..occurrence - rank + size)
    }

    /// Whether the slot `slot` is a member.
    pub(super) fn has(&self, slot: u64) -> bool {
        slot >= self.first
            && (slot - self.first).is_multiple_of(self.step)
            && (slot - self.first) / self.step < self.members
    }

    /// How many occurrences of the member at `slot` come at less than `active_ms`, and the last of them.
    pub(super) fn occurrences_of(&self, slot: u64, active_ms: u64) -> (u64, Option<u64>) {
        let member = (slot - self.first) / self.step;
        let class = member % self.classes;
        let Some(since) = active_ms.checked_sub(self.begin) else { return (0, None) };
        let block = since / self.block;
        // The blocks of the member's class that are over, then perhaps the one that is under way.
        let over = if block > class { (block - class - 1) / self.classes + 1 } else { 0 };
        let current = block % self.classes == class;
        let over = over.min(self.rounds);
        if current && over < self.rounds {
            let occurrence = self.occurrence_in_round(member, over);
            if self.active_ms_of(occurrence, 0, self.jitter) < active_ms {
                return (over + 1, Some(occurrence));
            }
        }
        (over, over.checked_sub(1).map(|round| self.occurrence_in_round(member, round)))
    }

    /// The occurrences of the member at `slot` in the rounds that come near to a stretch of active_ms, one round more at each end.
    pub(super) fn occurrences_near(&self, slot: u64, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let member = (slot - self.first) / self.step;
        let round = |active_ms: u64| active_ms.saturating_sub(self.begin) / self.block / self.classes;
        let rounds = round(from).saturating_sub(1)..(round(to) + 2).min(self.rounds);
        rounds.map(move |round| self.occurrence_in_round(member, round))
    }

    /// The occurrence that a member has in a round.
    fn occurrence_in_round(&self, member: u64, round: u64) -> u64 {
        let class = member % self.classes;
        let block = round * self.classes + class;
        let rank = self.block_order(block, self.class_size(class)).backward(member / self.classes);
        round * self.members + self.class_start(class) + rank
    }

    fn place(&self, occurrence: u64) -> Place {
        let (round, rest) = (occurrence / self.members, occurrence % self.members);
        // The first `longer` classes have one member more than the others.
        let (short, longer) = (self.members / self.classes, self.members % self.classes);
        let (class, rank) = if rest < longer * (short + 1) {
            (rest / (short + 1), rest % (short + 1))
        } else {
            let rest = rest - longer * (short + 1);
            (longer + rest / short, rest % short)
        };
        Place { block: round * self.classes + class, class, rank, size: self.class_size(class) }
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

    /// Where a slot of the block begins. Fits: a block is below 2⁴¹, a class has at most 2¹⁷ members.
    fn slot_start(&self, rank: u64, size: u64) -> u64 {
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
        fn counting_and_finding_turns_agree(
            seed: u64, members in 1_u64..300, classes in 1_u64..60, block in 400_u64..100_000, lag in 0_u64..9999, occurrence in 0_u64..5000,
        ) {
            let schedule = schedule(seed, members, classes, block);
            let at = schedule.active_ms_of(occurrence, lag, schedule.jitter);
            prop_assert_eq!(schedule.occurrences_before(at, lag, schedule.jitter), occurrence);
            prop_assert_eq!(schedule.occurrences_before(at + 1, lag, schedule.jitter), occurrence + 1);
        }

        #[test]
        fn each_member_has_one_turn_a_round_and_finds_it(
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
        fn turns_of_a_member_keep_their_distance(seed: u64, members in 1_u64..200, classes in 1_u64..60) {
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
