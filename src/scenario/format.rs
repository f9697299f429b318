//! The format of a scenario file, version 1.

use std::fmt;

use serde::Deserialize;
use toml::Value;

use super::span::Span;
use crate::{
    account::{
        fault::{FaultRule, MAX_FAULTS},
        injected::{MAX_INJECTED, NewEvent},
        quota::QuotaChange,
        settings::NewAccount,
        strict,
    },
    clock::Instant,
    toml_values,
    world::Millis,
};

/// The version of the format that this release reads.
const FORMAT: u32 = 1;
/// The maximum number of steps.
const MAX_STEPS: usize = 200;
/// The maximum number of polls in one step.
const MAX_POLLS: u32 = 1_000;
/// The words that group scenarios.
const TAGS: [&str; 7] = ["paging", "time", "tokens", "quota", "network", "process", "data"];

/// A situation that a connector must cope with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// The name: lowercase letters, digits and `-`.
    pub name: String,
    /// What happens.
    pub title: String,
    /// Why it matters: the incident in the field that it stands for.
    pub why: String,
    /// Its groups.
    pub tags: Vec<String>,
    /// The first instant whose events the connector must have.
    pub since: Instant,
    /// The account, without a name.
    pub account: NewAccount,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// The rules of the verdict that do not apply.
    pub ignored_rules: Vec<String>,
}

/// One thing that happens in a scenario.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// The connector polls this many times, each time after the clock has moved.
    Polls {
        /// The number of polls.
        count: u32,
        /// How far the clock moves before each of them.
        every: Span,
    },
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
    /// The next poll is made by so many instances of the connector at once.
    Instances(u32),
}

/// A change of the tokens of an account.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenChange {
    /// All issued tokens expire.
    Expire,
}

/// Why a text is no scenario: the place in it, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScenarioError(String);

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    name: String,
    title: String,
    why: String,
    tags: Vec<String>,
    since: Option<Instant>,
    #[serde(default, deserialize_with = "strict::object")]
    account: NewAccount,
    #[serde(default)]
    events: Vec<EventGroup>,
    steps: Vec<FileStep>,
    #[serde(default)]
    ignored_rules: Vec<String>,
}

/// Equal events of different devices or administrators, or at different times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventGroup {
    /// The number of events; 1 by default.
    count: Option<u32>,
    /// The time between two of them; 0 by default.
    every: Option<Span>,
    #[serde(deserialize_with = "strict::object")]
    event: NewEvent,
}

/// A step: exactly one of the fields, and `every` with `polls`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileStep {
    polls: Option<u32>,
    every: Option<Span>,
    advance: Option<Span>,
    #[serde(deserialize_with = "faults")]
    faults: Option<Vec<FaultRule>>,
    events: Option<Vec<EventGroup>>,
    quota: Option<QuotaChange>,
    tokens: Option<TokenChange>,
    kill_after_responses: Option<u32>,
    instances: Option<u32>,
}

fn faults<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<FaultRule>>, D::Error> {
    strict::objects::<MAX_FAULTS, _, _>(deserializer).map(Some)
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// Which part of the file is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let table = toml_values::table(text).map_err(ScenarioError)?;
        let file: File = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let (place, why) = (error.path().to_string(), error.inner().message());
            ScenarioError(if place == "." { why.to_owned() } else { format!("{place}: {why}") })
        })?;
        file.check()
    }

    /// The settings of an account in this situation. What `other` has, is instead of what the scenario has.
    #[must_use]
    pub fn account(&self, other: NewAccount) -> NewAccount {
        let own = self.account.clone();
        NewAccount {
            name: other.name,
            seed: other.seed.or(own.seed),
            devices: other.devices.or(own.devices),
            now: other.now.or(own.now),
            quota: other.quota.or(own.quota),
            profile: other.profile.or(own.profile),
            retention_days: other.retention_days.or(own.retention_days),
            lag: other.lag.or(own.lag),
            journal: other.journal.or(own.journal),
            dense: other.dense.or(own.dense),
            access_token: other.access_token,
            client_id: other.client_id,
            client_secret: other.client_secret,
            redirect_uris: other.redirect_uris,
            tokens: other.tokens,
            faults: if other.faults.is_empty() { own.faults } else { other.faults },
            events: if other.events.is_empty() { own.events } else { other.events },
            scenario: None,
        }
    }
}

