//! Runs a connector through one scenario.

use std::{ffi::OsString, io, io::BufReader, path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    outcome::{Findings, Outcome},
    process::Connector,
    store::Store,
};
use crate::{
    account::{
        Account,
        fault::{Fault, FaultMatch, FaultRule, WaitClock},
        settings::{Name, NewAccount},
    },
    audit::{AuditQuery, FieldMap, RecordFormat},
    clock::Instant as ClockInstant,
    mock::Mock,
    scenario::{ClockError, Meanwhile, Polls, ReadApi, Scenario, Step, TokenChange},
    verdict::{RuleOutcome, VerdictSettings},
    world::{Category, Millis},
};

/// How long a connector must be silent after a 429 before the clock is turned to the next request that the quota allows.
const SILENCE: Duration = Duration::from_millis(300);
/// The time between two looks at a running connector.
const TICK: Duration = Duration::from_millis(10);
/// The maximum number of requests in one poll.
const MAX_REQUESTS: u64 = 2_000;
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
    /// The folder with a folder for each scenario.
    pub(super) folder: PathBuf,
}

/// A scenario that is being run.
struct Run<'a> {
    settings: &'a RunSettings,
    scenario: &'a Scenario,
    mock: &'a Mock,
    account: Arc<Account>,
    /// What the connector keeps for each API that it has read, the one that it reads now last.
    stores: Vec<Store>,
    deadline: Instant,
    clock_error: Option<ClockError>,
    next: NextPoll,
    findings: Findings,
}

/// What is special about the next poll.
#[derive(Debug, Default)]
struct NextPoll {
    kill_after: Option<u32>,
    loses_checkpoint: bool,
    meanwhile: Option<Meanwhile>,
    instances: Option<u32>,
}

/// What happens when a request is held in the middle of a poll.
enum Middle {
    Kill,
    Meanwhile(Meanwhile),
}

/// Why a poll could not be made.
type PollError = String;

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
        account,
        stores: vec![Store::create(api, folder.clone())?],
        deadline: started + settings.time_limit,
        clock_error: None,
        next: NextPoll::default(),
        findings: Findings::default(),
    };
    run.steps().await?;
    let findings = run.judged()?;
    Ok(Outcome::new(scenario, findings, started.elapsed(), folder))
}

