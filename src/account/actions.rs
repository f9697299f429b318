//! Actions on devices, which enter the account as injected events with their consequences.

use std::sync::Arc;

use super::{
    account::Account,
    devices::Devices,
    exemptions::Exemptions,
    injected::{InjectError, Injected, NewEvent},
};
use crate::{
    clock::Instant,
    world::{Device, DeviceState, Millis, Status, World, reported},
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
    /// An error if the account cannot store the events of all actions. Then none is applied, unless other events are
    /// injected at the same time.
    pub(crate) fn apply_actions(
        &self,
        world: &World,
        actions: &[Action],
        ids: &[String],
        (now, epoch): (Millis, u64),
    ) -> Result<Vec<(String, Action, ActionResult)>, InjectError> {
        // Two requests that delete a device at the same time are one after the other, and the second one finds no device.
        let mut exemptions = self.exemptions.lock();
        if self.epoch() != epoch {
            let each = ids.iter().flat_map(|id| actions.iter().map(|action| (id.clone(), *action)));
            return Ok(each.map(|(id, action)| (id, action, ActionResult::NoSuchDevice)).collect());
        }
        if ids.len() * actions.iter().map(|action| action.max_events()).sum::<usize>() > self.injected.room() {
            return Err(InjectError::TooMany);
        }
        // A request that has waited for another one is not earlier than that.
        let now = exemptions.last_action.map_or(now, |last| last.max(now));
        exemptions.last_action = Some(now);
        let each = ids.iter().flat_map(|id| actions.iter().map(move |action| (id, *action)));
        let results = each.map(|(id, action)| {
            let result = self.apply_action(world, action, id, now, &mut exemptions)?;
            Ok((id.clone(), action, result))
        });
        let results = results.collect();
        self.webhook.events_changed();
        results
    }

    fn device(&self, world: &World, id: &String, now: Millis) -> Option<DeviceState> {
        Devices::some(world, &self.injected, now, std::slice::from_ref(id)).with_id(id)
    }

    /// Injects the event of an action, and those that follow from it.
    fn apply_action(
        &self,
        world: &World,
        action: Action,
        id: &String,
        now: Millis,
        exemptions: &mut Exemptions,
    ) -> Result<ActionResult, InjectError> {
        let state = match self.device(world, id, now) {
            None => return Ok(ActionResult::NoSuchDevice),
            Some(_) if action == Action::Unsupported => return Ok(ActionResult::Unsupported),
            Some(state) if action == Action::Unexempt && state.status != Status::Exempted => {
                return Ok(ActionResult::NotExempted);
            }
            Some(state) => state,
        };
        let event = of_device(&state, action.code(), action.details(&state.device.name));
        // The receiver knows of the exemption already.
        let is_silent = matches!(action, Action::Exempt { .. }) && state.status == Status::Exempted;
        let added = if is_silent {
            self.injected.add_silently(world, &event, now)
        } else {
            self.injected.add(world, &[event], now)
        };
        let added = added.map_err(|(_, why)| why)?;
        let result = ActionResult::Done(added.first().map_or(0, |event| event.number()));
        self.simulate_notifications(world, &added, now)?;
        if matches!(action, Action::FetchLog | Action::ScanThreats) {
            return Ok(result);
        }
        let id = &state.device.id;
        exemptions.cancel_end(&self.injected, id, now);
        if let Some(changed) = self.device(world, id, now).filter(|changed| changed.status != state.status) {
            let events = if action == Action::Unexempt {
                after_exemption(world, &changed, None)
            } else {
                vec![report(world, &changed)]
            };
            self.add_consequences(world, &events, now)?;
        }
        if let Action::Exempt { hours: Some(hours) } = action {
            let end = Millis(now.0.saturating_add(i64::from(hours) * HOUR_MS));
            let events = self.end_of_exemption(world, id, hours, (now, end));
            exemptions.ends.insert(id.clone(), self.add_consequences(world, &events, now)?);
        }
        Ok(result)
    }

    /// Injects events, and returns them with their notifications.
    fn add_consequences(
        &self,
        world: &World,
        events: &[NewEvent],
        now: Millis,
    ) -> Result<Vec<Arc<Injected>>, InjectError> {
        let mut added = Vec::new();
        for event in events {
            match self.injected.add(world, std::slice::from_ref(event), now) {
                Ok(event) => added.extend(event),
                // The device has the same event at that instant already.
                Err((_, InjectError::Twice(_))) => {}
                Err((_, why)) => return Err(why),
            }
        }
        let notifications = self.simulate_notifications(world, &added, now)?;
        added.extend(notifications);
        Ok(added)
    }

    /// Injects the notifications of events, as a receiver that answers 200 would get them. A real receiver answers itself.
    fn simulate_notifications(
        &self,
        world: &World,
        events: &[Arc<Injected>],
        now: Millis,
    ) -> Result<Vec<Arc<Injected>>, InjectError> {
        if self.webhook.is_real() {
            return Ok(Vec::new());
        }
        let notification = |event: &Arc<Injected>| {
            let (device, code) = (event.entry.device()?, event.notification?.code());
            let timestamp = (event.asked_at > now).then(|| event.asked_at.into());
            Some(NewEvent { timestamp, ..about(device, "webhook", Some(code), None) })
        };
        let notifications: Vec<NewEvent> = events.iter().filter_map(notification).collect();
        self.injected.add(world, &notifications, now).map_err(|(_, why)| why)
    }

    /// The events at the end of an exemption: none if the history changes the status of the device before, or if the device
    /// is not exempted any more by then.
    fn end_of_exemption(&self, world: &World, id: &String, hours: u32, (now, end): (Millis, Millis)) -> Vec<NewEvent> {
        let Some(mut state) = self.device(world, id, end).filter(|later| later.status == Status::Exempted) else {
            return Vec::new();
        };
        if world.inventory(end).last_change(&state.device).is_some_and(|at| at > now) {
            return Vec::new();
        }
        let details = format!("Exemption of device {} ended after {hours} hour(s)", state.device.name);
        let unexempt = NewEvent { timestamp: Some(end.into()), ..of_device(&state, "unexempt", details) };
        state.end_exemption();
        let mut events = vec![unexempt];
        events.extend(after_exemption(world, &state, Some(end)));
        events
    }
}

