//! The attempts that an account has to make, in the order in which they are due.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    account::{Account, webhook::WebhookSettings},
    world::{Category, DeviceEvent, Filter, Millis, Notification, Record, WebhookEvent, Window, World},
};

/// The number of generated notifications that are loaded at once.
const BATCH: u64 = 256;
/// The device events that have a notification.
const NOTIFIED: [&str; 9] = [
    "added",
    "added_duplicate_mac",
    "deleted",
    "deleted_user",
    "deleted_api",
    "unseen",
    "compliant",
    "noncompliant",
    "exempt_all",
];

/// An attempt to deliver a notification.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) notification: Notification,
    /// The number of the attempt, from 0, and its time on the account's clock.
    pub(super) nth: u8,
    pub(super) at: Millis,
}

/// The attempts of one receiver.
pub(super) struct Queue {
    /// The company with a simulated receiver, whose history has the notifications.
    pub(super) world: Arc<World>,
    /// The number of generated notifications before those in `generated`, and in it.
    loaded: u64,
    generated: VecDeque<Notification>,
    /// Repeated attempts and notifications of injected events, by their time and their order.
    others: BTreeMap<(Millis, u64), Attempt>,
    created: u64,
    /// The highest number of an injected event that is in `others` already.
    injected: u64,
}

/// What a receiver gets (D).
#[derive(Serialize)]
struct Body<'a> {
    device_id: &'a str,
    status: &'static str,
    timestamp: i64,
}

impl Attempt {
    /// The body: an array with one notification (D).
    pub(super) fn body(&self) -> Vec<u8> {
        let Notification { happened_at, event, device, .. } = &self.notification;
        let status = match event {
            WebhookEvent::Added => "installed",
            WebhookEvent::Deleted => "deleted",
            WebhookEvent::StatusChangedToCompliant => "compliant",
            WebhookEvent::StatusChangedToNonCompliant => "non_compliant",
            // The vendor documents no status for an exemption (A).
            WebhookEvent::StatusChangedToExempted => "exempted",
        };
        let body = [Body { device_id: &device.id, status, timestamp: happened_at.0 }];
        // Encoding texts and numbers cannot fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl Queue {
    /// The attempts from an instant on. Events that were injected before count if they are still in the future.
    pub(super) fn new(account: &Account, from: Millis) -> Self {
        let world = simulated(account);
        let loaded = world.notifications_until(from);
        let mut queue =
            Self { world, loaded, generated: VecDeque::new(), others: BTreeMap::new(), created: 0, injected: 0 };
        queue.add_injected(account, Millis(from.0 + 1));
        queue
    }

    /// Adds what is new, so that the next attempt is known.
    pub(super) fn fill(&mut self, account: &Account, receiver: &WebhookSettings, now: Millis) {
        let world = simulated(account);
        if world.config() != self.world.config() {
            self.loaded = world.notifications_until(now);
            self.generated.clear();
            self.world = world;
        }
        self.add_injected(account, Millis(i64::MIN));
        while self.generated.is_empty() {
            let batch = self.world.notifications(self.loaded, BATCH, now);
            if batch.is_empty() {
                break;
            }
            self.loaded += batch.len() as u64;
            self.generated.extend(batch.into_iter().filter(|notification| receiver.wants(notification.event)));
        }
        self.others.retain(|_, attempt| receiver.wants(attempt.notification.event));
    }

    /// Adds the injected device events from an instant on that are not there yet. One in the past is due when it was
    /// injected.
    fn add_injected(&mut self, account: &Account, from: Millis) {
        let filter = Filter { kinds: Some(Category::Device.kinds(&NOTIFIED)), ..Filter::default() };
        let window = Window { from: Millis(i64::MIN), to: Millis(i64::MAX) };
        let mut highest = self.injected;
        let mut events = account.injected.select(Category::Device, window, &filter, Millis(i64::MAX), None);
        events.retain(|event| event.number() > self.injected);
        events.sort_unstable_by_key(|event| event.number());
        for event in events {
            let Record::Device(record) = &event.entry else { continue };
            highest = highest.max(event.number());
            let Some(kind) = notified(record.event).filter(|_| event.number() > self.injected && event.at >= from)
            else {
                continue;
            };
            let at = event.asked_at.max(event.made_at);
            let notification = Notification { at, happened_at: event.at, event: kind, device: record.device.clone() };
            self.add(Attempt { notification, nth: 0, at });
        }
        self.injected = highest;
    }

    fn add(&mut self, attempt: Attempt) {
        self.created += 1;
        self.others.insert((attempt.at, self.created), attempt);
    }

    /// Adds the next attempt of a notification.
    pub(super) fn retry(&mut self, attempt: Attempt, delay_ms: i64) {
        self.add(Attempt { nth: attempt.nth + 1, at: Millis(attempt.at.0 + delay_ms), ..attempt });
    }

    /// The time of the next attempt.
    pub(super) fn next_at(&self) -> Option<Millis> {
        let generated = self.generated.front().map(|notification| notification.at);
        let other = self.others.keys().next().map(|(at, _)| *at);
        generated.into_iter().chain(other).min()
    }

    /// Takes the next attempt, if it is due.
    pub(super) fn due(&mut self, now: Millis) -> Option<Attempt> {
        let at = self.next_at().filter(|at| *at <= now)?;
        if self.generated.front().is_some_and(|notification| notification.at == at) {
            let notification = self.generated.pop_front()?;
            return Some(Attempt { notification, nth: 0, at });
        }
        self.others.pop_first().map(|(_, attempt)| attempt)
    }
}

/// The account's company with a simulated receiver.
fn simulated(account: &Account) -> Arc<World> {
    let world = account.world();
    account.world_of(crate::world::WorldConfig { webhook_since: None, ..world.config() })
}

/// The notification about a device event.
fn notified(event: DeviceEvent) -> Option<WebhookEvent> {
    match event {
        event if event.is_arrival() => Some(WebhookEvent::Added),
        event if event.is_departure() => Some(WebhookEvent::Deleted),
        DeviceEvent::Compliant => Some(WebhookEvent::StatusChangedToCompliant),
        DeviceEvent::NonCompliant => Some(WebhookEvent::StatusChangedToNonCompliant),
        DeviceEvent::ExemptAll => Some(WebhookEvent::StatusChangedToExempted),
        _ => None,
    }
}
