//! The attempts that an account has to make, in the order in which they are due.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    account::{Account, injected::Injected, webhook::WebhookSettings},
    world::{Millis, Notification, WebhookEvent, World, WorldConfig},
};

/// The number of generated notifications that are loaded at once.
const BATCH: u64 = 256;
/// An attempt to deliver a notification.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) notification: Notification,
    /// The number of the attempt, from 0, and its time on the account's clock.
    pub(super) nth: u8,
    pub(super) at: Millis,
    /// The injected event that the notification is about.
    injected: Option<Arc<Injected>>,
}

/// The attempts of one receiver. The notifications of injected events are in the account until they are due.
pub(super) struct Queue {
    /// The company with a simulated receiver, whose history has the notifications.
    pub(super) world: Arc<World>,
    /// The number of generated notifications before those in `generated`, and in it.
    loaded: u64,
    generated: VecDeque<Notification>,
    /// The time of the last look at the history.
    filled_at: Millis,
    /// Repeated attempts, by their time and their order.
    repeated: BTreeMap<(Millis, u64), Attempt>,
    /// The number of repeated attempts so far.
    created: u64,
}

/// What a receiver gets (D).
#[derive(Serialize)]
struct Body<'a> {
    device_id: &'a str,
    status: &'static str,
    timestamp: i64,
}

impl Attempt {
    /// The first attempt of the notification of an injected event.
    fn first(event: Arc<Injected>) -> Option<Self> {
        let at = event.notified_at();
        let (kind, device) = (event.notification?, event.entry.device()?.clone());
        let notification = Notification { at, happened_at: event.at, event: kind, device: device.into() };
        Some(Self { notification, nth: 0, at, injected: Some(event) })
    }

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
    /// The attempts after an instant.
    pub(super) fn new(account: &Account, since: Millis) -> Self {
        let world = simulated(account);
        let loaded = world.notifications_until(since);
        Self { world, loaded, generated: VecDeque::new(), filled_at: since, repeated: BTreeMap::new(), created: 0 }
    }

    /// Loads generated notifications, so that the next one is known.
    pub(super) fn fill(&mut self, account: &Account, receiver: &WebhookSettings, now: Millis) {
        let world = simulated(account);
        if world.config() != self.world.config() {
            self.loaded = world.notifications_until(self.filled_at);
            self.generated.clear();
            self.world = world;
        }
        self.filled_at = now;
        while self.generated.is_empty() {
            let batch = self.world.notifications(self.loaded, BATCH, now);
            if batch.is_empty() {
                break;
            }
            self.loaded += batch.len() as u64;
            self.generated.extend(batch.into_iter().filter(|notification| receiver.wants(notification.event)));
        }
    }

    /// Adds the next attempt of a notification.
    pub(super) fn retry(&mut self, attempt: Attempt, delay_ms: i64) {
        self.created += 1;
        let at = Millis(attempt.at.0 + delay_ms);
        self.repeated.insert((at, self.created), Attempt { nth: attempt.nth + 1, at, ..attempt });
    }

    /// The time of the next attempt.
    pub(super) fn next_at(&self, account: &Account) -> Option<Millis> {
        let generated = self.generated.front().map(|notification| notification.at);
        let repeated = self.repeated.keys().next().map(|(at, _)| *at);
        [generated, repeated, account.injected.next_notification()].into_iter().flatten().min()
    }

    /// Takes the next attempt, if it is due. Injected events that are deleted by now have none.
    pub(super) fn due(&mut self, account: &Account, receiver: &WebhookSettings, now: Millis) -> Option<Attempt> {
        loop {
            let at = self.next_at(account).filter(|at| *at <= now)?;
            if self.generated.front().is_some_and(|notification| notification.at == at) {
                let notification = self.generated.pop_front()?;
                return Some(Attempt { notification, nth: 0, at, injected: None });
            }
            if let Some(entry) = self.repeated.first_entry().filter(|entry| entry.key().0 == at) {
                let attempt = entry.remove();
                if attempt.injected.as_ref().is_none_or(|event| account.injected.has(event)) {
                    return Some(attempt);
                }
                continue;
            }
            let attempt = account.injected.take_notification(at).and_then(Attempt::first);
            if let Some(attempt) = attempt.filter(|attempt| receiver.wants(attempt.notification.event)) {
                return Some(attempt);
            }
        }
    }
}

/// The account's company with a simulated receiver.
fn simulated(account: &Account) -> Arc<World> {
    let world = account.world();
    account.world_of(WorldConfig { webhook_since: None, ..world.config() })
}
