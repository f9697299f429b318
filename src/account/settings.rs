//! What an account is made from, and what can be asked of one.
//!
//! The same words stand in a body of the control surface, in the TOML file, and in a Rust test.

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

/// The access token that the vendor's documents print (D).
pub const DOCUMENTED_TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// The client that the vendor's documents print (D).
pub const DOCUMENTED_CLIENT_ID: &str = "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// The secret of that client. No document prints one; it looks like the others.
pub const DEFAULT_CLIENT_SECRET: &str = "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// What the names of implicit accounts begin with.
pub const SANDBOX: &str = "sandbox-";
/// The client secret of every implicit account.
pub const SANDBOX_SECRET: &str = "sandbox";
/// The longest that retention may be: more than the time from the account's beginning to the end of all clocks.
pub const MAX_RETENTION_DAYS: u32 = 70_000;
/// How many tokens an account can be made with.
pub const MAX_TOKENS: usize = 100;
/// How many addresses an account can be made with.
pub const MAX_REDIRECT_URIS: usize = 100;
/// How long an address may be.
const MAX_URI_BYTES: usize = 2_000;

/// What an account is made from, with nothing left open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the account on the control surface.
    pub name: Name,
    /// What its company is made from.
    pub world: WorldConfig,
    /// The access token that is valid from the start and never expires by itself.
    pub access_token: Credential,
    /// Names the client that asks for tokens.
    pub client_id: Credential,
    /// Proves it.
    pub client_secret: Credential,
    /// Where a browser may be sent back to after consent, besides loopback addresses.
    pub redirect_uris: Vec<RedirectUri>,
    /// How requests are counted.
    pub quota: QuotaSettings,
    /// How many days back the history can be read.
    pub retention_days: u32,
    /// Which reading it follows of what is assumed.
    pub profile: Profile,
    /// How its clock begins.
    pub start: Start,
    /// How many requests its journal keeps.
    pub journal: u32,
    /// Further tokens that are valid from the start.
    pub tokens: Vec<NewToken>,
    /// How it breaks requests from the start.
    pub faults: Vec<FaultRule>,
}

/// An account as somebody asks for it. What is left out is as the server's flags have it for `default`, but for the name,
/// the seed and the credentials, which follow from the name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAccount {
    /// Names the account; `account-1` and so on by default.
    pub name: Option<Name>,
    /// Decides its whole history.
    pub seed: Option<u64>,
    /// How many devices its company has at a time.
    pub devices: Option<Devices>,
    /// Stops its clock at an instant; as the server's, by default.
    pub now: Option<Instant>,
    /// How its requests are counted.
    pub quota: Option<QuotaChange>,
    /// Which reading it follows of what is assumed.
    pub profile: Option<ProfileChange>,
    /// How many days back its history can be read.
    pub retention_days: Option<RetentionDays>,
    /// How long its events take to become visible.
    pub lag: Option<LagSeconds>,
    /// How many requests its journal keeps.
    pub journal: Option<JournalSize>,
    /// The access token that is valid from the start.
    pub access_token: Option<Credential>,
    /// Names the client that asks for tokens.
    pub client_id: Option<Credential>,
    /// Proves it.
    pub client_secret: Option<Credential>,
    /// Where a browser may be sent back to after consent; at most [`MAX_REDIRECT_URIS`].
    #[serde(deserialize_with = "redirect_uris")]
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// Further tokens that are valid from the start; at most [`MAX_TOKENS`].
    #[serde(deserialize_with = "strict::objects::<MAX_TOKENS, _, _>")]
    pub tokens: Vec<NewToken>,
    /// How it breaks requests from the start.
    #[serde(deserialize_with = "strict::objects::<MAX_FAULTS, _, _>")]
    pub faults: Vec<FaultRule>,
}

fn redirect_uris<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RedirectUri>>, D::Error> {
    strict::list::<MAX_REDIRECT_URIS, _, _>(deserializer).map(Some)
}

/// A change of an account. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountChange {
    /// Decides its whole history. Page tokens of before are refused.
    pub seed: Option<u64>,
    /// How many devices its company has at a time. Page tokens of before are refused.
    pub devices: Option<Devices>,
    /// How its requests are counted.
    pub quota: Option<QuotaChange>,
    /// Which reading it follows of what is assumed.
    pub profile: Option<ProfileChange>,
    /// How many days back its history can be read. Page tokens of before are refused.
    pub retention_days: Option<RetentionDays>,
    /// How long its events take to become visible. Page tokens of before are refused.
    pub lag: Option<LagSeconds>,
    /// Where a browser may be sent back to after consent; at most [`MAX_REDIRECT_URIS`].
    #[serde(deserialize_with = "redirect_uris")]
    pub redirect_uris: Option<Vec<RedirectUri>>,
}

