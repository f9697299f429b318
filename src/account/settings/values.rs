//! Values that are checked when they are read.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::world::{Lag, MAX_DEVICES};

/// The maximum retention: longer than the range of all clocks.
pub const MAX_RETENTION_DAYS: u32 = 70_000;
/// The maximum length of a redirect address.
const MAX_URI_BYTES: usize = 2_000;

/// The name of an account: 1 to 64 letters, digits or any of `-`, `_`, `.`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(pub(super) String);

/// A token, id or secret: 1 to 256 letters, digits or any of `-`, `.`, `_`, `~`, which need no quoting in headers and
/// forms.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credential(pub(super) String);

/// An address in ASCII with a scheme and without a fragment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// The number of devices of a company: from 0 to [`MAX_DEVICES`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct Devices(pub(super) u32);

/// A retention in days: from 1 to [`MAX_RETENTION_DAYS`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct RetentionDays(pub(super) u32);

/// The default number of requests that a journal stores.
pub const DEFAULT_JOURNAL: u32 = 10_000;
/// The maximum number of requests that a journal can store.
pub const MAX_JOURNAL: u32 = 1_000_000;

/// The number of requests that a journal keeps: from 0 to [`MAX_JOURNAL`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct JournalSize(pub(super) u32);

/// The maximum number of events of each category that an account can be asked to have in its last hour.
pub const MAX_DENSE: u32 = 1_000;

/// The minimum number of events of each category in the last hour of an account: from 0 to [`MAX_DENSE`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct Dense(pub(super) u32);

/// A [`Lag`], as a string such as `5..120` or as a number of seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LagSeconds(pub Lag);

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

number!(Devices from 0 to MAX_DEVICES, RetentionDays from 1 to MAX_RETENTION_DAYS, JournalSize from 0 to MAX_JOURNAL, Dense from 0 to MAX_DENSE);

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