impl Action {
    /// The maximum number of events that the action injects.
    fn max_events(self) -> usize {
        match self {
            // Its event, the report and the notification, and four events at its end.
            Self::Exempt { .. } => 7,
            Self::Unexempt => 4,
            Self::Delete => 2,
            Self::FetchLog | Self::ScanThreats => 1,
            Self::Unsupported => 0,
        }
    }

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

fn about(device: &Device, category: &str, code: Option<&str>, details: Option<String>) -> NewEvent {
    NewEvent {
        category: category.to_owned(),
        event: code.map(str::to_owned),
        device_id: Some(device.id.clone()),
        device_name: Some(device.name.clone()),
        details,
        ..NewEvent::default()
    }
}

fn of_device(state: &DeviceState, code: &str, details: String) -> NewEvent {
    about(&state.device, "device", Some(code), Some(details))
}

/// What follows from the end of an exemption, now or at an instant. In the log, the end alone means that the device is not
/// compliant, so a device that meets the policy has an event that says so.
fn after_exemption(world: &World, state: &DeviceState, at: Option<Millis>) -> Vec<NewEvent> {
    let details = format!("Device {} changed status to compliant: its exemption ended", state.device.name);
    let compliant = (state.status == Status::Compliant).then(|| of_device(state, "compliant", details));
    let events = compliant.into_iter().chain([report(world, state)]);
    events.map(|event| NewEvent { timestamp: at.map(Instant::from), ..event }).collect()
}

/// The report that a device sends after a change of its status.
fn report(world: &World, state: &DeviceState) -> NewEvent {
    let policy = world.policy_of(&state.device);
    let violation = state.violation.as_ref().map(|violation| violation.text.as_str());
    let details = reported(&state.device, state.status, policy, violation);
    NewEvent {
        status: Some(state.status.code().to_owned()),
        severity: Some(state.severity.code().to_owned()),
        policy_name: Some(policy.to_owned()),
        ..about(&state.device, "device_report", None, Some(details))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::settings::Settings;

    /// Of two requests, the second one sees what the first one did, also if its time is earlier.
    #[test]
    fn a_device_is_deleted_once() {
        let account = Account::new(Settings::default(), Arc::default()).expect("valid settings");
        let (world, now, epoch) = (account.world(), account.clock().now(), account.epoch());
        let ids = [world.device_at(0, now).expect("a device").0.id];
        let delete = |now: Millis| {
            let results = account.apply_actions(&world, &[Action::Delete], &ids, (now, epoch)).expect("room");
            results.into_iter().map(|(.., result)| result).collect::<Vec<_>>()
        };
        assert!(matches!(delete(Millis(now.0 + 5))[..], [ActionResult::Done(_)]));
        assert_eq!(delete(now), [ActionResult::NoSuchDevice]);
    }
}
