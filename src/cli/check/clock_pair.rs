//! The clock of an account and the fake one of its connector, which go together.

use std::{
    io,
    ops::RangeInclusive,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::time_source::{FAKE_RATE, FakeClock, REFUSED_RATE};
use crate::{
    account::{Account, Moment},
    clock::{ClockChange, Instant, Mode, Rate},
    scenario::{ClockError, Scenario, Span},
    world::Millis,
};

/// The waits that pass on a fast clock, in seconds. A shorter one passes soon.
const LONG_WAITS: RangeInclusive<u64> = 30..=1_200;
/// The rate during a longer wait. A connector may choose not to wait for so long, so that nobody knows when it ends, and a
/// request can come on this clock.
const ENDLESS_RATE: u32 = 240;
/// Which part of a wait passes on a fast clock, in percent.
const FAST_PERCENT: u32 = 80;

/// The two clocks. They change together, under one lock.
pub(super) struct ClockPair {
    account: Weak<Account>,
    /// How many times as fast as the machine's clock they run.
    usual_rate: u32,
    state: Mutex<State>,
}

struct State {
    fake: FakeClock,
    clock_error: Option<ClockError>,
    motion: Motion,
    /// The number of changes of the motion.
    changes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Motion {
    Stopped,
    /// They run from the next request on.
    Armed,
    /// They run so many times as fast as the machine's clock.
    Running(u32),
}

impl ClockPair {
    /// The clocks of an account, which stand still.
    pub(super) fn new(account: &Arc<Account>, fake: FakeClock, usual_rate: u32) -> Arc<Self> {
        let state = State { fake, clock_error: None, motion: Motion::Stopped, changes: 0 };
        let pair = Arc::new(Self { account: Arc::downgrade(account), usual_rate, state: Mutex::new(state) });
        let watching = pair.clone();
        account.watch.set(move |moment| watching.notice(moment));
        pair
    }

    /// Sets the clock of a connector that starts: it stands still, or runs.
    pub(super) fn set_fake(&self, fake: FakeClock, error: Option<ClockError>, runs: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        (state.fake, state.clock_error) = (fake, error);
        state.write(&self.account, runs.then_some(self.usual_rate))
    }

    /// Sets the connector's clock to the time of the account, which was turned.
    pub(super) fn follow(&self, error: Option<ClockError>) {
        let mut state = self.state.lock();
        state.clock_error = error;
        let rate = if let Motion::Running(rate) = state.motion { rate } else { self.usual_rate };
        // What cannot be written shows when the connector is started.
        let _ = state.write(&self.account, Some(rate));
    }

    /// Lets both clocks run from now on.
    pub(super) fn start(&self) {
        self.state.lock().run(&self.account, self.usual_rate);
    }

    /// Lets both clocks run from the next request on.
    pub(super) fn start_at_next_request(&self) {
        self.state.lock().change(Motion::Armed);
    }

    /// Stops the clock of the account. Nothing lets it run until the next start.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.change(Motion::Stopped);
        if let Some(account) = self.account.upgrade() {
            freeze(&account);
        }
    }

    /// Lets the clocks run at the first request, and faster while a connector waits after a 429.
    fn notice(self: &Arc<Self>, moment: Moment) {
        let mut state = self.state.lock();
        match (moment, state.motion) {
            (_, Motion::Stopped) | (Moment::Refused { .. }, Motion::Armed) => {}
            (Moment::Arrived, motion) => {
                if motion != Motion::Running(self.usual_rate) {
                    state.run(&self.account, self.usual_rate);
                }
            }
            (Moment::Refused { wait_seconds, is_alone }, Motion::Running(rate)) => {
                if !is_alone || rate != FAKE_RATE || wait_seconds < *LONG_WAITS.start() {
                    // Something else goes on, or it is over soon.
                } else if LONG_WAITS.contains(&wait_seconds) {
                    self.pass(&mut state, wait_seconds);
                } else {
                    state.run(&self.account, ENDLESS_RATE);
                }
            }
        }
    }

    /// Lets the clocks run fast during most of a wait, which begins now, and moves them to its end then: a connector must not
    /// make a request on a fast clock, because its time limit would end too soon.
    fn pass(self: &Arc<Self>, state: &mut State, wait_seconds: u64) {
        let Some(account) = self.account.upgrade() else { return };
        let end = account.clock().now().0.saturating_add_unsigned(wait_seconds * 1000);
        state.run(&self.account, REFUSED_RATE);
        let (pair, changes) = (Arc::downgrade(self), state.changes);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(wait_seconds) * FAST_PERCENT / 100 / REFUSED_RATE).await;
            if let Some(pair) = pair.upgrade() {
                pair.end_wait(end, changes);
            }
        });
    }

    /// Moves the clocks to the end of a wait, unless something has changed them since.
    fn end_wait(&self, end: i64, changes: u64) {
        let mut state = self.state.lock();
        let Some(account) = self.account.upgrade().filter(|_| state.changes == changes) else { return };
        let left = u64::try_from(end - account.clock().now().0).unwrap_or_default();
        account.advance(Duration::from_millis(left));
        state.run(&self.account, self.usual_rate);
    }
}

impl State {
    fn change(&mut self, motion: Motion) {
        self.motion = motion;
        self.changes += 1;
    }

    fn run(&mut self, account: &Weak<Account>, rate: u32) {
        self.change(Motion::Running(rate));
        if let (Some(account), Ok(rate)) = (account.upgrade(), Rate::try_from(f64::from(rate))) {
            // A clock can always run on from the time that it shows, at one of these rates.
            let _ = account.clock().set(ClockChange { mode: Some(Mode::Scaled), now: None, rate: Some(rate) });
        }
        // What cannot be written shows when the connector is started.
        let _ = self.write(account, Some(rate));
    }

    /// Writes the file of the connector's clock.
    fn write(&self, account: &Weak<Account>, rate: Option<u32>) -> io::Result<()> {
        let Some(account) = account.upgrade() else { return Ok(()) };
        self.fake.set(seen_by_client(account.clock().now(), self.clock_error), rate)
    }
}

/// Stops the clock of an account.
pub(super) fn freeze(account: &Account) {
    // A clock can always be frozen at the time that it shows.
    let _ = account.clock().set(ClockChange { mode: Some(Mode::Frozen), now: None, rate: None });
}

/// How fast clocks run that cannot stand still.
pub(super) fn rate(scenario: &Scenario) -> u32 {
    if scenario.has_real_waits { 1 } else { FAKE_RATE }
}

/// The time that a connector's clock shows.
pub(super) fn seen_by_client(now: Millis, error: Option<ClockError>) -> Instant {
    Millis(match error {
        None => now.0,
        Some(ClockError::Ahead(by)) => now.0.saturating_add(millis(by)),
        Some(ClockError::Behind(by)) => now.0.saturating_sub(millis(by)),
    })
    .into()
}

/// The milliseconds of a span.
pub(super) fn millis(span: Span) -> i64 {
    i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX)
}
