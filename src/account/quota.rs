//! How many requests an account lets through.
//!
//! The engine is governor's: the generic cell rate algorithm, one cell a request. Here it reads the account's clock
//! instead of the machine's, and tells exactly when the whole quota is there again, which the headers promise.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};

use crate::world::Millis;

/// How many buckets an account keeps; when there are more, those that are full again go first.
const MAX_BUCKETS: usize = 4_096;

/// A limit on requests, or none. Written `10/60` (requests in seconds), `10` (in a minute) or `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuotaLimit {
    /// Everything is let through.
    Off,
    /// So many requests in so many seconds, for each token and each API.
    Per {
        /// How many requests may come at once.
        requests: NonZeroU32,
        /// After how many seconds all of them are available again.
        seconds: NonZeroU32,
    },
}

impl QuotaLimit {
    /// The largest number of requests, and of seconds: more is no limit that a test could reach.
    pub const MAX: u32 = 1_000_000_000;
    /// A day: the longest time over which requests are counted.
    pub const MAX_SECONDS: u32 = 86_400;
}

impl FromStr for QuotaLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (requests, seconds) = text.split_once('/').unwrap_or((text, "60"));
        let number = |text: &str, max| text.parse().ok().filter(|number: &NonZeroU32| number.get() <= max);
        match (number(requests, Self::MAX), number(seconds, Self::MAX_SECONDS)) {
            (Some(requests), Some(seconds)) => Ok(Self::Per { requests, seconds }),
            _ => Err("must be REQUESTS/SECONDS such as 10/60, REQUESTS a minute such as 10, or off".to_owned()),
        }
    }
}

impl fmt::Display for QuotaLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Per { requests, seconds } => write!(f, "{requests}/{seconds}"),
        }
    }
}

/// Where a quota stands after (or without) a request: what the `X-RateLimit-*` headers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    /// How many more requests would be let through at once.
    pub(crate) remaining: u32,
    /// When the whole quota is available again, in whole seconds since 1970, rounded up.
    pub(crate) reset_seconds: i64,
}

/// A request that came too early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooMany {
    pub(crate) standing: Standing,
    /// After how many seconds one request is let through, rounded up.
    pub(crate) wait_seconds: u64,
}

/// The buckets of one account.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: QuotaLimit,
    /// When each bucket will be full again, in nanoseconds since 1970. One that is not here is full.
    buckets: Mutex<HashMap<BucketKey, u64>>,
}

/// Whose bucket: that of one token at one API.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BucketKey {
    pub(crate) token: Arc<str>,
    pub(crate) api: &'static str,
}

impl Quota {
    pub(crate) fn new(limit: QuotaLimit) -> Self {
        Self { limit, buckets: Mutex::new(HashMap::new()) }
    }

    /// Lets one request through, or not; a request that is refused leaves the bucket as it is.
    ///
    /// `None` when there is no limit.
    pub(crate) fn take(&self, key: &BucketKey, now: Millis) -> Result<Option<Standing>, TooMany> {
        let Some((quota, engine)) = self.engine() else { return Ok(None) };
        let now = nanos(now);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = Cell::new(buckets.get(key).copied().unwrap_or(0));
        let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
            RateLimiter::new(engine, Level { full_at: &full_at, now }, Reading(now.into()));
        let outcome = limiter.check();
        let standing = quota.standing(full_at.get(), now);
        match outcome {
            Ok(()) => {
                if let Some(bucket) = buckets.get_mut(key) {
                    *bucket = full_at.get();
                } else {
                    make_room(&mut buckets, now);
                    buckets.insert(key.clone(), full_at.get());
                }
                Ok(Some(standing))
            }
            Err(not_until) => {
                let wait = not_until.earliest_possible().as_u64().saturating_sub(now);
                Err(TooMany { standing, wait_seconds: wait.div_ceil(NANOS_PER_SECOND) })
            }
        }
    }

    /// Where a bucket stands, without taking anything from it. `None` when there is no limit.
    pub(crate) fn look(&self, key: &BucketKey, now: Millis) -> Option<Standing> {
        let (quota, _) = self.engine()?;
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        Some(quota.standing(buckets.get(key).copied().unwrap_or(0), nanos(now)))
    }

