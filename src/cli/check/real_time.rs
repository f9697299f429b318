//! A scenario on a small scale, for connectors that cannot be given another time: polls are a second apart, and what happened in
//! hours happens in seconds.

use std::collections::HashSet;

use crate::{
    account::{TrueEvent, fault::FaultRule, injected::NewEvent, quota::QuotaChange, settings::NewAccount},
    scenario::{Scenario, Step},
    world::{Millis, Record},
};

/// The time between two steps, in milliseconds.
pub(super) const STEP_MS: i64 = 1_000;
/// How much shorter the period of a quota is, and the usual period in seconds.
const QUOTA_SCALE: u32 = 12;
const USUAL_PERIOD: u32 = 60;

/// Which times of a scenario are which times of the machine, in milliseconds, both in order.
struct Scale(Vec<(i64, i64)>);

impl Scale {
    fn new(scenario: &Scenario, begin: Millis, start: Millis) -> Self {
        let (mut here, mut there) = (begin.0, start.0);
        let mut points = vec![(here, there)];
        for step in &scenario.steps {
            let (count, by) = match step {
                Step::Polls(polls) => (polls.count, polls.every),
                Step::Advance(by) => (1, *by),
                _ => continue,
            };
            for _ in 0..count {
                here += i64::try_from(by.duration().as_millis()).unwrap_or(i64::MAX / 2);
                there += STEP_MS;
                points.push((here, there));
            }
        }
        Self(points)
    }

    /// The end of the scenario, in its own time.
    fn end(&self) -> Millis {
        Millis(self.0.last().map_or(0, |(here, _)| *here))
    }

    fn map(&self, at: Millis) -> Millis {
        let before = self.0.iter().rev().find(|(here, _)| *here <= at.0);
        let after = self.0.iter().find(|(here, _)| *here > at.0);
        Millis(match (before, after) {
            (Some((here, there)), Some((until, there_until))) => {
                there + (at.0 - here) * (there_until - there) / (until - here).max(1)
            }
            (Some((here, there)), None) => there + (at.0 - here),
            (None, Some((_, there))) => there - STEP_MS,
            (None, None) => at.0,
        })
    }
}

/// The window of the events that a scenario has until its end.
pub(super) fn end(scenario: &Scenario, begin: Millis) -> Millis {
    Scale::new(scenario, begin, begin).end()
}

/// A scenario from `start` on, with the events that it has in its own time.
pub(super) fn on_small_scale(
    scenario: &Scenario,
    begin: Millis,
    start: Millis,
    events: impl Iterator<Item = TrueEvent>,
) -> Scenario {
    let scale = Scale::new(scenario, begin, start);
    let mut taken = HashSet::new();
    let mut small = scenario.clone();
    small.since = scale.map(scenario.since.millis()).into();
    let account = &scenario.account;
    small.account = NewAccount {
        now: None,
        lag: None,
        quota: Some(smaller_quota(account.quota.unwrap_or_default())),
        faults: account.faults.iter().map(|rule| smaller_fault(rule, &scale)).collect(),
        events: events.filter_map(|event| smaller_event(&event, &scale, &mut taken)).collect(),
        ..account.clone()
    };
    for step in &mut small.steps {
        match step {
            Step::Faults(rules) => rules.iter_mut().for_each(|rule| *rule = smaller_fault(rule, &scale)),
            // They are among those from the start, each visible at its time.
            Step::Events(events) => events.clear(),
            Step::Quota(quota) => *quota = smaller_quota(*quota),
            Step::Meanwhile(meanwhile) => meanwhile.events.clear(),
            _ => {}
        }
    }
    small
}

fn smaller_quota(quota: QuotaChange) -> QuotaChange {
    let period = quota.per_seconds.map_or(USUAL_PERIOD, std::num::NonZeroU32::get);
    let per_seconds = std::num::NonZeroU32::new((period / QUOTA_SCALE).max(1));
    // A change of the period would turn the quota on.
    QuotaChange { per_seconds, enabled: quota.enabled.or(Some(true)), ..quota }
}

fn smaller_fault(rule: &FaultRule, scale: &Scale) -> FaultRule {
    let mut rule = rule.clone();
    rule.matches.from = rule.matches.from.map(|at| scale.map(at.millis()).into());
    rule.matches.to = rule.matches.to.map(|at| scale.map(at.millis()).into());
    rule
}

/// An event of a device or an administrator at its time on the small scale.
fn smaller_event(
    event: &TrueEvent,
    scale: &Scale,
    taken: &mut HashSet<(String, &'static str, Millis)>,
) -> Option<NewEvent> {
    let mut at = scale.map(event.at);
    let (subject, code, new) = match &event.entry {
        Record::Device(record) => {
            let device = &record.device;
            let new = NewEvent {
                category: "device".to_owned(),
                details: Some(record.details.clone()),
                device_id: Some(device.id.clone()),
                device_name: Some(device.name.clone()),
                device_username: Some(device.username.clone()),
                device_group: Some(device.group.to_string()),
                ..NewEvent::default()
            };
            (device.id.clone(), record.event.code(), new)
        }
        Record::Admin(record) => {
            let new = NewEvent {
                category: "admin".to_owned(),
                details: Some(record.details.clone()),
                admin_name: Some(record.admin.name.clone()),
                admin_email: Some(record.admin.email.clone()),
                ..NewEvent::default()
            };
            (record.admin.email.clone(), record.event.code(), new)
        }
        _ => return None,
    };
    // Times that were different can be the same on this scale.
    while !taken.insert((subject.clone(), code, at)) {
        at.0 += 1;
    }
    let visible_at = scale.map(event.visible_at);
    let visible_at = if event.visible_at < event.at { visible_at } else { visible_at.max(at) };
    Some(NewEvent {
        event: Some(code.to_owned()),
        timestamp: Some(at.into()),
        visible_at: Some(visible_at.into()),
        ..new
    })
}
