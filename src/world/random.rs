//! Randomness with an address.
//!
//! A generator that is carried along makes event 1,000,000 depend on the 999,999 before it. Here a draw is looked up
//! instead: a [`Key`] (seed and [`RngStream`]) says which stream, an index says which place in it. Nothing is shared, so
//! nothing can drift, and any place costs the same.
//!
//! The mixing function is SplitMix64's: a few nanoseconds, the same on every platform, no floating point. It is not
//! meant to withstand anybody who wants to predict it.

use std::convert::Infallible;

use rand::rand_core::TryRng;

/// The step of the SplitMix64 sequence: 2⁶⁴ divided by the golden ratio, made odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which aspect of the world a stream decides.
///
/// The discriminants are part of the output: append, never renumber.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RngStream {
    /// Name, domain and time zone of the company.
    Company = 0,
    /// Who the administrators are.
    Admin = 1,
    /// Who sits at a slot of the fleet.
    Person = 2,
    /// What a device is: machine type, operating system, address.
    Device = 3,
    /// The hardware id of a device.
    DeviceId = 4,
    /// The serial part of a hostname.
    Hostname = 5,
    /// In which order a schedule takes its members.
    Order = 6,
    /// How far into its slot a occurrence falls.
    Jitter = 7,
    /// Which beginning an ending belongs to.
    Pairing = 8,
    /// How long after its cause an echo comes.
    Delay = 9,
    /// What an event says: administrator, app, reason, policy.
    Detail = 10,
    /// What the receiver of a webhook answers.
    Receiver = 11,
    /// The tokens and codes an account makes up.
    Token = 12,
    /// How long an event takes to become visible.
    Lag = 13,
    /// Which residues the masks of a schedule are in a run of its occurrences.
    Variants = 14,
    /// What a console says of an administrator's act.
    Console = 15,
    /// What a device's report says.
    Report = 16,
    /// Which application is accessed.
    Access = 17,
    /// What a test asked to happen by chance.
    Chance = 18,
}

/// The address of one stream of draws.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key(u64);

impl Key {
    /// The stream of one aspect of one seed.
    pub(crate) fn new(seed: u64, stream: RngStream) -> Self {
        Self(mix(mix(seed ^ 0x6F70_7377_6174).wrapping_add(STEP.wrapping_mul(stream as u64 + 1))))
    }

    /// The `index`-th of the streams below this one; they are unrelated to it and to each other.
    pub(crate) fn sub(self, index: u64) -> Self {
        Self(mix(self.at(index) ^ STEP))
    }

    /// The stream below this one that decides one aspect; never one of those that [`sub`](Self::sub) numbers.
    pub(crate) fn stream(self, stream: RngStream) -> Self {
        Self(mix(mix(!self.0).wrapping_add(STEP.wrapping_mul(stream as u64 + 1))))
    }

    /// The draw at a place: 64 evenly distributed bits.
    pub(crate) fn at(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(index.wrapping_mul(STEP)).wrapping_add(STEP))
    }

    /// The draw at a place, below `bound` (0 when `bound` is 0).
    pub(crate) fn below(self, index: u64, bound: u64) -> u64 {
        scale(self.at(index), bound)
    }

    /// One of `choices`, by the draw at a place.
    pub(crate) fn pick<T: Copy, const N: usize>(self, index: u64, choices: &[T; N]) -> T {
        const { assert!(N > 0, "nothing to pick from") };
        // Below `N` by construction, and `N` fits: it is the length of an array in memory.
        #[expect(clippy::cast_possible_truncation, reason = "below N, which is a usize")]
        choices[self.below(index, N as u64) as usize]
    }

    /// A generator that starts at a place, for libraries that want one.
    pub(crate) fn draws(self, index: u64) -> Draws {
        Draws { key: self.sub(index), place: 0 }
    }
}

/// A short run of draws from one place, in the form that `fake` asks for.
#[derive(Debug)]
pub(crate) struct Draws {
    key: Key,
    place: u64,
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let draw = self.key.at(self.place);
        self.place += 1;
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

/// A rearrangement of `0..size` that can be asked in both directions, one element at a time.
///
/// A small Feistel network over the next power of two, walked until it lands inside: about two rounds of it on average,
/// and no table, whatever the size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    key: Key,
    size: u64,
    low_bits: u32,
    high_bits: u32,
}

impl Permutation {
    const ROUNDS: u64 = 4;

    /// The rearrangement of `0..size` that `key` names.
    pub(crate) fn new(key: Key, size: u64) -> Self {
        let bits = (u64::BITS - size.saturating_sub(1).leading_zeros()).max(2);
        Self { key, size, low_bits: bits / 2, high_bits: bits - bits / 2 }
    }

    /// Where `element` goes. `element` must be below the size.
    pub(crate) fn forward(&self, element: u64) -> u64 {
        debug_assert!(element < self.size, "{element} is not below {}", self.size);
        if self.size < 2 {
            return element;
        }
        let mut walked = element;
        loop {
            for round in 0..Self::ROUNDS {
                walked = self.occurrence(walked, round);
            }
            if walked < self.size {
                return walked;
            }
        }
    }

    /// Which element went to `place`: the inverse of [`forward`](Self::forward).
    pub(crate) fn backward(&self, place: u64) -> u64 {
        debug_assert!(place < self.size, "{place} is not below {}", self.size);
        if self.size < 2 {
            return place;
        }
        let mut walked = place;
        loop {
            for round in (0..Self::ROUNDS).rev() {
                walked = self.occurrence(walked, round);
            }
            if walked < self.size {
                return walked;
            }
        }
    }

    /// One round: one half is masked with a hash of the other, so the round undoes itself.
    fn occurrence(&self, element: u64, round: u64) -> u64 {
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

/// The finalizer of SplitMix64: a bijection of 64 bits in which every bit of the input moves every bit of the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Brings 64 even bits below `bound`, by multiplication rather than by remainder.
fn scale(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_permutation_and_its_inverse_undo_each_other(seed: u64, size in 1_u64..200_000, element: u64) {
            let permutation = Permutation::new(Key::new(seed, RngStream::Order), size);
            let element = element % size;
            let place = permutation.forward(element);
            prop_assert!(place < size);
            prop_assert_eq!(permutation.backward(place), element);
        }

        #[test]
        fn a_permutation_leaves_nobody_out(seed: u64, size in 1_u64..500) {
            let permutation = Permutation::new(Key::new(seed, RngStream::Order), size);
            let mut places: Vec<u64> = (0..size).map(|element| permutation.forward(element)).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..size).collect::<Vec<_>>());
        }
    }

    #[test]
    fn neighbouring_seeds_and_lanes_do_not_resemble_each_other() {
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

    /// Taken once; a change of these numbers changes every history.
    const GOLDEN: [u64; 3] = [526_808_950_974_257_605, 15_540_198_021_513_665_205, 3_880_674_018_759_031_652];
}
