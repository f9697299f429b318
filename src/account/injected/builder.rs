//! From what a test asks for to a whole event.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::event::{InjectError, Injected, MAX_DETAILS, MAX_TEXT, NewEvent, Snapshot};
use crate::{
    clock::Instant,
    world::{
        Action, Activity, AdminEvent, AdminRecord, AgentType, Category, Device, DeviceEvent, DeviceRecord,
        DeviceReport, Millis, Person, Record, Severity, Status, WebhookEvent, WebhookRecord, World,
    },
};

/// The identities of the injected events.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) identities: HashSet<(Subject, Millis)>,
    /// The last event of each sequence, at the clock time of its injection.
    pub(super) last: HashMap<Sequence, LastEvent>,
}

/// The events whose order matters: all of a device in a category, because each says what its state is; otherwise those of a
/// subject.
pub(super) type Sequence = (Category, u64, String);

/// The last event of a sequence.
#[derive(Debug)]
pub(super) struct LastEvent {
    now: Millis,
    says: Says,
    /// The latest timestamp for an event that says the same.
    next: Millis,
}

/// What an event says of a state: its code, and the status and the severity of a report.
type Says = (u64, Option<(Status, Severity)>);

impl Known {
    /// The timestamp of an event at `now`: a little earlier if the event before it in its sequence says the same at the same
    /// instant, because nothing distinguishes equal events at one instant. Other events stay in the order of their injection.
    pub(super) fn place(&mut self, record: &Record, kind: u64, now: Millis) -> Millis {
        let (category, is_of_state) = match record {
            Record::Device(_) => (Category::Device, true),
            Record::Report(_) => (Category::DeviceReport, true),
            Record::Webhook(_) => (Category::Webhook, true),
            Record::Admin(_) => (Category::Admin, false),
            Record::Activity(_) => (Category::Activity, false),
        };
        let sequence = (category, if is_of_state { 0 } else { kind }, subject(record));
        let report = if let Record::Report(report) = record { Some((report.status, report.severity)) } else { None };
        let says = (kind, report);
        match self.last.get_mut(&sequence) {
            Some(last) if last.now == now && last.says == says => {
                let at = last.next;
                last.next.0 -= 1;
                at
            }
            _ => {
                self.last.insert(sequence, LastEvent { now, says, next: Millis(now.0 - 1) });
                now
            }
        }
    }
}

/// The bit of the event code, and the device or the administrator. A test cannot ask for two events with the same subject
/// and the same timestamp.
pub(super) type Subject = (u64, String);

/// Builds one event from a request.
pub(super) struct EventBuilder<'a> {
    pub(super) world: &'a World,
    pub(super) new: &'a NewEvent,
    pub(super) now: Millis,
    pub(super) nth: u64,
    /// Whether a receiver is notified of a device event.
    pub(super) notifies: bool,
}

impl EventBuilder<'_> {
    pub(super) fn build(&mut self, added: Snapshot, known: &mut Known) -> Result<(Subject, Injected), InjectError> {
        let new = self.new;
        let category = Category::from_code(&new.category).ok_or_else(|| {
            let wanted = format!("one of {}", Category::ALL.map(Category::code).join(", "));
            let got = if new.category.is_empty() { "none" } else { &new.category };
            InjectError::Invalid("category", wanted, got.to_owned())
        })?;
        self.check_fields(category)?;
        let asked_at = new.timestamp.map_or(self.now, Instant::millis);
        let mut at = asked_at;
        let mut made = self.entry(category, at)?;
        let subject = (made.1, subject(&made.0));
        if asked_at == self.now {
            let place = known.place(&made.0, made.1, self.now);
            if new.timestamp.is_none() && place != at {
                at = place;
                made = self.entry(category, at)?;
            }
        }
        if !known.identities.insert((subject.clone(), at)) && new.timestamp.is_some() {
            return Err(InjectError::Twice(at.into()));
        }
        let visible_at = match new.visible_at.map(Instant::millis) {
            None => at.max(self.now),
            // A device whose clock is ahead reports an event before the time that it has.
            Some(early) if early < at && at <= self.now => {
                known.identities.remove(&(subject, at));
                let wanted = format!("not before the timestamp ({})", Instant::from(at));
                return Err(InjectError::Invalid("visible_at", wanted, Instant::from(early).to_string()));
            }
            Some(visible_at) => visible_at,
        };
        let (entry, kind, agent) = made;
        let number = self.nth + 1;
        let notification = match &entry {
            Record::Device(entry) if self.notifies => entry.event.notification(),
            _ => None,
        };
        Ok((
            subject,
            Injected {
                entry,
                at,
                visible_at,
                added_at: self.now,
                asked_at,
                notification,
                category,
                kind,
                agent,
                number,
                added,
                forgotten: None,
            },
        ))
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
            let most = if name == "details" { MAX_DETAILS } else { MAX_TEXT };
            let length = text.chars().count();
            if length > most {
                let (wanted, got) = (format!("at most {most} characters"), format!("{length} characters"));
                return Err(InjectError::Invalid(name, wanted, got));
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

    fn entry(&mut self, category: Category, at: Millis) -> Result<(Record, u64, Option<AgentType>), InjectError> {
        let new = self.new;
        let details = |usual: String| new.details.clone().unwrap_or(usual);
        if category == Category::Admin {
            let event = self.code(AdminEvent::ALL, AdminEvent::code)?;
            let known = self.world.admin(self.nth);
            let name = new.admin_name.clone().unwrap_or(known.name);
            let email = new.admin_email.clone().unwrap_or(known.email);
            let details = details(format!("{} by {name} ({email})", event.label()));
            let admin = Person { username: known.username, name, email };
            return Ok((
                Record::Admin(AdminRecord { at, event, details, admin }),
                Category::Admin.kind(event as usize),
                None,
            ));
        }
        let (device, status) = self.device(at);
        let agent = Some(device.agent);
        let device = Arc::new(device);
        Ok(match category {
            Category::Admin | Category::Device => {
                let event = self.code(DeviceEvent::ALL, DeviceEvent::code)?;
                let details = details(format!("Device {}: {}", device.name, event.label()));
                (Record::Device(DeviceRecord { at, event, details, device }), category.kind(event as usize), agent)
            }
            Category::Webhook => {
                let event = self.code(WebhookEvent::ALL, WebhookEvent::code)?;
                let details = details(self.world.webhook_details(event, &device, 0));
                let response_code = new.response_code.unwrap_or(200);
                if !(100..=599).contains(&response_code) {
                    let wanted = "an HTTP status from 100 to 599".to_owned();
                    return Err(InjectError::Invalid("response_code", wanted, response_code.to_string()));
                }
                let response_body = new.response_body.clone().unwrap_or_else(|| "OK".to_owned()).into();
                let entry = WebhookRecord { at, event, details, device, response_code, response_body };
                (Record::Webhook(entry), category.kind(event as usize), agent)
            }
            Category::DeviceReport => {
                if let Some(event) = new.event.as_ref().filter(|event| *event != "device_report") {
                    return Err(InjectError::Invalid("event", "device_report".to_owned(), event.clone()));
                }
                (Record::Report(self.report(device, self.status(status)?, at)?), category.kind(0), agent)
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
                (Record::Activity(activity), category.kind(action as usize), agent)
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
            Some(id) => self.world.device_with_id(id, at),
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

/// The identity of an event, without its time.
pub(super) fn subject_of(event: &Injected) -> Subject {
    (event.kind, subject(&event.entry))
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
