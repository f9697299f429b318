//! Renders an event as a record.

use std::sync::Arc;

use super::{
    apps::{GUARDED_APPS, OPEN_APPS, OPEN_RULE, WATCHED_APPS},
    codes::{Action, AdminEvent, DeviceEvent, WebhookEvent},
    company::World,
    kinds::Kind,
    random::{Permutation, RngStream},
    records::{Activity, AdminRecord, DeviceRecord, DeviceReport, Record, WebhookRecord},
    roster::{Device, Person},
    time::Millis,
    tracks::{DeviceRef, EventRef, Process},
    window::Event,
};

/// Renders a sequence of events and caches the devices that they are about.
#[derive(Clone, Debug)]
pub struct Renderer<'w> {
    world: &'w World,
    /// The last rendered device of each slot of the fleet.
    devices: Vec<Option<(DeviceRef, Arc<Device>)>>,
}

impl<'w> Renderer<'w> {
    /// Creates a renderer with an empty cache.
    #[must_use]
    pub fn new(world: &'w World) -> Self {
        Self { world, devices: vec![None; world.config.devices as usize] }
    }

    /// Renders an event as [`World::render`] does.
    pub fn render(&mut self, event: &Event) -> Record {
        let Event(event_ref) = event;
        let device = self.world.device_of(event_ref).map(|device| (device, self.device(device)));
        self.world.render_with(event_ref, device)
    }

    fn device(&mut self, device: DeviceRef) -> Arc<Device> {
        let make = || Arc::new(self.world.roster.device(device));
        // A fleet has at most `MAX_DEVICES` slots.
        let entry = usize::try_from(device.slot).ok().and_then(|slot| self.devices.get_mut(slot));
        match entry {
            None => make(),
            Some(Some((known, cached))) if *known == device => cached.clone(),
            Some(entry) => entry.insert((device, make())).1.clone(),
        }
    }
}

