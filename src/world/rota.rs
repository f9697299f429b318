//! Whose turn it is, and when.
//!
//! A rota walks through the members of a group for ever. A *round* gives each member one turn. It is cut into `classes`
//! *blocks* of equal effort: member `i` has its turn in block `i mod classes` of every round, at a rank that a keyed
//! permutation of the block's members decides, evenly spaced over the block with some jitter. From this follows all
//! that random access needs, each in constant time and whatever came before:
//!
//! - how many turns lie before an instant, and when the n-th one is;
//! - whose turn the n-th one is, and which turn a member has in a round;
//! - two turns of one member are at least `classes − 1` blocks apart. What begins at a turn and ends within that many
//!   blocks can therefore never overlap itself.
//!
//! Turns are numbered from 0. What a turn means is told in [`lifecycle`](super::lifecycle).

use super::random::{Key, Permutation};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rota {
    /// The place in the fleet of the first member.
    pub(super) first: u64,
    /// The distance in the fleet from one member to the next.
    pub(super) step: u64,
    /// How many members there are; a rota without members has no turns.
    pub(super) members: u64,
    /// The effort at which the first block begins.
    pub(super) begin: u64,
    /// The effort that a block takes.
    pub(super) block: u64,
    /// How many blocks make a round.
    pub(super) classes: u64,
    /// How many rounds there are.
    pub(super) rounds: u64,
    /// Decides the order in a block.
    pub(super) order: Key,
    /// Decides how far into its slot a turn falls.
    pub(super) jitter: Key,
    /// Decides which turns are which cast's.
    pub(super) casting: Key,
}

/// Where a turn stands in its block.
#[derive(Clone, Copy, Debug)]
struct Place {
    block: u64,
    class: u64,
    rank: u64,
    /// How many turns the block has.
    size: u64,
}

impl Rota {
    /// How many turns come at less than `effort`, when each is delayed by `lag` and jittered by `jitter`.
    pub(super) fn turns_before(&self, effort: u64, lag: u64, jitter: Key) -> u64 {
        let Some(since) = effort.checked_sub(self.begin + lag) else { return 0 };
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
        let turn = before + rank;
        turn + u64::from(start + jitter.below(turn, end - start) < rest)
    }

    /// The effort at which a turn comes, when it is delayed by `lag` and jittered by `jitter`.
    pub(super) fn effort_of(&self, turn: u64, lag: u64, jitter: Key) -> u64 {
        let Place { block, rank, size, .. } = self.place(turn);
        let (start, end) = (self.slot_start(rank, size), self.slot_start(rank + 1, size));
        self.begin + lag + block * self.block + start + jitter.below(turn, end - start)
    }

    /// The place in the fleet of the member whose turn it is.
    pub(super) fn slot_of(&self, turn: u64) -> u64 {
        let Place { block, class, rank, size } = self.place(turn);
        let member = self.block_order(block, size).forward(rank) * self.classes + class;
        self.first + member * self.step
    }

    /// Which round a turn belongs to.
    pub(super) fn round_of(&self, turn: u64) -> u64 {
        turn / self.members
    }

    /// The first turn of the block that a turn stands in, and the first one after that block.
    pub(super) fn block_of(&self, turn: u64) -> (u64, std::ops::Range<u64>) {
        let Place { block, rank, size, .. } = self.place(turn);
        (block, turn - rank..turn - rank + size)
    }

    /// Whether the fleet's place `slot` is a member.
    pub(super) fn has(&self, slot: u64) -> bool {
        slot >= self.first
            && (slot - self.first).is_multiple_of(self.step)
            && (slot - self.first) / self.step < self.members
    }

