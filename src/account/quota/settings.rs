//! How requests are counted, as settings and as a status.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{clock::Instant, world::Millis};

/// A limit on requests, or no limit. Written `10/60` (requests per seconds), `10` (per minute) or `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum QuotaLimit {
    /// No limit.
    Off,
    /// A number of requests per number of seconds.
    Per {
        /// The number of requests that a full bucket allows at once.
        requests: NonZeroU32,
        /// The period, in seconds: the refill time of an empty bucket, or the length of a fixed window.
        seconds: NonZeroU32,
    },
}

/// The quota settings of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaSettings {
    /// The number of requests that a full bucket allows.
    pub requests: NonZeroU32,
    /// The period, in seconds: the refill time of an empty bucket, or the length of a fixed window.
    pub per_seconds: NonZeroU32,
    /// The refill algorithm.
    pub algorithm: Algorithm,
    /// The scope of a bucket.
    pub scope: Scope,
    /// Whether the quota is enforced.
    pub enabled: bool,
}

/// The refill algorithm of a bucket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Evenly: one request after each fraction of the period (A).
    Gcra,
    /// Completely, at whole multiples of the period since 1970.
    FixedWindow,
}

/// The scope of a bucket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scope {
    /// One bucket for each pair of token and API (A).
    TokenApi,
    /// One bucket for each token.
    Token,
    /// One bucket for each API.
    AccountApi,
    /// One bucket for the account.
    Account,
}

/// A change of the quota settings. Omitted fields stay as they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QuotaChange {
    /// The number of requests that a full bucket allows, from 1 to [`QuotaLimit::MAX`].
    pub requests: Option<NonZeroU32>,
    /// The period, in seconds, from 1 to [`QuotaLimit::MAX_SECONDS`].
    pub per_seconds: Option<NonZeroU32>,
    /// The refill algorithm.
    pub algorithm: Option<Algorithm>,
    /// The scope of a bucket.
    pub scope: Option<Scope>,
    /// Whether the quota is enforced.
    pub enabled: Option<bool>,
    /// The form of `Retry-After` on a 429: the profile key `retry_after`.
    pub retry_after: Option<RetryAfter>,
}

/// The form of `Retry-After` on a 429.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RetryAfter {
    /// No such header (D).
    #[default]
    Off,
    /// The wait time in seconds.
    Seconds,
    /// The time of the next allowed request, as an HTTP date.
    HttpDate,
}

impl QuotaLimit {
    /// The maximum number of requests, which no test can exceed.
    pub const MAX: u32 = 1_000_000_000;
    /// The maximum period, in seconds: one day.
    pub const MAX_SECONDS: u32 = 86_400;
}

impl QuotaSettings {
    /// Ten requests per minute (D) for each pair of token and API, refilled evenly (A).
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
            // A change of the limit enables the quota, unless the change sets `enabled` itself.
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

/// A limit as a change of the settings.
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

/// The state of a quota bucket, after a request or without one, as the `X-RateLimit-*` headers report it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaStatus {
    /// The number of requests that a full bucket allows.
    pub limit: u32,
    /// The number of further requests that the bucket allows now.
    pub remaining: u32,
    /// The time at which the bucket is full again, in whole seconds since 1970, rounded up.
    #[serde(rename = "reset_at", serialize_with = "as_instant")]
    pub reset_seconds: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_instant<S: serde::Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    Instant::from(Millis(seconds.saturating_mul(1000))).serialize(serializer)
}

/// A bucket that is not full.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// The token, if the scope has a bucket for each token.
    pub token: Option<Arc<str>>,
    /// The API, if the scope has a bucket for each API.
    pub api: Option<&'static str>,
    /// The state of the bucket.
    pub status: QuotaStatus,
}
