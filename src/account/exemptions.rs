//! The exemptions of devices that actions began.

use std::{collections::HashMap, sync::Arc};

use super::injected::{Injected, InjectedEvents};
use crate::world::{Millis, Record};

/// What later actions of an account must know about earlier ones.
#[derive(Debug, Default)]
pub(super) struct Exemptions {
    /// By device id, the events in the future that end the exemption.
    pub(super) ends: HashMap<String, Vec<Arc<Injected>>>,
    /// The time of the last action.
    pub(super) last_action: Option<Millis>,
}

impl Exemptions {
    /// Cancels the end of the exemption of a device.
    pub(super) fn cancel_end(&mut self, injected: &InjectedEvents, id: &str) {
        for event in self.ends.remove(id).unwrap_or_default() {
            injected.cancel(&event);
        }
    }

    /// Cancels the notifications in the future: a real receiver is notified of the same events.
    pub(super) fn cancel_simulated_notifications(&mut self, injected: &InjectedEvents) {
        for events in self.ends.values_mut() {
            let simulated = events.extract_if(.., |event| matches!(event.entry, Record::Webhook(_)));
            simulated.for_each(|event| injected.cancel(&event));
        }
    }
}