    /// How many turns of the member at `slot` come at less than `effort`, and the last of them.
    pub(super) fn turns_of(&self, slot: u64, effort: u64) -> (u64, Option<u64>) {
        let member = (slot - self.first) / self.step;
        let class = member % self.classes;
        let Some(since) = effort.checked_sub(self.begin) else { return (0, None) };
        let block = since / self.block;
        // The blocks of the member's class that are over, then perhaps the one that is under way.
        let over = if block > class { (block - class - 1) / self.classes + 1 } else { 0 };
        let current = block % self.classes == class;
        let over = over.min(self.rounds);
        if current && over < self.rounds {
            let turn = self.turn_in_round(member, over);
            if self.effort_of(turn, 0, self.jitter) < effort {
                return (over + 1, Some(turn));
            }
        }
        (over, over.checked_sub(1).map(|round| self.turn_in_round(member, round)))
    }

    /// The turns of the member at `slot` in the rounds that come near to a stretch of effort, one round more at each end.
    pub(super) fn turns_near(&self, slot: u64, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let member = (slot - self.first) / self.step;
        let round = |effort: u64| effort.saturating_sub(self.begin) / self.block / self.classes;
        let rounds = round(from).saturating_sub(1)..(round(to) + 2).min(self.rounds);
        rounds.map(move |round| self.turn_in_round(member, round))
    }

    /// The turn that a member has in a round.
    fn turn_in_round(&self, member: u64, round: u64) -> u64 {
        let class = member % self.classes;
        let block = round * self.classes + class;
        let rank = self.block_order(block, self.class_size(class)).backward(member / self.classes);
        round * self.members + self.class_start(class) + rank
    }

    fn place(&self, turn: u64) -> Place {
        let (round, rest) = (turn / self.members, turn % self.members);
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
    use crate::world::random::Lane;

    fn rota(seed: u64, members: u64, classes: u64, block: u64) -> Rota {
        let key = Key::new(seed, Lane::Order);
        let (order, jitter, casting) = (key.sub(0), key.sub(1), key.sub(2));
        Rota {
            first: 3,
            step: 2,
            members,
            begin: 1000,
            block,
            classes,
            rounds: u64::MAX / 1_000_000,
            order,
            jitter,
            casting,
        }
    }

    proptest! {
        #[test]
        fn counting_and_finding_turns_agree(
            seed: u64, members in 1_u64..300, classes in 1_u64..60, block in 400_u64..100_000, lag in 0_u64..9999, turn in 0_u64..5000,
        ) {
            let rota = rota(seed, members, classes, block);
            let at = rota.effort_of(turn, lag, rota.jitter);
            prop_assert_eq!(rota.turns_before(at, lag, rota.jitter), turn);
            prop_assert_eq!(rota.turns_before(at + 1, lag, rota.jitter), turn + 1);
        }

        #[test]
        fn each_member_has_one_turn_a_round_and_finds_it(
            seed: u64, members in 1_u64..200, classes in 1_u64..60, round in 0_u64..9,
        ) {
            let rota = rota(seed, members, classes, 5000);
            let mut slots: Vec<u64> = (0..members).map(|nth| rota.slot_of(round * members + nth)).collect();
            for (nth, &slot) in (0..).zip(&slots) {
                let turn = round * members + nth;
                let after = rota.effort_of(turn, 0, rota.jitter) + 1;
                prop_assert_eq!(rota.turns_of(slot, after), (round + 1, Some(turn)));
                prop_assert_eq!(rota.turns_of(slot, after - 1).0, round);
            }
            slots.sort_unstable();
            prop_assert_eq!(slots, (0..members).map(|member| 3 + 2 * member).collect::<Vec<_>>());
        }

        #[test]
        fn turns_of_a_member_keep_their_distance(seed: u64, members in 1_u64..200, classes in 1_u64..60) {
            let rota = rota(seed, members, classes, 5000);
            for slot in [3, 3 + 2 * (members - 1)] {
                let turn = |round| rota.turn_in_round((slot - 3) / 2, round);
                for round in 0..5 {
                    let gap = rota.effort_of(turn(round + 1), 0, rota.jitter) - rota.effort_of(turn(round), 0, rota.jitter);
                    prop_assert!(gap > (classes - 1) * 5000 && gap < (classes + 1) * 5000);
                }
            }
        }
    }
}
