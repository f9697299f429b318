//! Device events: what happens to a device in its timeline.

use std::sync::Arc;

use super::{EventRef, Millis, World, roster::Device};

/// What can happen to a device; the `event` of the API's `device` category.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceEvent {
    /// An administrator or a user opened protected applications to it for a while.
    AccessGranted,
    /// That ended.
    AccessRevoked,
    /// It joined the account.
    Added,
    /// It joined, with a MAC address that another device has too.
    AddedDuplicateMac,
    /// An administrator asked it to check its compliance.
    ComplianceCheck,
    /// It keeps the policy again.
    Compliant,
    /// An administrator removed it.
    Deleted,
    /// Its user removed the agent.
    DeletedUser,
    /// Another program removed it, through the API.
    DeletedApi,
    /// An administrator excused it from all of the policy.
    ExemptAll,
    /// An administrator fetched its log files.
    FetchLog,
    /// It does not keep the policy any more.
    NonCompliant,
    /// An administrator had it scanned.
    ScanThreat,
    /// An administrator ended its exemption.
    Unexempt,
    /// It was not seen for long and was removed.
    Unseen,
}

impl DeviceEvent {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 15] = [
        Self::AccessGranted,
        Self::AccessRevoked,
        Self::Added,
        Self::AddedDuplicateMac,
        Self::ComplianceCheck,
        Self::Compliant,
        Self::Deleted,
        Self::DeletedUser,
        Self::DeletedApi,
        Self::ExemptAll,
        Self::FetchLog,
        Self::NonCompliant,
        Self::ScanThreat,
        Self::Unexempt,
        Self::Unseen,
    ];

    /// The code by which `POST /o/api/v3.3/logs` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessGranted => "access_granted",
            Self::AccessRevoked => "access_revoked",
            Self::Added => "added",
            Self::AddedDuplicateMac => "added_duplicate_mac",
            Self::ComplianceCheck => "compliance_check",
            Self::Compliant => "compliant",
            Self::Deleted => "deleted",
            Self::DeletedUser => "deleted_user",
            Self::DeletedApi => "deleted_api",
            Self::ExemptAll => "exempt_all",
            Self::FetchLog => "fetch_log",
            Self::NonCompliant => "noncompliant",
            Self::ScanThreat => "scan_threat",
            Self::Unexempt => "unexempt",
            Self::Unseen => "unseen",
        }
    }

    /// The words by which the console and `GET /o/api/v2/logs` describe it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AccessGranted => "Access granted",
            Self::AccessRevoked => "Access revoked",
            Self::Added => "Installed",
            Self::AddedDuplicateMac => "Installed with a duplicate MAC address",
            Self::ComplianceCheck => "Compliance check requested",
            Self::Compliant => "Changed status to compliant",
            Self::Deleted => "Deleted by an administrator",
            Self::DeletedUser => "Uninstalled by a user",
            Self::DeletedApi => "Deleted by API",
            Self::ExemptAll => "Exempted",
            Self::FetchLog => "Log files fetched",
            Self::NonCompliant => "Changed status to non-compliant",
            Self::ScanThreat => "Threat scan requested",
            Self::Unexempt => "Exemption removed",
            Self::Unseen => "Deleted as unseen",
        }
    }
}

/// One event of a device.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    /// When it happened.
    pub at: Millis,
    /// What happened.
    pub event: DeviceEvent,
    /// The same in a sentence.
    pub details: String,
    /// To whom.
    pub device: Arc<Device>,
}

impl World {
    pub(super) fn device_record(&self, event_ref: &EventRef, event: DeviceEvent, device: Arc<Device>) -> DeviceRecord {
        let details = self.device_details(event_ref, event, &device);
        DeviceRecord { at: event_ref.at, event, details, device }
    }
}
