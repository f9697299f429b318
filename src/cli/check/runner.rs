//! Runs a connector through one scenario.

use std::{ffi::OsString, io, io::BufReader, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    evidence::Evidence,
    outcome::{Findings, Outcome},
    process::{Connector, Environment},
    store::Store,
    time_source::{FAKE_RATE, FakeClock, TimeSource},
};
use crate::{
    account::{
        Account,
        fault::{Fault, FaultMatch, FaultRule, WaitClock},
        settings::{Name, NewAccount},
    },
    audit::{AuditQuery, FieldMap, RecordFormat},
    clock::{ClockChange, Instant as ClockInstant, Mode, Rate},
    mock::Mock,
    scenario::{ClockError, Meanwhile, ReadApi, Scenario, Span, Step, TokenChange},
    verdict::{RuleOutcome, VerdictSettings},
    world::{Category, Millis},
};

/// The maximum number of examples of each finding of an audit.
const MAX_EXAMPLES: usize = 200;
/// The name of the rule that holds a request in the middle of a poll.
const HOLD: &str = "check-hold";
/// How long the request is held at which a connector is killed, at most.
const UNTIL_KILLED: Duration = Duration::from_secs(3_600);

/// What all scenarios of a check have in common.
#[derive(Debug)]
pub(super) struct RunSettings {
    pub(super) command: Vec<OsString>,
    pub(super) seed: u64,
    pub(super) time_limit: Duration,
    pub(super) category: Category,
    pub(super) map: Option<FieldMap>,
    /// The APIs that the connector can read.
    pub(super) apis: Vec<ReadApi>,
    pub(super) time: TimeSource,
    /// Whether the connector runs throughout, and polls by itself.
    pub(super) is_service: bool,
    /// The folder with a folder for each scenario.
    pub(super) folder: PathBuf,
}

/// A scenario that is being run.
pub(super) struct Run<'a> {
    pub(super) settings: &'a RunSettings,
    scenario: &'a Scenario,
    mock: &'a Mock,
    pub(super) account: Arc<Account>,
    /// What the connector keeps for each API that it has read, the one that it reads now last.
    stores: Vec<Store>,
    /// Until when the scenario must end.
    pub(super) deadline: Instant,
    /// The time for the next step. The clock can be ahead of it, because a connector has waited.
    planned: Millis,
    clock_error: Option<ClockError>,
    pub(super) next: NextPoll,
    /// The connector that runs throughout.
    pub(super) service: Option<Connector>,
    pub(super) findings: Findings,
}

/// What is special about the next poll.
#[derive(Debug, Default)]
pub(super) struct NextPoll {
    pub(super) kill_after: Option<u32>,
    pub(super) loses_checkpoint: bool,
    pub(super) meanwhile: Option<Meanwhile>,
    pub(super) instances: Option<u32>,
}

/// What happens when a request is held in the middle of a poll.
pub(super) enum Middle {
    Kill,
    Meanwhile(Meanwhile),
}

/// Why a step could not be made.
pub(super) type StepError = String;

/// Runs a scenario.
///
/// # Errors
///
/// If the connector cannot be started, or its files cannot be written or read.
pub(super) async fn run(mock: &Mock, scenario: &Scenario, settings: &RunSettings) -> Result<Outcome, String> {
    let started = Instant::now();
    let name: Name = scenario.name.parse()?;
    let wanted = NewAccount { name: Some(name), seed: Some(settings.seed), ..NewAccount::default() };
    let account = mock.accounts().make(scenario.account(wanted)).map_err(|why| format!("{}: {why}", scenario.name))?;
    let folder = settings.folder.join(&scenario.name);
    let api = settings.apis.iter().copied().find(|api| scenario.apis.contains(api)).unwrap_or(ReadApi::V3_3);
    let mut run = Run {
        settings,
        scenario,
        mock,
        planned: account.clock().now(),
        account,
        stores: vec![Store::create(api, folder.clone())?],
        deadline: started + settings.time_limit,
        clock_error: None,
        next: NextPoll::default(),
        service: None,
        findings: Findings::default(),
    };
    run.steps().await?;
    run.finish_service().await?;
    let (findings, evidence) = run.judged()?;
    Ok(Outcome::new(scenario, findings, evidence, started.elapsed(), folder))
}

