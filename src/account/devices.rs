//! The devices of an account at an instant: those of the simulated company, as injected events changed them.
//!
//! An injected event applies until the next generated event of the same kind: a status until the next change of the
//! status, a deletion until the device joins again. A device that only injected events name, other
//! than those of webhooks, is in the account from its first event on.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::injected::{Injected, InjectedEvents, Snapshot};
use crate::world::{
    Device, DeviceCounts, DeviceEvent, DeviceReport, DeviceState, EnrolmentCursor, Identifier, Inventory, Millis,
    Record, Severity, Status, Violation, World, WorldConfig,
};

/// The source of a cursor at a device that only injected events name.
const INJECTED: u8 = u8::MAX;

/// The devices of an account at an instant.
#[derive(Debug)]
pub(crate) struct Devices<'w> {
    inventory: Inventory<'w>,
    effects: Arc<Effects>,
}

/// What injected events change in the list of devices.
#[derive(Debug, Default)]
struct Effects {
    /// The devices that injected events name, by id.
    changed: HashMap<String, Changed>,
    /// The places in the company's list of the devices that injected events removed, in order.
    removed: Vec<u64>,
    /// The devices that are not in the company's list, in the order of enrolment.
    added: Vec<(EnrolmentCursor, String)>,
}

/// The last computed effects of all injected events, so that the pages of a list at one instant compute them once.
#[derive(Debug, Default)]
pub(crate) struct EffectsCache(Mutex<Option<(EffectsKey, Arc<Effects>)>>);

/// What the effects depend on.
type EffectsKey = (WorldConfig, Millis, Snapshot);

/// A device that injected events name.
#[derive(Debug)]
struct Changed {
    /// Its state without the injected events; `None` if it is not in the account without them.
    generated: Option<DeviceState>,
    /// Its state; `None` if it is not in the account.
    state: Option<DeviceState>,
    /// The time of the last injected report, and the address that it came from.
    seen: Option<(Millis, String)>,
}

impl<'w> Devices<'w> {
    /// The devices at an instant. All events until then count, also those that a lag still hides in the logs.
    pub(crate) fn new(world: &'w World, injected: &InjectedEvents, now: Millis, cache: &EffectsCache) -> Self {
        let inventory = world.inventory(now);
        let key = (world.config(), now, injected.snapshot());
        let known = cache.0.lock().as_ref().filter(|(known, _)| *known == key).map(|(_, effects)| effects.clone());
        let effects = known.unwrap_or_else(|| {
            let mut effects = Effects::default();
            for (id, events) in injected.by_device(now) {
                effects.add(world, inventory, id, &events);
            }
            effects.removed.sort_unstable();
            effects.added.sort_unstable();
            let effects = Arc::new(effects);
            *cache.0.lock() = Some((key, effects.clone()));
            effects
        });
        Self { inventory, effects }
    }

    /// Only the devices that some texts name, each by its id or a MAC address, for look-ups of them. Lists and counts need
    /// all devices.
    pub(crate) fn some(world: &'w World, injected: &InjectedEvents, now: Millis, names: &[String]) -> Self {
        let inventory = world.inventory(now);
        let mut effects = Effects::default();
        for name in names {
            let generated = inventory.find(Identifier::of(name)).map(|place| inventory.state(place).device.id);
            let id = generated.unwrap_or_else(|| name.clone());
            let events = injected.of_device(&id, now);
            if !events.is_empty() {
                effects.add(world, inventory, id, &events);
            }
        }
        Self { inventory, effects: Arc::new(effects) }
    }

    /// The number of devices.
    pub(crate) fn len(&self) -> u64 {
        self.inventory.len() - self.effects.removed.len() as u64 + self.effects.added.len() as u64
    }

    /// The numbers of devices by status and severity.
    pub(crate) fn counts(&self) -> DeviceCounts {
        let mut counts = self.inventory.counts();
        for Changed { generated, state, .. } in self.effects.changed.values() {
            if let Some(state) = generated {
                *counts.of(state.status, state.severity) -= 1;
            }
            if let Some(state) = state {
                *counts.of(state.status, state.severity) += 1;
            }
        }
        counts
    }

