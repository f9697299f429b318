//! Actions on devices, which enter the account as injected events with their consequences.

use super::{
    Account,
    devices::Devices,
    injected::{InjectError, NewEvent},
};
use crate::{
    clock::Instant,
    world::{DeviceState, Millis, Severity, Status, World},
};

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

/// An action on a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Exempts the device from the policy, for some hours or without an end.
    Exempt { hours: Option<u32> },
    /// Ends an exemption.
    Unexempt,
    /// Removes the device from the account.
    Delete,
    /// Requests the log files of the device.
    FetchLog,
    /// Requests a threat scan of the device.
    ScanThreats,
    /// An action that has no effect on what is emulated.
    Unsupported,
}

/// The result of an action on a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ActionResult {
    /// The event of the action has this number among the injected events.
    Done(u64),
    /// The account has no such device.
    NoSuchDevice,
    /// The device is not exempted, so the exemption cannot be removed.
    NotExempted,
    /// The action is not emulated.
    Unsupported,
}

impl Account {
    /// Applies actions to devices, one device after the other, each with all actions. `find` finds the device by a text
    /// of the request.
    ///
    /// # Errors
    ///
    /// An error if the account cannot store more injected events. Earlier actions of the list are applied.
    pub(crate) fn act<'i>(
        &self,
        world: &World,
        actions: &[Action],
        ids: &'i [String],
        now: Millis,
    ) -> Result<Vec<(&'i str, Action, ActionResult)>, InjectError> {
        // Two requests that delete a device at the same time are one after the other, and the second one finds no device.
        let _one_at_a_time = self.acting.lock();
        let mut results = Vec::new();
        for id in ids {
            for &action in actions {
                let state = Devices::new(world, &self.injected, now).with_id(id);
                let result = match state {
                    None => ActionResult::NoSuchDevice,
                    Some(_) if action == Action::Unsupported => ActionResult::Unsupported,
                    Some(state) if action == Action::Unexempt && state.status != Status::Exempted => {
                        ActionResult::NotExempted
                    }
                    Some(state) => {
                        let mut new = action.events(&state, now);
                        // A real receiver answers itself.
                        new.retain(|event| event.category != "webhook" || !self.webhook.is_real());
                        let events = self.injected.add(world, &new, now);
                        let events = events.map_err(|(_, why)| why)?;
                        self.webhook.touch();
                        ActionResult::Done(events.first().map_or(0, |event| event.number()))
                    }
                };
                results.push((id.as_str(), action, result));
            }
        }
        Ok(results)
    }
}

impl Action {
    /// The event of the action on a device, and those that follow from it.
    fn events(self, state: &DeviceState, now: Millis) -> Vec<NewEvent> {
        let name = &state.device.name;
        let event = |category: &str, code: Option<&str>, details: Option<String>| NewEvent {
            category: category.to_owned(),
            event: code.map(str::to_owned),
            device_id: Some(state.device.id.clone()),
            device_name: Some(name.clone()),
            details,
            ..NewEvent::default()
        };
        let of_device = |code: &str, details: String| event("device", Some(code), Some(details));
        let severity = if state.violation.is_some() { Severity::Warning } else { Severity::NoIssue };
        let report = |status: Status| NewEvent {
            status: Some(status.code().to_owned()),
            severity: Some(severity.code().to_owned()),
            ..event("device_report", None, None)
        };
        match self {
            Self::Exempt { hours } => {
                let time = hours.map_or_else(String::new, |hours| format!(" for {hours} hour(s)"));
                let mut events = vec![
                    of_device("exempt_all", format!("Device {name} was exempted by OAuth API{time}")),
                    report(Status::Exempted),
                    event("webhook", Some("status_changed_to_exempted"), None),
                ];
                events.extend(hours.map(|hours| NewEvent {
                    timestamp: Some(Instant::from(Millis(now.0.saturating_add(i64::from(hours) * HOUR_MS)))),
                    ..of_device("unexempt", format!("Exemption of device {name} ended after {hours} hour(s)"))
                }));
                events
            }
            Self::Unexempt => {
                let status = if state.violation.is_some() { Status::NonCompliant } else { Status::Compliant };
                let details = format!("Exemption of device {name} was removed by OAuth API");
                vec![of_device("unexempt", details), report(status)]
            }
            Self::Delete => vec![
                of_device("deleted_api", format!("Device {name} was deleted by OAuth API")),
                event("webhook", Some("deleted"), None),
            ],
            Self::FetchLog => {
                vec![of_device("fetch_log", format!("Log files of device {name} were requested by OAuth API"))]
            }
            Self::ScanThreats => {
                vec![of_device("scan_threat", format!("Threat scan of device {name} was requested by OAuth API"))]
            }
            Self::Unsupported => Vec::new(),
        }
    }
}
