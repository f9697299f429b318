//! How many requests an account lets through.
//!
//! Two algorithms: governor's generic cell rate, which fills evenly, one cell a request; and windows that begin anew at
//! whole multiples of their length. Both read the account's clock instead of the machine's, and tell exactly when the whole
//! quota is there again, which the headers promise. Size, algorithm and scope can be changed at any time; the buckets are
//! full then.

use std::{collections::HashMap, fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::{clock::Instant, world::Millis};

/// How many buckets an account keeps; when there are more, those that are full again go first.
const MAX_BUCKETS: usize = 4_096;

/// A limit on requests, or none. Written `10/60` (requests in seconds), `10` (in a minute) or `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuotaLimit {
    /// Everything is let through.
    Off,
    /// So many requests in so many seconds.
    Per {
        /// How many requests may come at once.
        requests: NonZeroU32,
        /// After how many seconds all of them are available again.
        seconds: NonZeroU32,
    },
}

/// How an account's quota works.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaSettings {
    /// How many requests a bucket holds.
    pub requests: NonZeroU32,
    /// After how many seconds all of them are available again.
    pub per_seconds: NonZeroU32,
    /// How a bucket fills.
    pub algorithm: Algorithm,
    /// What has a bucket of its own.
    pub scope: Scope,
    /// Whether requests are counted at all.
    pub enabled: bool,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Evenly: one request after each part of the time (A).
    Gcra,
    /// All at once, at whole multiples of the time since 1970.
    FixedWindow,
}

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each token at each API (A).
    TokenApi,
    /// Each token.
    Token,
    /// Each API.
    AccountApi,
    /// The account.
    Account,
}

/// A change of a quota. What is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QuotaChange {
    /// How many requests a bucket holds, up to [`QuotaLimit::MAX`].
    pub requests: Option<NonZeroU32>,
    /// After how many seconds all of them are available again, up to [`QuotaLimit::MAX_SECONDS`].
    pub per_seconds: Option<NonZeroU32>,
    /// How a bucket fills.
    pub algorithm: Option<Algorithm>,
    /// What has a bucket of its own.
    pub scope: Option<Scope>,
    /// Whether requests are counted at all.
    pub enabled: Option<bool>,
    /// What a 429 says in `Retry-After`: the profile's key of that name.
    pub retry_after: Option<RetryAfter>,
}

/// What a 429 says in `Retry-After`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// Nothing: there is no such header (D).
    #[default]
    Off,
    /// How many seconds to wait.
    Seconds,
    /// At what time to come again.
    HttpDate,
}

impl QuotaLimit {
    /// The largest number of requests: more is no limit that a test could reach.
    pub const MAX: u32 = 1_000_000_000;
    /// A day: the longest time over which requests are counted.
    pub const MAX_SECONDS: u32 = 86_400;
}

impl QuotaSettings {
    /// Ten requests a minute (D) for each token and each API, evenly (A).
    pub const DEFAULT: Self = Self {
        requests: NonZeroU32::new(10).expect("10 is not 0"),
        per_seconds: NonZeroU32::new(60).expect("60 is not 0"),
        algorithm: Algorithm::Gcra,
        scope: Scope::TokenApi,
        enabled: true,
    };

    /// These settings after a change.
    #[must_use]
    pub fn changed(self, change: QuotaChange) -> Self {
        Self {
            requests: change.requests.unwrap_or(self.requests),
            per_seconds: change.per_seconds.unwrap_or(self.per_seconds),
            algorithm: change.algorithm.unwrap_or(self.algorithm),
            scope: change.scope.unwrap_or(self.scope),
            // Whoever says how many requests wants them counted.
            enabled: change
                .enabled
                .unwrap_or(self.enabled || change.requests.is_some() || change.per_seconds.is_some()),
        }
    }
}

