//! Access activities: which application a device opened, and what the company's rules made of it.

use std::{borrow::Cow, sync::Arc};

use super::{
    DeviceRef, EventRef, Millis, World,
    random::RngStream,
    roster::Device,
    timeline::{Process, Status},
};

/// What the rules made of an access.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It was let through.
    Allowed,
    /// It was stopped.
    Blocked,
    /// It was let through, and would be stopped if the rule were enforced.
    MonitoredBlock,
    /// It was let through under a rule that only watches.
    MonitoredAllow,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Blocked, Self::MonitoredBlock, Self::MonitoredAllow];

    /// The code by which `POST /o/api/v3/activities` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::MonitoredBlock => "monitored_block",
            Self::MonitoredAllow => "monitored_allow",
        }
    }
}

/// One access of a device to an application.
#[derive(Clone, Debug)]
pub struct Activity {
    /// When it was.
    pub at: Millis,
    /// What the rules made of it.
    pub action: Action,
    /// The application.
    pub app_name: Cow<'static, str>,
    /// The rule that decided.
    pub access_rule: Cow<'static, str>,
    /// The address of whoever used the device.
    pub app_user: String,
    /// The device.
    pub device: Arc<Device>,
    /// Whether the device kept the policy then.
    pub device_status: Status,
}

/// Applications that no rule guards: everybody may, always.
const OPEN_APPS: [&str; 4] = ["Zoom", "Confluence", "Workday", "ServiceNow"];
const OPEN_RULE: &str = "ALL DEVICES";
/// Applications that are closed to a device that does not keep the policy.
const GUARDED_APPS: [(&str, &str); 5] = [
    ("Salesforce", "NON COMPLIANT DEVICES"),
    ("Slack", "Block non-compliant devices"),
    ("Office 365", "NON COMPLIANT DEVICES"),
    ("GitHub", "Block non-compliant devices"),
    ("AWS Console", "NON COMPLIANT DEVICES"),
];
/// Applications for which the company only watches what its rule would do.
const WATCHED_APPS: [(&str, &str); 3] =
    [("Dropbox", "Monitor cloud storage"), ("Box", "Monitor cloud storage"), ("Google Workspace", "Monitor mail")];

/// What an activity of a process may say that is not about its device: applications, rules, statuses.
pub(super) fn words(process: Process, action: Action) -> Vec<&'static str> {
    let apps: Vec<&str> = match action {
        _ if process == Process::Browse => OPEN_APPS.into_iter().chain([OPEN_RULE]).collect(),
        Action::Allowed | Action::Blocked => GUARDED_APPS.into_iter().flat_map(|(app, rule)| [app, rule]).collect(),
        Action::MonitoredAllow | Action::MonitoredBlock => {
            WATCHED_APPS.into_iter().flat_map(|(app, rule)| [app, rule]).collect()
        }
    };
    let statuses: &[Status] = match action {
        Action::Blocked | Action::MonitoredBlock => &[Status::NonCompliant],
        _ => &[Status::Compliant, Status::NonCompliant, Status::Exempted],
    };
    apps.into_iter().chain(statuses.iter().map(|status| status.label())).collect()
}

impl World {
    pub(super) fn activity_record(
        &self,
        event_ref: &EventRef,
        action: Action,
        (at, device): (DeviceRef, Arc<Device>),
    ) -> Activity {
        let track = self.timeline.track(event_ref.track);
        let (key, occurrence) = self.timeline.detail(event_ref);
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
            device_status: self.timeline.status(at, event_ref.at).0,
            app_user: device.email.clone(),
            device,
        }
    }
}
