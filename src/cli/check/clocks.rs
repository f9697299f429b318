//! The clock of the account and that of the connector, and how a run turns them.

use std::{sync::Arc, time::Duration};

use super::{
    real_time,
    runner::{Run, StepError},
    time_source::{FAKE_RATE, FakeClock, TimeSource},
};
use crate::{
    clock::{ClockChange, Instant as ClockInstant, Mode, Rate},
    scenario::{ClockError, Span},
    world::Millis,
};

impl Run<'_> {
    pub(super) fn next_plan(&self, by: Span) -> Millis {
        match self.settings.time {
            TimeSource::Real => Millis(self.planned.0 + real_time::STEP_MS),
            TimeSource::Env | TimeSource::Fake(_) => later(self.planned, by),
        }
    }

    /// Turns the clock to the time of the next step, unless it is later already; or waits for it.
    pub(super) async fn reach_plan(&self) {
        if self.settings.time == TimeSource::Real {
            let left = u64::try_from(self.planned.0 - self.account.clock().now().0).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(left)).await;
        } else {
            self.turn_to(self.planned);
        }
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

    /// Lets the clocks run, if the connector sees a fake one: its waits pass only on a clock that runs.
    pub(super) fn let_clock_run(&self) -> Result<(), StepError> {
        if let TimeSource::Fake(_) = self.settings.time {
            let rate = Rate::try_from(f64::from(self.rate()))?;
            let change = ClockChange { mode: Some(Mode::Scaled), now: None, rate: Some(rate) };
            self.account.clock().set(change).map_err(|why| why.to_string())?;
            self.lead_fake_clock();
        }
        Ok(())
    }

    /// The same when the first request of a poll arrives, so that a slow start does not move the time of the poll.
    pub(super) fn let_clock_run_at_first_request(&self) {
        if let (TimeSource::Fake(_), Ok(rate)) = (&self.settings.time, Rate::try_from(f64::from(self.rate()))) {
            let (account, clock, now) = (Arc::downgrade(&self.account), self.fake_clock(), self.client_now());
            self.account.at_next_request(Some(Box::new(move || {
                let change = ClockChange { mode: Some(Mode::Scaled), now: None, rate: Some(rate) };
                if let Some(account) = account.upgrade() {
                    // A frozen clock can always run on, and the file was written when the connector was started.
                    let _ = account.clock().set(change);
                    let _ = clock.set(now, true);
                }
            })));
        }
    }

    pub(super) fn freeze_clock(&self) -> Result<(), StepError> {
        if self.settings.time == TimeSource::Real {
            return Ok(());
        }
        let change = ClockChange { mode: Some(Mode::Frozen), now: None, rate: None };
        self.account.clock().set(change).map(drop).map_err(|why| why.to_string())
    }

    /// How fast clocks run that cannot stand still.
    fn rate(&self) -> u32 {
        if self.scenario.has_real_waits { 1 } else { FAKE_RATE }
    }

    pub(super) fn fake_clock(&self) -> FakeClock {
        FakeClock::new(self.store().path("faketime"), self.rate())
    }

    pub(super) fn lead_fake_clock(&self) {
        if let TimeSource::Fake(_) = self.settings.time {
            // What cannot be written shows when the connector is started.
            let _ = self.fake_clock().set(self.client_now(), true);
        }
    }

    /// The time that the connector's clock shows.
    pub(super) fn client_now(&self) -> ClockInstant {
        let now = self.account.clock().now();
        Millis(match self.clock_error {
            None => now.0,
            Some(ClockError::Ahead(by)) => now.0.saturating_add(millis(by)),
            Some(ClockError::Behind(by)) => now.0.saturating_sub(millis(by)),
        })
        .into()
    }
}

fn later(at: Millis, by: Span) -> Millis {
    Millis(at.0.saturating_add(millis(by)))
}

fn millis(span: Span) -> i64 {
    i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX)
}