/// Responses of a receiver that accepts a notification.
const SUCCESS_RESPONSES: [(u16, &str); 4] =
    [(200, r#"{"status":"ok"}"#), (200, "OK"), (200, r#"{"received":true}"#), (202, r#"{"status":"accepted"}"#)];
/// Responses of a receiver that fails.
const FAILURE_RESPONSES: [(u16, &str); 5] = [
    (503, "Service Unavailable"),
    (500, r#"{"error":"internal server error"}"#),
    (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    (429, r#"{"error":"too many requests"}"#),
    (404, r#"{"error":"no such hook"}"#),
];

impl World {
    /// Renders an event as a record.
    #[must_use]
    pub fn render(&self, event: &Event) -> Record {
        let Event(event_ref) = event;
        let device = self.device_of(event_ref).map(|device| (device, Arc::new(self.roster.device(device))));
        self.render_with(event_ref, device)
    }

    /// The device that an event is about. `None` for all admin events, including a login before an action on a device.
    fn device_of(&self, event_ref: &EventRef) -> Option<DeviceRef> {
        let is_admin_event = matches!(self.processes.track(event_ref.track).kind, Kind::Admin(_));
        if is_admin_event { None } else { self.processes.device(event_ref) }
    }

    fn render_with(&self, event_ref: &EventRef, device: Option<(DeviceRef, Arc<Device>)>) -> Record {
        // All events except admin events are about a device.
        let device = || device.unwrap_or_else(|| unreachable!("the event has no device"));
        match self.processes.track(event_ref.track).kind {
            Kind::Admin(event) => Record::Admin(self.admin_record(event_ref, event)),
            Kind::Device(event) => Record::Device(self.device_record(event_ref, event, device().1)),
            Kind::Webhook(event) => Record::Webhook(self.webhook_record(event_ref, event, device().1)),
            Kind::Report => Record::Report(self.report_record(event_ref, device())),
            Kind::Access(action) => Record::Activity(self.activity_record(event_ref, action, device())),
            Kind::Silent => unreachable!("no category has silent events"),
        }
    }

    pub(super) fn device_record(&self, event_ref: &EventRef, event: DeviceEvent, device: Arc<Device>) -> DeviceRecord {
        let details = self.device_details(event_ref, event, &device);
        DeviceRecord { at: event_ref.at, event, details, device }
    }

    pub(super) fn admin_record(&self, event_ref: &EventRef, event: AdminEvent) -> AdminRecord {
        // A login before an action belongs to the administrator who acts, all other admin events to the administrator
        // of the `AdminDay` occurrence.
        let admin = match self.processes.acting_admin(event_ref) {
            Some(acting_admin) => self.roster.admin(acting_admin),
            None => self.actor(event_ref),
        };
        let details = self.admin_details(event_ref, event, &admin);
        AdminRecord { at: event_ref.at, event, details, admin }
    }

    /// The administrator who acts on a device.
    pub(super) fn actor(&self, event_ref: &EventRef) -> Person {
        let (key, occurrence) = self.processes.detail(event_ref);
        // Round robin over the occurrences, in an order that depends on the schedule: any `admins` consecutive
        // occurrences have different administrators.
        let admins = self.roster.admins();
        self.roster.admin(Permutation::new(key.stream(RngStream::Admin), admins).forward(occurrence % admins))
    }

    pub(super) fn webhook_record(
        &self,
        event_ref: &EventRef,
        event: WebhookEvent,
        device: Arc<Device>,
    ) -> WebhookRecord {
        let (key, occurrence) = self.processes.detail(event_ref);
        let attempt = self.processes.track(event_ref.track).nth;
        let key = key.stream(RngStream::Receiver).sub(u64::from(attempt));
        let (response_code, response_body) = if self.processes.receiver_fails(event_ref) {
            key.pick(occurrence, &FAILURE_RESPONSES)
        } else {
            key.pick(occurrence, &SUCCESS_RESPONSES)
        };
        let details = self.webhook_details(event, &device, attempt);
        WebhookRecord { at: event_ref.at, event, details, device, response_code, response_body: response_body.into() }
    }

    pub(super) fn report_record(&self, event_ref: &EventRef, (at, device): (DeviceRef, Arc<Device>)) -> DeviceReport {
        let (status, noncompliance) = self.processes.status(at, event_ref.at);
        let severity = self.processes.severity(at, status, noncompliance);
        let last_seen = self.last_seen(event_ref);
        let public_ip = self.public_ip(event_ref, at);
        let policy_name = self.roster.policy(&device);
        let details = self.report_details(&device, status, policy_name, noncompliance);
        DeviceReport {
            at: event_ref.at,
            details,
            device,
            status,
            severity,
            policy_name: policy_name.into(),
            last_seen,
            public_ip,
        }
    }

    /// The time at which a device was last seen, according to a report.
    pub(super) fn last_seen(&self, event_ref: &EventRef) -> Millis {
        let (key, occurrence) = self.processes.detail(event_ref);
        let before = key.stream(RngStream::Report).sub(1).below(occurrence, 90_000);
        Millis(event_ref.at.0 - before.cast_signed())
    }

    /// The address that a device reports from.
    pub(super) fn public_ip(&self, event_ref: &EventRef, device: DeviceRef) -> String {
        let (key, occurrence) = self.processes.detail(event_ref);
        self.roster.address(device, key.stream(RngStream::Report).sub(2).below(occurrence, 5))
    }

    pub(super) fn activity_record(
        &self,
        event_ref: &EventRef,
        action: Action,
        (at, device): (DeviceRef, Arc<Device>),
    ) -> Activity {
        let track = self.processes.track(event_ref.track);
        let (key, occurrence) = self.processes.detail(event_ref);
        let key = key.stream(RngStream::Access).sub(u64::from(track.nth));
        let (app_name, access_rule) = if track.process == Process::Browse {
            (key.pick(occurrence, &OPEN_APPS), OPEN_RULE)
        } else {
            match action {
                Action::Allowed | Action::Blocked => key.pick(occurrence, &GUARDED_APPS),
                Action::MonitoredAllow | Action::MonitoredBlock => key.pick(occurrence, &WATCHED_APPS),
            }
        };
        Activity {
            at: event_ref.at,
            action,
            app_name: app_name.into(),
            access_rule: access_rule.into(),
            device_status: self.processes.status(at, event_ref.at).0,
            app_user: device.email.clone(),
            device,
        }
    }
}