impl From<QuotaLimit> for QuotaSettings {
    fn from(limit: QuotaLimit) -> Self {
        match limit {
            QuotaLimit::Off => Self { enabled: false, ..Self::DEFAULT },
            QuotaLimit::Per { requests, seconds } => Self { requests, per_seconds: seconds, ..Self::DEFAULT },
        }
    }
}

/// A limit as a change, for whoever writes it as a text.
impl From<QuotaLimit> for QuotaChange {
    fn from(limit: QuotaLimit) -> Self {
        match limit {
            QuotaLimit::Off => Self { enabled: Some(false), ..Self::default() },
            QuotaLimit::Per { requests, seconds } => {
                Self { requests: Some(requests), per_seconds: Some(seconds), enabled: Some(true), ..Self::default() }
            }
        }
    }
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
            _ => Err(format!(
                "must be REQUESTS/SECONDS such as 10/60, REQUESTS a minute such as 10, or off; up to {} requests in {} seconds",
                Self::MAX,
                Self::MAX_SECONDS
            )),
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
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaStatus {
    /// How many requests the bucket holds when it is full.
    pub limit: u32,
    /// How many more requests would be let through at once.
    pub remaining: u32,
    /// When the whole quota is available again, in whole seconds since 1970, rounded up.
    #[serde(rename = "reset_at", serialize_with = "as_instant")]
    pub reset_seconds: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn as_instant<S: serde::Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    Instant::from(Millis(seconds.saturating_mul(1000))).serialize(serializer)
}

/// A bucket from which something was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// Whose it is, where tokens have buckets of their own.
    pub token: Option<Arc<str>>,
    /// At which API, where APIs have buckets of their own.
    pub api: Option<&'static str>,
    /// Where it stands.
    pub status: QuotaStatus,
}

/// A request that came too early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QuotaExceeded {
    pub(crate) status: QuotaStatus,
    /// After how many seconds one request is let through, rounded up.
    pub(crate) wait_seconds: u64,
}

/// The quota of one account.
#[derive(Debug)]
pub(crate) struct Quota {
    state: Mutex<State>,
}

/// Settings and buckets change together: what the headers say is what is enforced.
#[derive(Debug)]
struct State {
    settings: QuotaSettings,
    buckets: HashMap<BucketKey, Level>,
    /// Counts the changes of the settings: what was taken before is not given back after.
    change: u64,
}

/// What a request has taken: enough to give it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub(crate) status: QuotaStatus,
    level: Level,
    change: u64,
}

/// Whose request, at which API.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BucketKey {
    token: Option<Arc<str>>,
    api: Option<&'static str>,
}

/// How much was taken from a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    /// When it will be full again, in nanoseconds since 1970.
    FullAt(u64),
    /// In which window how many requests were let through.
    Used { window: u64, requests: u32 },
}

impl Quota {
    pub(crate) fn new(settings: QuotaSettings) -> Self {
        Self { state: Mutex::new(State { settings, buckets: HashMap::new(), change: 0 }) }
    }

    pub(crate) fn settings(&self) -> QuotaSettings {
        self.state().settings
    }

