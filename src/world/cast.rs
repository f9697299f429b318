//! Which turns of a rota a version of a story befalls.

use super::random::Key;

/// A set of turns, as many of each run of 64 as it has bits. Which of them is decided run by run, for all casts of a rota
/// in the same way: disjoint casts stay disjoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cast(u64);

impl Cast {
    pub(super) const ALL: Self = Self(u64::MAX);

    /// The bits with a place from `from` up to `to` in a fixed, scattered order. Disjoint ranges are disjoint casts.
    pub(super) const fn range(from: u64, to: u64) -> Self {
        let (mut bits, mut place) = (0, from);
        while place < to {
            bits |= 1 << (place * 37 % 64);
            place += 1;
        }
        Self(bits)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no turn is in the cast.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
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

    pub(super) fn has(self, casting: Key, turn: u64) -> bool {
        self == Self::ALL || self.bits(casting, turn / 64) >> (turn % 64) & 1 == 1
    }

    /// How many of the turns before `turn` are in the cast.
    pub(super) fn before(self, casting: Key, turn: u64) -> u64 {
        if self == Self::ALL {
            return turn;
        }
        let below = self.bits(casting, turn / 64) & ((1 << (turn % 64)) - 1);
        turn / 64 * u64::from(self.0.count_ones()) + u64::from(below.count_ones())
    }

    /// The `index`-th turn of the cast.
    pub(super) fn turn(self, casting: Key, index: u64) -> u64 {
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

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
