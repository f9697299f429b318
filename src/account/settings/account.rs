//! The settings of an account, and what a test may ask for.

use serde::{Deserialize, Deserializer};

use super::{
    super::{
        fault::{FaultRule, MAX_FAULTS},
        injected::{MAX_INJECTED, NewEvent},
        profile::Profile,
        quota::{QuotaChange, QuotaSettings},
        strict,
    },
    changes::ProfileChange,
    values::{Credential, DEFAULT_JOURNAL, Dense, Devices, JournalSize, LagSeconds, Name, RedirectUri, RetentionDays},
};
use crate::{
    clock::{Instant, Start},
    world::{Lag, Millis, World, WorldConfig},
};

/// The access token in the vendor's documents (D).
pub const DOCUMENTED_TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// The client id in the vendor's documents (D).
pub const DOCUMENTED_CLIENT_ID: &str = "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// The secret of that client. The vendor's documents contain none; this one has a similar form.
pub const DEFAULT_CLIENT_SECRET: &str = "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// The prefix of the names of implicit accounts.
pub const SANDBOX: &str = "sandbox-";
/// The client secret of every implicit account.
pub const SANDBOX_SECRET: &str = "sandbox";
/// The maximum number of tokens in a request to create an account.
pub const MAX_TOKENS: usize = 100;
/// The maximum number of redirect addresses of an account.
pub const MAX_REDIRECT_URIS: usize = 100;
/// The complete settings of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the account on the control surface.
    pub name: Name,
    /// The configuration of the generated history.
    pub world: WorldConfig,
    /// The access token that is valid from the start and never expires by itself.
    pub access_token: Credential,
    /// The client id for token requests.
    pub client_id: Credential,
    /// The secret of that client.
    pub client_secret: Credential,
    /// The addresses that a browser may be redirected to after consent, besides loopback addresses.
    pub redirect_uris: Vec<RedirectUri>,
    /// The quota.
    pub quota: QuotaSettings,
    /// How far back clients can read the history, in days.
    pub retention_days: u32,
    /// The choices between the possible readings of assumed behaviour (A).
    pub profile: Profile,
    /// The initial state of the clock.
    pub start: Start,
    /// The number of requests that the journal keeps.
    pub journal: u32,
    /// The minimum number of events of each category in the last hour before the start. Events are injected for it.
    pub dense: u32,
    /// Further tokens that are valid from the start.
    pub tokens: Vec<NewToken>,
    /// The initial fault rules.
    pub faults: Vec<FaultRule>,
    /// The events that are injected from the start.
    pub events: Vec<NewEvent>,
}

/// A request to create an account. Omitted fields have the values of `default`, except for the name, the seed and the
/// credentials, which derive from the name, and for tokens, faults and events, which are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAccount {
    /// The name of the account; `account-1` and so on by default.
    pub name: Option<Name>,
    /// The name of a scenario, whose settings are the defaults of the others.
    pub scenario: Option<String>,
    /// The seed of the generated history.
    pub seed: Option<u64>,
    /// The number of devices that the company has at any one time.
    pub devices: Option<Devices>,
    /// The instant at which the clock is frozen; by default the clock starts like that of `default`.
    pub now: Option<Instant>,
    /// The quota.
    pub quota: Option<QuotaChange>,
    /// The choices between the possible readings of assumed behaviour (A).
    pub profile: Option<ProfileChange>,
    /// How far back clients can read the history, in days.
    pub retention_days: Option<RetentionDays>,
    /// The delay until an event becomes visible, in seconds.
    pub lag: Option<LagSeconds>,
    /// The number of requests that the journal keeps.
    pub journal: Option<JournalSize>,
    /// The minimum number of events of each category in the last hour before the start; 0 by default. Events are injected
    /// where the history has fewer.
    pub dense: Option<Dense>,
    /// The access token that is valid from the start.
    pub access_token: Option<Credential>,
    /// The client id for token requests.
    pub client_id: Option<Credential>,
    /// The secret of that client.
    pub client_secret: Option<Credential>,
    /// The addresses that a browser may be redirected to after consent, at most [`MAX_REDIRECT_URIS`].
    #[serde(deserialize_with = "redirect_uris")]
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// Further tokens that are valid from the start, at most [`MAX_TOKENS`].
    #[serde(deserialize_with = "strict::objects::<MAX_TOKENS, _, _>")]
    pub tokens: Vec<NewToken>,
    /// The initial fault rules, at most [`MAX_FAULTS`].
    #[serde(deserialize_with = "strict::objects::<MAX_FAULTS, _, _>")]
    pub faults: Vec<FaultRule>,
    /// The events that are injected from the start, at most [`MAX_INJECTED`].
    #[serde(deserialize_with = "strict::objects::<MAX_INJECTED, _, _>")]
    pub events: Vec<NewEvent>,
}

fn redirect_uris<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RedirectUri>>, D::Error> {
    strict::list::<MAX_REDIRECT_URIS, _, _>(deserializer).map(Some)
}

/// A change of an account. Omitted fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountChange {
    /// The seed of the generated history. A change invalidates page tokens.
    pub seed: Option<u64>,
    /// The number of devices that the company has at any one time. A change invalidates page tokens.
    pub devices: Option<Devices>,
    /// The quota.
    pub quota: Option<QuotaChange>,
    /// The choices between the possible readings of assumed behaviour (A).
    pub profile: Option<ProfileChange>,
    /// How far back clients can read the history, in days. A change invalidates page tokens.
    pub retention_days: Option<RetentionDays>,
    /// The delay until an event becomes visible, in seconds. A change invalidates page tokens.
    pub lag: Option<LagSeconds>,
    /// The addresses that a browser may be redirected to after consent, at most [`MAX_REDIRECT_URIS`].
    #[serde(deserialize_with = "redirect_uris")]
    pub redirect_uris: Option<Vec<RedirectUri>>,
}

