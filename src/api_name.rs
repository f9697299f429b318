//! The names of the emulated APIs for the control surface, the quota and the journal.

use serde::{Deserialize, Serialize};

/// The path of the consent page, which is not an API of its own.
pub(crate) const AUTHORIZE_PATH: &str = "/o/oauth/authorize";

/// A second path of the token endpoint, which the vendor's SIEM add-on uses (C).
pub(crate) const SECOND_TOKEN_PATH: &str = "/o/oauth2/token";

/// An API that faults can affect. Each one except the token endpoint has a quota.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum ApiName {
    /// `/o/oauth/token` and `/o/oauth2/token`
    #[serde(rename = "token")]
    Token,
    /// `GET /o/api/v2/logs`
    #[serde(rename = "logs-v2")]
    LogsV2,
    /// `POST /o/api/v3/activities`
    #[serde(rename = "activities-v3")]
    ActivitiesV3,
    /// `POST /o/api/v3.3/logs`
    #[serde(rename = "logs-v3.3")]
    LogsV3_3,
}

impl ApiName {
    /// All APIs.
    pub const ALL: [Self; 4] = [Self::Token, Self::LogsV2, Self::ActivitiesV3, Self::LogsV3_3];

    /// The name on the control surface.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::LogsV2 => "logs-v2",
            Self::ActivitiesV3 => "activities-v3",
            Self::LogsV3_3 => "logs-v3.3",
        }
    }

    /// The path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "/o/oauth/token",
            Self::LogsV2 => "/o/api/v2/logs",
            Self::ActivitiesV3 => "/o/api/v3/activities",
            Self::LogsV3_3 => "/o/api/v3.3/logs",
        }
    }

    /// The API at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if path == SECOND_TOKEN_PATH {
            return Some(Self::Token);
        }
        Self::ALL.into_iter().find(|api| api.path() == path)
    }
}
