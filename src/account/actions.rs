//! Actions on devices, which enter the account as injected events with their consequences.

use super::{
    account::{Account, ExemptionEnds},
    devices::Devices,
    injected::{InjectError, Injected, NewEvent},
};
use crate::{
    clock::Instant,
    world::{Category, DeviceState, Millis, Severity, Status, World},
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
    /// Applies actions to devices, one device after the other, each with all actions. A request of an earlier epoch has no
    /// effect.
    ///
    /// # Errors
    ///
    /// An error if the account cannot store more injected events. Earlier actions of the list are applied.
    pub(crate) fn act(
        &self,
        world: &World,
        actions: &[Action],
        ids: &[String],
        (now, epoch): (Millis, u64),
    ) -> Result<Vec<(String, Action, ActionResult)>, InjectError> {
        // Two requests that delete a device at the same time are one after the other, and the second one finds no device.
        let mut ends = self.acting.lock();
        let mut results = Vec::new();
        for id in ids {
            for &action in actions {
                let state = if self.epoch() == epoch { self.device(world, id, now) } else { None };
                let result = match state {
                    None => ActionResult::NoSuchDevice,
                    Some(_) if action == Action::Unsupported => ActionResult::Unsupported,
                    Some(state) if action == Action::Unexempt && state.status != Status::Exempted => {
                        ActionResult::NotExempted
                    }
                    Some(state) => ActionResult::Done(self.apply(world, action, &state, now, &mut ends)?),
                };
                results.push((id.clone(), action, result));
            }
        }
        self.webhook.touch();
        Ok(results)
    }

    fn device(&self, world: &World, id: &String, now: Millis) -> Option<DeviceState> {
        Devices::some(world, &self.injected, now, std::slice::from_ref(id)).with_id(id)
    }

    /// Injects the event of an action, and those that follow from it. Returns the number of the first.
    fn apply(
        &self,
        world: &World,
        action: Action,
        state: &DeviceState,
        now: Millis,
        ends: &mut ExemptionEnds,
    ) -> Result<u64, InjectError> {
        let (id, name) = (&state.device.id, &state.device.name);
        let inject = |events: &[NewEvent]| self.injected.add(world, events, now).map_err(|(_, why)| why);
        let event = inject(&[of_device(state, action.code(), action.details(name))])?;
        let number = event.first().map_or(0, |event| event.number());
        if matches!(action, Action::FetchLog | Action::ScanThreats) {
            return Ok(number);
        }
        // The end of an earlier exemption does not come any more.
        for (at, number) in ends.remove(id).unwrap_or_default() {
            self.injected.cancel(Category::Device, at, number);
        }
        let changed = self.device(world, id, now);
        let mut consequences = Vec::new();
        if let Some(changed) = &changed {
            if action == Action::Unexempt {
                consequences.extend(back_to_compliant(changed, None));
            }
            if changed.status != state.status {
                consequences.push(report(world, changed));
            }
        }
        // A real receiver answers itself.
        if !self.webhook.is_real() {
            let notification = match action {
                Action::Delete => Some("deleted"),
                Action::Exempt { .. } if state.status != Status::Exempted => Some("status_changed_to_exempted"),
                Action::Unexempt if !consequences.is_empty() && changed.as_ref().is_some_and(is_compliant) => {
                    Some("status_changed_to_compliant")
                }
                _ => None,
            };
            consequences.extend(notification.map(|code| about(state, "webhook", Some(code), None)));
        }
        inject(&consequences)?;
        if let Action::Exempt { hours: Some(hours) } = action {
            let end = Millis(now.0.saturating_add(i64::from(hours) * HOUR_MS));
            let events = self.end_of_exemption(world, state, hours, end);
            let added: Vec<_> = inject(&events)?;
            ends.insert(
                id.clone(),
                added.iter().map(|event: &std::sync::Arc<Injected>| (event.at, event.number())).collect(),
            );
        }
        Ok(number)
    }

    /// The events at the end of an exemption: none if the device is not exempted any more by then.
    fn end_of_exemption(&self, world: &World, state: &DeviceState, hours: u32, end: Millis) -> Vec<NewEvent> {
        let Some(later) = self.device(world, &state.device.id, end).filter(|later| later.status == Status::Exempted)
        else {
            return Vec::new();
        };
        let details = format!("Exemption of device {} ended after {hours} hour(s)", state.device.name);
        let unexempt = NewEvent { timestamp: Some(Instant::from(end)), ..of_device(state, "unexempt", details) };
        let without = DeviceState { status: Status::Compliant, ..later };
        let compliant = without.violation.is_none().then(|| back_to_compliant(&without, Some(end))).flatten();
        [Some(unexempt), compliant].into_iter().flatten().collect()
    }
}

impl Action {
    /// The code of the action's event.
    fn code(self) -> &'static str {
        match self {
            Self::Exempt { .. } => "exempt_all",
            Self::Unexempt => "unexempt",
            Self::Delete => "deleted_api",
            Self::FetchLog => "fetch_log",
            Self::ScanThreats | Self::Unsupported => "scan_threat",
        }
    }

    fn details(self, name: &str) -> String {
        match self {
            Self::Exempt { hours } => {
                let time = hours.map_or_else(String::new, |hours| format!(" for {hours} hour(s)"));
                format!("Device {name} was exempted by OAuth API{time}")
            }
            Self::Unexempt => format!("Exemption of device {name} was removed by OAuth API"),
            Self::Delete => format!("Device {name} was deleted by OAuth API"),
            Self::FetchLog => format!("Log files of device {name} were requested by OAuth API"),
            Self::ScanThreats | Self::Unsupported => {
                format!("Threat scan of device {name} was requested by OAuth API")
            }
        }
    }
}

fn about(state: &DeviceState, category: &str, code: Option<&str>, details: Option<String>) -> NewEvent {
    NewEvent {
        category: category.to_owned(),
        event: code.map(str::to_owned),
        device_id: Some(state.device.id.clone()),
        device_name: Some(state.device.name.clone()),
        details,
        ..NewEvent::default()
    }
}

fn of_device(state: &DeviceState, code: &str, details: String) -> NewEvent {
    about(state, "device", Some(code), Some(details))
}

fn is_compliant(state: &DeviceState) -> bool {
    state.status == Status::Compliant
}

/// The event of a device that meets the policy once its exemption has ended: in the log, the end of an exemption alone means
/// that the device is not compliant.
fn back_to_compliant(state: &DeviceState, at: Option<Millis>) -> Option<NewEvent> {
    let details = format!("Device {} changed status to compliant: its exemption ended", state.device.name);
    let event = NewEvent { timestamp: at.map(Instant::from), ..of_device(state, "compliant", details) };
    is_compliant(state).then_some(event)
}

/// The report that a device sends after a change of its status.
fn report(world: &World, state: &DeviceState) -> NewEvent {
    let (name, policy) = (&state.device.name, world.policy_of(&state.device));
    let violation = state.violation.as_ref().map(|violation| format!(": {}", violation.text)).unwrap_or_default();
    let details = match state.status {
        Status::Compliant => format!("Device {name} reported: policy {policy} is kept"),
        Status::NonCompliant => format!("Device {name} reported: policy {policy} is not kept{violation}"),
        Status::Exempted => format!("Device {name} reported: exempted from policy {policy}{violation}"),
    };
    let severity: Severity = state.severity;
    NewEvent {
        status: Some(state.status.code().to_owned()),
        severity: Some(severity.code().to_owned()),
        policy_name: Some(policy.to_owned()),
        ..about(state, "device_report", None, Some(details))
    }
}
