//! The quota: a limit on the requests of an account.
//!
//! There are two algorithms: the generic cell rate algorithm (GCRA), which refills a bucket evenly, and fixed windows,
//! which start at whole multiples of their length. Both use the account's clock instead of the machine's. Both compute
//! exactly when a bucket is full again, which the `X-RateLimit-*` headers report. Limit, algorithm and scope can change
//! at any time; a change fills all buckets.

mod bucket;
mod limiter;
mod settings;

pub(crate) use self::limiter::{Quota, QuotaExceeded};
pub use self::settings::{Algorithm, Bucket, QuotaChange, QuotaLimit, QuotaSettings, QuotaStatus, RetryAfter, Scope};
