//! The clock of one account.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::values::{ClockChange, ClockReading, Instant, LAST, Mode, Rate, SetClockError, Start};
use crate::world::Millis;

/// The maximum duration of a wait, in the machine's time: a client that has disconnected must not keep its connection
/// open while the clock is frozen.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// A clock, see the module.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
    /// Wakes waiting tasks when the clock changes.
    changed: Notify,
    /// The ends of the sleeps of clients, each with a number that makes it unique.
    sleeps: Mutex<BTreeSet<(Millis, u64)>>,
    /// The number of sleeps so far.
    slept: AtomicU64,
}

/// A sleep of a client that has not ended.
struct Sleep<'a> {
    clock: &'a Clock,
    end: (Millis, u64),
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.clock.sleeps.lock().remove(&self.end);
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    running: Running,
    /// The latest time that the clock has shown.
    shown: i64,
    /// The epoch of the account. A wait ends when the epoch in which it started ends.
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum Running {
    System { ahead_ms: i64 },
    Frozen { at: i64 },
    Scaled { rate: Rate, from: i64, since: std::time::Instant },
}

impl Clock {
    /// Creates a clock.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            state: Mutex::new(State::begin(start, 0)),
            changed: Notify::new(),
            sleeps: Mutex::default(),
            slept: AtomicU64::new(0),
        }
    }

    /// Creates a clock that runs with the machine's clock.
    #[must_use]
    pub fn running() -> Self {
        Self::new(Start::System)
    }

    /// Creates a clock that is frozen.
    #[must_use]
    pub fn stopped_at(now: Millis) -> Self {
        Self::new(Start::Frozen(now))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.state().now()
    }

    /// The current time and mode.
    #[must_use]
    pub fn reading(&self) -> ClockReading {
        self.state().reading()
    }

    /// Advances the clock, at most to [`LAST`], and returns the new time.
    pub fn advance(&self, by: Duration) -> Millis {
        let by = i64::try_from(by.as_millis()).unwrap_or(LAST.0).min(LAST.0);
        let mut state = self.state();
        // Bounded, so that repeated calls cannot overflow; `now` is bounded as well.
        let changed = |from: i64| from.saturating_add(by).min(LAST.0);
        match &mut state.running {
            Running::System { ahead_ms: place }
            | Running::Frozen { at: place }
            | Running::Scaled { from: place, .. } => {
                *place = changed(*place);
            }
        }
        let now = state.now();
        drop(state);
        self.changed.notify_waiters();
        now
    }

    /// Changes the mode, the time and the rate.
    ///
    /// # Errors
    ///
    /// An error if the time would go back, or if the fields contradict each other. Then nothing changes.
    pub fn set(&self, change: ClockChange) -> Result<ClockReading, SetClockError> {
        let mut state = self.state();
        let ClockReading { mode, now: Instant(Millis(now)), rate } = state.reading();
        let mode = change.mode.unwrap_or(if change.rate.is_some() { Mode::Scaled } else { mode });
        let at = change.now.map_or(now, |Instant(at)| at.0);
        if at < now {
            return Err(SetClockError::Backwards { now: Instant(Millis(now)), to: Instant(Millis(at)) });
        }
        state.running = match mode {
            _ if change.rate.is_some() && mode != Mode::Scaled => return Err(SetClockError::RateWithoutScaledMode),
            Mode::System if change.now.is_some() => return Err(SetClockError::NowInSystemMode),
            // A clock that is ahead of the machine's clock stays ahead.
            Mode::System => Running::System { ahead_ms: (now - machine_time()).max(0) },
            Mode::Frozen => Running::Frozen { at },
            Mode::Scaled => {
                let rate = change.rate.or(rate).ok_or(SetClockError::MissingRate)?;
                Running::Scaled { rate, from: at, since: std::time::Instant::now() }
            }
        };
        let reading = state.reading();
        drop(state);
        self.changed.notify_waiters();
        Ok(reading)
    }

    /// Starts another epoch, possibly at an earlier time. Waits of earlier epochs end.
    pub(crate) fn reset(&self, start: Start, epoch: u64) {
        *self.state() = State::begin(start, epoch);
        self.changed.notify_waiters();
    }

    /// Ends all current and future waits.
    pub(crate) fn close(&self) {
        self.state().epoch = u64::MAX;
        self.changed.notify_waiters();
    }

    /// Waits until the clock shows `at`, even if it is changed in the meantime. Ends early when `epoch` is over, and
    /// after [`LONGEST_WAIT`] at the latest.
    pub(crate) async fn wait_until(&self, at: Millis, epoch: u64) {
        // The result does not matter: the wait is over in either case.
        let _ = timeout(LONGEST_WAIT, self.reach(at.min(LAST), epoch)).await;
    }

    /// Lets a client sleep until the clock shows `at`, like [`wait_until`](Self::wait_until). Meanwhile
    /// [`next_wake`](Self::next_wake) knows of it.
    pub(crate) async fn sleep_until(&self, at: Millis, epoch: u64) {
        let end = (at, self.slept.fetch_add(1, Ordering::Relaxed));
        self.sleeps.lock().insert(end);
        let sleep = Sleep { clock: self, end };
        self.wait_until(at, epoch).await;
        drop(sleep);
    }

    /// The end of the first sleep of a client that has not ended yet.
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        let now = self.now();
        self.sleeps.lock().range((Millis(now.0 + 1), 0)..).next().map(|(at, _)| *at)
    }

    /// Waits for a duration of the machine's time. Ends early when `epoch` is over.
    pub(crate) async fn sleep(&self, duration: Duration, epoch: u64) {
        // The result does not matter: the wait is over in either case.
        let _ = timeout(duration, self.end_of(epoch)).await;
    }

    async fn end_of(&self, epoch: u64) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on, no change is missed.
            changed.as_mut().enable();
            if self.state().epoch != epoch {
                return;
            }
            changed.await;
        }
    }

    async fn reach(&self, at: Millis, epoch: u64) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on, no change is missed.
            changed.as_mut().enable();
            let left = {
                let mut state = self.state();
                let now = state.now();
                if now >= at || state.epoch != epoch {
                    return;
                }
                state.running.real_time((at.0 - now.0).unsigned_abs())
            };
            match left {
                None => changed.await,
                Some(left) => tokio::select! {
                    () = changed => {}
                    () = sleep(left) => {}
                },
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn begin(start: Start, epoch: u64) -> Self {
        let running = match start {
            Start::System => Running::System { ahead_ms: 0 },
            Start::Frozen(at) => Running::Frozen { at: at.0 },
            Start::Scaled(from, rate) => Running::Scaled { rate, from: from.0, since: std::time::Instant::now() },
        };
        Self { running, shown: i64::MIN, epoch }
    }

    fn reading(&mut self) -> ClockReading {
        let now = Instant(self.now());
        match self.running {
            Running::System { .. } => ClockReading { mode: Mode::System, now, rate: None },
            Running::Frozen { .. } => ClockReading { mode: Mode::Frozen, now, rate: None },
            Running::Scaled { rate, .. } => ClockReading { mode: Mode::Scaled, now, rate: Some(rate) },
        }
    }

    fn now(&mut self) -> Millis {
        self.now_by(machine_time())
    }

    /// The time of the clock when the machine shows `machine_ms`.
    fn now_by(&mut self, machine_ms: i64) -> Millis {
        let now = match self.running {
            Running::System { ref mut ahead_ms } => {
                let now = machine_ms.saturating_add(*ahead_ms);
                // The machine's time was corrected backwards. The clock continues from the latest time that it has
                // shown, instead of standing still until the machine catches up.
                if now < self.shown {
                    *ahead_ms = self.shown.saturating_sub(machine_ms);
                }
                machine_ms.saturating_add(*ahead_ms)
            }
            Running::Frozen { at } => at,
            Running::Scaled { rate: Rate(rate), from, since } => {
                from.saturating_add(truncate(since.elapsed().as_secs_f64() * 1e3 * rate))
            }
        };
        self.shown = self.shown.max(now.min(LAST.0));
        Millis(self.shown)
    }
}

