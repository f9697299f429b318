//! An account's clock: the only reader of the machine's time.
//!
//! Windows, the visibility of events, the expiry of tokens, quotas, the `Date` header, the journal's stamps and the waits of
//! faults all follow from what [`Clock::now`] says. It runs with the machine's clock, stands still, or runs at a rate of
//! its own; it can be changed forward, and never goes back but when its account begins anew.

use std::{
    fmt,
    pin::pin,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::world::{ACCOUNT_MADE, Millis};

/// The latest instant a clock shows, 2199-12-31: there is no history beyond it.
pub const LAST: Millis = Millis(7_258_032_000_000);

/// How long a wait lasts at most, in the machine's time: a client that went while a clock stood still must not hold its
/// connection for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
    /// Wakes whoever waits for an instant when the clock is changed.
    changed: Notify,
}

/// How a clock begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Start {
    /// It runs with the machine's.
    #[default]
    System,
    /// It stands still at an instant until it is changed.
    Frozen(Millis),
    /// It runs from an instant at a rate.
    Scaled(Millis, Rate),
}

/// How many seconds pass on a clock in one of the machine's: above 0, at most a million.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

/// An instant at which a clock can stand, from the account's beginning to [`LAST`]. Written as in RFC 3339.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instant(Millis);

/// How a clock runs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// With the machine's clock, or so far ahead of it as it was changed.
    System,
    /// Not at all, until it is changed.
    Frozen,
    /// At a rate of its own.
    Scaled,
}

/// What a clock shows, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockReading {
    /// How it runs.
    pub mode: Mode,
    /// What it shows.
    pub now: Instant,
    /// How fast, where the mode is [`Scaled`](Mode::Scaled).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// A change of a clock. What is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// How it shall run from now on.
    pub mode: Option<Mode>,
    /// What it shall show, not earlier than what it shows. Not for the mode [`System`](Mode::System).
    pub now: Option<Instant>,
    /// How fast it shall run; for the mode [`Scaled`](Mode::Scaled), which needs it once.
    pub rate: Option<Rate>,
}

/// Why a clock was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetClockError {
    /// It would have gone back.
    Backwards {
        /// What it shows.
        now: Instant,
        /// What it was asked to show.
        to: Instant,
    },
    /// `now` came with the mode [`System`](Mode::System), whose time is the machine's.
    NowInSystemMode,
    /// `rate` came without the mode [`Scaled`](Mode::Scaled).
    RateWithoutScaledMode,
    /// The mode [`Scaled`](Mode::Scaled) came without a rate, and the clock has none.
    MissingRate,
}

/// Measures how long something took on the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

#[derive(Clone, Copy, Debug)]
struct State {
    running: Running,
    /// The latest instant it has shown.
    shown: i64,
    /// Counts the beginnings of the account; who waits does so in the epoch in which it came.
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum Running {
    System { ahead_ms: i64 },
    Frozen { at: i64 },
    Scaled { rate: Rate, from: i64, since: std::time::Instant },
}

impl Clock {
    /// A clock that begins in some way.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { state: Mutex::new(State::begin(start, 0)), changed: Notify::new() }
    }

    /// A clock that runs with the machine's.
    #[must_use]
    pub fn running() -> Self {
        Self::new(Start::System)
    }

    /// A clock that stands still until it is changed.
    #[must_use]
    pub fn stopped_at(now: Millis) -> Self {
        Self::new(Start::Frozen(now))
    }

