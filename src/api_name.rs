//! The names of the emulated APIs for the control surface, the quota and the journal.

use serde::{Deserialize, Serialize};

use crate::path_pattern::captures;

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
    /// `GET /o/api/v2/account`
    AccountV2 = "account-v2" at "/o/api/v2/account";
    /// `GET /o/api/v3/account`
    AccountV3 = "account-v3" at "/o/api/v3/account";
    /// `GET /o/api/v3.1/account`
    AccountV3_1 = "account-v3.1" at "/o/api/v3.1/account";
    /// `POST /o/api/v3.2/account`
    AccountV3_2 = "account-v3.2" at "/o/api/v3.2/account";
    /// `GET /o/api/v2/account/policy`
    AccountPolicy = "account-policy" at "/o/api/v2/account/policy";
    /// `GET /o/api/v2.2/devices`
    DevicesV2_2 = "devices-v2.2" at "/o/api/v2.2/devices";
    /// `POST /o/api/v3.3/devices`, also in version 3.2
    DevicesV3_3 = "devices-v3.3" at "/o/api/v3.3/devices", "/o/api/v3.2/devices";
    /// `POST /o/api/v3.4/devices`
    DevicesV3_4 = "devices-v3.4" at "/o/api/v3.4/devices";
    /// `POST /o/api/v3.4/devices/detail`, also in version 3.3
    DeviceDetails = "device-details" at "/o/api/v3.4/devices/detail", "/o/api/v3.3/devices/detail";
    /// `POST /o/api/v3/device_info`
    DeviceInfo = "device-info" at "/o/api/v3/device_info";
    /// `POST /o/api/v3/get_cves`, also in version 3.2
    DeviceCves = "device-cves" at "/o/api/v3/get_cves", "/o/api/v3.2/get_cves";
    /// `POST /o/api/v3/get_threats`
    DeviceThreats = "device-threats" at "/o/api/v3/get_threats";
    /// `POST /o/api/v3/devices/status_changed`
    StatusChanged = "status-changed" at "/o/api/v3/devices/status_changed";
    /// `POST /o/api/v3.3/devices/action`, also in version 3.2
    DeviceAction = "device-action" at "/o/api/v3.3/devices/action", "/o/api/v3.2/devices/action";
    /// `POST /o/api/v2.2/devices/{id}/delete`
    DeleteDevice = "delete-device" at "/o/api/v2.2/devices/{id}/delete";
    /// `POST /o/api/v2/devices/policy_check`
    PolicyCheck = "policy-check" at "/o/api/v2/devices/policy_check";
    /// `GET /o/api/v2/devices/stats`
    DeviceStats = "device-stats" at "/o/api/v2/devices/stats";
    /// `GET /o/api/v3/devices/{id}/remediation`
    Remediation = "remediation" at "/o/api/v3/devices/{id}/remediation";
    /// `GET /o/api/v3.1/get_reports`
    Reports = "reports" at "/o/api/v3.1/get_reports";
    /// `POST /o/api/v3/groups`
    Groups = "groups" at "/o/api/v3/groups";
    /// `POST /o/api/v3/apps`
    Apps = "apps" at "/o/api/v3/apps";
    /// `POST /o/api/v3/apps/details`
    AppDetails = "app-details" at "/o/api/v3/apps/details";
    /// `POST /o/api/v3/cves`
    Cves = "cves" at "/o/api/v3/cves";
    /// `POST /o/api/v3.1/configuration`
    Configuration = "configuration" at "/o/api/v3.1/configuration";
}

impl ApiName {
    /// The usual path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.paths()[0]
    }

    /// Whether the API returns pages of events.
    pub(crate) const fn has_pages(self) -> bool {
        matches!(
            self,
            Self::LogsV2 | Self::ActivitiesV3 | Self::LogsV3 | Self::LogsV3_1 | Self::LogsV3_2 | Self::LogsV3_3
        )
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

    /// Whether the API returns `deleted_api` as `deleted`: v3.3 is the first version that has this code (A).
    pub(crate) const fn is_before_v3_3(self) -> bool {
        matches!(self, Self::LogsV3 | Self::LogsV3_1 | Self::LogsV3_2)
    }

    /// Whether this path is one of the API.
    pub(crate) fn is_at(self, path: &str) -> bool {
        let is_at = |template: &&str| *template == path || template.contains('{') && captures(template, path).is_some();
        self.paths().iter().any(is_at)
    }

    /// The API at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.is_at(path))
    }
}