/// A token as somebody asks for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// What it is; made up by default.
    pub token: Option<Credential>,
    /// In how many seconds it expires; as tokens of the account do, by default. Where the account begins with it, it is
    /// counted from the instant at which the clock begins.
    pub expires_in: Option<i64>,
}

/// Some keys of a profile, checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileChange(serde_json::Map<String, serde_json::Value>);

/// The name of an account: 1 to 64 letters, digits or any of `-`, `_`, `.`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A token, id or secret: something that stands in a header, a form and a shell without being quoted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credential(String);

/// An address with a scheme and without a fragment, in ASCII.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// How many devices a company has: at most [`MAX_DEVICES`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct Devices(u32);

/// How many days are kept: from 1 to [`MAX_RETENTION_DAYS`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct RetentionDays(u32);

/// How many requests a journal keeps: at most [`MAX_JOURNAL`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct JournalSize(u32);

/// A [`Lag`], as a text such as `5..120` or as a number of seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LagSeconds(pub Lag);

/// What the account `default` is made from where nothing else is configured.
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
    /// What an account is made from that somebody asks for on a server whose `default` is made from these settings.
    pub(crate) fn of(&self, new: NewAccount, name: Name) -> Self {
        let (id, is_sandbox) = (name.0.clone(), name.0.starts_with(SANDBOX));
        let made_up = |nth| Credential(format!("{:032x}", World::token_bits(hash(&id), nth)));
        let own = |nth, sandbox: &str| if is_sandbox { Credential(sandbox.to_owned()) } else { made_up(nth) };
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

/// A number that follows from a name (FNV-1a).
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

impl NewToken {
    /// The most seconds until a token expires: ten years.
    pub const MAX_SECONDS: i64 = 315_360_000;

    /// When it expires, if it does.
    ///
    /// # Errors
    ///
    /// When the seconds are out of range, in a sentence.
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
        // Two names that a path takes for something else.
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 letters, digits or any of - _ .".to_owned())
        }
    }
}

impl Credential {
    /// The text.
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

/// Reads a text type by its `FromStr`, and says what came when it is wrong.
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

/// Reads a number within its range.
macro_rules! number {
    ($($name:ident from $least:literal to $most:expr),+ $(,)?) => { $(
        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<Self, String> {
                match u32::try_from(number) {
                    Ok(known) if ($least..=$most).contains(&known) => Ok(Self(known)),
                    _ => Err(format!("must be from {} to {}, got {number}", $least, $most)),
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

/// A text as `--rate-limit` has it, or an object of names.
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

        fn number<E: de::Error>(name: &str, given: Option<i64>, most: u32) -> Result<Option<NonZeroU32>, E> {
            let Some(given) = given else { return Ok(None) };
            let number = u32::try_from(given).ok().filter(|&number| number <= most).and_then(NonZeroU32::new);
            number.map(Some).ok_or_else(|| E::custom(format_args!("{name} must be from 1 to {most}, got {given}")))
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
    /// This profile after a change. `retry_after` is a key of the profile and of the quota; the quota's counts.
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
        // The keys were checked when they were read.
        serde_json::from_value(keys.into()).unwrap_or_else(|_| profile.clone())
    }
}

impl<'de> Deserialize<'de> for ProfileChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = serde_json::Map::deserialize(deserializer)?;
        // One by one, so that an error names its key.
        for (key, value) in &mut keys {
            let Some((_, values)) = Profile::KEYS.iter().find(|(known, _)| known == key) else {
                let known: Vec<&str> = Profile::KEYS.iter().map(|(key, _)| *key).collect();
                let shown: String = key.escape_debug().take(40).collect();
                return Err(de::Error::custom(format_args!("unknown key {shown}; the keys are {}", known.join(", "))));
            };
            // A status is a number to some.
            if value.is_number() && values.contains(&value.to_string().as_str()) && !values[1].starts_with("from ") {
                *value = value.to_string().into();
            }
            let alone = serde_json::Map::from_iter([(key.clone(), value.clone())]);
            if serde_json::from_value::<Profile>(alone.into()).is_err() {
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
