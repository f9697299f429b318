//! Random numbers with random access.
//!
//! A sequential generator makes event 1,000,000 depend on the 999,999 events before it. Here, each draw is a function
//! of its address: a [`Key`] (derived from the seed and an [`RngStream`]) selects the stream, an index selects the
//! draw. Draws share no state, and every draw costs the same.
//!
//! The mixing function is the one of SplitMix64. It takes a few nanoseconds, uses no floating point and returns the
//! same values on every platform. It is not cryptographically secure.

use std::convert::Infallible;

use rand::rand_core::TryRng;

/// The increment of the SplitMix64 sequence: 2⁶⁴ divided by the golden ratio, made odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The aspect of the history that a stream of draws decides (domain separation).
///
/// The discriminants determine the generated data: append new ones, never renumber.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RngStream {
    /// Name, domain and time zone of the company.
    Company = 0,
    /// The names of the administrators, and the order in which they act.
    Admin = 1,
    /// The user at a slot of the fleet.
    Person = 2,
    /// Machine type, operating system, group and address of a device.
    Device = 3,
    /// The hardware id of a device.
    DeviceId = 4,
    /// The serial part of a hostname.
    Hostname = 5,
    /// The order of the members of a schedule within a block.
    Order = 6,
    /// The offsets of occurrences within their intervals.
    Jitter = 7,
    /// The assignment of endings to beginnings.
    Pairing = 8,
    /// The delay between an event and its echo.
    Delay = 9,
    /// The content of an event: administrator, app, reason, policy.
    Detail = 10,
    /// The response of the webhook's receiver.
    Receiver = 11,
    /// The tokens and codes that an account generates.
    Token = 12,
    /// The delay until an event becomes visible.
    Lag = 13,
    /// The arrangement of the variant masks of a schedule in each run of 64 occurrences.
    Variants = 14,
    /// The console's description of an administrator's action.
    Console = 15,
    /// The content of a device report.
    Report = 16,
    /// The application of an access.
    Access = 17,
    /// The decisions of fault rules with a probability.
    Chance = 18,
    /// The MAC addresses of a device.
    MacAddress = 19,
    /// The known vulnerabilities of a month.
    Vulnerability = 20,
    /// The license key, and the ids of groups and policies.
    AccountId = 21,
}

/// The address of one stream of draws.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key(u64);

impl Key {
    /// The stream of one aspect, for a seed.
    pub(crate) fn new(seed: u64, stream: RngStream) -> Self {
        Self(mix(mix(seed ^ 0x6F70_7377_6174).wrapping_add(STEP.wrapping_mul(stream as u64 + 1))))
    }

    /// The substream with number `index`. It is independent of this stream and of the other substreams.
    pub(crate) fn sub(self, index: u64) -> Self {
        Self(mix(self.at(index) ^ STEP))
    }

    /// The substream for one aspect, separate from the substreams of [`sub`](Self::sub).
    pub(crate) fn stream(self, stream: RngStream) -> Self {
        Self(mix(mix(!self.0).wrapping_add(STEP.wrapping_mul(stream as u64 + 1))))
    }

    /// The draw at an index: 64 uniform bits.
    pub(crate) fn at(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(index.wrapping_mul(STEP)).wrapping_add(STEP))
    }

    /// The draw at an index, uniform below `bound` (0 if `bound` is 0).
    pub(crate) fn below(self, index: u64, bound: u64) -> u64 {
        scale(self.at(index), bound)
    }

    /// One of `choices`, selected by the draw at an index.
    pub(crate) fn pick<T: Copy, const N: usize>(self, index: u64, choices: &[T; N]) -> T {
        const { assert!(N > 0, "no choices") };
        // Below `N` by construction. `N` fits in a `u64`, because it is the length of an array.
        #[expect(clippy::cast_possible_truncation, reason = "below N, which is a usize")]
        choices[self.below(index, N as u64) as usize]
    }

    /// A sequential generator that starts at an index, for libraries that need one.
    pub(crate) fn draws(self, index: u64) -> Draws {
        Draws { key: self.sub(index), position: 0 }
    }
}

/// A sequence of draws, as a generator for the `fake` crate.
#[derive(Debug)]
pub(crate) struct Draws {
    key: Key,
    position: u64,
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let draw = self.key.at(self.position);
        self.position += 1;
        Ok(draw)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let draw = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&draw[..chunk.len()]);
        }
        Ok(())
    }
}

