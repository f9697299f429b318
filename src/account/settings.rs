//! The settings of an account, and the requests to create and change one.
//!
//! The control surface, the TOML file and the Rust API use the same field names.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    fault::{FaultRule, MAX_FAULTS},
    journal::{DEFAULT_JOURNAL, MAX_JOURNAL},
    profile::Profile,
    quota::{Algorithm, QuotaChange, QuotaLimit, QuotaSettings, RetryAfter, Scope},
    strict,
};
use crate::{
    clock::{Instant, Start},
    world::{Lag, MAX_DEVICES, Millis, World, WorldConfig},
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
/// The maximum retention: longer than the range of all clocks.
pub const MAX_RETENTION_DAYS: u32 = 70_000;
/// The maximum number of tokens in a request to create an account.
pub const MAX_TOKENS: usize = 100;
/// The maximum number of redirect addresses of an account.
pub const MAX_REDIRECT_URIS: usize = 100;
/// The maximum length of a redirect address.
const MAX_URI_BYTES: usize = 2_000;

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
    /// Further tokens that are valid from the start.
    pub tokens: Vec<NewToken>,
    /// The initial fault rules.
    pub faults: Vec<FaultRule>,
}

/// A request to create an account. Omitted fields have the values of `default`, except for the name, the seed and the
/// credentials, which derive from the name, and for tokens and faults, which are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAccount {
    /// The name of the account; `account-1` and so on by default.
    pub name: Option<Name>,
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

/// A change of some keys of a profile. The keys and values are valid.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileChange(serde_json::Map<String, serde_json::Value>);

/// The name of an account: 1 to 64 letters, digits or any of `-`, `_`, `.`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A token, id or secret: 1 to 256 letters, digits or any of `-`, `.`, `_`, `~`, which need no quoting in headers and
/// forms.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credential(String);

/// An address in ASCII with a scheme and without a fragment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// The number of devices of a company: from 0 to [`MAX_DEVICES`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct Devices(u32);

/// A retention in days: from 1 to [`MAX_RETENTION_DAYS`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct RetentionDays(u32);

/// The number of requests that a journal keeps: from 0 to [`MAX_JOURNAL`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct JournalSize(u32);

/// A [`Lag`], as a string such as `5..120` or as a number of seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LagSeconds(pub Lag);

/// The settings of `default` without further configuration.
impl Default for Settings {
    fn default() -> Self {
        let credential = |text: &str| Credential(text.to_owned());
        Self {
            name: Name("default".to_owned()),
            world: WorldConfig { seed: 1, devices: 100, lag: Lag::NONE },
            access_token: credential(DOCUMENTED_TOKEN),
            client_id: credential(DOCUMENTED_CLIENT_ID),
            client_secret: credential(DEFAULT_CLIENT_SECRET),
            redirect_uris: Vec::new(),
            quota: QuotaSettings::DEFAULT,
            retention_days: 30,
            profile: Profile::default(),
            start: Start::System,
            journal: DEFAULT_JOURNAL,
            tokens: Vec::new(),
            faults: Vec::new(),
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
            tokens: new.tokens,
            faults: new.faults,
            name,
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

    /// The expiry of the token, or `None` without `expires_in`.
    ///
    /// # Errors
    ///
    /// A message if `expires_in` is out of range.
    pub(crate) fn end(&self, now: Millis) -> Result<Option<Millis>, String> {
        match self.expires_in {
            None => Ok(None),
            Some(seconds @ 0..=Self::MAX_SECONDS) => Ok(Some(Millis(now.0 + seconds * 1000))),
            Some(other) => Err(format!("expires_in must be from 0 to {} seconds, got {other}", Self::MAX_SECONDS)),
        }
    }
}

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        // A path treats the names `.` and `..` specially.
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 letters, digits or any of - _ .".to_owned())
        }
    }
}

impl Credential {
    /// The credential.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (1..=256).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 256 letters, digits or any of - . _ ~".to_owned())
        }
    }
}

impl RedirectUri {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedirectUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let has_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if has_scheme
            && !rest.is_empty()
            && text.len() <= MAX_URI_BYTES
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an address such as https://client.example/callback".to_owned())
        }
    }
}

