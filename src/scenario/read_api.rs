//! The log APIs that a connector can read.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use crate::api_name::ApiName;

/// A log API that a connector reads, by its version.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReadApi {
    /// `GET /o/api/v2/logs`
    #[serde(rename = "v2")]
    V2,
    /// `POST /o/api/v3/logs`
    #[serde(rename = "v3")]
    V3,
    /// `POST /o/api/v3.3/logs`
    #[serde(rename = "v3.3")]
    V3_3,
}

impl ReadApi {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V2, Self::V3, Self::V3_3];

    /// The version.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V3_3 => "v3.3",
        }
    }

    /// The name on the control surface.
    #[must_use]
    pub const fn name(self) -> ApiName {
        match self {
            Self::V2 => ApiName::LogsV2,
            Self::V3 => ApiName::LogsV3,
            Self::V3_3 => ApiName::LogsV3_3,
        }
    }
}

impl FromStr for ReadApi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|api| api.code() == text);
        known.ok_or_else(|| format!("must be one of {}, got {text:?}", Self::ALL.map(Self::code).join(", ")))
    }
}

impl fmt::Display for ReadApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