impl Run<'_> {
    /// Makes all steps, or those until the time is over.
    async fn steps(&mut self) -> Result<(), PollError> {
        for step in &self.scenario.steps {
            match step {
                Step::Polls(polls) => {
                    for _ in 0..polls.count {
                        self.account.advance(polls.every.duration());
                        self.poll(*polls).await?;
                        if self.findings.is_over() {
                            return Ok(());
                        }
                    }
                }
                Step::Advance(by) => drop(self.account.advance(by.duration())),
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
                Step::Api(api) => self.read_other_api(*api)?,
            }
        }
        Ok(())
    }

    fn read_other_api(&mut self, api: ReadApi) -> Result<(), String> {
        let folder = self.settings.folder.join(&self.scenario.name).join(api.code());
        self.stores.push(Store::create(api, folder)?);
        Ok(())
    }

    /// Runs the connector once, or several instances of it at once.
    async fn poll(&mut self, polls: Polls) -> Result<(), PollError> {
        let next = std::mem::take(&mut self.next);
        let store = self.store().clone();
        let unusable = |error: io::Error| format!("cannot use {}: {error}", store.folder.display());
        if next.loses_checkpoint {
            store.keep_state().map_err(unusable)?;
        }
        self.account.take_quota(store.api.name(), polls.other_requests);
        let middle = self.hold(next.kill_after, next.meanwhile)?;
        let is_ended = middle.is_some() || next.loses_checkpoint;
        let now = self.account.clock().reading().now;
        self.stores.iter_mut().next_back().expect("a scenario starts with one").until = Some(now);
        let before = self.last_request();
        let mut connectors = Vec::new();
        for _ in 0..next.instances.unwrap_or(1) {
            connectors.push(self.started(&store)?);
        }
        let mut middle = middle;
        let mut statuses = Vec::new();
        for connector in &mut connectors {
            statuses.extend(self.end_of(connector, before, &mut middle).await?);
        }
        if is_ended {
            self.account.forget_faults(Some(HOLD));
        }
        if next.loses_checkpoint {
            store.put_state_back().map_err(unusable)?;
        }
        self.note_end(polls, now, &statuses, self.last_request() - before);
        Ok(())
    }

    /// Adds what the end of a poll shows.
    fn note_end(&mut self, polls: Polls, began: ClockInstant, statuses: &[ExitStatus], requests: u64) {
        let failed = statuses.iter().copied().find(|status| !status.success());
        if !polls.must_fail {
            self.findings.set_exit(failed);
        } else if failed.is_none() && !self.findings.is_over() {
            let why = "A poll that could read nothing ended with exit code 0, so nobody gets to know that it failed.";
            self.findings.add(why.to_owned());
        }
        if let Some(failed) = failed.filter(|_| polls.must_succeed) {
            self.findings
                .add(format!("A poll that can succeed ended with {failed}{}", said(&self.store().last_error())));
        }
        let took = self.account.clock().now().0 - began.millis().0;
        if let Some(most) =
            polls.takes_at_most.filter(|most| i128::from(took) > most.duration().as_millis().cast_signed())
        {
            self.findings.add(format!("It waited {} s in a poll that can end within {most}.", took / 1_000));
        }
        if let Some(most) = polls.requests_at_most.map(u64::from).filter(|most| requests > *most) {
            self.findings.add(format!("It made {requests} requests in a poll in which {most} are enough."));
        }
    }

    /// Holds a request in the middle of the next poll, if something happens there.
    fn hold(&self, kill_after: Option<u32>, meanwhile: Option<Meanwhile>) -> Result<Option<Middle>, PollError> {
        let (after, until, middle) = match (kill_after, meanwhile) {
            (Some(after), _) => (after, UNTIL_KILLED, Middle::Kill),
            (None, Some(meanwhile)) => {
                (meanwhile.after_responses, meanwhile.advance.duration(), Middle::Meanwhile(meanwhile))
            }
            (None, None) => return Ok(None),
        };
        self.account.add_faults(vec![hold(after, until)]).map_err(|why| why.to_string())?;
        Ok(Some(middle))
    }

    fn started(&self, store: &Store) -> Result<Connector, PollError> {
        let settings = self.settings;
        let started = Connector::start(
            &settings.command,
            &self.variables(store),
            self.scenario.timezone.as_deref(),
            &store.path("stdout"),
            &store.path("stderr"),
        );
        started.map_err(|error| format!("cannot start {}: {error}", settings.command[0].to_string_lossy()))
    }

    /// Waits for the end of a connector, or ends it. `None` for one that was ended on purpose.
    async fn end_of(
        &mut self,
        connector: &mut Connector,
        before: u64,
        middle: &mut Option<Middle>,
    ) -> Result<Option<ExitStatus>, PollError> {
        let mut silence = Silence { last: before, since: Instant::now() };
        loop {
            let tick = (Instant::now() + TICK).min(self.deadline);
            if let Ok(status) = timeout_at(tick, connector.ended()).await {
                return status.map(Some).map_err(|error| format!("cannot wait for the connector: {error}"));
            }
            let last = self.last_request();
            if middle.is_some() && self.holds() {
                match middle.take() {
                    Some(Middle::Kill) => {
                        connector.kill().await;
                        return Ok(None);
                    }
                    Some(Middle::Meanwhile(meanwhile)) => {
                        self.account.inject(&meanwhile.events).map_err(|(nth, why)| format!("events[{nth}].{why}"))?;
                        self.account.advance(meanwhile.advance.duration());
                    }
                    None => {}
                }
            }
            if last - before > MAX_REQUESTS {
                self.findings.end(format!("It made more than {MAX_REQUESTS} requests in one poll, and was ended."));
                connector.kill().await;
                return Ok(None);
            }
            if Instant::now() >= self.deadline {
                let seconds = self.settings.time_limit.as_secs();
                self.findings.end(format!("It did not end within the {seconds} s of the scenario, and was ended."));
                connector.kill().await;
                return Ok(None);
            }
            if silence.is_over(last) && self.was_refused(last) {
                self.account.advance(self.until_allowed());
            }
        }
    }

    /// What the connector can know, by name.
    fn variables(&self, store: &Store) -> Vec<(&'static str, String)> {
        let account = self.account.describe();
        let url = self.mock.base_url();
        let file = |name: &str| store.path(name).to_string_lossy().into_owned();
        vec![
            ("sleep_url", format!("{url}/_mock/accounts/{}/clock/advance", account.name)),
            ("url", url),
            ("access_token", account.access_token),
            ("client_id", account.client_id),
            ("client_secret", account.client_secret),
            ("api", store.api.code().to_owned()),
            ("state_dir", file("state")),
            ("out", file("out.ndjson")),
            ("now", self.client_now().to_string()),
            ("since", self.scenario.since.to_string()),
        ]
    }

    /// The time that the connector's clock shows.
    fn client_now(&self) -> ClockInstant {
        let now = self.account.clock().now();
        let millis = |span: crate::scenario::Span| i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX);
        Millis(match self.clock_error {
            None => now.0,
            Some(ClockError::Ahead(by)) => now.0.saturating_add(millis(by)),
            Some(ClockError::Behind(by)) => now.0.saturating_sub(millis(by)),
        })
        .into()
    }

    fn store(&self) -> &Store {
        self.stores.last().expect("a scenario starts with one")
    }

    fn last_request(&self) -> u64 {
        self.account.requests(u64::MAX - 1, 1).noted
    }

    /// Whether the request is there that is held in the middle of a poll.
    fn holds(&self) -> bool {
        self.account.faults().iter().any(|rule| rule.rule.name.as_deref() == Some(HOLD) && rule.applied > 0)
    }

    /// Whether the last request was refused for its quota.
    fn was_refused(&self, last: u64) -> bool {
        let requests = self.account.requests(last.saturating_sub(1), 1).requests;
        requests.last().is_some_and(|request| request.status == Some(429))
    }

    /// The time until the quota allows the next request of each client.
    fn until_allowed(&self) -> Duration {
        let quota = self.account.quota().settings;
        Duration::from_secs(u64::from(quota.per_seconds.get()))
    }

    /// What the audits, the verdict and the processes show.
    fn judged(mut self) -> Result<Findings, String> {
        let map = self.map()?;
        let has_several = self.stores.len() > 1;
        for (store, until) in self.stores.iter().filter_map(|store| Some((store, store.until?))) {
            let mut query = AuditQuery::new(self.settings.category).window(self.scenario.since..until);
            query.map.clone_from(&map);
            let records = store.records().map_err(|error| format!("cannot read what the connector stored: {error}"))?;
            let report = match records {
                Some(file) => self.account.audit_stream(&query, RecordFormat::Json, BufReader::new(file)),
                None => self.account.audit_stream(&query, RecordFormat::Json, io::empty()),
            };
            let report = report.map_err(|error| error.to_string())?;
            self.findings.add_audit(&report, has_several.then_some(store.api));
        }
        let ignored = &self.scenario.ignored_rules;
        let settings = VerdictSettings { disabled: ignored.clone(), ..VerdictSettings::default() };
        let verdict = self.account.verdict_with(&settings).map_err(|error| error.to_string())?;
        for rule in verdict.rules.iter().filter(|rule| rule.result == RuleOutcome::Fail) {
            self.findings.add_rule(rule.rule, &rule.sentence);
        }
        self.findings.close(&self.store().last_error());
        Ok(self.findings)
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

/// What a connector said, behind a colon.
fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// For how long there was no request.
struct Silence {
    last: u64,
    since: Instant,
}

impl Silence {
    /// Whether there was no further request for the time. Begins again then.
    fn is_over(&mut self, last: u64) -> bool {
        if last != self.last {
            *self = Self { last, since: Instant::now() };
        }
        let is_over = self.since.elapsed() >= SILENCE;
        if is_over {
            self.since = Instant::now();
        }
        is_over
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
