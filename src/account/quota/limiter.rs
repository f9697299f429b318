//! The buckets of an account: how a request is counted.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use super::{
    bucket::{BucketSpec, Level, NANOS_PER_SECOND, nanos},
    settings::{Bucket, QuotaSettings, QuotaStatus, Scope},
};
use crate::world::Millis;

/// The maximum number of buckets of an account. Beyond it, full buckets are removed first.
const MAX_BUCKETS: usize = 4_096;

/// A request that the quota rejects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QuotaExceeded {
    pub(crate) status: QuotaStatus,
    /// The time until the bucket allows one request, in seconds, rounded up.
    pub(crate) wait_seconds: u64,
}

/// The quota of one account.
#[derive(Debug)]
pub(crate) struct Quota {
    state: Mutex<State>,
}

/// Settings and buckets under one lock, so that the headers always report the enforced settings.
#[derive(Debug)]
struct State {
    settings: QuotaSettings,
    buckets: HashMap<BucketKey, Level>,
    /// The number of changes of the settings. A request that was counted under earlier settings is not given back.
    change: u64,
}

/// A counted request, with the data to give it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub(crate) status: QuotaStatus,
    level: Level,
    change: u64,
}

/// The token and the API of a bucket, as far as the scope separates them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BucketKey {
    token: Option<Arc<str>>,
    api: Option<&'static str>,
}

impl Quota {
    pub(crate) fn new(settings: QuotaSettings) -> Self {
        Self { state: Mutex::new(State { settings, buckets: HashMap::new(), change: 0 }) }
    }

    pub(crate) fn settings(&self) -> QuotaSettings {
        self.state().settings
    }

    /// Changes the settings. If they differ from the current ones, all buckets become full.
    pub(crate) fn change(&self, settings: QuotaSettings) {
        let mut state = self.state();
        if state.settings != settings {
            state.restart(settings);
        }
    }

    /// Sets the settings, and fills all buckets.
    pub(crate) fn reset(&self, settings: QuotaSettings) {
        self.state().restart(settings);
    }

    /// Counts one request, or rejects it. A rejected request does not change the bucket.
    ///
    /// Returns `None` if the quota is not enforced.
    pub(crate) fn take(
        &self,
        token: &Arc<str>,
        api: &'static str,
        now: Millis,
    ) -> Result<Option<Taken>, QuotaExceeded> {
        let mut state = self.state();
        if !state.settings.enabled {
            return Ok(None);
        }
        let spec = BucketSpec::of(state.settings);
        let key = state.key(token, api);
        let now = nanos(now);
        let level = state.buckets.get(&key).copied().unwrap_or_else(|| spec.full());
        match spec.take(level, now) {
            Ok(level) => {
                if let Some(bucket) = state.buckets.get_mut(&key) {
                    *bucket = level;
                } else {
                    state.make_room(spec, now);
                    state.buckets.insert(key, level);
                }
                Ok(Some(Taken { status: spec.status(level, now), level, change: state.change }))
            }
            Err(wait) => {
                Err(QuotaExceeded { status: spec.status(level, now), wait_seconds: wait.div_ceil(NANOS_PER_SECOND) })
            }
        }
    }

