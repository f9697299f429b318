//! Changes of the quota and of the profile, as they are written in JSON and TOML.

use std::{fmt, num::NonZeroU32};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::super::{
    profile::Profile,
    quota::{Algorithm, QuotaChange, QuotaLimit, RetryAfter, Scope},
};

/// A change of some keys of a profile. The keys and values are valid.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileChange(serde_json::Map<String, serde_json::Value>);

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
