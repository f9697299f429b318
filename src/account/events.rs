//! The events of an account: those that a test injects, and those that its receiver is notified of.

use std::sync::Arc;

use super::{
    account::Account,
    config::AccountConfig,
    injected::{InjectError, Injected, NewEvent},
    settings::Settings,
    truth::{TrueEvent, Truth},
    webhook::WebhookSettings,
};
use crate::world::{Category, Filter, Millis, Window};

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

impl Account {
    /// Injects the initial events. Returns the description of an error.
    pub(super) fn inject_initial(&self, now: Millis) -> Result<(), String> {
        let Settings { events, world, .. } = &self.initial;
        if !events.is_empty() {
            let added = self.injected.add(&self.world_of(*world), events, now);
            added.map_err(|(nth, why)| format!("events[{nth}].{why}"))?;
        }
        self.inject_dense(now).map_err(|why| format!("dense: {why}"))
    }

    /// Injects events, evenly over the last hour, until each category has as many there as `dense` asks for.
    fn inject_dense(&self, now: Millis) -> Result<(), InjectError> {
        let Settings { dense, world, .. } = &self.initial;
        if *dense == 0 {
            return Ok(());
        }
        let world = self.world_of(*world);
        let hour = Window { from: Millis(now.0 - HOUR_MS), to: now };
        for category in Category::ALL {
            let visible = world.select_seen(category, hour, Filter::default(), now).count();
            let missing = i64::from(*dense).saturating_sub(visible.try_into().unwrap_or(i64::MAX)).max(0);
            let codes = category.event_codes();
            let event = |(nth, code): (i64, &&str)| NewEvent {
                category: category.code().to_owned(),
                event: Some((*code).to_owned()),
                timestamp: Some(Millis(now.0 - nth * HOUR_MS / missing).into()),
                ..NewEvent::default()
            };
            let events: Vec<NewEvent> = (0..missing).zip(codes.iter().cycle()).map(event).collect();
            self.injected.add(&world, &events, now).map_err(|(_, why)| why)?;
        }
        Ok(())
    }

    /// Injects events, all or none.
    ///
    /// # Errors
    ///
    /// The index of the event that cannot be injected, and the reason.
    pub fn inject(&self, events: &[NewEvent]) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        let added = self.injected.add(&self.world(), events, self.clock.now());
        self.webhook.events_changed();
        added
    }

    /// Sets the receiver of the notifications. Returns the generation of the task that delivers to it, and the time after
    /// which the receiver is notified; `None` if the account is deleted. From now on, the logs have what the receiver
    /// answers.
    pub(crate) fn set_webhook(&self, receiver: WebhookSettings) -> Option<(u64, Millis)> {
        // In this order, as for a reset.
        let mut exemptions = self.exemptions.lock();
        let mut config = self.config.write();
        let now = self.clock.now();
        let generation = self.webhook.set(receiver)?;
        let mut settings = config.settings.clone();
        settings.world.webhook_since.get_or_insert(now);
        *config = Arc::new(AccountConfig::new(settings));
        self.injected.skip_notifications(now);
        exemptions.cancel_simulated_notifications(&self.injected, now);
        Some((generation, now))
    }

    /// Deletes all injected events, and returns their number.
    pub fn forget_events(&self) -> usize {
        let forgotten = self.injected.forget();
        self.webhook.events_changed();
        forgotten
    }

    /// All events of a window (both ends inclusive), oldest first, including events that are not visible yet.
    pub fn truth(&self, category: Category, window: Window) -> impl Iterator<Item = TrueEvent> + use<> {
        let added = self.injected.select(category, window, &Filter::default(), Millis(i64::MAX), None);
        Truth::new(self.world(), added, category, window)
    }
}
