//! The ground truth of a window: all generated and injected events, including those that are not visible yet.

use std::sync::Arc;

use super::injected::Injected;
use crate::world::{Category, Event, EventId, Filter, Millis, Record, Window, World};

/// The number of generated events that are loaded at once.
const BATCH_SIZE: usize = 1_024;

/// An event of the ground truth.
#[derive(Clone, Debug)]
pub struct TrueEvent {
    /// The id of the event.
    pub id: EventId,
    /// The time of the event.
    pub at: Millis,
    /// The time at which the event becomes visible.
    pub visible_at: Millis,
    /// Whether a test injected the event.
    pub is_injected: bool,
    /// The record of the event.
    pub entry: Record,
}

/// Generated and injected events, merged, oldest first.
pub(super) struct Truth {
    world: Arc<World>,
    category: Category,
    places: std::ops::Range<u64>,
    hint: Millis,
    batch: std::vec::IntoIter<Event>,
    next: Option<Event>,
    injected: std::iter::Peekable<std::vec::IntoIter<Arc<Injected>>>,
}

impl Truth {
    pub(super) fn new(world: Arc<World>, injected: Vec<Arc<Injected>>, category: Category, window: Window) -> Self {
        let all = world.select(category, window, Filter::default());
        let places = all.places().unwrap_or_default();
        let hint = all.hint();
        drop(all);
        let injected = injected.into_iter().peekable();
        Self { world, category, places, hint, batch: Vec::new().into_iter(), next: None, injected }
    }

    /// Peeks at the next generated event.
    fn generated(&mut self) -> Option<Event> {
        if self.next.is_none() {
            if self.batch.len() == 0 && !self.places.is_empty() {
                let end = self.places.end.min(self.places.start + BATCH_SIZE as u64);
                let batch = self.world.slice(self.category, self.places.start..end, self.hint);
                self.hint = batch.last().map_or(self.hint, Event::at);
                self.places.start = end;
                self.batch = batch.into_iter();
            }
            self.next = self.batch.next();
        }
        self.next
    }
}

impl Iterator for Truth {
    type Item = TrueEvent;

    fn next(&mut self) -> Option<TrueEvent> {
        let generated = self.generated();
        let injected = self.injected.next_if(|injected| generated.is_none_or(|event| injected.at < event.at()));
        if let Some(injected) = injected {
            let Injected { entry, at, visible_at, .. } = &*injected;
            return Some(TrueEvent {
                id: injected.id(),
                at: *at,
                visible_at: *visible_at,
                is_injected: true,
                entry: entry.clone(),
            });
        }
        let event = generated?;
        self.next = None;
        Some(TrueEvent {
            id: event.id(),
            at: event.at(),
            visible_at: self.world.visible_at(&event),
            is_injected: false,
            entry: self.world.render(&event),
        })
    }
}
