//! The devices, the account and what belongs to them: what clients of the logs look up.
//!
//! All of it follows from the same history as the logs, at the account's now, so that what a client looks up agrees with
//! the events that it has read. Shapes are from the vendor's guidelines (D) and from public clients (C); where neither
//! gives a value, it is assumed (A).

mod account;
mod actions;
mod answer;
mod catalog;
mod changes;
mod checks;
mod details;
mod device_id;
mod devices;
mod request;
mod vulnerabilities;

use axum::routing::{MethodRouter, get, post};

pub(super) use self::{
    actions::ACTIONS,
    request::{GROUPS, LISTS, LONG_LISTS},
    vulnerabilities::CVES,
};
use crate::api_name::ApiName;

/// The route of each API.
pub(super) fn routes() -> [(ApiName, MethodRouter); 24] {
    [
        (ApiName::AccountV2, get(account::v2)),
        (ApiName::AccountV3, get(account::v3)),
        (ApiName::AccountV3_1, get(account::v3_1)),
        (ApiName::AccountV3_2, post(account::v3_2)),
        (ApiName::AccountPolicy, get(catalog::policy)),
        (ApiName::DevicesV2_2, get(devices::v2_2)),
        (ApiName::DevicesV3_3, post(devices::v3_3)),
        (ApiName::DevicesV3_4, post(devices::v3_4)),
        (ApiName::DeviceDetails, post(details::details)),
        (ApiName::DeviceInfo, post(details::info)),
        (ApiName::DeviceCves, post(vulnerabilities::of_device)),
        (ApiName::DeviceThreats, post(checks::threats)),
        (ApiName::StatusChanged, post(changes::list)),
        (ApiName::DeviceAction, post(actions::act)),
        (ApiName::DeleteDevice, post(actions::delete)),
        (ApiName::PolicyCheck, post(checks::policy)),
        (ApiName::DeviceStats, get(checks::stats)),
        (ApiName::Remediation, get(checks::remediation)),
        (ApiName::Reports, get(checks::reports)),
        (ApiName::Groups, post(catalog::groups)),
        (ApiName::Apps, post(catalog::apps)),
        (ApiName::AppDetails, post(catalog::app_details)),
        (ApiName::Cves, post(vulnerabilities::list)),
        (ApiName::Configuration, post(catalog::configuration)),
    ]
}