    /// Changes how requests are counted. All buckets are full then, unless nothing changes.
    pub(crate) fn change(&self, settings: QuotaSettings) {
        let mut state = self.state();
        if state.settings != settings {
            *state = State { settings, buckets: HashMap::new(), change: state.change + 1 };
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&self, settings: QuotaSettings) {
        let mut state = self.state();
        *state = State { settings, buckets: HashMap::new(), change: state.change + 1 };
    }

    /// Lets one request through, or not; a request that is refused leaves the bucket as it is.
    ///
    /// `None` when requests are not counted.
    pub(crate) fn take(
        &self,
        token: &Arc<str>,
        api: &'static str,
        now: Millis,
    ) -> Result<Option<Taken>, QuotaExceeded> {
        let mut state = self.state();
        let size = Size::of(state.settings);
        if !state.settings.enabled {
            return Ok(None);
        }
        let key = state.key(token, api);
        let now = nanos(now);
        let level = state.buckets.get(&key).copied().unwrap_or_else(|| size.full());
        match size.take(level, now) {
            Ok(level) => {
                if let Some(bucket) = state.buckets.get_mut(&key) {
                    *bucket = level;
                } else {
                    state.make_room(size, now);
                    state.buckets.insert(key, level);
                }
                Ok(Some(Taken { status: size.status(level, now), level, change: state.change }))
            }
            Err(wait) => {
                Err(QuotaExceeded { status: size.status(level, now), wait_seconds: wait.div_ceil(NANOS_PER_SECOND) })
            }
        }
    }

    /// Takes back that a request was counted, as far as its bucket has not filled since; tells where the bucket then
    /// stands.
    pub(crate) fn give_back(
        &self,
        token: &Arc<str>,
        api: &'static str,
        back: Taken,
        now: Millis,
    ) -> Option<QuotaStatus> {
        let mut state = self.state();
        if !state.settings.enabled || state.change != back.change {
            return None;
        }
        let (size, key, now) = (Size::of(state.settings), state.key(token, api), nanos(now));
        let level = state.buckets.get_mut(&key)?;
        *level = size.give_back(*level, back.level, now);
        Some(size.status(*level, now))
    }

    /// Where a bucket stands, without taking anything from it. `None` when requests are not counted, or when nothing is known
    /// of the API and each has a bucket of its own.
    pub(crate) fn look(&self, token: &Arc<str>, api: &'static str, now: Millis) -> Option<QuotaStatus> {
        let state = self.state();
        let size = Size::of(state.settings);
        let level = state.buckets.get(&state.key(token, api)).copied().unwrap_or_else(|| size.full());
        state.settings.enabled.then(|| size.status(level, nanos(now)))
    }

    /// All buckets from which something was taken and that are not full again.
    pub(crate) fn buckets(&self, now: Millis) -> Vec<Bucket> {
        let state = self.state();
        let (size, now) = (Size::of(state.settings), nanos(now));
        let mut buckets: Vec<Bucket> = state
            .buckets
            .iter()
            .filter(|(_, level)| !size.is_full(**level, now))
            .map(|(BucketKey { token, api }, level)| Bucket {
                token: token.clone(),
                api: *api,
                status: size.status(*level, now),
            })
            .collect();
        drop(state);
        buckets.sort_by(|one, other| (&one.token, one.api).cmp(&(&other.token, other.api)));
        buckets
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn key(&self, token: &Arc<str>, api: &'static str) -> BucketKey {
        let (by_token, by_api) = match self.settings.scope {
            Scope::TokenApi => (true, true),
            Scope::Token => (true, false),
            Scope::AccountApi => (false, true),
            Scope::Account => (false, false),
        };
        BucketKey { token: by_token.then(|| token.clone()), api: by_api.then_some(api) }
    }

    /// Forgets buckets that are full, and if that does not help, the one that is nearest to it.
    fn make_room(&mut self, size: Size, now: u64) {
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.retain(|_, level| !size.is_full(*level, now));
        }
        if self.buckets.len() >= MAX_BUCKETS
            && let Some(fullest) =
                self.buckets.iter().min_by_key(|(_, level)| size.full_at(**level)).map(|(key, _)| key.clone())
        {
            self.buckets.remove(&fullest);
        }
    }
}

/// A quota in nanoseconds.
#[derive(Clone, Copy)]
struct Size {
    algorithm: Algorithm,
    requests: NonZeroU32,
    /// How long a window is.
    window: u64,
    /// After how many nanoseconds one more request is let through, where the bucket fills evenly.
    each: u64,
}

impl Size {
    fn of(settings: QuotaSettings) -> Self {
        let QuotaSettings { requests, per_seconds, algorithm, .. } = settings;
        let window = u64::from(per_seconds.get()) * NANOS_PER_SECOND;
        Self { algorithm, requests, window, each: (window / u64::from(requests.get())).max(1) }
    }

