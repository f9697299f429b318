//! The connector is run once for each poll.

use std::{process::ExitStatus, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    process::Connector,
    runner::{Middle, Run, StepError},
    time_source::TimeSource,
};
use crate::{clock::Instant as ClockInstant, scenario::Polls};

/// How long a connector must be silent after a 429 before the clock is turned to the next request that the quota allows.
pub(super) const SILENCE: Duration = Duration::from_secs(1);
/// The time between two looks at a running connector.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// The finding where nothing could happen in the middle of a poll.
pub(super) const NOT_REACHED: &str = "A poll ended before the request at which something was to happen in it: it made too few requests for this scenario.";
/// The maximum number of requests in one poll.
pub(super) const MAX_REQUESTS: u64 = 2_000;

impl Run<'_> {
    /// Runs the connector once, or several instances of it at once.
    pub(super) async fn poll(&mut self, polls: Polls) -> Result<(), StepError> {
        self.reach_plan().await;
        let next = std::mem::take(&mut self.next);
        let mut middle = self.prepare(&next)?;
        self.account.take_quota(self.store().api.name(), polls.other_requests);
        let began = self.note_poll();
        let before = self.last_request();
        let statuses = if let Some(Middle::Instances(count)) = next.middle {
            self.run_several(count, before, &mut middle).await?
        } else {
            self.let_clock_run_at_first_request();
            let mut connector = self.start()?;
            let end = self.end_of(&mut connector, before, &mut middle, Until::End).await?;
            Vec::from_iter(end.status())
        };
        self.freeze_clock();
        self.clear(&next)?;
        if middle.is_some() && !self.findings.is_over() {
            self.findings.add(NOT_REACHED.to_owned());
        }
        self.note_end(polls, began, &statuses, self.last_request() - before);
        Ok(())
    }

    /// Runs several instances at once. The first one is held at its first request until each of the others has ended, or waits
    /// for it, so that the same happens each time.
    async fn run_several(
        &mut self,
        count: u32,
        before: u64,
        middle: &mut Option<Middle>,
    ) -> Result<Vec<ExitStatus>, StepError> {
        let began = Instant::now();
        let mut running = vec![self.start()?];
        let mut statuses = Vec::new();
        match self.end_of(&mut running[0], before, middle, Until::Held).await? {
            End::Paused => *middle = None,
            End::Exited(status) => {
                statuses.push(status);
                running.clear();
            }
            End::Ended => running.clear(),
        }
        // One that starts slowly is silent for as long.
        let patience = SILENCE.max(began.elapsed() * 2);
        for _ in 1..count {
            if self.findings.is_over() {
                return Ok(statuses);
            }
            let mut other = self.start()?;
            match self.end_of(&mut other, before, middle, Until::Silent(patience)).await? {
                End::Exited(status) => statuses.push(status),
                End::Ended => {}
                End::Paused => running.push(other),
            }
        }
        self.release_held_request();
        self.let_clock_run();
        for connector in &mut running {
            statuses.extend(self.end_of(connector, before, middle, Until::End).await?.status());
        }
        Ok(statuses)
    }

    /// Waits for the end of a connector, or ends it; or until something else.
    pub(super) async fn end_of(
        &mut self,
        connector: &mut Connector,
        before: u64,
        middle: &mut Option<Middle>,
        until: Until,
    ) -> Result<End, StepError> {
        let (mut silence, mut pause) = (Silence::since(before), Silence::since(self.last_request()));
        loop {
            let tick = (Instant::now() + TICK).min(self.deadline);
            if let Ok(status) = timeout_at(tick, connector.ended()).await {
                return status.map(End::Exited).map_err(|error| format!("cannot wait for the connector: {error}"));
            }
            let last = self.last_request();
            if self.is_killed_in(middle)? {
                connector.kill().await;
                return Ok(End::Ended);
            }
            if let Some(why) = self.too_much(last - before) {
                self.findings.end(why);
                connector.kill().await;
                return Ok(End::Ended);
            }
            match until {
                Until::Held if self.holds_request() => return Ok(End::Paused),
                Until::Silent(time) if pause.lasts(last, time) => return Ok(End::Paused),
                Until::Passed(end) if Instant::now() >= end => return Ok(End::Paused),
                _ => {}
            }
            // A fake clock runs by itself.
            if self.settings.time == TimeSource::Env && silence.is_over(last) && self.is_refused_anew(last) {
                self.turn_by(self.until_allowed());
            }
        }
    }

    /// Why a connector must be ended, if it must.
    pub(super) fn too_much(&self, requests: u64) -> Option<String> {
        if requests > MAX_REQUESTS {
            return Some(format!("It made more than {MAX_REQUESTS} requests in one poll, and was ended."));
        }
        if self.store().is_too_large() {
            return Some("It wrote more than 256 MiB, and was ended.".to_owned());
        }
        let seconds = self.settings.time_limit.as_secs();
        let is_over = Instant::now() >= self.deadline;
        is_over.then(|| format!("It did not end within the {seconds} s of the scenario (--time-limit), and was ended."))
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
            let (text, last_error) =
                (format!("A poll that can succeed ended with {failed}"), self.store().last_error());
            self.findings.add(if last_error.is_empty() { text } else { format!("{text}: {last_error}") });
        }
        // A fake clock may have run on since.
        let end = if self.clock_pair.is_some() { self.time_of_last_request() } else { None };
        let took = end.unwrap_or_else(|| self.account.clock().now()).0 - began.millis().0;
        let is_longer = |most: u128| u128::try_from(took).is_ok_and(|took| took > most);
        if let Some(most) = polls.takes_at_most.filter(|most| is_longer(most.duration().as_millis())) {
            self.findings.add(format!("It waited {} s in a poll that can end within {most}.", took / 1_000));
        }
        if let Some(most) = polls.requests_at_most.map(u64::from).filter(|most| requests > *most) {
            self.findings.add(format!("It made {requests} requests in a poll in which {most} are enough."));
        }
    }
}

/// Until when a connector is waited for.
#[derive(Clone, Copy)]
pub(super) enum Until {
    End,
    /// Until its request is held.
    Held,
    /// Until there was no request for a time.
    Silent(Duration),
    /// Until an instant.
    Passed(Instant),
}

/// How a wait for a connector ended.
pub(super) enum End {
    Exited(ExitStatus),
    /// It was ended on purpose.
    Ended,
    /// It still runs.
    Paused,
}

impl End {
    fn status(self) -> Option<ExitStatus> {
        if let Self::Exited(status) = self { Some(status) } else { None }
    }
}

/// For how long there was no request.
pub(super) struct Silence {
    last: u64,
    since: Instant,
}

impl Silence {
    /// A silence that begins now, after a request.
    pub(super) fn since(last: u64) -> Self {
        Self { last, since: Instant::now() }
    }

    /// Whether there was no further request for the time. Begins again then.
    pub(super) fn is_over(&mut self, last: u64) -> bool {
        self.lasts(last, SILENCE) && {
            self.since = Instant::now();
            true
        }
    }

    /// Whether there was no further request for a time.
    pub(super) fn lasts(&mut self, last: u64, time: Duration) -> bool {
        if last != self.last {
            *self = Self::since(last);
        }
        self.since.elapsed() >= time
    }
}
