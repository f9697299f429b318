//! Webhook entries: what the company's webhook was spec about devices, and what its receiver answered.

use std::{borrow::Cow, sync::Arc};

use super::{EventRef, Millis, World, random::RngStream, roster::Device};

/// What a webhook is spec; the `event` of the API's `webhook` category.
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
pub struct WebhookRecord {
    /// When the receiver was spec.
    pub at: Millis,
    /// What it was spec.
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
    pub(super) fn webhook_record(
        &self,
        event_ref: &EventRef,
        event: WebhookEvent,
        device: Arc<Device>,
    ) -> WebhookRecord {
        let (key, occurrence) = self.timeline.detail(event_ref);
        let attempt = self.timeline.track(event_ref.track).nth;
        let key = key.stream(RngStream::Receiver).sub(u64::from(attempt));
        let (response_code, response_body) = if self.timeline.receiver_fails(event_ref) {
            key.pick(occurrence, &TROUBLE)
        } else {
            key.pick(occurrence, &THANKS)
        };
        let details = self.webhook_details(event, &device, attempt);
        WebhookRecord { at: event_ref.at, event, details, device, response_code, response_body: response_body.into() }
    }
}
