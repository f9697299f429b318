//! The connector runs throughout, and polls by itself while the clock is turned.

use std::{process::ExitStatus, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    poll::{NOT_REACHED, Silence, TICK, Until},
    runner::{Middle, Run, StepError},
    time_source::TimeSource,
};
use crate::{account::journal::Outcome, scenario::Polls, world::Millis};

/// How long a service may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long another instance of a service has to start and to poll once.
const START_TIME: Duration = Duration::from_secs(1);
/// How long a service may take to its first request, and to the next one after the clock was turned.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a service with a fake clock may take until an attempt succeeds, after a 429 and after another failure.
const LONG_WAIT: Duration = Duration::from_secs(20);
const SHORT_WAIT: Duration = Duration::from_secs(3);
/// How long a service must be silent until it has polled.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a service that sleeps on the account's clock must be silent: what it does before it sleeps is done.
const SHORT_SILENCE: Duration = Duration::from_millis(20);
/// The number of requests among which the beginning of the last poll is.
const LAST_REQUESTS: u64 = 200;
/// How long a service may still wait for a quota at the end, by the account's clock.
const GRACE_MS: i64 = 3_600_000;
/// The exit code of a shell for a program that SIGTERM ended.
const ENDED_BY_TERM: i32 = 143;

impl Run<'_> {
    /// Turns the clock to the next step while the connector runs, and waits until it has polled there.
    pub(super) async fn poll_as_service(&mut self, polls: Polls) -> Result<(), StepError> {
        let next = std::mem::take(&mut self.next);
        let mut middle = self.prepare(&next)?;
        if self.service.is_none() {
            // It starts at the time of the step.
            self.reach_plan().await;
            self.service = Some(self.start()?);
        }
        self.let_clock_run();
        let instances = if let Some(Middle::Instances(count)) = next.middle { count } else { 1 };
        let mut others = Vec::new();
        for _ in 1..instances {
            if self.settings.time == TimeSource::Env {
                // It sleeps until another instant than those before it, so that they do not wake at once.
                self.turn_by(Duration::from_millis(1));
            }
            let mut other = self.start()?;
            let until = Until::Passed(Instant::now() + START_TIME);
            self.end_of(&mut other, self.last_request(), &mut None, until).await?;
            others.push(other);
        }
        // A service that sleeps by the account's clock is woken at each of its times until then.
        while !self.findings.is_over() && self.service.is_some() {
            let before = self.last_request();
            if let Some(wake) = self.account.clock().next_wake().filter(|wake| *wake < self.planned()) {
                self.turn_to(wake);
                self.quiet(before, None, &mut middle).await?;
            } else {
                break;
            }
        }
        let before = self.last_request();
        self.reach_plan().await;
        self.account.take_quota(self.store().api.name(), polls.other_requests);
        self.note_poll();
        if self.service.is_some() && !self.findings.is_over() {
            self.quiet(before, Some(Instant::now() + FIRST_REQUEST), &mut middle).await?;
        }
        self.freeze_clock();
        for mut other in others {
            // How it ends does not matter: it is one too many.
            let _ = other.terminate(PATIENCE).await;
        }
        if let (Some(_), true) = (&middle, self.service.is_some()) {
            self.findings.add(NOT_REACHED.to_owned());
        }
        if next.loses_checkpoint
            && let Some(mut service) = self.service.take()
        {
            service.kill().await;
        }
        self.clear(&next)
    }

    /// Waits until the service has nothing to do: until it sleeps, or is silent. It must make a request until a time, if there
    /// is one.
    async fn quiet(
        &mut self,
        before: u64,
        first_request: Option<Instant>,
        middle: &mut Option<Middle>,
    ) -> Result<(), StepError> {
        let mut silence = Silence::since(before);
        let began = Instant::now();
        let Some(mut service) = self.service.take() else { return Ok(()) };
        loop {
            let tick = (Instant::now() + TICK).min(self.deadline);
            if let Ok(status) = timeout_at(tick, service.ended()).await {
                let status = status.map_err(|error| format!("cannot wait for the connector: {error}"))?;
                let last_error = self.store().last_error();
                let said = if last_error.is_empty() { String::new() } else { format!(": {last_error}") };
                self.findings.end(format!("The service ended by itself with {status}{said}"));
                return Ok(());
            }
            if self.is_killed_in(middle)? {
                // It is started again at the next step.
                service.kill().await;
                return Ok(());
            }
            let last = self.last_request();
            if let Some(why) = self.too_much(last - before) {
                self.findings.end(why);
                service.kill().await;
                return Ok(());
            }
            // What sleeps by the account's clock has done what it had to do.
            if self.account.clock().next_wake().is_some() && silence.lasts(last, SHORT_SILENCE) {
                break;
            }
            let is_waited_for = last == before && first_request.is_some_and(|until| Instant::now() < until);
            // A fake clock runs by itself, so that the wait for another attempt ends by itself.
            let is_between_attempts = self.settings.time != TimeSource::Env && !self.has_answer();
            let patience = if self.was_refused(last) { LONG_WAIT } else { SHORT_WAIT };
            if is_between_attempts && began.elapsed() < patience {
                continue;
            }
            if (is_between_attempts || silence.lasts(last, SILENCE)) && !is_waited_for {
                if self.settings.time == TimeSource::Env && self.is_refused_anew(last) {
                    self.turn_by(self.until_allowed());
                    silence = Silence::since(last);
                    continue;
                }
                if last == before && first_request.is_some() {
                    let seconds = FIRST_REQUEST.as_secs();
                    self.findings.end(format!("The service made no request within {seconds} s."));
                }
                break;
            }
        }
        self.service = Some(service);
        Ok(())
    }

    /// Whether the last request has an answer after which a connector need not try again.
    fn has_answer(&self) -> bool {
        let last = self.account.requests(self.last_request().saturating_sub(1), 1).requests;
        last.last().is_none_or(|request| matches!(request.status, Some(200 | 413)) && request.outcome != Outcome::Cut)
    }

    /// Whether a poll has begun since the last step.
    fn has_polled_last(&self) -> bool {
        let Some(until) = self.store().until else { return true };
        let requests = self.account.requests(self.last_request().saturating_sub(LAST_REQUESTS), usize::MAX).requests;
        requests
            .iter()
            .any(|request| request.at >= until && request.page.as_ref().is_some_and(|page| page.query.begin.is_first()))
    }

    /// Lets a service finish what it does while it waits, and ends it.
    pub(super) async fn finish_service(&mut self) -> Result<(), StepError> {
        let end = Millis(self.account.clock().now().0.saturating_add(GRACE_MS));
        while self.service.is_some() && !self.findings.is_over() && !(self.has_answer() && self.has_polled_last()) {
            let Some(wake) = self.account.clock().next_wake().filter(|wake| *wake <= end) else { break };
            let before = self.last_request();
            self.turn_to(wake);
            self.quiet(before, None, &mut None).await?;
        }
        if self.service.is_some() && self.settings.time != TimeSource::Env {
            let until = (Instant::now() + LONG_WAIT).min(self.deadline);
            self.let_clock_run();
            while self.service.is_some() && !(self.has_answer() && self.has_polled_last()) && Instant::now() < until {
                tokio::time::sleep(TICK).await;
            }
        }
        self.end_service().await
    }

    /// Ends the service, if it runs.
    pub(super) async fn end_service(&mut self) -> Result<(), StepError> {
        let Some(mut service) = self.service.take() else { return Ok(()) };
        let status = service.terminate(PATIENCE).await.map_err(|error| format!("cannot end the connector: {error}"))?;
        match status {
            None => {
                let seconds = PATIENCE.as_secs();
                self.findings.add(format!("It did not end within {seconds} s after SIGTERM, and was killed."));
            }
            Some(status) if status.success() || is_by_signal(status) || status.code() == Some(ENDED_BY_TERM) => {}
            Some(status) => self.findings.set_exit(Some(status)),
        }
        Ok(())
    }
}

/// Whether SIGTERM ended a process.
#[cfg(unix)]
fn is_by_signal(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(rustix::process::Signal::TERM.as_raw())
}

/// Whether a process was ended from outside: nothing tells.
#[cfg(not(unix))]
fn is_by_signal(_: ExitStatus) -> bool {
    true
}
