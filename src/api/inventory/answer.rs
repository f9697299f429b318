//! How devices appear in responses.

use axum::response::Response;
use serde::Serialize;

use super::super::{context::RequestContext, encode, error::ApiError, page};
use crate::{
    account::devices::Devices,
    world::{DeviceState, Severity, Status, World},
};

/// Encodes a response.
pub(super) fn json(answer: &impl Serialize) -> Result<Response, ApiError> {
    Ok(page::response(serde_json::to_vec(answer).map_err(|_| ApiError::ServerError)?))
}

/// Calls `read` with the account's company and its devices at the time of the request.
pub(super) fn read<T>(context: &RequestContext, read: impl FnOnce(&World, &Devices<'_>) -> T) -> T {
    let account = &context.account;
    let world = account.world_of(context.config.settings.world);
    let devices = Devices::new(&world, &account.injected, context.now, &account.effects);
    read(&world, &devices)
}

/// Calls `read` with the devices that some texts name by ids or MAC addresses.
pub(super) fn read_some<T>(
    context: &RequestContext,
    names: &[String],
    read: impl FnOnce(&World, &Devices<'_>) -> T,
) -> T {
    let world = context.account.world_of(context.config.settings.world);
    let devices = Devices::some(&world, &context.account.injected, context.now, names);
    read(&world, &devices)
}

/// The status, as the filters of the vendor's device lists name it (D).
pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Compliant => "compliant",
        Status::NonCompliant => "non_compliant",
        Status::Exempted => "exempted",
    }
}

/// The severity, as the vendor's device lists name it (D).
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::NoIssue => "no_issues",
    }
}

/// The machine type, as the vendor's device lists name it (D).
pub(super) fn device_type(state: &DeviceState) -> &'static str {
    match state.device.machine {
        "domain controller" => "server",
        machine => machine,
    }
}

/// The page that says how a device meets the policy. The host does not exist.
pub(super) fn remediation_link(id: &str) -> String {
    format!("https://remediation.example/devices/{id}")
}

/// When and from where a device was last seen: at its last report, or else at its enrolment.
pub(super) struct Seen {
    pub(super) last_seen: String,
    pub(super) public_ip: Option<String>,
}

impl Seen {
    pub(super) fn of(state: &DeviceState, devices: &Devices<'_>) -> Self {
        let (at, public_ip) = devices.last_seen(&state.device).unzip();
        Self { last_seen: encode::iso_seconds(at.unwrap_or(state.enrolled_at)), public_ip }
    }
}

/// The numbers of issues of a device. A device has one issue at a time.
#[derive(Serialize)]
pub(super) struct Issues {
    #[serde(rename = "total_issue")]
    all: u8,
    #[serde(rename = "total_critical_issue")]
    critical: u8,
    #[serde(rename = "total_warning_issue")]
    warning: u8,
}

impl Issues {
    pub(super) fn of(state: &DeviceState) -> Self {
        let number = |severity| u8::from(state.violation.is_some() && state.severity == severity);
        Self {
            all: u8::from(state.violation.is_some()),
            critical: number(Severity::Critical),
            warning: number(Severity::Warning),
        }
    }
}

/// The part of the policy that a device violates.
#[derive(Serialize)]
pub(super) struct ViolatedCategory {
    pub(super) id: &'static str,
    severity: &'static str,
}

impl ViolatedCategory {
    /// With the ids of `device_info` (D).
    pub(super) fn of_info(state: &DeviceState) -> Vec<Self> {
        let id = |id| match id {
            "antivirus" => "anti-malware",
            "hard_disk_encryption" => "encryption",
            "backupclient" => "backup",
            "osupdate" => "operating_system",
            "systemsecurity" => "system_security",
            "system" => "custom_check",
            same => same,
        };
        Self::of(state).into_iter().map(|category| Self { id: id(category.id), ..category }).collect()
    }

    /// With the ids of the lists (D).
    pub(super) fn of(state: &DeviceState) -> Vec<Self> {
        let violated = |category| Self { id: category, severity: severity(state.severity) };
        state.violation.iter().map(|violation| violated(violation.category)).collect()
    }
}
