//! An event as a test asks for it, and as it is stored.

use std::fmt;

use serde::Deserialize;

use crate::{
    clock::Instant,
    world::{AgentType, Category, EventId, Filter, Millis, Record, SearchTerm, WebhookEvent},
};

/// The maximum number of injected events of an account; further events are rejected until some are deleted. As many
/// deleted events stay in memory for older page tokens; beyond that, the oldest deletions are dropped.
pub const MAX_INJECTED: usize = 10_000;
/// The maximum length of a text field, in characters.
pub const MAX_TEXT: usize = 1_000;
/// The maximum length of `details`, in characters.
pub const MAX_DETAILS: usize = 100_000;
/// The maximum length of all `details` that are longer than [`MAX_TEXT`], injected since the last reset, in bytes.
pub const MAX_LONG_DETAILS_BYTES: usize = 16 * 1024 * 1024;

/// An event as a test requests it. Omitted fields get defaults, from the company's devices and people where possible.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct NewEvent {
    /// `device`, `admin`, `webhook`, `device_report` or `activity`.
    pub category: String,
    /// The event code; for an activity, its `action`. A report needs none, because it has only one code.
    pub event: Option<String>,
    /// The time of the event; now by default. It can be in the past or in the future.
    pub timestamp: Option<Instant>,
    /// The time at which the event becomes visible, not before `timestamp`; by default `timestamp`, but not before the
    /// injection.
    pub visible_at: Option<Instant>,
    /// The description of the event; not for activities.
    pub details: Option<String>,
    /// The device id; the other device fields default to those of the company's device with this id.
    pub device_id: Option<String>,
    /// The device name.
    pub device_name: Option<String>,
    /// The user who is logged in to the device; of device events and reports.
    pub device_username: Option<String>,
    /// The group of the device; of device events, reports and activities.
    pub device_group: Option<String>,
    /// The compliance status: `compliant`, `non-compliant` or `exempted`; of reports and activities.
    pub status: Option<String>,
    /// The severity: `critical`, `warning` or `no_issue`; of reports.
    pub severity: Option<String>,
    /// The checked policy; of reports.
    pub policy_name: Option<String>,
    /// The time at which the device was last seen; of reports.
    pub last_seen: Option<Instant>,
    /// The address that the device reported from; of reports.
    pub public_ip: Option<String>,
    /// The name of the administrator; of admin events.
    pub admin_name: Option<String>,
    /// The email address of the administrator; of admin events.
    pub admin_email: Option<String>,
    /// The HTTP status of the receiver's response, from 100 to 599; of webhook events.
    pub response_code: Option<u16>,
    /// The body of the receiver's response; of webhook events.
    pub response_body: Option<String>,
    /// The application; of activities.
    pub app_name: Option<String>,
    /// The access rule that decided; of activities.
    pub access_rule: Option<String>,
    /// The user who opened the application; of activities.
    pub app_user: Option<String>,
}

/// Why an event was not injected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InjectError {
    /// A field is invalid: its name, the allowed values and the given value.
    Invalid(&'static str, String, String),
    /// The category has no such field.
    NotOfTheCategory(&'static str, Category),
    /// An injected event has the same category, instant, subject and code.
    Twice(Instant),
    /// The account would have more than [`MAX_INJECTED`] injected events.
    TooMany,
    /// The long `details` would be larger than [`MAX_LONG_DETAILS_BYTES`].
    TooLong,
}

/// An injected event.
#[derive(Clone, Debug)]
pub struct Injected {
    /// The record of the event.
    pub entry: Record,
    /// The time of the event.
    pub at: Millis,
    /// The time at which the event becomes visible.
    pub visible_at: Millis,
    /// The account's time when the event was injected.
    pub(crate) added_at: Millis,
    /// The time that was asked for. `at` is a little earlier if the event before it was an equal one at the same instant.
    pub(crate) asked_at: Millis,
    /// What a receiver is notified of, if it is about this event.
    pub(crate) notification: Option<WebhookEvent>,
    pub(super) category: Category,
    /// The bit of the event code in [`Filter::kinds`].
    pub(super) kind: u64,
    pub(super) agent: Option<AgentType>,
    /// The number of the event since the last reset, from 1.
    pub(super) number: u64,
    pub(crate) added: Snapshot,
    pub(crate) forgotten: Option<Snapshot>,
}

impl Injected {
    /// The id of the event.
    #[must_use]
    pub fn id(&self) -> EventId {
        EventId::Injected(self.number)
    }

    /// The number of the event since the last reset, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The time at which a receiver is notified: that of the event, or that of the injection of an event in the past.
    pub(crate) fn notified_at(&self) -> Millis {
        self.asked_at.max(self.added_at)
    }

    /// Whether the event existed when a snapshot was taken.
    pub(crate) fn is_in(&self, snapshot: Snapshot) -> bool {
        self.added <= snapshot && self.forgotten.is_none_or(|forgotten| forgotten > snapshot)
    }

    /// The id of the device, if the event says something about its state. A notification does not.
    pub(super) fn device_with_state(&self) -> Option<&str> {
        let device = self.entry.device().filter(|_| self.category != Category::Webhook);
        device.map(|device| device.id.as_str())
    }

    /// Whether the event passes a filter.
    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        filter.admits(self.kind, self.agent)
            && filter.search.as_ref().is_none_or(|text| self.entry.mentions(&SearchTerm::new(text)))
    }
}

/// The number of injections and deletions so far.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Snapshot(pub(crate) u64);

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(field, wanted, got) => {
                let shown: String = got.chars().take(100).collect();
                write!(f, "{field} must be {wanted}, got {shown}")
            }
            Self::NotOfTheCategory(field, category) => write!(f, "an event of {} has no {field}", category.code()),
            Self::Twice(at) => write!(
                f,
                "timestamp must be another one than {at}: an event of this category, subject and code was added there"
            ),
            Self::TooLong => write!(
                f,
                "details must have at most {MAX_TEXT} characters: the longer ones since the last reset would have more \
                 than {MAX_LONG_DETAILS_BYTES} bytes"
            ),
            Self::TooMany => write!(f, "an account keeps {MAX_INJECTED} added events; DELETE them first"),
        }
    }
}

impl std::error::Error for InjectError {}
