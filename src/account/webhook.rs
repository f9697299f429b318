//! The webhook of an account: its receiver, and what was delivered to it. The deliveries themselves are made by
//! `crate::webhook`.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::journal::masked;
use crate::{
    clock::Instant,
    world::{Millis, WebhookEvent},
};

/// The number of failed attempts in a row after which a webhook is turned off (D).
pub(crate) const MAX_FAILURES: u32 = 100;
/// The number of attempts that an account remembers.
const MAX_DELIVERIES: usize = 1_000;
/// The maximum length of the API key.
const MAX_KEY: usize = 200;

/// The receiver of an account's notifications.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where notifications go: `http://`, a host, and optionally a port and a path.
    pub url: String,
    /// The value of the header `Authorization`; 1 to 200 visible ASCII characters.
    pub api_key: String,
    /// The codes of the notifications that the receiver gets; all by default.
    #[serde(default)]
    pub events: Option<Vec<String>>,
}

/// An attempt to deliver a notification.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// The number of the attempt since the last reset, from 1.
    pub number: u64,
    /// The time of the attempt on the account's clock.
    pub at: Instant,
    /// The code of the notification, as in the logs.
    pub event: &'static str,
    /// The device that the notification is about.
    pub device_id: String,
    /// The number of the attempt for this notification, from 1.
    pub attempt: u8,
    /// The status of the response; 0 if there was none.
    pub response_code: u16,
    /// The body of the response, or why there was none.
    pub response_body: String,
}

/// Whether notifications are delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WebhookState {
    /// There is no receiver: the logs have the notifications of a simulated one.
    #[default]
    Absent,
    /// Notifications are delivered.
    On,
    /// The receiver failed too often in a row.
    Off,
    /// The receiver was removed; there are no notifications until a reset.
    Removed,
}

/// What the control surface shows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct WebhookReport {
    /// Whether notifications are delivered.
    pub state: WebhookState,
    /// The address of the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The API key, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The codes of the notifications that the receiver gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Whether all attempts are made that are due.
    #[serde(rename = "idle")]
    pub is_idle: bool,
    /// The number of attempts that failed since the last one that succeeded.
    pub failures_in_a_row: u32,
    /// The last attempts, oldest first.
    pub deliveries: Vec<Delivery>,
}

/// The webhook of an account.
#[derive(Debug, Default)]
pub(crate) struct Webhook {
    inner: Mutex<Inner>,
    /// Notified when a delivery, the receiver, or the events changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    state: WebhookState,
    receiver: Option<Arc<WebhookSettings>>,
    /// The number of changes of the receiver. A task for an earlier one ends.
    generation: u64,
    /// The generation at the last reset. What tasks of it and of earlier ones did is forgotten.
    forgotten: u64,
    deliveries: VecDeque<Delivery>,
    attempts: u64,
    failures: u32,
    /// Whether the account is deleted, or the server has ended.
    is_closed: bool,
    /// The number of changes of the events of the account.
    event_changes: u64,
    /// The instant up to which all attempts are made.
    delivered_until: Option<Millis>,
}

impl WebhookSettings {
    /// Checks the key and the events; the address is checked where it is used.
    ///
    /// # Errors
    ///
    /// Which field is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_header =
            (1..=MAX_KEY).contains(&self.api_key.len()) && self.api_key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_header {
            return Err(format!("api_key must be 1 to {MAX_KEY} visible ASCII characters without spaces"));
        }
        let codes = WebhookEvent::ALL.map(WebhookEvent::code);
        for event in self.events.iter().flatten() {
            if !codes.contains(&event.as_str()) {
                let shown: String = event.chars().take(80).collect();
                return Err(format!("events must be some of {}, got {shown:?}", codes.join(", ")));
            }
        }
        Ok(())
    }

    /// Whether the receiver gets a notification.
    pub(crate) fn wants(&self, event: WebhookEvent) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|code| code == event.code()))
    }
}