    /// Up to `take` devices after the first `skip`. The order is that of [`Inventory::at_place`], and the devices of
    /// injected events come last.
    pub(crate) fn page(&self, skip: u64, take: usize) -> Vec<DeviceState> {
        let generated = self.inventory.len() - self.effects.removed.len() as u64;
        let places = (skip..generated).take(take).map(|nth| self.place(nth));
        let mut page: Vec<DeviceState> = places
            .filter_map(|place| self.inventory.at_place(place))
            .map(|place| self.current(self.inventory.state(place)))
            .collect();
        let skip_added = usize::try_from(skip.saturating_sub(generated)).unwrap_or(usize::MAX);
        let added = self.effects.added.iter().skip(skip_added).take(take - page.len());
        page.extend(added.filter_map(|(_, id)| self.effects.changed.get(id)?.state.clone()));
        page
    }

    /// The place in the company's list of the `nth` device that is not removed.
    fn place(&self, nth: u64) -> u64 {
        self.effects.removed.iter().fold(nth, |place, &removed| if removed <= place { place + 1 } else { place })
    }

    /// Up to `take` devices in the order of enrolment after a place, and the place of the last one if there are more.
    pub(crate) fn after(
        &self,
        cursor: Option<EnrolmentCursor>,
        take: usize,
    ) -> (Vec<DeviceState>, Option<EnrolmentCursor>) {
        let wanted = take + 1;
        let added = self.effects.added.iter().filter(|(at, _)| cursor.is_none_or(|cursor| *at > cursor));
        let added = added.filter_map(|(at, id)| Some((*at, self.effects.changed.get(id)?.state.clone()?)));
        let mut found: Vec<(EnrolmentCursor, DeviceState)> = added.take(wanted).collect();
        let (mut from, mut left) = (cursor, wanted);
        while left > 0 {
            let part = self.inventory.after(from, left);
            let Some((last, _)) = part.last() else { break };
            from = Some(*last);
            let states = part.into_iter().map(|(at, place)| (at, self.inventory.state(place)));
            let present: Vec<_> = states.filter(|(_, state)| !self.is_removed(&state.device.id)).collect();
            left -= present.len();
            found.extend(present.into_iter().map(|(at, state)| (at, self.current(state))));
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        let next = (found.len() > take).then(|| found[take - 1].0);
        (found.into_iter().take(take).map(|(_, state)| state).collect(), next)
    }

    /// The device with an id, or else with a MAC address; `None` if it is not in the account.
    pub(crate) fn with_id(&self, text: &str) -> Option<DeviceState> {
        if let Some(changed) = self.effects.changed.get(text) {
            return changed.state.clone();
        }
        self.generated(Identifier::of(text))
    }

    /// The device with a hostname.
    pub(crate) fn with_hostname(&self, name: &str) -> Option<DeviceState> {
        let added = self.effects.added.iter().filter_map(|(_, id)| self.effects.changed.get(id)?.state.as_ref());
        let by_name = added.into_iter().find(|state| state.device.name == name).cloned();
        by_name.or_else(|| self.generated(Identifier::Hostname(name)))
    }

    fn generated(&self, by: Identifier<'_>) -> Option<DeviceState> {
        let state = self.inventory.state(self.inventory.find(by)?);
        (!self.is_removed(&state.device.id)).then(|| self.current(state))
    }

    fn is_removed(&self, id: &str) -> bool {
        self.effects.changed.get(id).is_some_and(|changed| changed.state.is_none())
    }

    /// The state of a device of the company, as injected events changed it.
    fn current(&self, generated: DeviceState) -> DeviceState {
        let changed = self.effects.changed.get(&generated.device.id);
        changed.and_then(|changed| changed.state.clone()).unwrap_or(generated)
    }

    /// The time of the last report of a device, and the address that it came from.
    pub(crate) fn last_seen(&self, device: &Device) -> Option<(Millis, String)> {
        let injected = self.effects.changed.get(&device.id).and_then(|changed| changed.seen.clone());
        let generated = self.inventory.last_seen(device);
        match (injected, generated) {
            (Some(injected), Some(generated)) if injected.0 < generated.0 => Some(generated),
            (injected, generated) => injected.or(generated),
        }
    }
}

impl Effects {
    /// Adds the injected events of one device, in their order.
    fn add(&mut self, world: &World, inventory: Inventory<'_>, id: String, events: &[Arc<Injected>]) {
        let generated = inventory.find(Identifier::Id(&id)).map(|place| inventory.state(place));
        let joined_or_left = match &generated {
            Some(state) => Some(state.enrolled_at),
            None => world.left_at(&id).filter(|left_at| *left_at <= inventory.at()),
        };
        // A device that was in the company's fleet and left it, is there again only if an event says so.
        let mut is_here = generated.is_some() || joined_or_left.is_none();
        let mut state = generated.clone().unwrap_or_else(|| {
            let device = events.iter().rev().find_map(|event| event.entry.device()).cloned();
            DeviceState {
                device: device.unwrap_or_else(|| Device::invented(id.clone(), id.clone(), String::new())),
                enrolled_at: events[0].at,
                status: Status::Compliant,
                severity: Severity::NoIssue,
                violation: None,
            }
        });
        let last_change = generated.as_ref().and_then(|state| inventory.last_change(&state.device));
        let mut seen = None;
        for event in events {
            let is_later = |generated: Option<Millis>| generated.is_none_or(|generated| event.at >= generated);
            match &event.entry {
                Record::Device(entry) if entry.event.is_arrival() && is_later(joined_or_left) => {
                    if generated.is_none() {
                        state.enrolled_at = event.at;
                    }
                    is_here = true;
                }
                Record::Device(entry) if entry.event.is_departure() && is_later(joined_or_left) => is_here = false,
                Record::Device(entry) if is_later(last_change) => {
                    set_status(&mut state, entry.event, &entry.details);
                }
                Record::Report(entry) => {
                    if is_later(last_change) {
                        apply_report(&mut state, entry);
                    }
                    seen = Some((entry.last_seen, entry.public_ip.clone()));
                }
                _ => {}
            }
        }
        let place = generated.as_ref().and_then(|state| inventory.place_of(&state.device));
        match place {
            Some(place) if !is_here => self.removed.push(place),
            None if is_here => {
                let cursor =
                    EnrolmentCursor { at: state.enrolled_at, source: INJECTED, occurrence: events[0].number() };
                self.added.push((cursor, id.clone()));
            }
            _ => {}
        }
        self.changed.insert(id, Changed { generated, state: is_here.then_some(state), seen });
    }
}

/// The violation that an injected event describes.
fn injected_violation(details: &str, severity: Severity) -> Violation {
    Violation { category: "system", text: details.to_owned(), severity }
}

/// Applies an injected report to the status of a device. A report names the violation that the device has already.
fn apply_report(state: &mut DeviceState, report: &DeviceReport) {
    (state.status, state.severity) = (report.status, report.severity);
    match (report.status, &mut state.violation) {
        (Status::Compliant, violation) => *violation = None,
        (Status::NonCompliant, Some(violation)) => violation.severity = report.severity,
        (Status::NonCompliant, violation) => *violation = Some(injected_violation(&report.details, report.severity)),
        (Status::Exempted, _) => {}
    }
}

/// Applies an injected device event to the status of a device.
fn set_status(state: &mut DeviceState, event: DeviceEvent, details: &str) {
    match event {
        DeviceEvent::Compliant => {
            (state.status, state.severity, state.violation) = (Status::Compliant, Severity::NoIssue, None);
        }
        DeviceEvent::NonCompliant => {
            (state.status, state.severity) = (Status::NonCompliant, Severity::Warning);
            state.violation = Some(injected_violation(details, Severity::Warning));
        }
        DeviceEvent::ExemptAll => {
            let severity = if state.violation.is_some() { Severity::Warning } else { Severity::NoIssue };
            (state.status, state.severity) = (Status::Exempted, severity);
        }
        DeviceEvent::Unexempt if state.status == Status::Exempted => state.end_exemption(),
        _ => {}
    }
}

impl DeviceState {
    /// Without an exemption, a device has its violation again.
    pub(super) fn end_exemption(&mut self) {
        (self.status, self.severity) = match &self.violation {
            Some(violation) => (Status::NonCompliant, violation.severity),
            None => (Status::Compliant, Severity::NoIssue),
        };
    }
}