    /// The account's time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.state().now()
    }

    /// The account's time, and how it runs.
    #[must_use]
    pub fn reading(&self) -> ClockReading {
        let mut state = self.state();
        let now = Instant(state.now());
        match state.running {
            Running::System { .. } => ClockReading { mode: Mode::System, now, rate: None },
            Running::Frozen { .. } => ClockReading { mode: Mode::Frozen, now, rate: None },
            Running::Scaled { rate, .. } => ClockReading { mode: Mode::Scaled, now, rate: Some(rate) },
        }
    }

    /// Turns the clock forward, at most to [`LAST`], and tells what it then shows.
    pub fn advance(&self, by: Duration) -> Millis {
        let by = i64::try_from(by.as_millis()).unwrap_or(LAST.0).min(LAST.0);
        let mut state = self.state();
        // Bounded, so that turning it again and again cannot overflow; `now` cuts the sum as well.
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

    /// Changes how the clock runs and what it shows.
    ///
    /// # Errors
    ///
    /// When it would go back, and when the parts of the turn do not fit each other. Nothing is changed then.
    pub fn set(&self, change: ClockChange) -> Result<ClockReading, SetClockError> {
        let mut state = self.state();
        let now = state.now().0;
        let (mode, rate) = match state.running {
            Running::System { .. } => (Mode::System, None),
            Running::Frozen { .. } => (Mode::Frozen, None),
            Running::Scaled { rate, .. } => (Mode::Scaled, Some(rate)),
        };
        let mode = change.mode.unwrap_or(if change.rate.is_some() { Mode::Scaled } else { mode });
        let at = change.now.map_or(now, |Instant(at)| at.0);
        if at < now {
            return Err(SetClockError::Backwards { now: Instant(Millis(now)), to: Instant(Millis(at)) });
        }
        state.running = match mode {
            _ if change.rate.is_some() && mode != Mode::Scaled => return Err(SetClockError::RateWithoutScaledMode),
            Mode::System if change.now.is_some() => return Err(SetClockError::NowInSystemMode),
            // Where it stands ahead of the machine's clock it goes on from there.
            Mode::System => Running::System { ahead_ms: (now - machine_time()).max(0) },
            Mode::Frozen => Running::Frozen { at },
            Mode::Scaled => {
                let rate = change.rate.or(rate).ok_or(SetClockError::MissingRate)?;
                Running::Scaled { rate, from: at, since: std::time::Instant::now() }
            }
        };
        drop(state);
        self.changed.notify_waiters();
        Ok(self.reading())
    }

    /// Begins another epoch, which may be back in time. Whoever waits in a former one waits no longer.
    pub(crate) fn reset(&self, start: Start, epoch: u64) {
        *self.state() = State::begin(start, epoch);
        self.changed.notify_waiters();
    }

    /// Ends all waits for ever.
    pub(crate) fn close(&self) {
        self.state().epoch = u64::MAX;
        self.changed.notify_waiters();
    }

    /// Waits until the clock shows an instant, however it is changed meanwhile, or until the epoch is over in which whoever
    /// waits came; at most [`LONGEST_WAIT`].
    pub(crate) async fn wait_until(&self, at: Millis, epoch: u64) {
        // Whether it was reached or given up: the wait is over.
        let _ = timeout(LONGEST_WAIT, self.reach(at.min(LAST), epoch)).await;
    }

    async fn reach(&self, at: Millis, epoch: u64) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no turn is missed.
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

    fn now(&mut self) -> Millis {
        self.now_by(machine_time())
    }

    /// The time where the machine shows `machine_ms`.
    fn now_by(&mut self, machine_ms: i64) -> Millis {
        let now = match self.running {
            Running::System { ref mut ahead_ms } => {
                let now = machine_ms.saturating_add(*ahead_ms);
                // The machine's time was corrected backwards: the clock goes on from what it has shown, instead of status still
                // until the machine is there again.
                if now < self.shown {
                    *ahead_ms = self.shown.saturating_sub(machine_ms);
                }
                machine_ms.saturating_add(*ahead_ms)
            }
            Running::Frozen { at } => at,
            Running::Scaled { rate: Rate(rate), from, since } => {
                from.saturating_add(whole(since.elapsed().as_secs_f64() * 1e3 * rate))
            }
        };
        self.shown = self.shown.max(now.min(LAST.0));
        Millis(self.shown)
    }
}

impl Running {
    /// How long the machine takes for so many milliseconds of the clock; `None` when they never pass.
    fn real_time(self, clock_ms: u64) -> Option<Duration> {
        match self {
            Self::System { .. } => Some(Duration::from_millis(clock_ms)),
            Self::Frozen { .. } => None,
            Self::Scaled { rate: Rate(rate), .. } => {
                // A clock that creeps would sleep for longer than timers go; it looks again after a day.
                let seconds = Duration::from_millis(clock_ms).as_secs_f64() / rate;
                Some(Duration::from_secs_f64(seconds.clamp(0.001, 86_400.0)))
            }
        }
    }
}

/// The whole milliseconds of a number of them.
#[expect(clippy::cast_possible_truncation, reason = "a cast of a float goes to the nearest number that there is")]
fn whole(milliseconds: f64) -> i64 {
    milliseconds as i64
}

fn machine_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(LAST.0)
}

/// The instant that comes so much later, at most [`LAST`].
pub(crate) fn after(now: Millis, delay_ms: u64) -> Millis {
    Millis(now.0.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX))).min(LAST)
}

/// A time in whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl Rate {
    /// The largest rate: at a million, a year passes in half a minute.
    pub const MAX: f64 = 1e6;
}

impl Instant {
    /// What it is in milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> Millis {
        self.0
    }
}

/// An instant (RFC 3339), or a day for its midnight in UTC.
pub(crate) fn parse_instant(text: &str) -> Option<Millis> {
    let midnight = || text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC)).map(|day| day.timestamp());
    let at: Timestamp = text.parse().or_else(|_| midnight()).ok()?;
    Some(Millis(at.as_millisecond()))
}