    fn full(self) -> Level {
        match self.algorithm {
            Algorithm::Gcra => Level::FullAt(0),
            Algorithm::FixedWindow => Level::Used { window: 0, requests: 0 },
        }
    }

    /// How many nanoseconds to wait, when the bucket is empty.
    fn take(self, level: Level, now: u64) -> Result<Level, u64> {
        match level {
            Level::FullAt(full_at) => {
                // The generic cell rate algorithm: the bucket drains evenly, and a request adds one cell to it.
                let full_at = full_at.max(now) + self.each;
                let burst = self.each * u64::from(self.requests.get());
                match (full_at - now).checked_sub(burst) {
                    None | Some(0) => Ok(Level::FullAt(full_at)),
                    Some(wait) => Err(wait),
                }
            }
            Level::Used { window, requests } => {
                // Whoever came before the window began and is decided after counts in it: a window never goes back.
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

    fn give_back(self, level: Level, taken: Level, now: u64) -> Level {
        match (level, taken) {
            // What has drained away meanwhile is there already.
            (Level::FullAt(full_at), Level::FullAt(taken)) => {
                Level::FullAt(full_at.saturating_sub(self.each.min(taken.saturating_sub(now))))
            }
            (Level::Used { window, requests }, Level::Used { window: taken, .. }) if window == taken => {
                Level::Used { window, requests: requests.saturating_sub(1) }
            }
            (level, _) => level,
        }
    }

    fn full_at(self, level: Level) -> u64 {
        match level {
            Level::FullAt(full_at) => full_at,
            Level::Used { requests: 0, .. } => 0,
            Level::Used { window, .. } => (window + 1) * self.window,
        }
    }

    fn is_full(self, level: Level, now: u64) -> bool {
        self.full_at(level) <= now
    }

    fn status(self, level: Level, now: u64) -> QuotaStatus {
        let full_at = self.full_at(level);
        let owed = match level {
            Level::FullAt(full_at) => full_at.saturating_sub(now).div_ceil(self.each),
            Level::Used { requests, .. } => u64::from(if full_at > now { requests } else { 0 }),
        };
        let limit = self.requests.get();
        let remaining = limit.saturating_sub(u32::try_from(owed).unwrap_or(u32::MAX));
        QuotaStatus { limit, remaining, reset_seconds: full_at.max(now).div_ceil(NANOS_PER_SECOND).cast_signed() }
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

fn nanos(now: Millis) -> u64 {
    // Clocks show 1970 to 2199.
    now.0.max(0).cast_unsigned() * 1_000_000
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "the reference counts in floats, on purpose")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const API: &str = "logs-v3.3";

    fn quota() -> Quota {
        Quota::new("10".parse::<QuotaLimit>().expect("a limit").into())
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
        let quota = quota();
        let now = Millis(1_768_478_400_500);
        for left in (0..10).rev() {
            let status = quota.take(&"a".into(), API, now).expect("within the quota").expect("a limit is set").status;
            assert_eq!((status.limit, status.remaining), (10, left));
        }
        let refused = quota.take(&"a".into(), API, now).expect_err("beyond the quota");
        // Half a second into the minute: all is there again 60 s later, rounded up to a whole second.
        assert_eq!(refused.status, QuotaStatus { limit: 10, remaining: 0, reset_seconds: 1_768_478_461 });
        assert_eq!(refused.wait_seconds, 6);
        let reset = Millis(refused.status.reset_seconds * 1000);
        assert_eq!(quota.look(&"a".into(), API, reset).map(|status| status.remaining), Some(10));
        assert_eq!(quota.look(&"b".into(), API, now).map(|status| status.remaining), Some(10));
    }

    #[test]
    fn buckets_are_bounded() {
        let quota = quota();
        for nth in 0..MAX_BUCKETS + 100 {
            quota.take(&nth.to_string().into(), API, Millis(1_768_478_400_000)).expect("a bucket of its own");
        }
        assert_eq!(quota.state().buckets.len(), MAX_BUCKETS);
    }

    #[test]
    fn a_window_begins_anew_at_its_multiples() {
        let settings = QuotaSettings { algorithm: Algorithm::FixedWindow, ..QuotaSettings::DEFAULT };
        let quota = Quota::new(settings);
        // A quarter of a minute before the next one.
        let now = Millis(1_768_478_445_000);
        for left in (0..10).rev() {
            let status = quota.take(&"a".into(), API, now).expect("within the quota").expect("a limit is set").status;
            assert_eq!(status, QuotaStatus { limit: 10, remaining: left, reset_seconds: 1_768_478_460 });
        }
        let refused = quota.take(&"a".into(), API, now).expect_err("beyond the quota");
        assert_eq!((refused.status.remaining, refused.wait_seconds), (0, 15));
        let status = quota.take(&"a".into(), API, Millis(1_768_478_460_000)).expect("a new window");
        assert_eq!(
            status.map(|taken| taken.status),
            Some(QuotaStatus { limit: 10, remaining: 9, reset_seconds: 1_768_478_520 })
        );
    }

    #[test]
    fn a_window_never_goes_back() {
        let settings = QuotaSettings { algorithm: Algorithm::FixedWindow, ..QuotaSettings::DEFAULT };
        let quota = Quota::new(settings);
        let (before, after) = (Millis(1_768_478_459_999), Millis(1_768_478_460_000));
        for nth in 0..10 {
            // Some came before the window began, and are decided after.
            let now = if nth % 2 == 0 { after } else { before };
            assert!(quota.take(&"a".into(), API, now).is_ok());
        }
        assert!(quota.take(&"a".into(), API, before).is_err());
        assert!(quota.take(&"a".into(), API, after).is_err());
    }

    #[test]
    fn only_what_is_still_missing_is_given_back() {
        for algorithm in [Algorithm::Gcra, Algorithm::FixedWindow] {
            let quota = Quota::new(QuotaSettings { algorithm, ..QuotaSettings::DEFAULT });
            let (first, later) = (Millis(1_768_478_400_000), Millis(1_768_478_460_000));
            let take =
                |now| quota.take(&"a".into(), API, now).expect("within the quota").expect("requests are counted");
            let taken: Vec<Taken> = (0..10).map(|_| take(first)).collect();
            assert_eq!(quota.give_back(&"a".into(), API, taken[9], first).map(|status| status.remaining), Some(1));
            take(first);
            for _ in 0..10 {
                take(later);
            }
            for taken in taken {
                quota.give_back(&"a".into(), API, taken, later);
            }
            assert!(quota.take(&"a".into(), API, later).is_err(), "{algorithm:?}");
            quota.change(QuotaSettings { requests: NonZeroU32::MIN, algorithm, ..QuotaSettings::DEFAULT });
            let taken = take(later);
            quota.change(QuotaSettings { algorithm, ..QuotaSettings::DEFAULT });
            assert_eq!(quota.give_back(&"a".into(), API, taken, later), None, "of other settings");
        }
    }

    /// What happens to a quota, beside a reference that is too simple to be wrong.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Take(u8, u8),
        GiveBack(u8, u8),
        Advance(u32),
    }

    /// The instants at which requests were let through, of each bucket.
    #[derive(Default)]
    struct Reference(HashMap<(u8, u8), Vec<i64>>);

    impl Reference {
        /// Milliseconds until a request is let through, by simulating the bucket from its first request.
        fn wait(&self, bucket: (u8, u8), now: i64, settings: QuotaSettings) -> f64 {
            let taken = self.0.get(&bucket).map_or(&[][..], Vec::as_slice);
            let (requests, period_ms) =
                (f64::from(settings.requests.get()), f64::from(settings.per_seconds.get()) * 1000.0);
            match settings.algorithm {
                Algorithm::FixedWindow => {
                    let period = i64::from(settings.per_seconds.get()) * 1000;
                    let same = taken.iter().filter(|&&at| at / period == now / period).count();
                    if same < settings.requests.get() as usize {
                        0.0
                    } else {
                        ((now / period + 1) * period - now) as f64
                    }
                }
                Algorithm::Gcra => {
                    // A bucket that leaks: each request adds one, and it drains evenly.
                    let (mut level, mut last) = (0.0_f64, 0);
                    for &at in taken {
                        level = (level - (at - last) as f64 * requests / period_ms).max(0.0) + 1.0;
                        last = at;
                    }
                    level = (level - (now - last) as f64 * requests / period_ms).max(0.0);
                    ((level + 1.0 - requests) * period_ms / requests).max(0.0)
                }
            }
        }
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (0_u8..2, 0_u8..2).prop_map(|(token, api)| Act::Take(token, api)),
            1 => (0_u8..2, 0_u8..2).prop_map(|(token, api)| Act::GiveBack(token, api)),
            3 => (0_u32..20_000).prop_map(Act::Advance),
        ]
    }

    proptest! {
        #[test]
        fn it_lets_through_what_a_plain_reference_does(
            acts in proptest::collection::vec(act(), 1..120),
            requests in 1_u32..12, seconds in 1_u32..90,
            algorithm in prop_oneof![Just(Algorithm::Gcra), Just(Algorithm::FixedWindow)],
            scope in prop_oneof![
                Just(Scope::TokenApi), Just(Scope::Token), Just(Scope::AccountApi), Just(Scope::Account)
            ],
        ) {
            const APIS: [&str; 2] = ["logs-v2", "logs-v3.3"];
            let number = |number| NonZeroU32::new(number).expect("from 1");
            let settings =
                QuotaSettings { requests: number(requests), per_seconds: number(seconds), algorithm, scope, enabled: true };
            let quota = Quota::new(settings);
            let mut reference = Reference::default();
            let mut taken_last: HashMap<(u8, u8), Taken> = HashMap::new();
            let mut now = 1_768_478_400_000_i64;
            for act in acts {
                let bucket = |token, api| match scope {
                    Scope::TokenApi => (token, api),
                    Scope::Token => (token, 9),
                    Scope::AccountApi => (9, api),
                    Scope::Account => (9, 9),
                };
                match act {
                    Act::Advance(by) => now += i64::from(by),
                    Act::Take(token, api) => {
                        let wait = reference.wait(bucket(token, api), now, settings);
                        let (name, api_name) = (token.to_string().into(), APIS[usize::from(api)]);
                        match quota.take(&name, api_name, Millis(now)) {
                            Ok(status) => {
                                // The reference counts in floats: a millisecond to either side is undecided.
                                prop_assert!(wait < 1.0, "let through {wait} ms too early");
                                reference.0.entry(bucket(token, api)).or_default().push(now);
                                let taken = status.expect("requests are counted");
                                taken_last.insert(bucket(token, api), taken);
                                let status = taken.status;
                                prop_assert_eq!(Some(status), quota.look(&name, api_name, Millis(now)));
                                // At the reset time all is there: as many as the bucket holds, and no more.
                                let reset = Millis(status.reset_seconds * 1000);
                                prop_assert_eq!(quota.look(&name, api_name, reset).map(|whole| whole.remaining), Some(requests));
                            }
                            Err(too_many) => {
                                prop_assert!(wait > 0.0, "refused without a reason");
                                prop_assert!((too_many.wait_seconds as f64 - (wait / 1000.0).ceil()).abs() <= 1.0);
                                prop_assert_eq!(too_many.status.remaining, 0);
                            }
                        }
                    }
                    Act::GiveBack(token, api) => {
                        let key = bucket(token, api);
                        // What was counted in this very instant is taken back, as a refused request is.
                        let taken = reference.0.entry(key).or_default();
                        if taken.last() == Some(&now)
                            && let Some(last) = taken_last.remove(&key)
                        {
                            taken.pop();
                            quota.give_back(&token.to_string().into(), APIS[usize::from(api)], last, Millis(now));
                        }
                    }
                }
            }
        }
    }
}
