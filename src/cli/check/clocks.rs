//! The clock of the account and that of the connector, and how a run turns them.

use std::time::Duration;

use super::{
    clock_pair::{freeze, millis, seen_by_client},
    real_time,
    runner::Run,
    time_source::{FakeClock, TimeSource},
};
use crate::{clock::Instant as ClockInstant, scenario::Span, world::Millis};

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
        if let Some(pair) = &self.clock_pair {
            pair.follow(self.clock_error);
        }
    }

    /// Lets the clocks run, if the connector sees a fake one: its waits pass only on a clock that runs.
    pub(super) fn let_clock_run(&self) {
        if let Some(pair) = &self.clock_pair {
            pair.start();
        }
    }

    /// The same when the first request of a poll arrives, so that a slow start does not move the time of the poll.
    pub(super) fn let_clock_run_at_first_request(&self) {
        if let Some(pair) = &self.clock_pair {
            pair.start_at_next_request();
        }
    }

    pub(super) fn freeze_clock(&self) {
        match (&self.clock_pair, &self.settings.time) {
            (Some(pair), _) => pair.stop(),
            (None, TimeSource::Real) => {}
            (None, _) => freeze(&self.account),
        }
    }

    pub(super) fn fake_clock(&self) -> FakeClock {
        FakeClock::new(self.store().path("faketime"))
    }

    /// The time that the connector's clock shows.
    pub(super) fn client_now(&self) -> ClockInstant {
        seen_by_client(self.account.clock().now(), self.clock_error)
    }
}

fn later(at: Millis, by: Span) -> Millis {
    Millis(at.0.saturating_add(millis(by)))
}
