//! An account's clock: the only reader of the machine's time.
//!
//! Windows, the visibility of events, the expiry of tokens, quotas and the `Date` header all follow from what
//! [`Clock::now`] says at the beginning of a request. It never goes back, whatever the machine's clock does.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::world::Millis;

/// See the module.
#[derive(Debug)]
pub struct Clock {
    /// Where the clock stands still; `None` when it runs with the machine's.
    stopped_at: Option<Millis>,
    /// How far it was turned forward.
    ahead_ms: AtomicI64,
    /// The latest instant it has shown.
    shown: AtomicI64,
}

/// The latest instant a clock shows, 2199-12-31: there is no history beyond it.
pub const LAST: Millis = Millis(7_258_032_000_000);

impl Clock {
    /// A clock that runs with the machine's.
    #[must_use]
    pub const fn running() -> Self {
        Self { stopped_at: None, ahead_ms: AtomicI64::new(0), shown: AtomicI64::new(i64::MIN) }
    }

    /// A clock that stands still until it is turned.
    #[must_use]
    pub const fn stopped_at(now: Millis) -> Self {
        Self { stopped_at: Some(now), ahead_ms: AtomicI64::new(0), shown: AtomicI64::new(i64::MIN) }
    }

    /// The account's time.
    #[must_use]
    pub fn now(&self) -> Millis {
        let base = self.stopped_at.unwrap_or_else(machine_time);
        let now = base.0.saturating_add(self.ahead_ms.load(Ordering::SeqCst)).min(LAST.0);
        Millis(self.shown.fetch_max(now, Ordering::SeqCst).max(now))
    }

    /// Turns the clock forward, at most to [`LAST`], and tells what it then shows.
    pub fn advance(&self, by: Duration) -> Millis {
        let by = i64::try_from(by.as_millis()).unwrap_or(LAST.0).min(LAST.0);
        // Bounded, so that turning it again and again cannot overflow; `now` cuts the sum as well.
        let turn = |ahead: i64| Some(ahead.saturating_add(by).min(LAST.0));
        let _previous = self.ahead_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turn);
        self.now()
    }
}

fn machine_time() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Millis(i64::try_from(since.as_millis()).unwrap_or(LAST.0))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