    /// Gives a counted request back, except for what the bucket has refilled since, and returns the new state.
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
        let (spec, key, now) = (BucketSpec::of(state.settings), state.key(token, api), nanos(now));
        let level = state.buckets.get_mut(&key)?;
        *level = spec.give_back(*level, back.level, now);
        Some(spec.status(*level, now))
    }

    /// The state of a bucket. Does not count a request. Returns `None` if the quota is not enforced.
    pub(crate) fn look(&self, token: &Arc<str>, api: &'static str, now: Millis) -> Option<QuotaStatus> {
        let state = self.state();
        if !state.settings.enabled {
            return None;
        }
        let spec = BucketSpec::of(state.settings);
        let level = state.buckets.get(&state.key(token, api)).copied().unwrap_or_else(|| spec.full());
        Some(spec.status(level, nanos(now)))
    }

    /// All buckets that are not full.
    pub(crate) fn buckets(&self, now: Millis) -> Vec<Bucket> {
        let state = self.state();
        let (spec, now) = (BucketSpec::of(state.settings), nanos(now));
        let mut buckets: Vec<Bucket> = state
            .buckets
            .iter()
            .filter(|(_, level)| !spec.is_full(**level, now))
            .map(|(BucketKey { token, api }, level)| Bucket {
                token: token.clone(),
                api: *api,
                status: spec.status(*level, now),
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
    /// Sets the settings, and fills all buckets.
    fn restart(&mut self, settings: QuotaSettings) {
        *self = Self { settings, buckets: HashMap::new(), change: self.change + 1 };
    }

    fn key(&self, token: &Arc<str>, api: &'static str) -> BucketKey {
        let (by_token, by_api) = match self.settings.scope {
            Scope::TokenApi => (true, true),
            Scope::Token => (true, false),
            Scope::AccountApi => (false, true),
            Scope::Account => (false, false),
        };
        BucketKey { token: by_token.then(|| token.clone()), api: by_api.then_some(api) }
    }

    /// Removes full buckets, and if there are none, the bucket that will be full first.
    fn make_room(&mut self, spec: BucketSpec, now: u64) {
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.retain(|_, level| !spec.is_full(*level, now));
        }
        if self.buckets.len() >= MAX_BUCKETS
            && let Some(fullest) =
                self.buckets.iter().min_by_key(|(_, level)| spec.full_at(**level)).map(|(key, _)| key.clone())
        {
            self.buckets.remove(&fullest);
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "the reference uses floats on purpose")]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::{
        super::settings::{Algorithm, QuotaLimit},
        *,
    };

    const API: &str = "logs-v3.3";

    fn quota() -> Quota {
        Quota::new("10".parse::<QuotaLimit>().expect("a valid limit").into())
    }

    #[test]
    fn limits_parse_from_three_forms() {
        for (text, read) in [("10", "10/60"), ("10/60", "10/60"), ("3/1", "3/1"), ("off", "off")] {
            assert_eq!(text.parse::<QuotaLimit>().map(|limit| limit.to_string()), Ok(read.to_owned()), "{text}");
        }
        for text in ["", "0", "10/0", "-1", "1.5", "ten", "10/60/1", "OFF", "10/ 60", "1000000001", "10/86401"] {
            assert!(text.parse::<QuotaLimit>().is_err(), "{text} is accepted");
        }
    }

    #[test]
    fn bucket_fills_as_headers_report() {
        let quota = quota();
        let now = Millis(1_768_478_400_500);
        for left in (0..10).rev() {
            let status = quota.take(&"a".into(), API, now).expect("within the quota").expect("a limit is set").status;
            assert_eq!((status.limit, status.remaining), (10, left));
        }
        let refused = quota.take(&"a".into(), API, now).expect_err("beyond the quota");
        // The request is half a second into the minute. The bucket is full 60 s later, rounded up to a whole second.
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
    fn windows_start_at_multiples_of_their_length() {
        let settings = QuotaSettings { algorithm: Algorithm::FixedWindow, ..QuotaSettings::DEFAULT };
        let quota = Quota::new(settings);
        // A quarter of a minute before the next window.
        let now = Millis(1_768_478_445_000);
        for left in (0..10).rev() {
            let status = quota.take(&"a".into(), API, now).expect("within the quota").expect("a limit is set").status;
            assert_eq!(status, QuotaStatus { limit: 10, remaining: left, reset_seconds: 1_768_478_460 });
        }
        let refused = quota.take(&"a".into(), API, now).expect_err("beyond the quota");
        assert_eq!((refused.status.remaining, refused.wait_seconds), (0, 15));
        let status = quota.take(&"a".into(), API, Millis(1_768_478_460_000)).expect("within the new window");
        assert_eq!(
            status.map(|taken| taken.status),
            Some(QuotaStatus { limit: 10, remaining: 9, reset_seconds: 1_768_478_520 })
        );
    }

    #[test]
    fn windows_never_go_back() {
        let settings = QuotaSettings { algorithm: Algorithm::FixedWindow, ..QuotaSettings::DEFAULT };
        let quota = Quota::new(settings);
        let (before, after) = (Millis(1_768_478_459_999), Millis(1_768_478_460_000));
        for nth in 0..10 {
            // Some requests arrive before the window starts and are counted after it.
            let now = if nth % 2 == 0 { after } else { before };
            assert!(quota.take(&"a".into(), API, now).is_ok());
        }
        assert!(quota.take(&"a".into(), API, before).is_err());
        assert!(quota.take(&"a".into(), API, after).is_err());
    }

    #[test]
    fn give_back_returns_only_what_was_not_refilled() {
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
            assert_eq!(quota.give_back(&"a".into(), API, taken, later), None, "counted under other settings");
        }
    }

    /// One step of the comparison between the quota and a simple reference.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Take(u8, u8),
        GiveBack(u8, u8),
        Advance(u32),
    }

    /// The times of the allowed requests of each bucket.
    #[derive(Default)]
    struct Reference(HashMap<(u8, u8), Vec<i64>>);

    impl Reference {
        /// The milliseconds until a request is allowed, from a simulation of the bucket since its first request.
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
                    // A leaky bucket: each request adds one, and the level drains evenly.
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

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_u8..2, 0_u8..2).prop_map(|(token, api)| Step::Take(token, api)),
            1 => (0_u8..2, 0_u8..2).prop_map(|(token, api)| Step::GiveBack(token, api)),
            3 => (0_u32..20_000).prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn quota_agrees_with_simple_reference(
            steps in proptest::collection::vec(step(), 1..120),
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
            for step in steps {
                let bucket = |token, api| match scope {
                    Scope::TokenApi => (token, api),
                    Scope::Token => (token, 9),
                    Scope::AccountApi => (9, api),
                    Scope::Account => (9, 9),
                };
                match step {
                    Step::Advance(by) => now += i64::from(by),
                    Step::Take(token, api) => {
                        let wait = reference.wait(bucket(token, api), now, settings);
                        let (name, api_name) = (token.to_string().into(), APIS[usize::from(api)]);
                        match quota.take(&name, api_name, Millis(now)) {
                            Ok(status) => {
                                // The reference uses floats, so a deviation of one millisecond is accepted.
                                prop_assert!(wait < 1.0, "allowed {wait} ms too early");
                                reference.0.entry(bucket(token, api)).or_default().push(now);
                                let taken = status.expect("requests are counted");
                                taken_last.insert(bucket(token, api), taken);
                                let status = taken.status;
                                prop_assert_eq!(Some(status), quota.look(&name, api_name, Millis(now)));
                                // At the reset time the bucket is full.
                                let reset = Millis(status.reset_seconds * 1000);
                                prop_assert_eq!(quota.look(&name, api_name, reset).map(|whole| whole.remaining), Some(requests));
                            }
                            Err(too_many) => {
                                prop_assert!(wait > 0.0, "rejected although the reference allows it");
                                prop_assert!((too_many.wait_seconds as f64 - (wait / 1000.0).ceil()).abs() <= 1.0);
                                prop_assert_eq!(too_many.status.remaining, 0);
                            }
                        }
                    }
                    Step::GiveBack(token, api) => {
                        let key = bucket(token, api);
                        // A request of this instant is given back, like one that the API rejected.
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