impl Running {
    /// The machine's time for a number of milliseconds of the clock; `None` if the clock is frozen.
    fn real_time(self, clock_ms: u64) -> Option<Duration> {
        match self {
            Self::System { .. } => Some(Duration::from_millis(clock_ms)),
            Self::Frozen { .. } => None,
            Self::Scaled { rate: Rate(rate), .. } => {
                // Bounded for very slow clocks, because timers have a limit; the wait checks again after a day.
                let seconds = Duration::from_millis(clock_ms).as_secs_f64() / rate;
                Some(Duration::from_secs_f64(seconds.clamp(0.001, 86_400.0)))
            }
        }
    }
}

/// Truncates a float to an integer number of milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a cast from a float saturates")]
fn truncate(milliseconds: f64) -> i64 {
    milliseconds as i64
}

fn machine_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(LAST.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().expect("an instant")
    }

    #[test]
    fn frozen_clock_moves_only_when_advanced() {
        let clock = Clock::stopped_at(Millis(1000));
        assert_eq!((clock.now(), clock.now()), (Millis(1000), Millis(1000)));
        assert_eq!(clock.advance(Duration::from_millis(234)), Millis(1234));
        assert_eq!(clock.now(), Millis(1234));
    }

    #[test]
    fn running_clock_can_be_advanced_and_never_goes_back() {
        let clock = Clock::running();
        let before = clock.now();
        assert!(clock.advance(Duration::from_secs(3600)) >= Millis(before.0 + 3_600_000));
        assert!(clock.now() >= Millis(before.0 + 3_600_000));
    }

    #[test]
    fn clock_never_passes_last() {
        let clock = Clock::stopped_at(Millis(1000));
        assert_eq!(clock.advance(Duration::MAX), LAST);
        assert_eq!(clock.advance(Duration::MAX), LAST);
        let fast = ClockChange { rate: Rate::try_from(1e6).ok(), ..ClockChange::default() };
        assert_eq!(clock.set(fast).map(|reading| reading.now), Ok(LAST.into()));
    }

    #[test]
    fn invalid_changes_have_no_effect() {
        let now = at("2026-01-15T12:00:00Z");
        let clock = Clock::stopped_at(now.millis());
        let rate = Rate::try_from(60.0).ok();
        let early = at("2026-01-15T11:59:59Z");
        for (clock_change, why) in [
            (ClockChange { now: Some(early), ..ClockChange::default() }, SetClockError::Backwards { now, to: early }),
            (ClockChange { mode: Some(Mode::Scaled), ..ClockChange::default() }, SetClockError::MissingRate),
            (
                ClockChange { mode: Some(Mode::Frozen), rate, ..ClockChange::default() },
                SetClockError::RateWithoutScaledMode,
            ),
            (
                ClockChange { mode: Some(Mode::System), now: Some(now), ..ClockChange::default() },
                SetClockError::NowInSystemMode,
            ),
        ] {
            assert_eq!(clock.set(clock_change), Err(why));
            assert_eq!(clock.reading(), ClockReading { mode: Mode::Frozen, now, rate: None });
        }
    }

    #[test]
    fn clock_ahead_of_machine_stays_ahead_in_system_mode() {
        let far = at("2190-01-01T00:00:00Z");
        let clock = Clock::stopped_at(far.millis());
        let reading =
            clock.set(ClockChange { mode: Some(Mode::System), ..ClockChange::default() }).expect("a valid change");
        assert_eq!(reading.mode, Mode::System);
        assert!(reading.now >= far);
        clock.reset(Start::System, 1);
        assert!(clock.now() < far.millis(), "only a reset goes back");
    }

    #[test]
    fn system_clock_continues_when_machine_time_goes_back() {
        let mut state = State::begin(Start::System, 0);
        let shown: Vec<i64> = [1_000, 2_000, 900_000, 3_000, 4_000, 4_500]
            .into_iter()
            .map(|machine_ms| state.now_by(machine_ms).0)
            .collect();
        assert_eq!(shown, [1_000, 2_000, 900_000, 900_000, 901_000, 901_500]);
    }

    #[tokio::test]
    async fn wait_ends_when_clock_is_changed_or_reset() {
        let clock = Clock::stopped_at(Millis(1000));
        for wake in 0..3 {
            let wait = clock.wait_until(Millis(clock.now().0 + 60_000), 0);
            let clock_change = async {
                tokio::task::yield_now().await;
                match wake {
                    0 => drop(clock.advance(Duration::from_secs(60))),
                    1 => drop(clock.set(ClockChange { rate: Rate::try_from(1e6).ok(), ..ClockChange::default() })),
                    _ => clock.reset(Start::Frozen(Millis(0)), 1),
                }
            };
            tokio::join!(wait, clock_change);
            clock.set(ClockChange { mode: Some(Mode::Frozen), ..ClockChange::default() }).expect("a valid change");
        }
    }
}