    fn engine(&self) -> Option<(Size, governor::Quota)> {
        let QuotaLimit::Per { requests, seconds } = self.limit else { return None };
        let each = Duration::from_secs(seconds.get().into()) / requests.get();
        let each = each.max(Duration::from_nanos(1));
        let engine = governor::Quota::with_period(each)?.allow_burst(requests);
        // A day at the most, so it fits.
        Some((Size { requests: requests.get(), each: u64::try_from(each.as_nanos()).unwrap_or(u64::MAX) }, engine))
    }
}

/// A quota in nanoseconds.
#[derive(Clone, Copy)]
struct Size {
    requests: u32,
    /// After how many nanoseconds one more request is let through.
    each: u64,
}

impl Size {
    fn standing(self, full_at: u64, now: u64) -> Standing {
        let owed = full_at.saturating_sub(now).div_ceil(self.each);
        let remaining = self.requests.saturating_sub(u32::try_from(owed).unwrap_or(u32::MAX));
        let reset_seconds = full_at.max(now).div_ceil(NANOS_PER_SECOND).cast_signed();
        Standing { limit: self.requests, remaining, reset_seconds }
    }
}

/// Forgets buckets that are full, and if that does not help, the one that is nearest to it.
fn make_room(buckets: &mut HashMap<BucketKey, u64>, now: u64) {
    if buckets.len() >= MAX_BUCKETS {
        buckets.retain(|_, full_at| *full_at > now);
    }
    if buckets.len() >= MAX_BUCKETS
        && let Some(fullest) = buckets.iter().min_by_key(|(_, full_at)| **full_at).map(|(key, _)| key.clone())
    {
        buckets.remove(&fullest);
    }
}

/// A bucket while a request is decided. Governor counts from the limiter's beginning, which here is now.
struct Level<'a> {
    full_at: &'a Cell<u64>,
    now: u64,
}

impl StateStore for Level<'_> {
    type Key = NotKeyed;

    /// Nobody else writes in between: the lock of the buckets is held.
    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let ahead = self.full_at.get().saturating_sub(self.now);
        let (outcome, ahead) = decide((ahead > 0).then(|| ahead.into()))?;
        self.full_at.set(self.now + ahead.as_u64());
        Ok(outcome)
    }
}

/// The instant of the request, as it was read from the account's clock at its beginning.
#[derive(Clone, Debug)]
struct Reading(Nanos);

impl Clock for Reading {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

fn nanos(now: Millis) -> u64 {
    // Clocks show 1970 to 2199.
    now.0.max(0).cast_unsigned() * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str) -> BucketKey {
        BucketKey { token: token.into(), api: "logs-v3.3" }
    }

    #[test]
    fn a_limit_is_written_in_three_ways() {
        for (text, read) in [("10", "10/60"), ("10/60", "10/60"), ("3/1", "3/1"), ("off", "off")] {
            assert_eq!(text.parse::<QuotaLimit>().map(|limit| limit.to_string()), Ok(read.to_owned()), "{text}");
        }
        for text in ["", "0", "10/0", "-1", "1.5", "ten", "10/60/1", "OFF", "10/ 60", "1000000001", "10/86401"] {
            assert!(text.parse::<QuotaLimit>().is_err(), "{text} is accepted");
        }
    }

    #[test]
    fn a_bucket_fills_as_its_headers_say() {
        let quota = Quota::new("10".parse().expect("a limit"));
        let now = Millis(1_768_478_400_500);
        for left in (0..10).rev() {
            let standing = quota.take(&key("a"), now).expect("within the quota").expect("a limit is set");
            assert_eq!((standing.limit, standing.remaining), (10, left));
        }
        let refused = quota.take(&key("a"), now).expect_err("beyond the quota");
        // Half a second into the minute: all is there again 60 s later, rounded up to a whole second.
        assert_eq!(refused.standing, Standing { limit: 10, remaining: 0, reset_seconds: 1_768_478_461 });
        assert_eq!(refused.wait_seconds, 6);
        let reset = Millis(refused.standing.reset_seconds * 1000);
        assert_eq!(quota.look(&key("a"), reset).map(|standing| standing.remaining), Some(10));
        assert_eq!(quota.look(&key("b"), now).map(|standing| standing.remaining), Some(10));
    }

    #[test]
    fn buckets_are_bounded() {
        let quota = Quota::new("10".parse().expect("a limit"));
        for nth in 0..MAX_BUCKETS + 100 {
            quota.take(&key(&nth.to_string()), Millis(1_768_478_400_000)).expect("a bucket of its own");
        }
        assert_eq!(quota.buckets.lock().expect("nobody panicked").len(), MAX_BUCKETS);
    }
}
