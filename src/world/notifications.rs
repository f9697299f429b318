//! The notifications that the company's webhook gets: the first attempt of each, for a receiver that answers itself.

use std::sync::Arc;

use super::{
    codes::WebhookEvent,
    company::World,
    kinds::{Category, Kind},
    records::WebhookRecord,
    roster::Device,
    time::{ACCOUNT_MADE, HISTORY_END, Millis},
    tracks::When,
    window::Event,
};

/// A notification.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    /// The time of the first attempt.
    pub(crate) at: Millis,
    /// The time of the event that the notification is about.
    pub(crate) happened_at: Millis,
    pub(crate) event: WebhookEvent,
    pub(crate) device: Arc<Device>,
}

impl World {
    /// The number of notifications whose first attempt is at or before an instant.
    pub(crate) fn notifications_until(&self, at: Millis) -> u64 {
        self.count(&self.first_attempts(), Millis(at.0.clamp(ACCOUNT_MADE.0 - 1, HISTORY_END.0)))
    }

    /// Up to `take` notifications after the first `skip`, in the order of their first attempts. The search for them
    /// starts at the instant `hint`.
    pub(crate) fn notifications(&self, skip: u64, take: u64, hint: Millis) -> Vec<Notification> {
        let tracks = self.first_attempts();
        let end = (skip + take).min(self.count(&tracks, HISTORY_END));
        self.slice_of(&tracks, skip..end, hint).iter().filter_map(|event| self.notification(event)).collect()
    }

    fn first_attempts(&self) -> Vec<usize> {
        let tracks = self.categories[Category::Webhook as usize].iter().copied();
        tracks.filter(|&track| self.processes.track(track).nth == 0).collect()
    }

    fn notification(&self, event: &Event) -> Option<Notification> {
        let Event(event_ref) = event;
        let track = self.processes.track(event_ref.track);
        let (Kind::Webhook(event), When::Echo { of, .. }) = (track.kind, track.when) else { return None };
        // Every event of the base track has a first attempt, with the same index.
        let happened_at = self.processes.at(of, event_ref.index);
        let device = Arc::new(self.roster.device(self.processes.device(event_ref)?));
        Some(Notification { at: event_ref.at, happened_at, event, device })
    }

    /// The record of an attempt, from 0, with the answer of a receiver.
    pub(crate) fn attempt_record(
        &self,
        notification: &Notification,
        (nth, at): (u8, Millis),
        response_code: u16,
        response_body: String,
    ) -> WebhookRecord {
        let Notification { event, device, .. } = notification;
        let details = self.webhook_details(*event, device, nth);
        let device = device.clone();
        WebhookRecord { at, event: *event, details, device, response_code, response_body: response_body.into() }
    }
}
