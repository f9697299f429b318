//! Device reports: what a device says of itself every few hours.

use std::{borrow::Cow, sync::Arc};

use super::{DeviceRef, EventRef, Millis, World, random::RngStream, roster::Device, timeline::Status};

/// How bad the worst finding of a report is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Something must be done at once.
    Critical,
    /// Something should be done.
    Warning,
    /// Nothing was found.
    NoIssue,
}

impl Severity {
    /// The word that the API has for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::NoIssue => "no_issue",
        }
    }
}

/// One report of a device.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// When it arrived.
    pub at: Millis,
    /// What it says, in a sentence.
    pub details: String,
    /// Whose it is.
    pub device: Arc<Device>,
    /// Whether the device kept the policy then.
    pub status: Status,
    /// How bad the worst finding is.
    pub severity: Severity,
    /// The policy that was checked.
    pub policy_name: Cow<'static, str>,
    /// When the device was seen last before it reported.
    pub last_seen: Millis,
    /// The address it came from, out of the ranges kept for documentation.
    pub public_ip: String,
}

impl World {
    pub(super) fn report_record(&self, event_ref: &EventRef, (at, device): (DeviceRef, Arc<Device>)) -> DeviceReport {
        let (key, occurrence) = self.timeline.detail(event_ref);
        let key = key.stream(RngStream::Report);
        let (status, noncompliance) = self.timeline.status(at, event_ref.at);
        let severity = match (status, key.sub(0).below(occurrence, 8)) {
            (Status::NonCompliant, 0..5) => Severity::Critical,
            (Status::NonCompliant, _) | (Status::Exempted, 0..6) | (Status::Compliant, 0) => Severity::Warning,
            _ => Severity::NoIssue,
        };
        let last_seen = Millis(event_ref.at.0 - key.sub(1).below(occurrence, 90_000).cast_signed());
        let public_ip = self.roster.address(at, key.sub(2).below(occurrence, 5));
        let policy_name = self.roster.policy(&device);
        let details = self.report_details(&device, status, policy_name, severity, noncompliance);
        DeviceReport {
            at: event_ref.at,
            details,
            device,
            status,
            severity,
            policy_name: policy_name.into(),
            last_seen,
            public_ip,
        }
    }
}
