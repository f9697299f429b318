//! The exemptions of devices that actions began.

use std::{collections::HashMap, sync::Arc};

use super::injected::{Injected, InjectedEvents};
use crate::world::{Millis, Record};

/// What later actions of an account must know about earlier ones.
#[derive(Debug, Default)]
pub(super) struct Exemptions {
    /// By device id, the events that end the exemption.
    pub(super) ends: HashMap<String, Vec<Arc<Injected>>>,
    /// The time of the last action.
    pub(super) last_action: Option<Millis>,
}

impl Exemptions {
    /// Cancels the end of the exemption of a device, if it is after `now`.
    pub(super) fn cancel_end(&mut self, injected: &InjectedEvents, id: &str, now: Millis) {
        let ends = self.ends.remove(id).unwrap_or_default();
        ends.iter().filter(|event| event.at > now).for_each(|event| injected.cancel(event));
    }

    /// Cancels the notifications after `now`: a real receiver is notified of the same events.
    pub(super) fn cancel_simulated_notifications(&mut self, injected: &InjectedEvents, now: Millis) {
        for events in self.ends.values_mut() {
            let simulated = events.extract_if(.., |event| event.at > now && matches!(event.entry, Record::Webhook(_)));
            simulated.for_each(|event| injected.cancel(&event));
        }
    }
}
