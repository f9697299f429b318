//! Records: rendered events with all fields of the APIs.

use std::{borrow::Cow, sync::Arc};

use super::{
    codes::{Action, AdminEvent, DeviceEvent, WebhookEvent},
    kinds::{Severity, Status},
    roster::{Device, Person},
    time::Millis,
};

/// A rendered event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record {
    /// A record of the device category.
    Device(DeviceRecord),
    /// A record of the admin category.
    Admin(AdminRecord),
    /// A record of the webhook category.
    Webhook(WebhookRecord),
    /// A record of the device report category.
    Report(DeviceReport),
    /// A record of the activity category.
    Activity(Activity),
}

impl Record {
    /// The device that the event is about.
    pub(crate) fn device(&self) -> Option<&Device> {
        match self {
            Self::Device(entry) => Some(&entry.device),
            Self::Webhook(entry) => Some(&entry.device),
            Self::Report(entry) => Some(&entry.device),
            Self::Activity(entry) => Some(&entry.device),
            Self::Admin(_) => None,
        }
    }
}

/// One event of a device.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    /// The time of the event.
    pub at: Millis,
    /// The kind of event.
    pub event: DeviceEvent,
    /// A sentence that describes the event.
    pub details: String,
    /// The device.
    pub device: Arc<Device>,
}

/// One event of an administrator.
#[derive(Clone, Debug)]
pub struct AdminRecord {
    /// The time of the event.
    pub at: Millis,
    /// The kind of event.
    pub event: AdminEvent,
    /// A sentence that describes the event.
    pub details: String,
    /// The administrator who acted.
    pub admin: Person,
}

/// One attempt to send a notification to the webhook's receiver.
#[derive(Clone, Debug)]
pub struct WebhookRecord {
    /// The time of the attempt.
    pub at: Millis,
    /// The kind of notification.
    pub event: WebhookEvent,
    /// A sentence that describes the event.
    pub details: String,
    /// The device that the notification is about.
    pub device: Arc<Device>,
    /// The HTTP status code of the receiver's response.
    pub response_code: u16,
    /// The body of the receiver's response.
    pub response_body: Cow<'static, str>,
}

/// One report of a device.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// The time at which the report arrived.
    pub at: Millis,
    /// A sentence that describes the report.
    pub details: String,
    /// The device that sent the report.
    pub device: Arc<Device>,
    /// The compliance status of the device at that time.
    pub status: Status,
    /// The severity of the worst finding.
    pub severity: Severity,
    /// The policy that the report checks.
    pub policy_name: Cow<'static, str>,
    /// The time at which the device was last seen before the report.
    pub last_seen: Millis,
    /// The public IP address of the device, from the ranges reserved for documentation (RFC 5737).
    pub public_ip: String,
}

/// One access of a device to an application.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The time of the access.
    pub at: Millis,
    /// The decision of the access rules.
    pub action: Action,
    /// The application.
    pub app_name: Cow<'static, str>,
    /// The rule that made the decision.
    pub access_rule: Cow<'static, str>,
    /// The email address of the user of the device.
    pub app_user: String,
    /// The device.
    pub device: Arc<Device>,
    /// The compliance status of the device at that time.
    pub device_status: Status,
}
