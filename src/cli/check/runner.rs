//! Runs a connector through one scenario.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    clock_pair::{self, ClockPair},
    outcome::{Findings, Outcome},
    process::{Connector, Environment},
    real_time,
    store::Store,
    time_source::{FakeClock, TimeSource},
};
use crate::{
    account::{
        Account,
        fault::{Fault, FaultMatch, FaultRule, WaitClock},
        settings::{Name, NewAccount},
    },
    api_name::ApiName,
    audit::FieldMap,
    clock::{Clock, Instant as ClockInstant},
    mock::Mock,
    scenario::{ClockError, Meanwhile, ReadApi, Scenario, Step, TokenChange},
    world::{Category, Millis, Window},
};

/// The name of the rule that holds a request in the middle of a poll.
const HOLD: &str = "check-hold";
/// How long a request is held in the middle of a poll in real time.
const REAL_HOLD: Duration = Duration::from_millis(300);
/// How long a request of one instance is held by a clock that stands still: until it is turned.
const INSTANCE_HOLD: Duration = Duration::from_millis(1);
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
    pub(super) scenario: &'a Scenario,
    mock: &'a Mock,
    pub(super) account: Arc<Account>,
    /// What the connector keeps for each API that it has read, the one that it reads now last.
    pub(super) stores: Vec<Store>,
    /// Until when the scenario must end.
    pub(super) deadline: Instant,
    /// The time for the next step. The clock can be ahead of it, because a connector has waited.
    pub(super) planned: Millis,
    pub(super) clock_error: Option<ClockError>,
    /// The clock of the account and the fake one of the connector, if it has one.
    pub(super) clock_pair: Option<Arc<ClockPair>>,
    /// The refused request for which the clock was turned last.
    turned_for: u64,
    /// Whether the connector could be started once.
    has_started: bool,
    pub(super) next: NextPoll,
    /// The connector that runs throughout.
    pub(super) service: Option<Connector>,
    pub(super) findings: Findings,
}

/// What is special about the next poll.
#[derive(Debug, Default)]
pub(super) struct NextPoll {
    pub(super) loses_checkpoint: bool,
    pub(super) middle: Option<Middle>,
}

/// What happens when a request is held in the middle of a poll.
#[derive(Clone, Debug)]
pub(super) enum Middle {
    /// The connector is killed after so many responses.
    Kill(u32),
    Meanwhile(Meanwhile),
    /// So many instances make the poll.
    Instances(u32),
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
    let small;
    let scenario = if settings.time == TimeSource::Real {
        small = on_small_scale_now(mock, scenario, &wanted)?;
        &small
    } else {
        scenario
    };
    let account = mock.accounts().make(scenario.account(wanted)).map_err(|why| format!("{}: {why}", scenario.name))?;
    let flagged = serde_json::from_str(r#"{"profile":{"ignored_input":"flag"}}"#).map_err(|error| error.to_string())?;
    account.change(flagged);
    let folder = settings.folder.join(&scenario.name);
    let api = settings.apis.iter().copied().find(|api| scenario.apis.contains(api)).unwrap_or(ReadApi::V3_3);
    let store = Store::create(api, folder.clone())?;
    let clock_pair = matches!(settings.time, TimeSource::Fake(_))
        .then(|| ClockPair::new(&account, FakeClock::new(store.path("faketime")), clock_pair::rate(scenario)));
    let mut run = Run {
        settings,
        scenario,
        mock,
        planned: if settings.time == TimeSource::Real { scenario.since.millis() } else { account.clock().now() },
        account,
        stores: vec![store],
        clock_pair,
        deadline: started + settings.time_limit,
        clock_error: None,
        turned_for: 0,
        has_started: false,
        next: NextPoll::default(),
        service: None,
        findings: Findings::default(),
    };
    if let Err(why) = run.until_end().await {
        if !run.has_started {
            return Err(why);
        }
        run.findings.end(format!("It could not be run to the end of the scenario: {why}"));
    }
    // An audit takes a processor for some time.
    let (findings, evidence) = tokio::task::block_in_place(|| run.judged());
    Ok(Outcome::new(scenario, findings, evidence, started.elapsed(), folder))
}

impl Run<'_> {
    async fn until_end(&mut self) -> Result<(), StepError> {
        self.steps().await?;
        self.finish_service().await
    }

