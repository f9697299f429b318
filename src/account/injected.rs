//! Events that a test injects into an account's history.
//!
//! Clients read them together with the generated events. Every injection and every deletion increments a counter, and a
//! snapshot is a value of that counter. A page token carries the snapshot of its first page, so that later injections
//! and deletions do not change the pages that follow.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use serde::Deserialize;

use crate::{
    clock::Instant,
    world::{
        Action, Activity, AdminEvent, AdminRecord, AgentType, Category, Device, DeviceEvent, DeviceRecord,
        DeviceReport, Filter, Millis, Person, Record, SearchTerm, Severity, Status, WebhookEvent, WebhookRecord,
        Window, World,
    },
};

/// The maximum number of injected events of an account; further events are rejected until some are deleted. As many
/// deleted events stay in memory for older page tokens; beyond that, the oldest deletions are dropped.
pub const MAX_INJECTED: usize = 10_000;
/// The maximum length of a text field, in characters.
pub const MAX_TEXT: usize = 1_000;

/// An event as a test requests it. Omitted fields get defaults, from the company's devices and people where possible.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewEvent {
    /// `device`, `admin`, `webhook`, `device_report` or `activity`.
    pub category: String,
    /// The event code; for an activity, its `action`. A report needs none, because it has only one code.
    pub event: Option<String>,
    /// The time of the event; now by default. It can be in the past or in the future.
    pub timestamp: Option<Instant>,
    /// The time at which the event becomes visible, not before `timestamp`; by default `timestamp`, but not before the
    /// injection.
    pub visible_at: Option<Instant>,
    /// The description of the event; not for activities.
    pub details: Option<String>,
    /// The device id; the other device fields default to those of the company's device with this id.
    pub device_id: Option<String>,
    /// The device name.
    pub device_name: Option<String>,
    /// The user who is logged in to the device; of device events and reports.
    pub device_username: Option<String>,
    /// The group of the device; of device events, reports and activities.
    pub device_group: Option<String>,
    /// The compliance status: `compliant`, `non-compliant` or `exempted`; of reports and activities.
    pub status: Option<String>,
    /// The severity: `critical`, `warning` or `no_issue`; of reports.
    pub severity: Option<String>,
    /// The checked policy; of reports.
    pub policy_name: Option<String>,
    /// The time at which the device was last seen; of reports.
    pub last_seen: Option<Instant>,
    /// The address that the device reported from; of reports.
    pub public_ip: Option<String>,
    /// The name of the administrator; of admin events.
    pub admin_name: Option<String>,
    /// The email address of the administrator; of admin events.
    pub admin_email: Option<String>,
    /// The HTTP status of the receiver's response, from 100 to 599; of webhook events.
    pub response_code: Option<u16>,
    /// The body of the receiver's response; of webhook events.
    pub response_body: Option<String>,
    /// The application; of activities.
    pub app_name: Option<String>,
    /// The access rule that decided; of activities.
    pub access_rule: Option<String>,
    /// The user who opened the application; of activities.
    pub app_user: Option<String>,
}

