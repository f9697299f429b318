//! The format of a scenario file, version 1.

use serde::Deserialize;
use toml::Value;

use super::{
    error::{ScenarioError, shown, wrong},
    read_api::ReadApi,
    step::{EventGroup, FileStep, Step, expanded},
};
use crate::{
    account::{fault::WaitClock, settings::NewAccount, strict},
    clock::Instant,
    toml_values,
};

/// The version of the format that this release reads.
const FORMAT: u32 = 1;
/// The maximum number of steps.
const MAX_STEPS: usize = 200;
/// The words that group scenarios.
const TAGS: [&str; 8] = ["paging", "time", "tokens", "quota", "network", "process", "data", "migration"];

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
    /// The APIs that it fits.
    pub apis: Vec<ReadApi>,
    /// The time zone of the connector's machine, such as `Europe/Berlin`.
    pub timezone: Option<String>,
    /// Whether it cannot be run on a small scale, in real time.
    pub needs_virtual_time: bool,
    /// Whether a fault waits by the machine's clock, so that a connector's clock must not be fast.
    pub has_real_waits: bool,
    /// The fields that are not compared, because a fault changes them.
    pub not_compared: Vec<String>,
    /// The first instant whose events the connector must have.
    pub since: Instant,
    /// The account, without a name.
    pub account: NewAccount,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// The rules of the verdict that do not apply.
    pub ignored_rules: Vec<String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    name: String,
    title: String,
    why: String,
    tags: Vec<String>,
    apis: Option<Vec<ReadApi>>,
    timezone: Option<String>,
    #[serde(default)]
    needs_virtual_time: bool,
    #[serde(default)]
    not_compared: Vec<String>,
    since: Option<Instant>,
    #[serde(default, deserialize_with = "strict::object")]
    account: NewAccount,
    #[serde(default)]
    events: Vec<EventGroup>,
    steps: Vec<FileStep>,
    #[serde(default)]
    ignored_rules: Vec<String>,
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

    /// The APIs that its steps switch to. A connector must be able to read all of them.
    pub fn needed_apis(&self) -> impl Iterator<Item = ReadApi> + '_ {
        self.steps.iter().filter_map(|step| if let Step::Api(api) = step { Some(*api) } else { None })
    }

    /// Whether it has events of its own.
    #[must_use]
    pub fn injects(&self) -> bool {
        let has_events = |step: &Step| match step {
            Step::Events(events) => !events.is_empty(),
            Step::Meanwhile(meanwhile) => !meanwhile.events.is_empty(),
            _ => false,
        };
        !self.account.events.is_empty() || self.steps.iter().any(has_events)
    }

    /// Whether the clock of the connector is wrong in it.
    #[must_use]
    pub fn has_wrong_client_clock(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::ClientClock(_)))
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

