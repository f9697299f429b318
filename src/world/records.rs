//! Records: events in full, as the APIs show them.

use std::{borrow::Cow, sync::Arc};

use super::{
    kinds::{Action, AdminEvent, DeviceEvent, Severity, Status, WebhookEvent},
    roster::{Device, Person},
    time::Millis,
};

/// An event, rendered in full.
#[derive(Clone, Debug)]
pub enum Record {
    /// Of the device category.
    Device(DeviceRecord),
    /// Of the admin category.
    Admin(AdminRecord),
    /// Of the webhook category.
    Webhook(WebhookRecord),
    /// Of the category of device reports.
    Report(DeviceReport),
    /// Of the category of accesses.
    Activity(Activity),
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

/// One event of an administrator.
#[derive(Clone, Debug)]
pub struct AdminRecord {
    /// When it happened.
    pub at: Millis,
    /// What happened.
    pub event: AdminEvent,
    /// The same in a sentence.
    pub details: String,
    /// Who did it.
    pub admin: Person,
}

/// One attempt to tell the webhook's receiver something.
#[derive(Clone, Debug)]
pub struct WebhookRecord {
    /// When the receiver was rendered.
    pub at: Millis,
    /// What it was rendered.
    pub event: WebhookEvent,
    /// The same in a sentence.
    pub details: String,
    /// Of which device.
    pub device: Arc<Device>,
    /// The HTTP status that the receiver answered with.
    pub response_code: u16,
    /// What the receiver said.
    pub response_body: Cow<'static, str>,
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

/// One access of a device to an application.
#[derive(Clone, Debug)]
pub struct Activity {
    /// When it was.
    pub at: Millis,
    /// What the rules made of it.
    pub action: Action,
    /// The application.
    pub app_name: Cow<'static, str>,
    /// The rule that decided.
    pub access_rule: Cow<'static, str>,
    /// The address of whoever used the device.
    pub app_user: String,
    /// The device.
    pub device: Arc<Device>,
    /// Whether the device kept the policy then.
    pub device_status: Status,
}
