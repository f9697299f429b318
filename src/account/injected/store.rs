//! The injected events of an account, by category and instant.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::{
    builder::{EventBuilder, Known, Subject, subject_of},
    event::{InjectError, Injected, MAX_INJECTED, MAX_LONG_DETAILS_BYTES, MAX_TEXT, NewEvent, Snapshot},
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
    /// The present events about a device that say something about its state, by the id of the device.
    of_devices: HashMap<String, Vec<Arc<Injected>>>,
    /// The present events that a receiver is not notified of yet, by the time of the notification and their number.
    notifications: BTreeMap<(Millis, u64), Arc<Injected>>,
    /// The events that are visible before the time that they have: that time, and when they become visible.
    dated_ahead: Vec<(Millis, Millis)>,
    /// The number of present events.
    count: usize,
    /// The bytes of the details that are longer than usual, since the last reset. Deleted events stay in memory.
    long_details: usize,
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

    /// The number of events that can still be injected.
    pub(crate) fn room(&self) -> usize {
        MAX_INJECTED - self.state().count
    }

    /// Injects events, all or none.
    pub(crate) fn add(
        &self,
        world: &World,
        new: &[NewEvent],
        now: Millis,
    ) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        self.insert(world, new, now, true)
    }

    /// Injects an event that no receiver is notified of.
    pub(crate) fn add_silently(
        &self,
        world: &World,
        new: &NewEvent,
        now: Millis,
    ) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        self.insert(world, std::slice::from_ref(new), now, false)
    }

    fn insert(
        &self,
        world: &World,
        new: &[NewEvent],
        now: Millis,
        notifies: bool,
    ) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        let mut known = self.known.lock();
        let (from, count, made, mut long_details) = {
            let state = self.state();
            (state.now, state.count, state.made, state.long_details)
        };
        if count + new.len() > MAX_INJECTED {
            return Err((MAX_INJECTED - count, InjectError::TooMany));
        }
        let mut added: Vec<(Subject, Injected)> = Vec::with_capacity(new.len());
        for (nth, event) in new.iter().enumerate() {
            let length = event.details.as_ref().map_or(0, String::len);
            if length > MAX_TEXT {
                long_details += length;
            }
            if long_details > MAX_LONG_DETAILS_BYTES {
                return Err((nth, InjectError::TooLong));
            }
        }
        for (nth, event) in (0..).zip(new) {
            let next = Snapshot(from.0 + nth + 1);
            match (EventBuilder { world, new: event, now, nth: made + nth, notifies }).build(next, &mut known) {
                Ok(made) => added.push(made),
                Err(why) => {
                    for (subject, event) in added {
                        known.identities.remove(&(subject, event.at));
                    }
                    known.last.clear();
                    return Err((usize::try_from(nth).unwrap_or(usize::MAX), why));
                }
            }
        }
        let added: Vec<Arc<Injected>> = added.into_iter().map(|(_, event)| Arc::new(event)).collect();
        let mut state = self.state.write();
        state.now = Snapshot(from.0 + added.len() as u64);
        state.made += added.len() as u64;
        state.count += added.len();
        state.long_details = long_details;
        for event in &added {
            state.categories[event.category as usize].insert((event.at, event.added), event.clone());
            if let Some(id) = event.device_with_state() {
                state.of_devices.entry(id.to_owned()).or_default().push(event.clone());
            }
            if event.visible_at < event.at {
                state.dated_ahead.push((event.at, event.visible_at));
            }
            if event.notification.is_some() {
                state.notifications.insert((event.notified_at(), event.number), event.clone());
            }
        }
        self.is_empty.store(false, Ordering::Release);
        Ok(added)
    }

    /// Stores an attempt of a webhook, at most [`MAX_INJECTED`] of them: beyond that, the oldest ones are dropped. Its
    /// time is moved back by milliseconds if the attempt before it was one of the same event of the
    /// device at the same time.
    ///
    /// A reset waits for this. Stores nothing and returns `false` if `is_wanted` is not true by then.
    pub(crate) fn add_delivery(
        &self,
        mut record: WebhookRecord,
        now: Millis,
        is_wanted: impl FnOnce() -> bool,
    ) -> bool {
        let mut known = self.known.lock();
        if !is_wanted() {
            return false;
        }
        let kind = Category::Webhook.kind(record.event as usize);
        record.at = known.place(&Record::Webhook(record.clone()), kind, record.at);
        let mut state = self.state.write();
        state.now.0 += 1;
        state.made += 1;
        let event = Injected {
            at: record.at,
            visible_at: record.at.max(now),
            added_at: now,
            asked_at: record.at,
            notification: None,
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
        true
    }

    /// The end of what can be read at an instant: then, or the newest time of an event that is dated ahead and visible.
    pub(crate) fn readable_until(&self, now: Millis) -> Millis {
        if self.is_empty.load(Ordering::Acquire) {
            return now;
        }
        let state = self.state();
        let visible = state.dated_ahead.iter().filter(|(_, visible_at)| *visible_at <= now);
        visible.map(|(at, _)| *at).max().map_or(now, |newest| newest.max(now))
    }

    /// The present events about the state of a device until an instant, in the order in which they were asked for.
    pub(crate) fn of_device(&self, id: &str, until: Millis) -> Vec<Arc<Injected>> {
        if self.is_empty.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.state().of_devices.get(id).map(|events| until_in_order(events, until)).unwrap_or_default()
    }

    /// These events of each device that has some.
    pub(crate) fn by_device(&self, until: Millis) -> Vec<(String, Vec<Arc<Injected>>)> {
        if self.is_empty.load(Ordering::Acquire) {
            return Vec::new();
        }
        let state = self.state();
        let of_devices = state.of_devices.iter().map(|(id, events)| (id.clone(), until_in_order(events, until)));
        of_devices.filter(|(_, events)| !events.is_empty()).collect()
    }

    /// The time of the next event that a receiver is not notified of yet.
    pub(crate) fn next_notification(&self) -> Option<Millis> {
        self.state().notifications.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event that a receiver must be notified of at or before an instant.
    pub(crate) fn take_notification(&self, until: Millis) -> Option<Arc<Injected>> {
        let mut state = self.state.write();
        let next = state.notifications.first_entry().filter(|entry| entry.key().0 <= until)?;
        Some(next.remove())
    }

    /// Notifies nobody of the events until an instant.
    pub(crate) fn skip_notifications(&self, until: Millis) {
        let mut state = self.state.write();
        state.notifications = state.notifications.split_off(&(Millis(until.0 + 1), 0));
    }

    /// Whether an event is not deleted.
    pub(crate) fn has(&self, event: &Injected) -> bool {
        let state = self.state();
        let found = state.categories[event.category as usize].get(&(event.at, event.added));
        found.is_some_and(|found| found.forgotten.is_none())
    }

    /// Deletes one event, if it is present.
    pub(crate) fn cancel(&self, event: &Injected) {
        let mut known = self.known.lock();
        let mut state = self.state.write();
        let State { now, categories, count, forgotten, of_devices, notifications, dated_ahead, .. } = &mut *state;
        let (category, place) = (event.category, (event.at, event.added));
        let Some(found) = categories[category as usize].get_mut(&place).filter(|found| found.forgotten.is_none())
        else {
            return;
        };
        now.0 += 1;
        *count -= 1;
        known.identities.remove(&(subject_of(found), found.at));
        dated_ahead.retain(|(at, visible_at)| (*at, *visible_at) != (found.at, found.visible_at));
        notifications.remove(&(found.notified_at(), found.number));
        if let Some(events) = found.device_with_state().and_then(|id| of_devices.get_mut(id)) {
            events.retain(|other| other.number != found.number);
        }
        Arc::make_mut(found).forgotten = Some(*now);
        forgotten.push_back((category, place));
    }

    /// Deletes all injected events, and returns their number.
    pub(crate) fn forget(&self) -> usize {
        let mut known = self.known.lock();
        *known = Known::default();
        let mut state = self.state.write();
        let State {
            now,
            categories,
            count,
            forgotten,
            has_dropped,
            deliveries,
            of_devices,
            notifications,
            dated_ahead,
            ..
        } = &mut *state;
        dated_ahead.clear();
        deliveries.clear();
        of_devices.clear();
        notifications.clear();
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

/// The events until an instant, in the order in which they were asked for.
fn until_in_order(events: &[Arc<Injected>], until: Millis) -> Vec<Arc<Injected>> {
    let mut found: Vec<Arc<Injected>> = events.iter().filter(|event| event.at <= until).cloned().collect();
    found.sort_by_key(|event| (event.asked_at, event.added));
    found
}
