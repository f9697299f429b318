//! The injected events of an account, by category and instant.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::{
    builder::{EventBuilder, Known, Subject, subject_of},
    event::{InjectError, Injected, MAX_INJECTED, NewEvent, Snapshot},
};
use crate::world::{Categories, Category, Filter, Millis, Record, SearchTerm, WebhookRecord, Window, World};

/// The injected events of an account, see the module.
#[derive(Debug)]
pub(crate) struct InjectedEvents {
    /// Whether no event was injected since the last reset. Every page checks this without taking the lock.
    is_empty: AtomicBool,
    state: RwLock<State>,
    /// Serializes injections and deletions. Events are built under this lock, so that building does not block readers.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct State {
    now: Snapshot,
    /// The number of events that were injected since the last reset.
    made: u64,
    /// Present and deleted events. Page tokens with an earlier snapshot still show deleted ones.
    categories: [BTreeMap<Place, Arc<Injected>>; Category::ALL.len()],
    /// The number of present events.
    count: usize,
    /// The deleted events, in the order of deletion.
    forgotten: VecDeque<(Category, Place)>,
    /// The attempts of a webhook, which do not count in `count`, oldest first.
    deliveries: VecDeque<Place>,
    /// Whether deleted events were dropped since the last reset.
    has_dropped: bool,
}

/// The time of an event and the snapshot of its injection, which is unique.
type Place = (Millis, Snapshot);

impl Default for InjectedEvents {
    fn default() -> Self {
        Self { is_empty: AtomicBool::new(true), state: RwLock::default(), known: Mutex::default() }
    }
}