/// Deserializes a string type with its `FromStr`. An error shows the given string.
macro_rules! text {
    ($($name:ident),+) => { $(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let shown: String = text.chars().take(100).collect();
                text.parse().map_err(|wanted| format!("{wanted}, got {shown:?}"))
            }
        }

        impl From<$name> for String {
            fn from($name(text): $name) -> Self {
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

text!(Name, Credential, RedirectUri);

/// Deserializes a number within its range.
macro_rules! number {
    ($($name:ident from $least:literal to $max:expr),+ $(,)?) => { $(
        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<Self, String> {
                match u32::try_from(number) {
                    Ok(known) if ($least..=$max).contains(&known) => Ok(Self(known)),
                    _ => Err(format!("must be from {} to {}, got {number}", $least, $max)),
                }
            }
        }
    )+ };
}

number!(Devices from 0 to MAX_DEVICES, RetentionDays from 1 to MAX_RETENTION_DAYS, JournalSize from 0 to MAX_JOURNAL);

impl<'de> Deserialize<'de> for LagSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = LagSeconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or a text such as \"5..120\"")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<LagSeconds, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<LagSeconds, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LagSeconds, E> {
                let shown: String = text.chars().take(40).collect();
                text.parse().map(LagSeconds).map_err(|wanted| E::custom(format_args!("{wanted}, got {shown:?}")))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A string as for `--rate-limit`, or an object.
impl<'de> Deserialize<'de> for QuotaChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Names {
            requests: Option<i64>,
            per_seconds: Option<i64>,
            algorithm: Option<Algorithm>,
            scope: Option<Scope>,
            retry_after: Option<RetryAfter>,
            enabled: Option<bool>,
        }

        struct Reader;

        fn number<E: de::Error>(name: &str, given: Option<i64>, max: u32) -> Result<Option<NonZeroU32>, E> {
            let Some(given) = given else { return Ok(None) };
            let number = u32::try_from(given).ok().filter(|&number| number <= max).and_then(NonZeroU32::new);
            number.map(Some).ok_or_else(|| E::custom(format_args!("{name} must be from 1 to {max}, got {given}")))
        }

        impl<'de> Visitor<'de> for Reader {
            type Value = QuotaChange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an object such as {\"requests\":10,\"per_seconds\":60}, or a text such as \"10/60\" or \"off\"",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<QuotaChange, E> {
                let shown: String = text.chars().take(40).collect();
                let limit: Result<QuotaLimit, String> = text.parse();
                limit.map(Into::into).map_err(|wanted| E::custom(format_args!("{wanted}, got {shown:?}")))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<QuotaChange, A::Error> {
                let names = Names::deserialize(MapAccessDeserializer::new(map))?;
                Ok(QuotaChange {
                    requests: number("requests", names.requests, QuotaLimit::MAX)?,
                    per_seconds: number("per_seconds", names.per_seconds, QuotaLimit::MAX_SECONDS)?,
                    algorithm: names.algorithm,
                    scope: names.scope,
                    enabled: names.enabled,
                    retry_after: names.retry_after,
                })
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Profile {
    /// This profile after a change. If both the profile and the quota set `retry_after`, the quota's value applies.
    #[must_use]
    pub fn changed(&self, change: Option<ProfileChange>, quota: QuotaChange) -> Self {
        let mut changed = change.map_or_else(|| self.clone(), |change| change.applied_to(self));
        changed.retry_after = quota.retry_after.unwrap_or(changed.retry_after);
        changed
    }
}

impl ProfileChange {
    fn applied_to(self, profile: &Profile) -> Profile {
        let Ok(serde_json::Value::Object(mut keys)) = serde_json::to_value(profile) else { return profile.clone() };
        keys.extend(self.0);
        // The keys were validated when they were deserialized.
        serde_json::from_value(keys.into()).unwrap_or_else(|_| profile.clone())
    }
}

impl<'de> Deserialize<'de> for ProfileChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = serde_json::Map::deserialize(deserializer)?;
        // One key at a time, so that an error names its key.
        for (key, value) in &mut keys {
            let Some((_, values)) = Profile::KEYS.iter().find(|(known, _)| known == key) else {
                let known: Vec<&str> = Profile::KEYS.iter().map(|(key, _)| *key).collect();
                let shown: String = key.escape_debug().take(40).collect();
                return Err(de::Error::custom(format_args!("unknown key {shown}; the keys are {}", known.join(", "))));
            };
            // A status may also be given as a number.
            if value.is_number() && values.contains(&value.to_string().as_str()) && !values[1].starts_with("from ") {
                *value = value.to_string().into();
            }
            let single = serde_json::Map::from_iter([(key.clone(), value.clone())]);
            if serde_json::from_value::<Profile>(single.into()).is_err() {
                let wanted = match values {
                    [default, range] if range.starts_with("from ") => {
                        format!("a whole number {range} ({default} by default)")
                    }
                    values => values.join(" or "),
                };
                let shown: String = value.to_string().chars().take(40).collect();
                return Err(de::Error::custom(format_args!("{key} must be {wanted}, got {shown}")));
            }
        }
        Ok(Self(keys))
    }
}