/// Why an event was not injected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InjectError {
    /// A field is invalid: its name, the allowed values and the given value.
    Invalid(&'static str, String, String),
    /// The category has no such field.
    NotOfTheCategory(&'static str, Category),
    /// An injected event has the same category, instant, subject and code.
    Twice(Instant),
    /// The account would have more than [`MAX_INJECTED`] injected events.
    TooMany,
}

/// An injected event.
#[derive(Clone, Debug)]
pub struct Injected {
    /// The record of the event.
    pub entry: Record,
    /// The time of the event.
    pub at: Millis,
    /// The time at which the event becomes visible.
    pub visible_at: Millis,
    category: Category,
    /// The index of the event code in its category.
    ordinal: u8,
    agent: Option<AgentType>,
    added: Snapshot,
    forgotten: Option<Snapshot>,
}

/// The number of injections and deletions so far.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Snapshot(pub(crate) u64);

/// The injected events of an account, see the module.
#[derive(Debug)]
pub(crate) struct InjectedEvents {
    /// Whether no event was injected since the last reset. Every page checks this without taking the lock.
    is_empty: AtomicBool,
    state: RwLock<State>,
    /// Serializes injections and deletions. Events are built under this lock, so that building does not block readers.
    known: Mutex<Known>,
}

/// The identities of the injected events.
#[derive(Debug, Default)]
struct Known {
    identities: HashSet<(Subject, Millis)>,
    /// For each subject, the clock time of the last injection without a timestamp, and the latest timestamp for the
    /// next one.
    next: HashMap<Subject, (Millis, Millis)>,
}

/// Two events with the same subject and code never have the same timestamp in milliseconds.
type Subject = (Category, u8, String);

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
        category: Category,
        window: Window,
        filter: &Filter,
        seen_at: Millis,
        snapshot: Option<Snapshot>,
    ) -> Vec<Arc<Injected>> {
        if self.is_empty.load(Ordering::Acquire) || window.from > window.to {
            return Vec::new();
        }
        let state = self.state();
        let snapshot = snapshot.unwrap_or(state.now);
        let is_wanted = |event: &&Arc<Injected>| {
            event.added <= snapshot
                && event.forgotten.is_none_or(|forgotten| forgotten > snapshot)
                && event.visible_at <= seen_at
                && filter.kinds.is_none_or(|kinds| kinds >> event.ordinal & 1 == 1)
                && filter.agents.as_ref().is_none_or(|agents| event.agent.is_some_and(|agent| agents.contains(&agent)))
        };
        let range = (window.from, Snapshot(0))..=(window.to, Snapshot(u64::MAX));
        let in_window = state.categories[category as usize].range(range).map(|(_, event)| event);
        let mut found: Vec<_> = in_window.filter(is_wanted).cloned().collect();
        drop(state);
        if let Some(text) = &filter.search {
            let term = SearchTerm::new(text);
            found.retain(|event| event.entry.mentions(&term));
        }
        found
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
        let mut places = HashMap::new();
        let mut added: Vec<(Subject, Injected)> = Vec::with_capacity(new.len());
        for (nth, event) in (0..).zip(new) {
            let next = Snapshot(from.0 + nth + 1);
            match (EventBuilder { world, new: event, now, nth: made + nth, places: &mut places })
                .build(next, &mut known)
            {
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

    /// Deletes all injected events, and returns their number.
    pub(crate) fn forget(&self) -> usize {
        let mut known = self.known.lock();
        *known = Known::default();
        let mut state = self.state.write();
        let State { now, categories, count, forgotten, .. } = &mut *state;
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

/// Builds one event from a request.
struct EventBuilder<'a> {
    world: &'a World,
    new: &'a NewEvent,
    now: Millis,
    nth: u64,
    /// The index of each device that was found by its id.
    places: &'a mut HashMap<String, u64>,
}

impl EventBuilder<'_> {
    fn build(&mut self, added: Snapshot, known: &mut Known) -> Result<(Subject, Injected), InjectError> {
        let new = self.new;
        let category = Category::ALL.into_iter().find(|category| category.code() == new.category).ok_or_else(|| {
            let wanted = format!("one of {}", Category::ALL.map(Category::code).join(", "));
            let got = if new.category.is_empty() { "none" } else { &new.category };
            InjectError::Invalid("category", wanted, got.to_owned())
        })?;
        self.check_fields(category)?;
        let mut at = new.timestamp.map_or(self.now, Instant::millis);
        let mut made = self.entry(category, at)?;
        let subject = (category, made.1, subject(&made.0));
        if new.timestamp.is_none() {
            // Events without a timestamp get distinct ones, each a little earlier than the one before.
            if let Some((now, next)) = known.next.get(&subject).filter(|(now, _)| *now == self.now) {
                at = *next.min(now);
            }
            while known.identities.contains(&(subject.clone(), at)) {
                at.0 -= 1;
            }
            known.next.insert(subject.clone(), (self.now, Millis(at.0 - 1)));
            if at != self.now {
                made = self.entry(category, at)?;
            }
        }
        if !known.identities.insert((subject.clone(), at)) {
            return Err(InjectError::Twice(at.into()));
        }
        let visible_at = match new.visible_at.map(Instant::millis) {
            None => at.max(self.now),
            Some(early) if early < at => {
                known.identities.remove(&(subject, at));
                let wanted = format!("not before the timestamp ({})", Instant::from(at));
                return Err(InjectError::Invalid("visible_at", wanted, Instant::from(early).to_string()));
            }
            Some(visible_at) => visible_at,
        };
        let (entry, ordinal, agent) = made;
        Ok((subject, Injected { entry, at, visible_at, category, ordinal, agent, added, forgotten: None }))
    }

    /// Rejects fields that the category does not have, and texts that are too long.
    fn check_fields(&self, category: Category) -> Result<(), InjectError> {
        let new = self.new;
        let device: &[Category] = &[Category::Device, Category::Webhook, Category::DeviceReport, Category::Activity];
        let (report, admin, webhook, activity): (&[_], &[_], &[_], &[_]) =
            (&[Category::DeviceReport], &[Category::Admin], &[Category::Webhook], &[Category::Activity]);
        let with_details: &[Category] = &[Category::Device, Category::Admin, Category::Webhook, Category::DeviceReport];
        for (name, text, categories) in [
            ("details", &new.details, with_details),
            ("device_id", &new.device_id, device),
            ("device_name", &new.device_name, device),
            ("device_username", &new.device_username, &[Category::Device, Category::DeviceReport]),
            ("device_group", &new.device_group, &[Category::Device, Category::DeviceReport, Category::Activity]),
            ("status", &new.status, &[Category::DeviceReport, Category::Activity]),
            ("severity", &new.severity, report),
            ("policy_name", &new.policy_name, report),
            ("public_ip", &new.public_ip, report),
            ("admin_name", &new.admin_name, admin),
            ("admin_email", &new.admin_email, admin),
            ("response_body", &new.response_body, webhook),
            ("app_name", &new.app_name, activity),
            ("access_rule", &new.access_rule, activity),
            ("app_user", &new.app_user, activity),
        ] {
            let Some(text) = text else { continue };
            if !categories.contains(&category) {
                return Err(InjectError::NotOfTheCategory(name, category));
            }
            if text.chars().count() > MAX_TEXT {
                let shown = format!("{} characters", text.chars().count());
                return Err(InjectError::Invalid(name, format!("at most {MAX_TEXT} characters"), shown));
            }
        }
        if new.last_seen.is_some() && category != Category::DeviceReport {
            return Err(InjectError::NotOfTheCategory("last_seen", category));
        }
        if new.response_code.is_some() && category != Category::Webhook {
            return Err(InjectError::NotOfTheCategory("response_code", category));
        }
        Ok(())
    }

    fn entry(&mut self, category: Category, at: Millis) -> Result<(Record, u8, Option<AgentType>), InjectError> {
        let new = self.new;
        let details = |usual: String| new.details.clone().unwrap_or(usual);
        if category == Category::Admin {
            let event = self.code(AdminEvent::ALL, AdminEvent::code)?;
            let known = self.world.admin(self.nth);
            let name = new.admin_name.clone().unwrap_or(known.name);
            let email = new.admin_email.clone().unwrap_or(known.email);
            let details = details(format!("{} by {name} ({email})", event.label()));
            let admin = Person { username: known.username, name, email };
            return Ok((Record::Admin(AdminRecord { at, event, details, admin }), event as u8, None));
        }
        let (device, status) = self.device(at);
        let agent = Some(device.agent);
        let device = Arc::new(device);
        Ok(match category {
            Category::Admin | Category::Device => {
                let event = self.code(DeviceEvent::ALL, DeviceEvent::code)?;
                let details = details(format!("Device {}: {}", device.name, event.label()));
                (Record::Device(DeviceRecord { at, event, details, device }), event as u8, agent)
            }
            Category::Webhook => {
                let event = self.code(WebhookEvent::ALL, WebhookEvent::code)?;
                let details = details(format!("Notification: device {}: {}", device.name, event.code()));
                let response_code = new.response_code.unwrap_or(200);
                if !(100..=599).contains(&response_code) {
                    let wanted = "an HTTP status from 100 to 599".to_owned();
                    return Err(InjectError::Invalid("response_code", wanted, response_code.to_string()));
                }
                let response_body = new.response_body.clone().unwrap_or_else(|| "OK".to_owned()).into();
                let entry = WebhookRecord { at, event, details, device, response_code, response_body };
                (Record::Webhook(entry), event as u8, agent)
            }
            Category::DeviceReport => {
                if let Some(event) = new.event.as_ref().filter(|event| *event != "device_report") {
                    return Err(InjectError::Invalid("event", "device_report".to_owned(), event.clone()));
                }
                (Record::Report(self.report(device, self.status(status)?, at)?), 0, agent)
            }
            Category::Activity => {
                let action = self.code(Action::ALL, Action::code)?;
                let activity = Activity {
                    at,
                    action,
                    app_name: new.app_name.clone().map_or("Salesforce".into(), Into::into),
                    access_rule: new.access_rule.clone().map_or("NON COMPLIANT DEVICES".into(), Into::into),
                    app_user: new.app_user.clone().unwrap_or_else(|| device.email.clone()),
                    device_status: self.status(status)?,
                    device,
                };
                (Record::Activity(activity), action as u8, agent)
            }
        })
    }

    fn report(&self, device: Arc<Device>, status: Status, at: Millis) -> Result<DeviceReport, InjectError> {
        const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::NoIssue];
        let new = self.new;
        let usual = if status == Status::Compliant { Severity::NoIssue } else { Severity::Warning };
        let policy_name = new.policy_name.clone().unwrap_or_else(|| "Default".to_owned());
        let usual_details = format!("Device {} reported: policy {policy_name}, {}", device.name, status.code());
        Ok(DeviceReport {
            at,
            details: new.details.clone().unwrap_or(usual_details),
            device,
            status,
            severity: choice("severity", new.severity.as_deref(), &SEVERITIES, Severity::code)?.unwrap_or(usual),
            policy_name: policy_name.into(),
            last_seen: new.last_seen.map_or(at, Instant::millis),
            public_ip: new.public_ip.clone().unwrap_or_else(|| "203.0.113.1".to_owned()),
        })
    }

    fn status(&self, known: Status) -> Result<Status, InjectError> {
        const STATUSES: [Status; 3] = [Status::Compliant, Status::NonCompliant, Status::Exempted];
        Ok(choice("status", self.new.status.as_deref(), &STATUSES, Status::code)?.unwrap_or(known))
    }

    fn code<T: Copy, const N: usize>(&self, all: [T; N], code: fn(T) -> &'static str) -> Result<T, InjectError> {
        let wanted =
            || InjectError::Invalid("event", format!("one of {}", all.map(code).join(", ")), "none".to_owned());
        choice("event", self.new.event.as_deref(), &all, code)?.ok_or_else(wanted)
    }

    /// The requested device: one of the company's, or an invented one.
    fn device(&mut self, at: Millis) -> (Device, Status) {
        let new = self.new;
        let known = match &new.device_id {
            Some(id) => self.device_of(id, at),
            // A device name without an id stands for an invented device.
            None if new.device_name.is_some() => None,
            None => self.world.device_at(self.nth, at),
        };
        let (mut device, status) = known.unwrap_or_else(|| {
            let nth = self.nth + 1;
            let name = new.device_name.clone().or_else(|| new.device_id.clone());
            let name = name.unwrap_or_else(|| format!("INVENTED-{nth}"));
            let id = new.device_id.clone().unwrap_or_else(|| name.to_uppercase());
            (Device::invented(name, id, "invented".to_owned()), Status::Compliant)
        });
        if let Some(name) = &new.device_name {
            device.name.clone_from(name);
        }
        if let Some(username) = &new.device_username {
            device.username.clone_from(username);
        }
        if let Some(group) = &new.device_group {
            device.group = group.clone().into();
        }
        (device, status)
    }
}

impl EventBuilder<'_> {
    /// The company's device with this id. The fleet is scanned once for each id.
    fn device_of(&mut self, id: &str, at: Millis) -> Option<(Device, Status)> {
        let known = self.places.get(id).and_then(|&place| self.world.device_at(place, at));
        if let Some(known) = known.filter(|(device, _)| device.id == id) {
            return Some(known);
        }
        let place = self.world.place_of_device(id, at)?;
        self.places.insert(id.to_owned(), place);
        self.world.device_at(place, at)
    }
}

