//! Webhook entries: what the company's webhook was told about devices, and what its receiver answered.

use std::{borrow::Cow, sync::Arc};

use super::{Happening, Millis, World, random::Lane, roster::Device};

/// What a webhook is told; the `event` of the API's `webhook` category.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebhookEvent {
    /// A device joined the account.
    Added,
    /// A device left it, in whatever way.
    Deleted,
    /// A device keeps the policy again.
    StatusChangedToCompliant,
    /// A device was excused from the policy.
    StatusChangedToExempted,
    /// A device does not keep the policy any more.
    StatusChangedToNonCompliant,
}

impl WebhookEvent {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 5] = [
        Self::Added,
        Self::Deleted,
        Self::StatusChangedToCompliant,
        Self::StatusChangedToExempted,
        Self::StatusChangedToNonCompliant,
    ];

    /// The code by which `POST /o/api/v3.3/logs` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::StatusChangedToCompliant => "status_changed_to_compliant",
            Self::StatusChangedToExempted => "status_changed_to_exempted",
            Self::StatusChangedToNonCompliant => "status_changed_to_non_compliant",
        }
    }
}

/// One attempt to tell the webhook's receiver something.
#[derive(Clone, Debug)]
pub struct WebhookEntry {
    /// When the receiver was told.
    pub at: Millis,
    /// What it was told.
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

/// What a receiver says that has understood.
const THANKS: [(u16, &str); 4] =
    [(200, r#"{"status":"ok"}"#), (200, "OK"), (200, r#"{"received":true}"#), (202, r#"{"status":"accepted"}"#)];
/// What a receiver says that is in trouble.
const TROUBLE: [(u16, &str); 5] = [
    (503, "Service Unavailable"),
    (500, r#"{"error":"internal server error"}"#),
    (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    (429, r#"{"error":"too many requests"}"#),
    (404, r#"{"error":"no such hook"}"#),
];

impl World {
    pub(super) fn tell_webhook(&self, happening: &Happening, event: WebhookEvent, device: Arc<Device>) -> WebhookEntry {
        let (key, turn) = self.life.detail(happening);
        let attempt = self.life.track(happening.track).nth;
        let key = key.lane(Lane::Receiver).sub(u64::from(attempt));
        let (response_code, response_body) =
            if self.life.receiver_fails(happening) { key.pick(turn, &TROUBLE) } else { key.pick(turn, &THANKS) };
        let details = self.webhook_details(event, &device, attempt);
        WebhookEntry { at: happening.at, event, details, device, response_code, response_body: response_body.into() }
    }
}