    /// Makes all steps, or those until the time is over.
    async fn steps(&mut self) -> Result<(), StepError> {
        for (number, step) in self.scenario.steps.iter().enumerate() {
            match step {
                Step::Polls(polls) => {
                    for _ in 0..polls.count {
                        self.planned = self.next_plan(polls.every);
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
                    self.planned = self.next_plan(*by);
                    self.reach_plan().await;
                }
                Step::Faults(rules) => {
                    self.account.replace_faults(rules.clone()).map_err(|why| why.to_string())?;
                }
                Step::Events(events) => {
                    let place = format!("{}: steps[{number}].events", self.scenario.name);
                    self.account.inject(events).map_err(|(nth, why)| format!("{place}[{nth}].{why}"))?;
                }
                Step::Quota(quota) => self.account.set_quota(*quota),
                Step::Tokens(TokenChange::Expire) => drop(self.account.expire_tokens()),
                Step::KillAfterResponses(count) => self.next.middle = Some(Middle::Kill(*count)),
                Step::KillBeforeCheckpoint => self.next.loses_checkpoint = true,
                Step::Meanwhile(meanwhile) => self.next.middle = Some(Middle::Meanwhile(meanwhile.clone())),
                Step::Instances(count) => self.next.middle = Some(Middle::Instances(*count)),
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

    /// Prepares what is special about a poll.
    pub(super) fn prepare(&mut self, next: &NextPoll) -> Result<Option<Middle>, StepError> {
        let store = self.store();
        if next.loses_checkpoint {
            store.keep_state().map_err(|error| store.unusable(&error))?;
        }
        let (after, until) = match &next.middle {
            None => return Ok(None),
            // It is not held: it polls by itself.
            Some(Middle::Instances(_)) if self.settings.is_service => return Ok(None),
            Some(Middle::Kill(after)) => (*after, UNTIL_KILLED),
            // The clock stands still until it is turned, unless it is the machine's.
            Some(Middle::Meanwhile(meanwhile)) => (meanwhile.after_responses, meanwhile.advance.duration()),
            Some(Middle::Instances(_)) => (0, INSTANCE_HOLD),
        };
        let waits_for_real = self.settings.time == TimeSource::Real && !matches!(next.middle, Some(Middle::Kill(_)));
        let until = if waits_for_real { REAL_HOLD } else { until };
        self.account.add_faults(vec![hold(store.api.name(), after, until)]).map_err(|why| why.to_string())?;
        Ok(next.middle.clone())
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

    pub(super) fn start(&mut self) -> Result<Connector, StepError> {
        let started = self.try_start()?;
        self.has_started = true;
        Ok(started)
    }

    fn try_start(&self) -> Result<Connector, StepError> {
        let (settings, store) = (self.settings, self.store());
        if let Some(pair) = &self.clock_pair {
            // That of a poll stands still until the first request, so that a slow start does not move the time of the poll.
            let set = pair.set_fake(self.fake_clock(), self.clock_error, settings.is_service);
            set.map_err(|error| store.unusable(&error))?;
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
            (TimeSource::Fake(_) | TimeSource::Real, _) => hidden.push(now),
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

    pub(super) fn store(&self) -> &Store {
        self.stores.last().expect("a scenario starts with one")
    }

    pub(super) fn time_of_last_request(&self) -> Option<Millis> {
        let requests = self.account.requests(self.last_request().saturating_sub(1), 1).requests;
        requests.last().map(|request| request.at.millis())
    }

    pub(super) fn last_request(&self) -> u64 {
        self.account.requests(u64::MAX - 1, 1).noted
    }

    /// Ends the hold of the first one of several instances.
    pub(super) fn release_held_request(&self) {
        self.account.forget_faults(Some(HOLD));
        if self.settings.time == TimeSource::Env {
            self.turn_by(INSTANCE_HOLD);
        }
    }

    /// Whether the request is there that is held in the middle of a poll.
    pub(super) fn holds_request(&self) -> bool {
        self.account.faults().iter().any(|rule| rule.rule.name.as_deref() == Some(HOLD) && rule.applied > 0)
    }

    /// Does what happens in the middle of a poll, if the request is there that is held for it. Returns whether the connector
    /// must be killed.
    pub(super) fn is_killed_in(&self, middle: &mut Option<Middle>) -> Result<bool, StepError> {
        // The request of one of several instances is released when the others are silent.
        if matches!(middle, None | Some(Middle::Instances(_))) || !self.holds_request() {
            return Ok(false);
        }
        match middle.take() {
            Some(Middle::Kill(_)) => return Ok(true),
            Some(Middle::Meanwhile(meanwhile)) => {
                self.account.inject(&meanwhile.events).map_err(|(nth, why)| format!("events[{nth}].{why}"))?;
                if self.settings.time != TimeSource::Real {
                    self.turn_by(meanwhile.advance.duration());
                }
            }
            Some(Middle::Instances(_)) | None => {}
        }
        Ok(false)
    }

    /// Whether the last request was refused for its quota, and the clock was not turned for it yet.
    pub(super) fn is_refused_anew(&mut self, last: u64) -> bool {
        let is_new = self.turned_for < last && self.was_refused(last);
        if is_new {
            self.turned_for = last;
        }
        is_new
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
}

/// A scenario on a small scale, from now on.
fn on_small_scale_now(mock: &Mock, scenario: &Scenario, wanted: &NewAccount) -> Result<Scenario, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", scenario.name);
    // An account of the scenario tells its events.
    let account = mock.accounts().make(scenario.account(wanted.clone())).map_err(|why| failed(&why))?;
    for step in &scenario.steps {
        let events = match step {
            Step::Events(events) => events,
            Step::Meanwhile(meanwhile) => &meanwhile.events,
            _ => continue,
        };
        account.inject(events).map_err(|(nth, why)| failed(&format!("events[{nth}].{why}")))?;
    }
    let begin = account.clock().now();
    let end = real_time::end(scenario, begin);
    let window = Window { from: scenario.since.millis(), to: Millis(end.0 - 1) };
    let events: Vec<_> =
        [Category::Device, Category::Admin].into_iter().flat_map(|category| account.truth(category, window)).collect();
    mock.accounts().drop_account(&scenario.name).map_err(|why| failed(&why))?;
    let start = Clock::running().now();
    Ok(real_time::on_small_scale(scenario, begin, start, events.into_iter()))
}

/// A rule that holds the request after so many responses of an API, until the rule is deleted and the clock is turned.
fn hold(api: ApiName, after_responses: u32, at_most: Duration) -> FaultRule {
    let delay_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
    FaultRule {
        name: Some(HOLD.to_owned()),
        matches: FaultMatch { api: Some(api), nth: Some(u64::from(after_responses) + 1), ..FaultMatch::default() },
        fault: Fault { delay_ms: Some(delay_ms), waits_on: WaitClock::Account, ..Fault::default() },
        hidden: true,
        ..FaultRule::default()
    }
}