fn choice<T: Copy>(
    field: &'static str,
    given: Option<&str>,
    all: &[T],
    code: fn(T) -> &'static str,
) -> Result<Option<T>, InjectError> {
    let Some(given) = given else { return Ok(None) };
    let known = all.iter().copied().find(|one| code(*one) == given);
    let codes: Vec<&str> = all.iter().map(|one| code(*one)).collect();
    known.map(Some).ok_or_else(|| InjectError::Invalid(field, format!("one of {}", codes.join(", ")), given.to_owned()))
}

/// The subject of a record.
fn subject(entry: &Record) -> String {
    match entry {
        Record::Device(entry) => entry.device.id.clone(),
        Record::Admin(entry) => entry.admin.email.clone(),
        Record::Webhook(entry) => entry.device.id.clone(),
        Record::Report(entry) => entry.device.id.clone(),
        Record::Activity(entry) => format!("{} {}", entry.device.id, entry.app_name),
    }
}

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(field, wanted, got) => {
                let shown: String = got.chars().take(100).collect();
                write!(f, "{field} must be {wanted}, got {shown}")
            }
            Self::NotOfTheCategory(field, category) => write!(f, "an event of {} has no {field}", category.code()),
            Self::Twice(at) => write!(
                f,
                "timestamp must be another one than {at}: an event of this category, subject and code was added there"
            ),
            Self::TooMany => write!(f, "an account keeps {MAX_INJECTED} added events; DELETE them first"),
        }
    }
}

impl std::error::Error for InjectError {}
