//! The names of the emulated APIs for the control surface, the quota and the journal.

use serde::{Deserialize, Serialize};

/// The path of the consent page, which is not an API of its own.
pub(crate) const AUTHORIZE_PATH: &str = "/o/oauth/authorize";

/// Declares the APIs: their names in the code and on the control surface, and their paths.
macro_rules! apis {
    ($($(#[$doc:meta])* $api:ident = $code:literal at $($path:literal),+;)+) => {
        /// An API that faults can affect. Each one except the token endpoint has a quota.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[non_exhaustive]
        pub enum ApiName {
            $($(#[$doc])* #[serde(rename = $code)] $api),+
        }

        impl ApiName {
            /// All APIs.
            pub const ALL: &[Self] = &[$(Self::$api),+];

            /// The name on the control surface.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$api => $code),+ }
            }

            /// The paths, the usual one first.
            #[must_use]
            pub const fn paths(self) -> &'static [&'static str] {
                match self { $(Self::$api => &[$($path),+]),+ }
            }
        }
    };
}

apis! {
    /// `/o/oauth/token`, and `/o/oauth2/token`, which the vendor's SIEM add-on uses (C).
    Token = "token" at "/o/oauth/token", "/o/oauth2/token";
    /// `GET /o/api/v2/logs`
    LogsV2 = "logs-v2" at "/o/api/v2/logs";
    /// `POST /o/api/v3/activities`
    ActivitiesV3 = "activities-v3" at "/o/api/v3/activities";
    /// `POST /o/api/v3/logs`
    LogsV3 = "logs-v3" at "/o/api/v3/logs";
    /// `POST /o/api/v3.1/logs`
    LogsV3_1 = "logs-v3.1" at "/o/api/v3.1/logs";
    /// `POST /o/api/v3.2/logs`
    LogsV3_2 = "logs-v3.2" at "/o/api/v3.2/logs";
    /// `POST /o/api/v3.3/logs`
    LogsV3_3 = "logs-v3.3" at "/o/api/v3.3/logs";
}

impl ApiName {
    /// The usual path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.paths()[0]
    }

    /// Whether the API returns pages of events.
    pub(crate) const fn has_pages(self) -> bool {
        !matches!(self, Self::Token)
    }

    /// Whether a response can have a page token.
    pub(crate) const fn has_page_tokens(self) -> bool {
        matches!(self, Self::LogsV3 | Self::LogsV3_2 | Self::LogsV3_3)
    }

    /// Whether a request cannot choose a window.
    pub(crate) const fn has_no_window(self) -> bool {
        matches!(self, Self::LogsV2)
    }

    /// Whether a window can be given as whole days, the last of which ends in the future.
    pub(crate) const fn has_days(self) -> bool {
        matches!(self, Self::ActivitiesV3 | Self::LogsV3)
    }

    /// Whether the API tells `deleted_api` as `deleted`: v3.3 is the first version that has this code (A).
    pub(crate) const fn is_before_v3_3(self) -> bool {
        matches!(self, Self::LogsV3 | Self::LogsV3_1 | Self::LogsV3_2)
    }

    /// The API at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.paths().contains(&path))
    }
}
