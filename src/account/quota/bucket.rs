//! The arithmetic of one bucket, in nanoseconds since 1970.

use std::num::NonZeroU32;

use super::settings::{Algorithm, QuotaSettings, QuotaStatus};
use crate::world::Millis;

/// The fill level of a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// The time at which the bucket is full again, in nanoseconds since 1970.
    FullAt(u64),
    /// The number of requests in a window.
    Used { window: u64, requests: u32 },
}

/// The quota settings in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct BucketSpec {
    algorithm: Algorithm,
    requests: NonZeroU32,
    /// The length of a window.
    window: u64,
    /// The GCRA interval: the time after which one more request is allowed.
    interval: u64,
}

impl BucketSpec {
    pub(super) fn of(settings: QuotaSettings) -> Self {
        let QuotaSettings { requests, per_seconds, algorithm, .. } = settings;
        let window = u64::from(per_seconds.get()) * NANOS_PER_SECOND;
        Self { algorithm, requests, window, interval: (window / u64::from(requests.get())).max(1) }
    }

    pub(super) fn full(self) -> Level {
        match self.algorithm {
            Algorithm::Gcra => Level::FullAt(0),
            Algorithm::FixedWindow => Level::Used { window: 0, requests: 0 },
        }
    }

    /// Returns the new level, or the wait time in nanoseconds if the bucket is empty.
    pub(super) fn take(self, level: Level, now: u64) -> Result<Level, u64> {
        match level {
            Level::FullAt(full_at) => {
                // GCRA: the level drains evenly, and each request adds one cell.
                let full_at = full_at.max(now) + self.interval;
                let burst = self.interval * u64::from(self.requests.get());
                match (full_at - now).checked_sub(burst) {
                    None | Some(0) => Ok(Level::FullAt(full_at)),
                    Some(wait) => Err(wait),
                }
            }
            Level::Used { window, requests } => {
                // A request may arrive before a window starts and be counted after it. It counts in the new window:
                // windows never go back.
                let current = (now / self.window).max(window);
                let used = if window == current { requests } else { 0 };
                if used < self.requests.get() {
                    Ok(Level::Used { window: current, requests: used + 1 })
                } else {
                    Err(((current + 1) * self.window).saturating_sub(now))
                }
            }
        }
    }

    pub(super) fn give_back(self, level: Level, taken: Level, now: u64) -> Level {
        match (level, taken) {
            // What has drained since the request was counted is available again already.
            (Level::FullAt(full_at), Level::FullAt(taken)) => {
                Level::FullAt(full_at.saturating_sub(self.interval.min(taken.saturating_sub(now))))
            }
            (Level::Used { window, requests }, Level::Used { window: taken, .. }) if window == taken => {
                Level::Used { window, requests: requests.saturating_sub(1) }
            }
            (level, _) => level,
        }
    }

    pub(super) fn full_at(self, level: Level) -> u64 {
        match level {
            Level::FullAt(full_at) => full_at,
            Level::Used { requests: 0, .. } => 0,
            Level::Used { window, .. } => (window + 1) * self.window,
        }
    }

    pub(super) fn is_full(self, level: Level, now: u64) -> bool {
        self.full_at(level) <= now
    }

    pub(super) fn status(self, level: Level, now: u64) -> QuotaStatus {
        let full_at = self.full_at(level);
        let owed = match level {
            Level::FullAt(full_at) => full_at.saturating_sub(now).div_ceil(self.interval),
            Level::Used { requests, .. } => u64::from(if full_at > now { requests } else { 0 }),
        };
        let limit = self.requests.get();
        let remaining = limit.saturating_sub(u32::try_from(owed).unwrap_or(u32::MAX));
        QuotaStatus { limit, remaining, reset_seconds: full_at.max(now).div_ceil(NANOS_PER_SECOND).cast_signed() }
    }
}

pub(super) const NANOS_PER_SECOND: u64 = 1_000_000_000;

pub(super) fn nanos(now: Millis) -> u64 {
    // Clocks show times from 1970 to 2199.
    now.0.max(0).cast_unsigned() * 1_000_000
}