impl Run<'_> {
    /// Makes all steps, or those until the time is over.
    async fn steps(&mut self) -> Result<(), StepError> {
        for step in &self.scenario.steps {
            match step {
                Step::Polls(polls) => {
                    for _ in 0..polls.count {
                        self.planned = later(self.planned, polls.every);
                        if self.settings.is_service {
                            self.poll_as_service(*polls).await?;
                        } else {
                            self.poll(*polls).await?;
                        }
                        if self.findings.is_over() {
                            return Ok(());
                        }
                    }
                }
                Step::Advance(by) => {
                    self.end_service().await?;
                    self.planned = later(self.planned, *by);
                    self.turn_to_plan();
                }
                Step::Faults(rules) => {
                    self.account.replace_faults(rules.clone()).map_err(|why| why.to_string())?;
                }
                Step::Events(events) => {
                    self.account.inject(events).map_err(|(nth, why)| format!("events[{nth}].{why}"))?;
                }
                Step::Quota(quota) => self.account.set_quota(*quota),
                Step::Tokens(TokenChange::Expire) => drop(self.account.expire_tokens()),
                Step::KillAfterResponses(count) => self.next.kill_after = Some(*count),
                Step::KillBeforeCheckpoint => self.next.loses_checkpoint = true,
                Step::Meanwhile(meanwhile) => self.next.meanwhile = Some(meanwhile.clone()),
                Step::Instances(count) => self.next.instances = Some(*count),
                Step::ClientClock(error) => self.clock_error = Some(*error),
                Step::Api(api) => {
                    self.end_service().await?;
                    let folder = self.settings.folder.join(&self.scenario.name).join(api.code());
                    self.stores.push(Store::create(*api, folder)?);
                }
            }
        }
        Ok(())
    }

    /// Turns the clock to the time of the next step, unless it is later already.
    pub(super) fn turn_to_plan(&self) {
        self.turn_to(self.planned);
    }

    pub(super) fn planned(&self) -> Millis {
        self.planned
    }

    pub(super) fn turn_to(&self, at: Millis) {
        if let Ok(by) = u64::try_from(at.0.saturating_sub(self.account.clock().now().0)) {
            self.turn_by(Duration::from_millis(by));
        }
    }

    /// Turns the clock of the account, and the connector's own.
    pub(super) fn turn_by(&self, by: Duration) {
        self.account.advance(by);
        self.lead_fake_clock();
    }

    /// Lets the clocks run while the connector does, if it sees a fake clock, which cannot stand still.
    pub(super) fn let_clock_run(&self) -> Result<(), StepError> {
        if let TimeSource::Fake(_) = self.settings.time {
            let rate = Rate::try_from(f64::from(self.rate()))?;
            let change = ClockChange { mode: Some(Mode::Scaled), now: None, rate: Some(rate) };
            self.account.clock().set(change).map_err(|why| why.to_string())?;
            self.lead_fake_clock();
        }
        Ok(())
    }

    pub(super) fn freeze_clock(&self) -> Result<(), StepError> {
        let change = ClockChange { mode: Some(Mode::Frozen), now: None, rate: None };
        self.account.clock().set(change).map(drop).map_err(|why| why.to_string())
    }

    /// How fast clocks run that cannot stand still.
    fn rate(&self) -> u32 {
        if self.scenario.has_real_waits { 1 } else { FAKE_RATE }
    }

    fn fake_clock(&self) -> FakeClock {
        FakeClock::new(self.store().path("faketime"), self.rate())
    }

    fn lead_fake_clock(&self) {
        if let TimeSource::Fake(_) = self.settings.time {
            // What cannot be written shows when the connector is started.
            let _ = self.fake_clock().set(self.client_now());
        }
    }

    /// Prepares what is special about a poll.
    pub(super) fn prepare(&mut self, other_requests: u32, next: &NextPoll) -> Result<Option<Middle>, StepError> {
        let store = self.store();
        if next.loses_checkpoint {
            store.keep_state().map_err(|error| store.unusable(&error))?;
        }
        self.account.take_quota(store.api.name(), other_requests);
        let (after, until, middle) = match (next.kill_after, &next.meanwhile) {
            (Some(after), _) => (after, UNTIL_KILLED, Middle::Kill),
            (None, Some(meanwhile)) => {
                (meanwhile.after_responses, meanwhile.advance.duration(), Middle::Meanwhile(meanwhile.clone()))
            }
            (None, None) => return Ok(None),
        };
        self.account.add_faults(vec![hold(after, until)]).map_err(|why| why.to_string())?;
        Ok(Some(middle))
    }

    /// Ends what was special about a poll.
    pub(super) fn clear(&mut self, next: &NextPoll) -> Result<(), StepError> {
        self.account.forget_faults(Some(HOLD));
        if next.loses_checkpoint {
            let store = self.store();
            store.put_state_back().map_err(|error| store.unusable(&error))?;
        }
        Ok(())
    }

    /// Notes that the connector polls now.
    pub(super) fn note_poll(&mut self) -> ClockInstant {
        let now = self.account.clock().reading().now;
        self.stores.last_mut().expect("a scenario starts with one").until = Some(now);
        now
    }

    pub(super) fn start(&self) -> Result<Connector, StepError> {
        let (settings, store) = (self.settings, self.store());
        if let TimeSource::Fake(_) = settings.time {
            self.fake_clock().set(self.client_now()).map_err(|error| store.unusable(&error))?;
        }
        let started =
            Connector::start(&settings.command, &self.environment(), &store.path("stdout"), &store.path("stderr"));
        started.map_err(|error| format!("cannot start {}: {error}", settings.command[0].to_string_lossy()))
    }

    /// What the connector can know.
    fn environment(&self) -> Environment {
        let (account, store) = (self.account.describe(), self.store());
        let url = self.mock.base_url();
        let file = |name: &str| store.path(name).to_string_lossy().into_owned();
        let clock = format!("{url}/_mock/accounts/{}/clock", account.name);
        let mut values = vec![
            ("url", url),
            ("access_token", account.access_token),
            ("client_id", account.client_id),
            ("client_secret", account.client_secret),
            ("api", store.api.code().to_owned()),
            ("state_dir", file("state")),
            ("out", file("out.ndjson")),
            ("since", self.scenario.since.to_string()),
        ];
        let now = ("now", self.client_now().to_string());
        let mut hidden = Vec::new();
        match (&self.settings.time, self.settings.is_service) {
            (TimeSource::Env, false) => values.extend([now, ("sleep_url", format!("{clock}/advance"))]),
            // It asks for the time, because it runs on while the clock is turned.
            (TimeSource::Env, true) => {
                values.extend([("clock_url", clock.clone()), ("sleep_url", format!("{clock}/sleep"))]);
            }
            (TimeSource::Fake(_), _) => hidden.push(now),
        }
        let mut variables = Vec::new();
        if let Some(zone) = &self.scenario.timezone {
            variables.push(("TZ", zone.clone()));
        }
        if let TimeSource::Fake(library) = &self.settings.time {
            variables.extend(self.fake_clock().variables(library));
        }
        Environment { values, hidden, variables }
    }

    /// The time that the connector's clock shows.
    fn client_now(&self) -> ClockInstant {
        let now = self.account.clock().now();
        Millis(match self.clock_error {
            None => now.0,
            Some(ClockError::Ahead(by)) => now.0.saturating_add(millis(by)),
            Some(ClockError::Behind(by)) => now.0.saturating_sub(millis(by)),
        })
        .into()
    }

    pub(super) fn store(&self) -> &Store {
        self.stores.last().expect("a scenario starts with one")
    }

    pub(super) fn last_request(&self) -> u64 {
        self.account.requests(u64::MAX - 1, 1).noted
    }

    /// Does what happens in the middle of a poll, if the request is there that is held for it. Returns whether the connector
    /// must be killed.
    pub(super) fn is_killed_in(&self, middle: &mut Option<Middle>) -> Result<bool, StepError> {
        let holds = |middle: &Option<Middle>| {
            let is_held = |name: Option<&str>| name == Some(HOLD);
            middle.is_some()
                && self.account.faults().iter().any(|rule| is_held(rule.rule.name.as_deref()) && rule.applied > 0)
        };
        if !holds(middle) {
            return Ok(false);
        }
        match middle.take() {
            Some(Middle::Kill) => return Ok(true),
            Some(Middle::Meanwhile(meanwhile)) => {
                self.account.inject(&meanwhile.events).map_err(|(nth, why)| format!("events[{nth}].{why}"))?;
                self.turn_by(meanwhile.advance.duration());
            }
            None => {}
        }
        Ok(false)
    }

    /// Whether the last request was refused for its quota.
    pub(super) fn was_refused(&self, last: u64) -> bool {
        let requests = self.account.requests(last.saturating_sub(1), 1).requests;
        requests.last().is_some_and(|request| request.status == Some(429))
    }

    /// The time until the quota allows the next request of each client.
    pub(super) fn until_allowed(&self) -> Duration {
        let quota = self.account.quota().settings;
        Duration::from_secs(u64::from(quota.per_seconds.get()))
    }

    /// What the audits, the verdict and the processes show.
    fn judged(mut self) -> Result<(Findings, Evidence), String> {
        if self.last_request() == 0 {
            self.findings.add("It made no request.".to_owned());
        }
        let map = self.map()?;
        let has_several = self.stores.len() > 1;
        let mut evidence = Evidence::new(&self.account, self.settings.category, self.scenario.since);
        for (store, until) in self.stores.iter().filter_map(|store| Some((store, store.until?))) {
            let mut query = AuditQuery::new(self.settings.category).window(self.scenario.since..until);
            query.map.clone_from(&map);
            query.examples = MAX_EXAMPLES;
            let records = store.records().map_err(|error| format!("cannot read what the connector stored: {error}"))?;
            let report = match records {
                Some(file) => self.account.audit_stream(&query, RecordFormat::Json, BufReader::new(file)),
                None => self.account.audit_stream(&query, RecordFormat::Json, io::empty()),
            };
            let report = report.map_err(|error| error.to_string())?;
            self.findings.add_audit(&report, has_several.then_some(store.api));
            evidence.add_audit(&report);
        }
        let ignored = &self.scenario.ignored_rules;
        let settings = VerdictSettings { disabled: ignored.clone(), ..VerdictSettings::default() };
        let verdict = self.account.verdict_with(&settings).map_err(|error| error.to_string())?;
        for rule in verdict.rules.iter().filter(|rule| rule.result == RuleOutcome::Fail) {
            self.findings.add_rule(rule.rule, &rule.sentence);
        }
        self.findings.close(&self.store().last_error());
        evidence.said = self.stores.iter().map(Store::said).collect();
        Ok((self.findings, evidence))
    }

    /// Where the records have the fields that are compared.
    fn map(&self) -> Result<Option<FieldMap>, String> {
        let left_out = &self.scenario.not_compared;
        let map = self.settings.map.clone();
        if left_out.is_empty() {
            return Ok(map);
        }
        let map = map.unwrap_or_else(|| FieldMap::of_rows(self.settings.category));
        map.without(left_out).map(Some).map_err(|why| format!("{}: not_compared: {why}", self.scenario.name))
    }
}

/// A rule that holds the request after so many responses, until the rule is deleted and the clock is turned.
fn hold(after_responses: u32, at_most: Duration) -> FaultRule {
    let delay_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
    FaultRule {
        name: Some(HOLD.to_owned()),
        matches: FaultMatch { nth: Some(u64::from(after_responses) + 1), ..FaultMatch::default() },
        fault: Fault { delay_ms: Some(delay_ms), waits_on: WaitClock::Account, ..Fault::default() },
        hidden: true,
        ..FaultRule::default()
    }
}

fn later(at: Millis, by: Span) -> Millis {
    Millis(at.0.saturating_add(millis(by)))
}

fn millis(span: Span) -> i64 {
    i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX)
}