/// A request to create a token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// The token; generated by default.
    pub token: Option<Credential>,
    /// The time to expiry in seconds, from 0 to [`NewToken::MAX_SECONDS`]; by default the profile key
    /// `token_life_seconds`. For an initial token, it counts from the initial time of the clock.
    pub expires_in: Option<i64>,
}

/// The settings of `default` without further configuration.
impl Default for Settings {
    fn default() -> Self {
        let credential = |text: &str| Credential(text.to_owned());
        Self {
            name: Name("default".to_owned()),
            world: WorldConfig { seed: 1, devices: 100, lag: Lag::NONE, webhook_since: None },
            access_token: credential(DOCUMENTED_TOKEN),
            client_id: credential(DOCUMENTED_CLIENT_ID),
            client_secret: credential(DEFAULT_CLIENT_SECRET),
            redirect_uris: Vec::new(),
            quota: QuotaSettings::DEFAULT,
            retention_days: 30,
            profile: Profile::default(),
            start: Start::System,
            journal: DEFAULT_JOURNAL,
            dense: 0,
            tokens: Vec::new(),
            faults: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings of a new account on a server whose `default` has these settings.
    pub(crate) fn of(&self, new: NewAccount, name: Name) -> Self {
        let (id, is_sandbox) = (name.0.clone(), name.0.starts_with(SANDBOX));
        let derived = |nth| Credential(format!("{:032x}", World::token_bits(hash(&id), nth)));
        let own = |nth, sandbox: &str| if is_sandbox { Credential(sandbox.to_owned()) } else { derived(nth) };
        let quota = new.quota.unwrap_or_default();
        Self {
            world: WorldConfig {
                seed: new.seed.unwrap_or(hash(&id) & u64::from(u32::MAX)),
                devices: new.devices.map_or(self.world.devices, |Devices(devices)| devices),
                lag: new.lag.map_or(self.world.lag, |LagSeconds(lag)| lag),
                webhook_since: None,
            },
            access_token: new.access_token.unwrap_or_else(|| own(0, &id)),
            client_id: new.client_id.unwrap_or_else(|| Credential(id.clone())),
            client_secret: new.client_secret.unwrap_or_else(|| own(1, SANDBOX_SECRET)),
            redirect_uris: new.redirect_uris.unwrap_or_else(|| self.redirect_uris.clone()),
            quota: self.quota.changed(quota),
            retention_days: new.retention_days.map_or(self.retention_days, |RetentionDays(days)| days),
            profile: self.profile.changed(new.profile, quota),
            start: new.now.map_or(self.start, |now| Start::Frozen(now.millis())),
            journal: new.journal.map_or(self.journal, |JournalSize(size)| size),
            dense: new.dense.map_or(0, |Dense(events)| events),
            tokens: new.tokens,
            faults: new.faults,
            events: new.events,
            name,
        }
    }

    /// The settings of a request, with these credentials and this seed where the request has none.
    #[cfg(feature = "scenarios")]
    pub(crate) fn with(self, new: NewAccount) -> Self {
        let seed = new.seed.unwrap_or(self.world.seed);
        let new = self.of(new, self.name.clone());
        Self {
            world: WorldConfig { seed, ..new.world },
            access_token: self.access_token,
            client_id: self.client_id,
            client_secret: self.client_secret,
            tokens: self.tokens,
            ..new
        }
    }

    /// These settings after a change.
    pub(crate) fn changed(&self, change: AccountChange) -> Self {
        let AccountChange { seed, devices, profile, retention_days, lag, redirect_uris, quota } = change;
        let quota = quota.unwrap_or_default();
        Self {
            world: WorldConfig {
                seed: seed.unwrap_or(self.world.seed),
                devices: devices.map_or(self.world.devices, |Devices(devices)| devices),
                lag: lag.map_or(self.world.lag, |LagSeconds(lag)| lag),
                webhook_since: self.world.webhook_since,
            },
            profile: self.profile.changed(profile, quota),
            quota: self.quota.changed(quota),
            retention_days: retention_days.map_or(self.retention_days, |RetentionDays(days)| days),
            redirect_uris: redirect_uris.unwrap_or_else(|| self.redirect_uris.clone()),
            ..self.clone()
        }
    }
}

/// A hash of a name (FNV-1a).
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

impl NewToken {
    /// The maximum time to expiry: ten years, in seconds.
    pub const MAX_SECONDS: i64 = 315_360_000;

    /// The expiry of the token if it is created now. Without `expires_in`, it is valid for `token_life_seconds` of the profile.
    ///
    /// # Errors
    ///
    /// A message if `expires_in` is out of range.
    pub(crate) fn expiry(&self, now: Millis, profile: &Profile) -> Result<Millis, String> {
        let seconds = match self.expires_in {
            None => i64::from(profile.token_life_seconds.get()),
            Some(seconds @ 0..=Self::MAX_SECONDS) => seconds,
            Some(other) => {
                return Err(format!("expires_in must be from 0 to {} seconds, got {other}", Self::MAX_SECONDS));
            }
        };
        Ok(Millis(now.0 + seconds * 1000))
    }
}