impl Webhook {
    /// Sets the receiver, and returns the generation of its task; `None` if the account is deleted.
    pub(crate) fn set(&self, receiver: WebhookSettings) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return None;
        }
        inner.generation += 1;
        inner.state = WebhookState::On;
        inner.receiver = Some(Arc::new(receiver));
        (inner.failures, inner.delivered_until) = (0, None);
        let generation = inner.generation;
        drop(inner);
        self.changed.notify_waiters();
        Some(generation)
    }

    /// Removes the receiver. Returns `false` if there is none.
    pub(crate) fn remove(&self) -> bool {
        let mut inner = self.inner.lock();
        let was_there = inner.receiver.take().is_some();
        if was_there {
            inner.generation += 1;
            inner.state = WebhookState::Removed;
        }
        drop(inner);
        self.changed.notify_waiters();
        was_there
    }

    /// Ends the deliveries for good; what was delivered stays.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        inner.forgotten = inner.generation;
        inner.generation += 1;
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(crate) fn reset(&self) {
        let mut inner = self.inner.lock();
        let generation = inner.generation;
        *inner =
            Inner { generation: generation + 1, forgotten: generation, is_closed: inner.is_closed, ..Inner::default() };
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Whether a receiver answers itself, so that no answers are invented.
    pub(crate) fn is_real(&self) -> bool {
        self.inner.lock().state != WebhookState::Absent
    }

    /// The receiver, if it is still that of a generation and not turned off, and the number of changes of the events.
    pub(crate) fn receiver(&self, generation: u64) -> Option<(Arc<WebhookSettings>, u64)> {
        let inner = self.inner.lock();
        let is_current = inner.generation == generation && inner.state == WebhookState::On;
        Some((inner.receiver.clone().filter(|_| is_current)?, inner.event_changes))
    }

    /// Whether what a generation does is kept: there was no reset since it started.
    pub(crate) fn keeps(&self, generation: u64) -> bool {
        generation > self.inner.lock().forgotten
    }

    /// Remembers an attempt, also one to a receiver that has been replaced meanwhile. After too many failures of the current
    /// one, the webhook is turned off. The number of the attempt is set here.
    pub(crate) fn record(&self, generation: u64, mut delivery: Delivery) {
        let mut inner = self.inner.lock();
        if generation <= inner.forgotten {
            return;
        }
        inner.attempts += 1;
        delivery.number = inner.attempts;
        if inner.generation == generation {
            let is_success = (200..300).contains(&delivery.response_code);
            inner.failures = if is_success { 0 } else { inner.failures + 1 };
            if inner.failures >= MAX_FAILURES {
                inner.state = WebhookState::Off;
            }
        }
        if inner.deliveries.len() == MAX_DELIVERIES {
            inner.deliveries.pop_front();
        }
        inner.deliveries.push_back(delivery);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Sets the instant up to which all attempts are made, unless the events have changed since.
    pub(crate) fn delivered_until(&self, (generation, event_changes): (u64, u64), until: Millis) {
        let mut inner = self.inner.lock();
        let is_current = (inner.generation, inner.event_changes) == (generation, event_changes);
        if !is_current || inner.delivered_until == Some(until) {
            return;
        }
        inner.delivered_until = Some(until);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Reports that the history or the injected events of the account have changed.
    pub(crate) fn events_changed(&self) {
        let mut inner = self.inner.lock();
        inner.event_changes += 1;
        inner.delivered_until = None;
        drop(inner);
        self.changed.notify_waiters();
    }

    /// A change after this call.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Whether all attempts up to an instant are made, or will never be.
    pub(crate) fn is_done(&self, until: Millis) -> bool {
        let inner = self.inner.lock();
        inner.state != WebhookState::On || inner.delivered_until.is_some_and(|delivered| delivered >= until)
    }

    pub(crate) fn report(&self, now: Millis) -> WebhookReport {
        let inner = self.inner.lock();
        let receiver = inner.receiver.as_deref();
        WebhookReport {
            state: inner.state,
            url: receiver.map(|receiver| receiver.url.clone()),
            api_key: receiver.map(|receiver| masked(&receiver.api_key)),
            events: receiver.and_then(|receiver| receiver.events.clone()),
            is_idle: inner.state != WebhookState::On || inner.delivered_until.is_some_and(|until| until >= now),
            failures_in_a_row: inner.failures,
            deliveries: inner.deliveries.iter().cloned().collect(),
        }
    }
}