/// A permutation of `0..size` that computes single elements in both directions.
///
/// A small Feistel network permutes the next power of two (at least 4). Cycle walking repeats it until the result is
/// below `size`: on average at most about two passes. It needs no table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    key: Key,
    size: u64,
    low_bits: u32,
    high_bits: u32,
}

impl Permutation {
    const ROUNDS: u64 = 4;

    /// The permutation of `0..size` for `key`.
    pub(crate) fn new(key: Key, size: u64) -> Self {
        let bits = (u64::BITS - size.saturating_sub(1).leading_zeros()).max(2);
        Self { key, size, low_bits: bits / 2, high_bits: bits - bits / 2 }
    }

    /// The image of `element`, which must be below the size.
    pub(crate) fn forward(&self, element: u64) -> u64 {
        debug_assert!(element < self.size, "{element} is not below {}", self.size);
        if self.size < 2 {
            return element;
        }
        let mut walked = element;
        loop {
            for round in 0..Self::ROUNDS {
                walked = self.feistel_round(walked, round);
            }
            if walked < self.size {
                return walked;
            }
        }
    }

    /// The element whose image is `position`: the inverse of [`forward`](Self::forward).
    pub(crate) fn backward(&self, position: u64) -> u64 {
        debug_assert!(position < self.size, "{position} is not below {}", self.size);
        if self.size < 2 {
            return position;
        }
        let mut walked = position;
        loop {
            for round in (0..Self::ROUNDS).rev() {
                walked = self.feistel_round(walked, round);
            }
            if walked < self.size {
                return walked;
            }
        }
    }

    /// One Feistel round: it XORs one half with a hash of the other half, so it is its own inverse.
    fn feistel_round(&self, element: u64, round: u64) -> u64 {
        let low = element & ((1 << self.low_bits) - 1);
        let high = element >> self.low_bits;
        if round.is_multiple_of(2) {
            let mask = self.key.at(high << 3 | round) & ((1 << self.low_bits) - 1);
            high << self.low_bits | (low ^ mask)
        } else {
            let mask = self.key.at(low << 3 | round) & ((1 << self.high_bits) - 1);
            (high ^ mask) << self.low_bits | low
        }
    }
}

/// The finalizer of SplitMix64: a bijection on 64 bits in which each input bit affects every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Maps 64 uniform bits to a number below `bound`, by multiplication instead of a remainder.
fn scale(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn backward_is_the_inverse_of_forward(seed: u64, size in 1_u64..200_000, element: u64) {
            let permutation = Permutation::new(Key::new(seed, RngStream::Order), size);
            let element = element % size;
            let position = permutation.forward(element);
            prop_assert!(position < size);
            prop_assert_eq!(permutation.backward(position), element);
        }

        #[test]
        fn a_permutation_covers_all_elements(seed: u64, size in 1_u64..500) {
            let permutation = Permutation::new(Key::new(seed, RngStream::Order), size);
            let mut positions: Vec<u64> = (0..size).map(|element| permutation.forward(element)).collect();
            positions.sort_unstable();
            prop_assert_eq!(positions, (0..size).collect::<Vec<_>>());
        }
    }

    #[test]
    fn adjacent_seeds_and_streams_are_uncorrelated() {
        let same = |a: Key, b: Key| (0..1000).filter(|&i| a.below(i, 10) == b.below(i, 10)).count();
        let one = Key::new(1, RngStream::Order);
        for other in [
            Key::new(2, RngStream::Order),
            Key::new(1, RngStream::Jitter),
            one.sub(0),
            one.sub(1),
            one.stream(RngStream::Order),
        ] {
            let matches = same(one, other);
            assert!((60..140).contains(&matches), "{matches} of 1000 draws below 10 are equal");
        }
        let shifted = (0..1000).filter(|&i| one.below(i + 1, 10) == Key::new(2, RngStream::Order).below(i, 10)).count();
        assert!((60..140).contains(&shifted), "seed 2 looks like a shifted seed 1");
    }

    #[test]
    fn draws_are_the_same_on_every_platform() {
        let key = Key::new(1, RngStream::Order);
        assert_eq!([key.at(0), key.at(1), key.sub(7).at(3)], GOLDEN);
    }

    /// Reference values. A change of these values changes every history.
    const GOLDEN: [u64; 3] = [526_808_950_974_257_605, 15_540_198_021_513_665_205, 3_880_674_018_759_031_652];
}
