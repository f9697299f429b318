//! Runs a connector through one scenario.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    outcome::{Findings, Outcome},
    process::Connector,
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
    scenario::{Scenario, Step, TokenChange},
    verdict::{RuleOutcome, VerdictSettings},
    world::Category,
};

/// How long a connector must be silent after a 429 before the clock is turned to the next request that the quota allows.
const SILENCE: Duration = Duration::from_millis(300);
/// The time between two looks at a running connector.
const TICK: Duration = Duration::from_millis(20);
/// The maximum number of requests in one poll.
const MAX_REQUESTS: u64 = 2_000;
/// The name of the rule that holds the request at which a connector is killed.
const HOLD: &str = "check-hold";

/// What all scenarios of a check have in common.
#[derive(Debug)]
pub(super) struct RunSettings {
    pub(super) command: Vec<OsString>,
    pub(super) seed: u64,
    pub(super) time_limit: Duration,
    pub(super) category: Category,
    pub(super) map: Option<FieldMap>,
    /// The folder with a folder for each scenario.
    pub(super) folder: PathBuf,
}

/// A scenario that is being run.
struct Run<'a> {
    settings: &'a RunSettings,
    mock: &'a Mock,
    account: Arc<Account>,
    since: ClockInstant,
    /// The time of the last poll. What happens while the connector waits is for the next one.
    until: ClockInstant,
    folder: PathBuf,
    deadline: Instant,
    /// For the next poll only.
    kill_after: Option<u32>,
    instances: u32,
    findings: Findings,
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
    let unusable = |error: io::Error| format!("cannot use {}: {error}", folder.display());
    if folder.exists() {
        return Err(format!("{} is there already: remove it, or choose another --work-dir", folder.display()));
    }
    fs::create_dir_all(folder.join("state")).map_err(unusable)?;
    let mut run = Run {
        settings,
        mock,
        account,
        since: scenario.since,
        until: scenario.since,
        folder: folder.clone(),
        deadline: started + settings.time_limit,
        kill_after: None,
        instances: 1,
        findings: Findings::default(),
    };
    run.steps(&scenario.steps).await?;
    let findings = run.judged(&scenario.ignored_rules)?;
    Ok(Outcome::new(scenario, findings, started.elapsed(), folder))
}

impl Run<'_> {
    /// Makes all steps, or those until the time is over.
    async fn steps(&mut self, steps: &[Step]) -> Result<(), PollError> {
        for step in steps {
            match step {
                Step::Polls { count, every } => {
                    for _ in 0..*count {
                        self.account.advance(every.duration());
                        self.poll().await?;
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
                Step::KillAfterResponses(count) => self.kill_after = Some(*count),
                Step::Instances(count) => self.instances = *count,
            }
        }
        Ok(())
    }

    /// Runs the connector once, or several instances of it at once.
    async fn poll(&mut self) -> Result<(), PollError> {
        let kill_after = self.kill_after.take();
        if let Some(after) = kill_after {
            self.account.add_faults(vec![hold(after)]).map_err(|why| why.to_string())?;
        }
        let (output, errors) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let variables = self.variables();
        self.until = self.account.clock().reading().now;
        let mut connectors = Vec::new();
        for _ in 0..std::mem::replace(&mut self.instances, 1) {
            let started = Connector::start(&self.settings.command, &variables, &output, &errors);
            connectors
                .push(started.map_err(|error| {
                    format!("cannot start {}: {error}", self.settings.command[0].to_string_lossy())
                })?);
        }
        let before = self.last_request();
        let mut statuses = Vec::new();
        for connector in &mut connectors {
            let status = self.end_of(connector, before, kill_after.is_some()).await?;
            statuses.push(status);
        }
        if kill_after.is_some() {
            self.account.forget_faults(Some(HOLD));
        }
        self.findings.set_exit(statuses.into_iter().flatten().find(|status| !status.success()));
        Ok(())
    }

    /// Waits for the end of a connector, or ends it. `None` for one that was ended on purpose.
    async fn end_of(
        &mut self,
        connector: &mut Connector,
        before: u64,
        is_killed: bool,
    ) -> Result<Option<std::process::ExitStatus>, PollError> {
        let mut silence = Silence { last: before, since: Instant::now() };
        loop {
            let tick = (Instant::now() + TICK).min(self.deadline);
            if let Ok(status) = timeout_at(tick, connector.ended()).await {
                return status.map(Some).map_err(|error| format!("cannot wait for the connector: {error}"));
            }
            let last = self.last_request();
            if is_killed && self.holds() {
                connector.kill().await;
                return Ok(None);
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
    fn variables(&self) -> Vec<(&'static str, String)> {
        let account = self.account.describe();
        let url = self.mock.base_url();
        let file = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        vec![
            ("sleep_url", format!("{url}/_mock/accounts/{}/clock/advance", account.name)),
            ("url", url),
            ("access_token", account.access_token),
            ("client_id", account.client_id),
            ("client_secret", account.client_secret),
            ("state_dir", file("state")),
            ("out", file("out.ndjson")),
            ("now", self.account.clock().reading().now.to_string()),
            ("since", self.since.to_string()),
        ]
    }

    fn last_request(&self) -> u64 {
        self.account.requests(u64::MAX - 1, 1).noted
    }

    /// Whether the request at which the connector is killed is there.
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

    /// What the audit, the verdict and the processes show.
    fn judged(mut self, ignored_rules: &[String]) -> Result<Findings, String> {
        let account = &self.account;
        let mut query = AuditQuery::new(self.settings.category).window(self.since..self.until);
        query.map.clone_from(&self.settings.map);
        let records = self.records().map_err(|error| format!("cannot read what the connector stored: {error}"))?;
        let report = match records {
            Some(file) => account.audit_stream(&query, RecordFormat::Json, BufReader::new(file)),
            None => account.audit_stream(&query, RecordFormat::Json, io::empty()),
        };
        let report = report.map_err(|error| error.to_string())?;
        let settings = VerdictSettings { disabled: ignored_rules.to_vec(), ..VerdictSettings::default() };
        let verdict = account.verdict_with(&settings).map_err(|error| error.to_string())?;
        self.findings.add_audit(&report);
        for rule in verdict.rules.iter().filter(|rule| rule.result == RuleOutcome::Fail) {
            self.findings.add_rule(rule.rule, &rule.sentence);
        }
        self.findings.close(&last_line(&self.folder.join("stderr")));
        Ok(self.findings)
    }

    /// The records: the file of `OPSWAT_OUT`, or else the standard output.
    fn records(&self) -> io::Result<Option<File>> {
        for name in ["out.ndjson", "stdout"] {
            let path = self.folder.join(name);
            if path.metadata().is_ok_and(|file| file.len() > 0) {
                return File::open(path).map(Some);
            }
        }
        Ok(None)
    }
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
fn hold(after_responses: u32) -> FaultRule {
    FaultRule {
        name: Some(HOLD.to_owned()),
        matches: FaultMatch { nth: Some(u64::from(after_responses) + 1), ..FaultMatch::default() },
        fault: Fault { delay_ms: Some(3_600_000), waits_on: WaitClock::Account, ..Fault::default() },
        hidden: true,
        ..FaultRule::default()
    }
}

/// The last line of a text that is not empty.
fn last_line(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(200).collect()
}
