//! The truth of a window: all that happened in it, generated or added, whether or not it can be seen yet.

use std::sync::Arc;

use super::injected::Injected;
use crate::world::{Category, Event, Filter, Millis, Record, Window, World};

/// How many events are found at a time.
const STRIDE: usize = 1_024;

/// An event of the truth: what the API tells of it, and when it can be seen for the first time.
#[derive(Clone, Debug)]
pub struct TrueEvent {
    /// When it happened.
    pub at: Millis,
    /// When it can be seen for the first time.
    pub visible_at: Millis,
    /// Whether it was added by a test.
    pub is_injected: bool,
    /// What it tells.
    pub entry: Record,
}

/// Generated and added events in one row, oldest first.
pub(super) struct Truth {
    world: Arc<World>,
    category: Category,
    places: std::ops::Range<u64>,
    hint: Millis,
    part: std::vec::IntoIter<Event>,
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
        Self { world, category, places, hint, part: Vec::new().into_iter(), next: None, injected }
    }

    /// The next generated event, which stays the next one.
    fn generated(&mut self) -> Option<Event> {
        if self.next.is_none() {
            if self.part.len() == 0 && !self.places.is_empty() {
                let end = self.places.end.min(self.places.start + STRIDE as u64);
                let part = self.world.slice(self.category, self.places.start..end, self.hint);
                self.hint = part.last().map_or(self.hint, Event::at);
                self.places.start = end;
                self.part = part.into_iter();
            }
            self.next = self.part.next();
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
            return Some(TrueEvent { at: *at, visible_at: *visible_at, is_injected: true, entry: entry.clone() });
        }
        let event = generated?;
        self.next = None;
        Some(TrueEvent {
            at: event.at(),
            visible_at: self.world.visible_at(&event),
            is_injected: false,
            entry: self.world.render(&event),
        })
    }
}