impl File {
    fn check(self) -> Result<Scenario, ScenarioError> {
        if self.format != FORMAT {
            return wrong(format!("format must be {FORMAT}, got {}", self.format));
        }
        let is_word = |text: &str| {
            (1..=60).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_word(&self.name) {
            return wrong(format!("name must be 1 to 60 lowercase letters, digits and -, got {:?}", shown(&self.name)));
        }
        for (field, text) in [("title", &self.title), ("why", &self.why)] {
            if text.trim().is_empty() || text.contains('\n') {
                return wrong(format!("{field} must be one line of text, got {:?}", shown(text)));
            }
        }
        if let Some(tag) = self.tags.iter().find(|tag| !TAGS.contains(&tag.as_str())) {
            return wrong(format!("tags must be some of {}, got {:?}", TAGS.join(", "), shown(tag)));
        }
        let NewAccount { name, access_token, client_id, client_secret, .. } = &self.account;
        if name.is_some() || access_token.is_some() || client_id.is_some() || client_secret.is_some() {
            return wrong("account must not have a name or credentials: each run has its own".to_owned());
        }
        let Some(now) = self.account.now else {
            return wrong("account.now is required: the time at which the scenario starts".to_owned());
        };
        let since = self.since.unwrap_or(now);
        if since > now {
            return wrong(format!("since must not be after account.now ({now}), got {since}"));
        }
        let mut account = self.account;
        account.events.extend(expanded("events", &self.events)?);
        if !self.steps.iter().any(|step| step.polls.is_some()) || self.steps.len() > MAX_STEPS {
            return wrong(format!("steps must be 1 to {MAX_STEPS}, some of them with polls"));
        }
        let steps = self.steps.into_iter().enumerate().map(|(nth, step)| step.check(nth)).collect::<Result<_, _>>()?;
        Ok(Scenario {
            name: self.name,
            title: self.title,
            why: self.why,
            tags: self.tags,
            since,
            account,
            steps,
            ignored_rules: self.ignored_rules,
        })
    }
}

impl FileStep {
    fn check(self, nth: usize) -> Result<Step, ScenarioError> {
        let every = self.every;
        let from_1 = |field: &str, number: u32, most: u32| match number {
            1.. if number <= most => Ok(number),
            _ => wrong(format!("steps[{nth}].{field} must be from 1 to {most}, got {number}")),
        };
        let events = self.events.map(|groups| expanded(&format!("steps[{nth}].events"), &groups)).transpose()?;
        let polls = self.polls.map(|count| {
            let every = every.ok_or_else(|| {
                ScenarioError(format!("steps[{nth}].every is required with polls: how far the clock moves before each"))
            })?;
            Ok(Step::Polls { count: from_1("polls", count, MAX_POLLS)?, every })
        });
        let kill = self.kill_after_responses.map(|count| from_1("kill_after_responses", count, MAX_POLLS));
        let instances = self.instances.map(|count| from_1("instances", count, 8));
        let found = [
            polls.transpose()?,
            self.advance.map(Step::Advance),
            self.faults.map(Step::Faults),
            events.map(Step::Events),
            self.quota.map(Step::Quota),
            self.tokens.map(Step::Tokens),
            kill.transpose()?.map(Step::KillAfterResponses),
            instances.transpose()?.map(Step::Instances),
        ];
        let mut found = found.into_iter().flatten();
        let step = found.next().filter(|step| every.is_none() || matches!(step, Step::Polls { .. }));
        match (step, found.next()) {
            (Some(step), None) => Ok(step),
            _ => wrong(format!(
                "steps[{nth}] must have one of polls (with every), advance, faults, events, quota, tokens, \
                 kill_after_responses, instances"
            )),
        }
    }
}

/// The events of groups.
fn expanded(field: &str, groups: &[EventGroup]) -> Result<Vec<NewEvent>, ScenarioError> {
    let mut events = Vec::new();
    for (nth, group) in groups.iter().enumerate() {
        let count = group.count.unwrap_or(1);
        if count == 0 || events.len() + count as usize > MAX_INJECTED {
            return wrong(format!("{field}[{nth}].count must be from 1, and {MAX_INJECTED} in all, got {count}"));
        }
        let every = group.every.map_or(0, |every| i64::try_from(every.duration().as_millis()).unwrap_or(i64::MAX));
        for number in 0..count {
            let mut event = group.event.clone();
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

fn wrong<T>(why: String) -> Result<T, ScenarioError> {
    Err(ScenarioError(why))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
format = 1
name = "small"
title = "Nothing happens"
why = "A test of the format."
tags = ["time"]
[account]
now = 2026-01-15T12:00:00Z
[[steps]]
polls = 2
every = "15m"
"#;

    #[test]
    fn a_small_scenario_is_read() {
        let scenario = Scenario::parse(SMALL).expect("a scenario");
        assert_eq!(scenario.steps, [Step::Polls { count: 2, every: "15m".parse().expect("a span") }]);
        assert_eq!(Some(scenario.since), scenario.account.now);
    }

    #[test]
    fn wrong_files_are_refused_with_the_name_of_the_field() {
        for (from, to, why) in [
            ("format = 1", "format = 2", "format must be 1, got 2"),
            ("name = \"small\"", "name = \"No\"", "name must be 1 to 60 lowercase letters, digits and -, got \"No\""),
            ("title", "titel", "titel: unknown field `titel`"),
            (
                "[\"time\"]",
                "[\"x\"]",
                "tags must be some of paging, time, tokens, quota, network, process, data, got \"x\"",
            ),
            ("now = 2026-01-15T12:00:00Z", "", "account.now is required: the time at which the scenario starts"),
            ("every = \"15m\"", "", "steps[0].every is required with polls: how far the clock moves before each"),
            ("every = \"15m\"", "every = \"soon\"", "steps[0].every: must be a time such as 90s"),
            ("polls = 2", "polls = 0", "steps[0].polls must be from 1 to 1000, got 0"),
            ("polls = 2", "polls = 2\nadvance = \"1s\"", "steps[0] must have one of polls (with every), advance, "),
            ("polls = 2", "poll = 2", "steps[0].poll: unknown field `poll`"),
            ("[account]", "[account]\nname = \"x\"", "account must not have a name or credentials"),
        ] {
            let got = Scenario::parse(&SMALL.replacen(from, to, 1)).expect_err("an error").to_string();
            assert!(got.starts_with(why), "{to}: {got}");
        }
    }
}
