//! The clock of the account and that of the connector, and how a run turns them.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    real_time,
    runner::{Run, StepError},
    time_source::{FAKE_RATE, FakeClock, REFUSED_RATE, TimeSource},
};
use crate::{
    account::{Account, Moment},
    clock::{ClockChange, Instant as ClockInstant, Mode, Rate},
    scenario::{ClockError, Span},
    world::Millis,
};

/// The waits that pass on a fast clock, in seconds. A connector may choose not to wait for so long as a longer one.
const LONG_WAITS: RangeInclusive<u64> = 5..=1_200;
/// Which part of a wait passes on a fast clock.
const FAST_PERCENT: u32 = 80;

/// The clock of an account and the fake one of its connector, which run at one rate.
struct ClockPair {
    account: Weak<Account>,
    clock_error: Option<ClockError>,
    fake: FakeClock,
    running: Mutex<Running>,
}

/// How the clocks of a pair run.
#[derive(Clone, Copy, Default)]
struct Running {
    /// How many times as fast as the machine's clock.
    rate: u32,
    /// The number of changes of the rate.
    changes: u64,
}

impl ClockPair {
    /// Lets both clocks run, unless they run at this rate. Returns the number of changes.
    fn run(&self, rate: u32) -> Result<u64, StepError> {
        let mut running = self.running.lock();
        if running.rate != rate {
            *running = Running { rate, changes: running.changes + 1 };
            self.set(rate)?;
        }
        Ok(running.changes)
    }

    fn set(&self, rate: u32) -> Result<(), StepError> {
        let Some(account) = self.account.upgrade() else { return Ok(()) };
        let rate_of_account = Rate::try_from(f64::from(rate))?;
        let change = ClockChange { mode: Some(Mode::Scaled), now: None, rate: Some(rate_of_account) };
        let now = account.clock().set(change).map_err(|why| why.to_string())?.now;
        // What cannot be written shows when the connector is started.
        let _ = self.fake.set(seen_by_client(now.millis(), self.clock_error), Some(rate));
        Ok(())
    }

    /// Lets the clocks run fast during most of a wait of so many seconds, which begins now, and moves them to its end then: the
    /// connector must not make a request on a fast clock, because its time limit would end too soon.
    fn pass(self: &Arc<Self>, wait_seconds: u64) -> Result<(), StepError> {
        let Some(account) = self.account.upgrade() else { return Ok(()) };
        let end = account.clock().now().0.saturating_add_unsigned(wait_seconds * 1000);
        let changes = self.run(REFUSED_RATE)?;
        // It is gone when the poll has ended.
        let pair = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(wait_seconds) * FAST_PERCENT / 100 / REFUSED_RATE).await;
            pair.upgrade().map_or(Ok(()), |pair| pair.end_wait(end, changes))
        });
        Ok(())
    }

    /// Moves the clocks to the end of a wait, unless something has ended it, and lets them run at the usual rate.
    fn end_wait(&self, end: i64, changes: u64) -> Result<(), StepError> {
        let mut running = self.running.lock();
        let Some(account) = self.account.upgrade().filter(|_| running.changes == changes) else { return Ok(()) };
        let left = u64::try_from(end - account.clock().now().0).unwrap_or_default();
        account.advance(Duration::from_millis(left));
        *running = Running { rate: FAKE_RATE, changes: changes + 1 };
        self.set(FAKE_RATE)
    }
}

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
            let pair = self.clock_pair();
            pair.run(self.rate())?;
            self.lead_by_requests(pair);
        }
        Ok(())
    }

    /// The same when the first request of a poll arrives, so that a slow start does not move the time of the poll.
    pub(super) fn let_clock_run_at_first_request(&self) {
        if let TimeSource::Fake(_) = self.settings.time {
            self.lead_by_requests(self.clock_pair());
        }
    }

    /// Lets the clocks run from the first request on, and faster while a connector waits after a 429 that says how long.
    fn lead_by_requests(&self, pair: ClockPair) {
        let (pair, usual) = (Arc::new(pair), self.rate());
        self.account.watch(Some(Arc::new(move |moment| match moment {
            // A clock can run at each of these rates.
            Moment::Arrived => drop(pair.run(usual)),
            Moment::Refused { wait_seconds } if usual == FAKE_RATE && LONG_WAITS.contains(&wait_seconds) => {
                drop(pair.pass(wait_seconds));
            }
            Moment::Refused { .. } => {}
        })));
    }

    pub(super) fn freeze_clock(&self) -> Result<(), StepError> {
        if self.settings.time == TimeSource::Real {
            return Ok(());
        }
        self.account.watch(None);
        let change = ClockChange { mode: Some(Mode::Frozen), now: None, rate: None };
        self.account.clock().set(change).map(drop).map_err(|why| why.to_string())
    }

    /// How fast clocks run that cannot stand still.
    fn rate(&self) -> u32 {
        if self.scenario.has_real_waits { 1 } else { FAKE_RATE }
    }

    pub(super) fn fake_clock(&self) -> FakeClock {
        FakeClock::new(self.store().path("faketime"))
    }

    fn clock_pair(&self) -> ClockPair {
        ClockPair {
            account: Arc::downgrade(&self.account),
            clock_error: self.clock_error,
            fake: self.fake_clock(),
            running: Mutex::default(),
        }
    }

    pub(super) fn lead_fake_clock(&self) {
        if let TimeSource::Fake(_) = self.settings.time {
            // What cannot be written shows when the connector is started.
            let _ = self.fake_clock().set(self.client_now(), Some(self.rate()));
        }
    }

    /// The rate at which the connector's clock starts: that of a poll starts at its first request.
    pub(super) fn first_rate(&self) -> Option<u32> {
        self.settings.is_service.then(|| self.rate())
    }

    /// The time that the connector's clock shows.
    pub(super) fn client_now(&self) -> ClockInstant {
        seen_by_client(self.account.clock().now(), self.clock_error)
    }
}

/// The time that a connector's clock shows.
fn seen_by_client(now: Millis, error: Option<ClockError>) -> ClockInstant {
    Millis(match error {
        None => now.0,
        Some(ClockError::Ahead(by)) => now.0.saturating_add(millis(by)),
        Some(ClockError::Behind(by)) => now.0.saturating_sub(millis(by)),
    })
    .into()
}

fn later(at: Millis, by: Span) -> Millis {
    Millis(at.0.saturating_add(millis(by)))
}

fn millis(span: Span) -> i64 {
    i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX)
}