/// Checks that one thing only happens in the middle of a poll.
fn check_next_poll(steps: &[Step]) -> Result<(), ScenarioError> {
    let (mut earlier, mut is_left) = (None, None);
    for (nth, step) in steps.iter().enumerate() {
        let what = match step {
            Step::KillAfterResponses(_) => "kill_after_responses",
            Step::Meanwhile(_) => "meanwhile",
            Step::Instances(_) => "instances",
            Step::KillBeforeCheckpoint => {
                is_left = Some("kill_before_checkpoint");
                continue;
            }
            Step::Polls(_) => {
                (earlier, is_left) = (None, None);
                continue;
            }
            _ => continue,
        };
        if let Some(earlier) = earlier.replace(what) {
            return wrong(format!("steps[{nth}].{what} is for the same poll as {earlier}: polls must be between them"));
        }
    }
    earlier.or(is_left).map_or(Ok(()), |what| wrong(format!("steps must have polls after {what}")))
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
        let apis = self.apis.unwrap_or_else(|| ReadApi::ALL.to_vec());
        if apis.is_empty() {
            return wrong(format!("apis must be some of {}, got none", ReadApi::ALL.map(ReadApi::code).join(", ")));
        }
        let is_zone = |zone: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_/+-".contains(c);
            (1..=60).contains(&zone.len()) && zone.chars().all(is_part)
        };
        if let Some(zone) = self.timezone.as_ref().filter(|zone| !is_zone(zone)) {
            return wrong(format!("timezone must be a name such as Europe/Berlin, got {:?}", shown(zone)));
        }
        let NewAccount { name, access_token, client_id, client_secret, .. } = &self.account;
        if name.is_some() || access_token.is_some() || client_id.is_some() || client_secret.is_some() {
            return wrong("account must not have a name or credentials: each run has its own".to_owned());
        }
        if self.account.seed.is_some() || self.account.scenario.is_some() {
            return wrong("account must not have a seed or a scenario: the run has them".to_owned());
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
        let steps: Vec<Step> =
            self.steps.into_iter().enumerate().map(|(nth, step)| step.check(nth)).collect::<Result<_, _>>()?;
        for (nth, step) in steps.iter().enumerate() {
            let Step::Faults(rules) = step else { continue };
            for (of, rule) in rules.iter().enumerate() {
                rule.check().map_err(|why| ScenarioError(format!("steps[{nth}].faults[{of}]: {why}")))?;
            }
        }
        check_next_poll(&steps)?;
        for (of, rule) in account.faults.iter().enumerate() {
            rule.check().map_err(|why| ScenarioError(format!("account.faults[{of}]: {why}")))?;
        }
        let later_faults = steps.iter().flat_map(|step| if let Step::Faults(rules) = step { &rules[..] } else { &[] });
        let has_real_waits = account.faults.iter().chain(later_faults).any(|rule| {
            let fault = &rule.fault;
            fault.waits_on == WaitClock::Machine && (fault.delay_ms.is_some() || fault.drip_bytes_per_second.is_some())
        });
        Ok(Scenario {
            name: self.name,
            title: self.title,
            why: self.why,
            tags: self.tags,
            apis,
            timezone: self.timezone,
            needs_virtual_time: self.needs_virtual_time,
            has_real_waits,
            not_compared: self.not_compared,
            since,
            account,
            steps,
            ignored_rules: self.ignored_rules,
        })
    }
}

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
        let Some(Step::Polls(polls)) = scenario.steps.first() else { panic!("{:?}", scenario.steps) };
        assert_eq!((polls.count, polls.every.to_string()), (2, "15m".to_owned()));
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
                "tags must be some of paging, time, tokens, quota, network, process, data, migration, got \"x\"",
            ),
            ("now = 2026-01-15T12:00:00Z", "", "account.now is required: the time at which the scenario starts"),
            ("every = \"15m\"", "", "steps[0].every is required with polls: how far the clock moves before each"),
            ("every = \"15m\"", "every = \"0s\"", "steps[0].every must be longer than 0"),
            ("every = \"15m\"", "every = \"soon\"", "steps[0].every: must be a time such as 90s"),
            ("polls = 2", "polls = 0", "steps[0].polls must be from 1 to 1000, got 0"),
            (
                "every = \"15m\"",
                "every = \"15m\"\n[[steps]]\nmust_fail = true",
                "steps[1].must_fail needs polls beside it",
            ),
            (
                "polls = 2",
                "polls = 2\nmeanwhile = { after_responses = 0, advance = \"1s\" }",
                "steps[0].meanwhile.after_responses must be from 1 to 1000, got 0",
            ),
            ("tags =", "apis = []\ntags =", "apis must be some of v2, v3, v3.3, got none"),
            ("tags =", "timezone = \"x y\"\ntags =", "timezone must be a name such as Europe/Berlin, got \"x y\""),
            ("polls = 2", "polls = 2\nadvance = \"1s\"", "steps[0] must have one of polls (with every), "),
            ("polls = 2", "poll = 2", "steps[0].poll: unknown field `poll`"),
            ("[account]", "[account]\nname = \"x\"", "account must not have a name or credentials"),
            ("[account]", "[account]\nseed = 7", "account must not have a seed or a scenario: the run has them"),
            (
                "every = \"15m\"",
                "every = \"15m\"\nmust_fail = true\nmust_succeed = true",
                "steps[0] has must_fail and must_succeed, of which one can be true",
            ),
            (
                "[[steps]]",
                "[[steps]]\nkill_after_responses = 1\n[[steps]]\ninstances = 2\n[[steps]]",
                "steps[1].instances is for the same poll as kill_after_responses: polls must be between them",
            ),
            ("every = \"15m\"", "every = \"15m\"\n[[steps]]\ninstances = 2", "steps must have polls after instances"),
        ] {
            let got = Scenario::parse(&SMALL.replacen(from, to, 1)).expect_err("an error").to_string();
            assert!(got.starts_with(why), "{to}: {got}");
        }
    }
}
