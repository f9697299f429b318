//! What the control surface shows of an account.

use serde::Serialize;

use super::{
    profile::Profile,
    quota::{self, QuotaSettings},
};
use crate::{clock::ClockReading, world::Millis};

/// The properties of an account, as the control surface shows them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The name of the account on the control surface.
    pub name: String,
    /// The seed of the generated history.
    pub seed: u64,
    /// The number of devices that the company has at any one time.
    pub devices: u32,
    /// How far back clients can read the history, in days.
    pub retention_days: u32,
    /// The delay until an event becomes visible, in seconds.
    pub lag: String,
    /// The access token that is valid from the start.
    pub access_token: String,
    /// The client id for token requests.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: String,
    /// The addresses that a browser may be redirected to after consent, besides loopback addresses.
    pub redirect_uris: Vec<String>,
    /// The clock.
    pub clock: ClockReading,
    /// The quota.
    pub quota: QuotaDescription,
    /// The choices between the possible readings of assumed behaviour (A).
    pub profile: Profile,
}

/// The properties of a quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaDescription {
    /// The settings of the quota.
    #[serde(flatten)]
    pub settings: QuotaSettings,
    /// The form of `Retry-After` on a 429: the profile key `retry_after`.
    pub retry_after: quota::RetryAfter,
}

/// A token that was created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MadeToken {
    /// The token.
    pub token: String,
    /// The expiry of the token.
    pub expires_at: Millis,
}
