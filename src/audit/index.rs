//! Finds events by the hash of their compared values.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{
    expected::{Expected, Hashes},
    time::RecordTime,
};
use crate::world::Millis;

/// No event.
pub(super) const NONE: u32 = u32::MAX;

/// The events by the hash of their compared values, at one precision of the time.
pub(super) struct Index {
    /// The first event of each hash that is not taken, or the last one.
    first: HashMap<u64, u32, FixedState>,
    /// The next event of the same hash.
    next: Vec<u32>,
}

/// Mixes the hash of the compared texts with the times.
pub(super) fn mixed(texts: u64, at: i64, last_seen: Option<i64>) -> u64 {
    let mut mixed = texts;
    for part in [Some(at), last_seen].into_iter().flatten() {
        mixed = (mixed ^ part.cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
    mixed
}

/// The events that no record has taken, to find the next one quickly. Events that are not required are always free.
pub(super) struct FreeEvents(Vec<u32>);

impl FreeEvents {
    pub(super) fn new(is_matched: &[bool], required: &[bool]) -> Self {
        let count = u32::try_from(is_matched.len()).unwrap_or(NONE);
        let mut next: Vec<u32> = (0..=count).collect();
        for (nth, (is_matched, is_required)) in is_matched.iter().zip(required).enumerate() {
            if *is_matched && *is_required {
                next[nth] += 1;
            }
        }
        Self(next)
    }

    /// The first free event from an index on, or the number of events.
    pub(super) fn from(&mut self, nth: usize) -> u32 {
        let mut nth = nth.min(self.0.len() - 1);
        // Each step halves the way of the next search.
        while self.0[nth] as usize != nth {
            let next = self.0[nth] as usize;
            self.0[nth] = self.0[next];
            nth = self.0[nth] as usize;
        }
        u32::try_from(nth).unwrap_or(NONE)
    }

    pub(super) fn remove(&mut self, event: u32) {
        self.0[event as usize] = event + 1;
    }
}

/// What an index has for a hash.
pub(super) enum Found {
    /// An event that no record has taken.
    Free(u32),
    /// Only events that were taken; the last of them.
    Taken(u32),
    None,
}

impl Index {
    pub(super) fn new(expected: &Expected, hashes: &Hashes, unit_ms: i64) -> Self {
        let count = expected.keys.len();
        let mut first: HashMap<u64, u32, FixedState> =
            HashMap::with_capacity_and_hasher(count, FixedState::with_seed(0));
        let mut next = vec![NONE; count];
        // From the last event to the first, so that each chain is in the order of time.
        for nth in (0..count).rev() {
            let last_seen = hashes.last_seen.get(nth).map(|&seen| RecordTime::truncated(Millis(seen), unit_ms));
            let at = RecordTime::truncated(expected.keys[nth].at, unit_ms);
            let hash = mixed(hashes.texts[nth], at, last_seen);
            // At most five million events are expected.
            let event = u32::try_from(nth).unwrap_or(NONE);
            if let Some(later) = first.insert(hash, event) {
                next[nth] = later;
            }
        }
        Self { first, next }
    }

    /// Whether an event has the hash, taken or not.
    pub(super) fn has(&self, hash: u64) -> bool {
        self.first.contains_key(&hash)
    }

    pub(super) fn find(&mut self, hash: u64, is_matched: &[bool]) -> Found {
        let Some(first) = self.first.get_mut(&hash) else { return Found::None };
        while is_matched[*first as usize] {
            match self.next[*first as usize] {
                NONE => return Found::Taken(*first),
                later => *first = later,
            }
        }
        Found::Free(*first)
    }
}