/// An instant outside of a clock's time is cut to its ends.
impl From<Millis> for Instant {
    fn from(at: Millis) -> Self {
        Self(at.clamp(ACCOUNT_MADE, LAST))
    }
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = parse_instant(text).filter(|at| (ACCOUNT_MADE..=LAST).contains(at));
        at.map(Self).ok_or_else(|| {
            "must be an instant such as 2018-05-18T12:00:00Z or a day such as 2018-05-18, \
             from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z"
                .to_owned()
        })
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_millisecond(self.0.0).unwrap_or(Timestamp::UNIX_EPOCH);
        if at.subsec_millisecond() == 0 { write!(f, "{at:.0}") } else { write!(f, "{at:.3}") }
    }
}

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|wanted| format!("{wanted}, got \"{}\"", text.chars().take(60).collect::<String>()))
    }
}

impl From<Instant> for String {
    fn from(at: Instant) -> Self {
        at.to_string()
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if rate.is_finite() && rate > 0.0 && rate <= Self::MAX {
            Ok(Self(rate))
        } else {
            Err(format!("must be above 0 and at most {}, got {rate}", Self::MAX))
        }
    }
}

impl From<Rate> for f64 {
    fn from(Rate(rate): Rate) -> Self {
        rate
    }
}

impl fmt::Display for SetClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backwards { now, to } => {
                write!(f, "now must not be before what the clock shows ({now}), got {to}; only a reset goes back")
            }
            Self::NowInSystemMode => {
                f.write_str("now cannot come with mode system, whose time is the machine's; mode scaled with rate 1 runs from any instant")
            }
            Self::RateWithoutScaledMode => f.write_str("rate comes with mode scaled only"),
            Self::MissingRate => f.write_str("rate is required with mode scaled: the seconds that pass in one of the machine's"),
        }
    }
}

impl std::error::Error for SetClockError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_stopped_clock_moves_only_when_it_is_turned() {
        let clock = Clock::stopped_at(Millis(1000));
        assert_eq!((clock.now(), clock.now()), (Millis(1000), Millis(1000)));
        assert_eq!(clock.advance(Duration::from_millis(234)), Millis(1234));
        assert_eq!(clock.now(), Millis(1234));
    }

    #[test]
    fn a_running_clock_can_be_turned_too_and_never_goes_back() {
        let clock = Clock::running();
        let before = clock.now();
        assert!(clock.advance(Duration::from_secs(3600)) >= Millis(before.0 + 3_600_000));
        assert!(clock.now() >= Millis(before.0 + 3_600_000));
    }

    #[test]
    fn no_turn_leads_beyond_the_end() {
        let clock = Clock::stopped_at(Millis(1000));
        assert_eq!(clock.advance(Duration::MAX), LAST);
        assert_eq!(clock.advance(Duration::MAX), LAST);
        let fast = ClockChange { rate: Rate::try_from(1e6).ok(), ..ClockChange::default() };
        assert_eq!(clock.set(fast).map(|reading| reading.now), Ok(LAST.into()));
    }

    #[test]
    fn turns_that_do_not_fit_change_nothing() {
        let now = at("2026-01-15T12:00:00Z");
        let clock = Clock::stopped_at(now.millis());
        let rate = Rate::try_from(60.0).ok();
        let early = at("2026-01-15T11:59:59Z");
        for (turn, why) in [
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
            assert_eq!(clock.set(turn), Err(why));
            assert_eq!(clock.reading(), ClockReading { mode: Mode::Frozen, now, rate: None });
        }
    }

    #[test]
    fn a_clock_that_stands_ahead_of_the_machines_goes_on_from_there() {
        let far = at("2190-01-01T00:00:00Z");
        let clock = Clock::stopped_at(far.millis());
        let reading =
            clock.set(ClockChange { mode: Some(Mode::System), ..ClockChange::default() }).expect("a turn that fits");
        assert_eq!(reading.mode, Mode::System);
        assert!(reading.now >= far);
        clock.reset(Start::System, 1);
        assert!(clock.now() < far.millis(), "only a new beginning goes back");
    }

    #[test]
    fn a_clock_that_follows_the_machine_runs_on_when_the_machine_is_corrected() {
        let mut state = State::begin(Start::System, 0);
        let shown: Vec<i64> = [1_000, 2_000, 900_000, 3_000, 4_000, 4_500]
            .into_iter()
            .map(|machine_ms| state.now_by(machine_ms).0)
            .collect();
        assert_eq!(shown, [1_000, 2_000, 900_000, 900_000, 901_000, 901_500]);
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_clock_is_set_and_when_it_is_reset() {
        let clock = Clock::stopped_at(Millis(1000));
        for wake in 0..3 {
            let wait = clock.wait_until(Millis(clock.now().0 + 60_000), 0);
            let turn = async {
                tokio::task::yield_now().await;
                match wake {
                    0 => drop(clock.advance(Duration::from_secs(60))),
                    1 => drop(clock.set(ClockChange { rate: Rate::try_from(1e6).ok(), ..ClockChange::default() })),
                    _ => clock.reset(Start::Frozen(Millis(0)), 1),
                }
            };
            tokio::join!(wait, turn);
            clock.set(ClockChange { mode: Some(Mode::Frozen), ..ClockChange::default() }).expect("a turn that fits");
        }
    }
}
