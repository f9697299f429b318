//! The steps of a scenario, and how a file writes them.

use serde::Deserialize;

use super::{
    error::{ScenarioError, wrong},
    read_api::ReadApi,
    span::Span,
};
use crate::{
    account::{
        fault::{FaultRule, MAX_FAULTS},
        injected::{MAX_DETAILS, MAX_INJECTED, NewEvent},
        quota::QuotaChange,
        strict,
    },
    world::Millis,
};

/// The maximum number of polls in one step, and of other numbers.
const MAX_POLLS: u32 = 1_000;
/// The names of the keys, one of which a step must have.
const KEYS: &str = "polls (with every), advance, faults, events, quota, tokens, kill_after_responses, kill_before_checkpoint, \
                    instances, meanwhile, client_clock_ahead, client_clock_behind, api";

/// One thing that happens in a scenario.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// The connector polls.
    Polls(Polls),
    /// The clock moves, and the connector does not run.
    Advance(Span),
    /// Other fault rules apply.
    Faults(Vec<FaultRule>),
    /// Events are injected.
    Events(Vec<NewEvent>),
    /// The quota changes.
    Quota(QuotaChange),
    /// Tokens change.
    Tokens(TokenChange),
    /// The next poll is ended with SIGKILL when it has had so many more responses.
    KillAfterResponses(u32),
    /// The next poll is ended after it stored its records and before it moved its checkpoint: the folder of its state is as
    /// it was before.
    KillBeforeCheckpoint,
    /// The next poll is made by so many instances of the connector at once.
    Instances(u32),
    /// Something happens in the middle of the next poll.
    Meanwhile(Meanwhile),
    /// The connector's clock goes wrong from now on.
    ClientClock(ClockError),
    /// The connector reads this API from now on, and begins again with it: its state and its records are other ones.
    Api(ReadApi),
}

/// Polls of a connector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Polls {
    /// The number of polls.
    pub count: u32,
    /// How far the clock moves before each of them.
    pub every: Span,
    /// The maximum number of requests of each of them.
    pub requests_at_most: Option<u32>,
    /// Whether the connector must end with a status other than 0, so that a person gets to know.
    pub must_fail: bool,
    /// Whether the connector must end with the status 0.
    pub must_succeed: bool,
    /// The maximum time of each of them, by the account's clock.
    pub takes_at_most: Option<Span>,
    /// The number of requests that another consumer makes before each of them.
    pub other_requests: u32,
}

/// What happens in the middle of a poll.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Meanwhile {
    /// The number of responses after which it happens.
    pub after_responses: u32,
    /// How far the clock moves.
    pub advance: Span,
    /// The events that are injected before the clock moves.
    pub events: Vec<NewEvent>,
}

/// How far the clock of a connector is off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClockError {
    /// It is ahead of the service's.
    Ahead(Span),
    /// It is behind the service's.
    Behind(Span),
}

/// A change of the tokens of an account.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenChange {
    /// All issued tokens expire.
    Expire,
}

/// Equal events of different devices, or at different times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventGroup {
    /// The number of events; 1 by default.
    count: Option<u32>,
    /// The time between two of them; 0 by default.
    every: Option<Span>,
    /// Repeats the details of each event until they have so many characters.
    details_length: Option<usize>,
    #[serde(deserialize_with = "strict::object")]
    event: NewEvent,
}

/// A step: exactly one of the fields, and further ones with `polls`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileStep {
    pub(super) polls: Option<u32>,
    every: Option<Span>,
    requests_at_most: Option<u32>,
    must_fail: Option<bool>,
    must_succeed: Option<bool>,
    takes_at_most: Option<Span>,
    other_requests: Option<u32>,
    advance: Option<Span>,
    #[serde(deserialize_with = "faults")]
    faults: Option<Vec<FaultRule>>,
    events: Option<Vec<EventGroup>>,
    quota: Option<QuotaChange>,
    tokens: Option<TokenChange>,
    kill_after_responses: Option<u32>,
    kill_before_checkpoint: Option<bool>,
    instances: Option<u32>,
    meanwhile: Option<FileMeanwhile>,
    client_clock_ahead: Option<Span>,
    client_clock_behind: Option<Span>,
    api: Option<ReadApi>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileMeanwhile {
    after_responses: u32,
    advance: Span,
    #[serde(default)]
    events: Vec<EventGroup>,
}

fn faults<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<FaultRule>>, D::Error> {
    strict::objects::<MAX_FAULTS, _, _>(deserializer).map(Some)
}

