//! Assigns the variants of a process to the occurrences of a schedule.

use super::random::Key;

/// A set of occurrences: in each run of 64 occurrences, it contains as many as it has bits. Each run rearranges the
/// bits, in the same way for all masks of a schedule, so disjoint masks stay disjoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct VariantMask(u64);

impl VariantMask {
    pub(super) const ALL: Self = Self(u64::MAX);

    /// The bits from `from` (included) to `to` (excluded) in a fixed, scattered order. Disjoint ranges give disjoint
    /// masks.
    pub(super) const fn range(from: u64, to: u64) -> Self {
        let (mut bits, mut position) = (0, from);
        while position < to {
            bits |= 1 << (position * 37 % 64);
            position += 1;
        }
        Self(bits)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the mask contains no occurrence.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits of the mask in one run of 64 occurrences. The arrangement depends on the schedule and the run.
    fn bits(self, variant_key: Key, run: u64) -> u64 {
        const HALVES: [u64; 6] = [
            0x5555_5555_5555_5555,
            0x3333_3333_3333_3333,
            0x0F0F_0F0F_0F0F_0F0F,
            0x00FF_00FF_00FF_00FF,
            0x0000_FFFF_0000_FFFF,
            0x0000_0000_FFFF_FFFF,
        ];
        let draw = variant_key.at(run);
        let mut bits = self.0;
        for (level, half) in HALVES.into_iter().enumerate() {
            if draw >> level & 1 == 1 {
                bits = (bits & half) << (1 << level) | (bits >> (1 << level)) & half;
            }
        }
        bits.rotate_left((draw >> 6 & 63) as u32)
    }

    pub(super) fn has(self, variant_key: Key, occurrence: u64) -> bool {
        self == Self::ALL || self.bits(variant_key, occurrence / 64) >> (occurrence % 64) & 1 == 1
    }

    /// Counts the occurrences before `occurrence` that are in the mask.
    pub(super) fn before(self, variant_key: Key, occurrence: u64) -> u64 {
        if self == Self::ALL {
            return occurrence;
        }
        let below = self.bits(variant_key, occurrence / 64) & ((1 << (occurrence % 64)) - 1);
        occurrence / 64 * u64::from(self.0.count_ones()) + u64::from(below.count_ones())
    }

    /// The occurrence with number `index` in the mask.
    pub(super) fn occurrence(self, variant_key: Key, index: u64) -> u64 {
        if self == Self::ALL {
            return index;
        }
        let ones = u64::from(self.0.count_ones());
        let run = index / ones;
        let mut bits = self.bits(variant_key, run);
        for _ in 0..index % ones {
            bits &= bits - 1;
        }
        run * 64 + u64::from(bits.trailing_zeros())
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