impl InjectedEvents {
    /// The current snapshot.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state().now
    }

    /// The injected events that match a window and a filter and are visible at `seen_at`, oldest first.
    ///
    /// `None` stands for the current snapshot.
    pub(crate) fn select(
        &self,
        categories: impl Into<Categories>,
        window: Window,
        filter: &Filter,
        seen_at: Millis,
        snapshot: Option<Snapshot>,
    ) -> Vec<Arc<Injected>> {
        if self.is_empty.load(Ordering::Acquire) || window.from > window.to {
            return Vec::new();
        }
        let categories = categories.into();
        // The text is compared without holding the lock.
        let codes = Filter { search: None, ..filter.clone() };
        let state = self.state();
        let snapshot = snapshot.unwrap_or(state.now);
        let is_wanted =
            |event: &&Arc<Injected>| event.is_in(snapshot) && event.visible_at <= seen_at && event.passes(&codes);
        let range = (window.from, Snapshot(0))..=(window.to, Snapshot(u64::MAX));
        let mut found: Vec<Arc<Injected>> = Vec::new();
        for category in categories.iter() {
            let in_window = state.categories[category as usize].range(range.clone()).map(|(_, event)| event);
            found.extend(in_window.filter(is_wanted).cloned());
        }
        drop(state);
        if categories.single().is_none() {
            found.sort_unstable_by_key(|event| (event.at, event.added));
        }
        if let Some(text) = &filter.search {
            let term = SearchTerm::new(text);
            found.retain(|event| event.entry.mentions(&term));
        }
        found
    }

    /// All injected events of a window, oldest first, including deleted ones that older page tokens still show.
    pub(crate) fn present_and_deleted(&self, category: Category, window: Window) -> Vec<Arc<Injected>> {
        if self.is_empty.load(Ordering::Acquire) || window.from > window.to {
            return Vec::new();
        }
        let range = (window.from, Snapshot(0))..=(window.to, Snapshot(u64::MAX));
        self.state().categories[category as usize].range(range).map(|(_, event)| event.clone()).collect()
    }

    /// Whether deleted events were dropped since the last reset. Pages that had them can then not be computed again.
    pub(crate) fn has_dropped(&self) -> bool {
        self.state().has_dropped
    }

    /// Injects events, all or none.
    pub(crate) fn add(
        &self,
        world: &World,
        new: &[NewEvent],
        now: Millis,
    ) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        let mut known = self.known.lock();
        let (from, count, made) = {
            let state = self.state();
            (state.now, state.count, state.made)
        };
        if count + new.len() > MAX_INJECTED {
            return Err((MAX_INJECTED - count, InjectError::TooMany));
        }
        let mut added: Vec<(Subject, Injected)> = Vec::with_capacity(new.len());
        for (nth, event) in (0..).zip(new) {
            let next = Snapshot(from.0 + nth + 1);
            match (EventBuilder { world, new: event, now, nth: made + nth }).build(next, &mut known) {
                Ok(made) => added.push(made),
                Err(why) => {
                    for (subject, event) in added {
                        known.identities.remove(&(subject, event.at));
                    }
                    known.next.clear();
                    return Err((usize::try_from(nth).unwrap_or(usize::MAX), why));
                }
            }
        }
        let added: Vec<Arc<Injected>> = added.into_iter().map(|(_, event)| Arc::new(event)).collect();
        let mut state = self.state.write();
        state.now = Snapshot(from.0 + added.len() as u64);
        state.made += added.len() as u64;
        state.count += added.len();
        for event in &added {
            state.categories[event.category as usize].insert((event.at, event.added), event.clone());
        }
        self.is_empty.store(false, Ordering::Release);
        Ok(added)
    }

    /// Stores an attempt of a webhook, at most [`MAX_INJECTED`] of them: beyond that, the oldest ones are dropped. Its
    /// time is moved back by milliseconds if the device has an event with the same code there.
    pub(crate) fn add_delivery(&self, mut record: WebhookRecord, now: Millis) {
        let mut known = self.known.lock();
        let kind = Category::Webhook.kind(record.event as usize);
        while !known.identities.insert(((kind, record.device.id.clone()), record.at)) {
            record.at.0 -= 1;
        }
        let mut state = self.state.write();
        state.now.0 += 1;
        state.made += 1;
        let event = Injected {
            at: record.at,
            visible_at: record.at.max(now),
            made_at: now,
            asked_at: record.at,
            category: Category::Webhook,
            kind,
            agent: Some(record.device.agent),
            number: state.made,
            added: state.now,
            forgotten: None,
            entry: Record::Webhook(record),
        };
        let place = (event.at, event.added);
        state.categories[Category::Webhook as usize].insert(place, Arc::new(event));
        state.deliveries.push_back(place);
        if state.deliveries.len() > MAX_INJECTED
            && let Some(oldest) = state.deliveries.pop_front()
        {
            state.categories[Category::Webhook as usize].remove(&oldest);
            state.has_dropped = true;
        }
        self.is_empty.store(false, Ordering::Release);
    }

    /// The present events about a device until an instant, in the order in which they were asked for.
    pub(crate) fn of_device(&self, id: &str, until: Millis) -> Vec<Arc<Injected>> {
        if self.is_empty.load(Ordering::Acquire) {
            return Vec::new();
        }
        let state = self.state();
        let range = ..=(until, Snapshot(u64::MAX));
        let of_devices = [Category::Device, Category::Webhook, Category::DeviceReport, Category::Activity];
        let is_wanted = |event: &&Arc<Injected>| {
            event.is_in(state.now) && event.entry.device().is_some_and(|device| device.id == id)
        };
        let all = of_devices.into_iter().flat_map(|category| state.categories[category as usize].range(range));
        let mut found: Vec<Arc<Injected>> = all.map(|(_, event)| event).filter(is_wanted).cloned().collect();
        found.sort_by_key(|event| (event.asked_at, event.added));
        found
    }

    /// Deletes one event, by its number.
    pub(crate) fn cancel(&self, category: Category, at: Millis, number: u64) {
        let mut known = self.known.lock();
        let mut state = self.state.write();
        let State { now, categories, count, forgotten, .. } = &mut *state;
        let range = (at, Snapshot(0))..=(at, Snapshot(u64::MAX));
        let found = categories[category as usize]
            .range_mut(range)
            .find(|(_, event)| event.number == number && event.forgotten.is_none());
        if let Some((place, event)) = found {
            now.0 += 1;
            *count -= 1;
            known.identities.remove(&(subject_of(event), event.at));
            Arc::make_mut(event).forgotten = Some(*now);
            forgotten.push_back((category, *place));
        }
    }

    /// Deletes all injected events, and returns their number.
    pub(crate) fn forget(&self) -> usize {
        let mut known = self.known.lock();
        *known = Known::default();
        let mut state = self.state.write();
        let State { now, categories, count, forgotten, has_dropped, deliveries, .. } = &mut *state;
        deliveries.clear();
        now.0 += 1;
        for (category, events) in Category::ALL.into_iter().zip(categories.iter_mut()) {
            for (place, event) in events.iter_mut().filter(|(_, event)| event.forgotten.is_none()) {
                Arc::make_mut(event).forgotten = Some(*now);
                forgotten.push_back((category, *place));
            }
        }
        while forgotten.len() > MAX_INJECTED {
            if let Some((category, place)) = forgotten.pop_front() {
                categories[category as usize].remove(&place);
                *has_dropped = true;
            }
        }
        std::mem::take(count)
    }

    /// Resets to no events. The snapshot counter continues, so that older page tokens do not show events injected
    /// later.
    pub(crate) fn reset(&self) {
        let mut known = self.known.lock();
        *known = Known::default();
        let mut state = self.state.write();
        *state = State { now: Snapshot(state.now.0 + 1), ..State::default() };
        self.is_empty.store(true, Ordering::Release);
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }
}