impl FileStep {
    /// The step, the `nth` of a file.
    pub(super) fn check(self, nth: usize) -> Result<Step, ScenarioError> {
        let place = |field: &str| format!("steps[{nth}].{field}");
        let from_1 = |field: &str, number: u32, most: u32| match number {
            1.. if number <= most => Ok(number),
            _ => wrong(format!("{} must be from 1 to {most}, got {number}", place(field))),
        };
        let polls = self.checked_polls(nth)?;
        let has_polls = polls.is_some();
        let of_polls = [
            ("every", self.every.is_some()),
            ("requests_at_most", self.requests_at_most.is_some()),
            ("must_fail", self.must_fail.is_some()),
            ("must_succeed", self.must_succeed.is_some()),
            ("takes_at_most", self.takes_at_most.is_some()),
            ("other_requests", self.other_requests.is_some()),
        ];
        if let Some((field, _)) = of_polls.into_iter().find(|(_, is_there)| *is_there && !has_polls) {
            return wrong(format!("{} needs polls beside it", place(field)));
        }
        if self.kill_before_checkpoint == Some(false) {
            return wrong(format!("{} must be true, got false", place("kill_before_checkpoint")));
        }
        let events = self.events.map(|groups| expanded(&place("events"), &groups)).transpose()?;
        let kill = self.kill_after_responses.map(|count| from_1("kill_after_responses", count, MAX_POLLS));
        let instances = self.instances.map(|count| from_1("instances", count, 8));
        let meanwhile = self.meanwhile.map(|meanwhile| {
            let after_responses = from_1("meanwhile.after_responses", meanwhile.after_responses, MAX_POLLS)?;
            let events = expanded(&place("meanwhile.events"), &meanwhile.events)?;
            if meanwhile.advance.duration().is_zero() {
                return wrong(format!("{} must be longer than 0", place("meanwhile.advance")));
            }
            Ok(Step::Meanwhile(Meanwhile { after_responses, advance: meanwhile.advance, events }))
        });
        let found = [
            polls.map(Step::Polls),
            self.advance.map(Step::Advance),
            self.faults.map(Step::Faults),
            events.map(Step::Events),
            self.quota.map(Step::Quota),
            self.tokens.map(Step::Tokens),
            kill.transpose()?.map(Step::KillAfterResponses),
            self.kill_before_checkpoint.map(|_| Step::KillBeforeCheckpoint),
            instances.transpose()?.map(Step::Instances),
            meanwhile.transpose()?,
            self.client_clock_ahead.map(|by| Step::ClientClock(ClockError::Ahead(by))),
            self.client_clock_behind.map(|by| Step::ClientClock(ClockError::Behind(by))),
            self.api.map(Step::Api),
        ];
        let mut found = found.into_iter().flatten();
        match (found.next(), found.next()) {
            (Some(step), None) => Ok(step),
            _ => wrong(format!("steps[{nth}] must have one of {KEYS}")),
        }
    }

    fn checked_polls(&self, nth: usize) -> Result<Option<Polls>, ScenarioError> {
        let Some(count) = self.polls else { return Ok(None) };
        if !(1..=MAX_POLLS).contains(&count) {
            return wrong(format!("steps[{nth}].polls must be from 1 to {MAX_POLLS}, got {count}"));
        }
        let Some(every) = self.every else {
            return wrong(format!("steps[{nth}].every is required with polls: how far the clock moves before each"));
        };
        if every.duration().is_zero() {
            return wrong(format!("steps[{nth}].every must be longer than 0"));
        }
        if self.must_fail == Some(true) && self.must_succeed == Some(true) {
            return wrong(format!("steps[{nth}] has must_fail and must_succeed, of which one can be true"));
        }
        Ok(Some(Polls {
            count,
            every,
            requests_at_most: self.requests_at_most,
            must_fail: self.must_fail.unwrap_or_default(),
            must_succeed: self.must_succeed.unwrap_or_default(),
            takes_at_most: self.takes_at_most,
            other_requests: self.other_requests.unwrap_or_default(),
        }))
    }
}

/// The events of groups.
pub(super) fn expanded(field: &str, groups: &[EventGroup]) -> Result<Vec<NewEvent>, ScenarioError> {
    let mut events = Vec::new();
    for (nth, group) in groups.iter().enumerate() {
        let count = group.count.unwrap_or(1);
        if count == 0 || events.len() + count as usize > MAX_INJECTED {
            return wrong(format!("{field}[{nth}].count must be from 1, and {MAX_INJECTED} in all, got {count}"));
        }
        let mut event = group.event.clone();
        if let Some(length) = group.details_length {
            event.details = Some(repeated(event.details.as_deref(), length).ok_or_else(|| {
                ScenarioError(format!(
                    "{field}[{nth}].details_length must be from 1 to {MAX_DETAILS} and come with details, got {length}"
                ))
            })?);
        }
        let every = group.every.map_or(0, |every| i64::try_from(every.duration().as_millis()).unwrap_or(i64::MAX));
        for number in 0..count {
            let mut event = event.clone();
            if let Some(at) = event.timestamp.map(|at| at.millis().0) {
                event.timestamp = Some(Millis(at.saturating_add(every.saturating_mul(i64::from(number)))).into());
            }
            // Each one of another device, so that equal events can be at one instant.
            if count > 1 && event.device_id.is_none() && event.category != "admin" {
                event.device_id = Some(format!("SCENARIO{number:06}"));
            }
            events.push(event);
        }
    }
    Ok(events)
}

/// A text that is repeated until it has so many characters.
fn repeated(text: Option<&str>, length: usize) -> Option<String> {
    let text = text.filter(|text| !text.is_empty() && (1..=MAX_DETAILS).contains(&length))?;
    Some(text.chars().cycle().take(length).collect())
}
