//! An account's clock: the only code that reads the machine's time.
//!
//! Windows, the visibility of events, token expiry, quotas, the `Date` header, journal timestamps and fault delays all
//! use [`Clock::now`]. The clock runs with the machine's clock, is frozen, or runs at its own rate. It can move
//! forward, and goes back only when the account is reset.

#[expect(clippy::module_inception, reason = "the clock is what this module is about")]
mod clock;
mod stopwatch;
mod values;

#[cfg(feature = "cli")]
pub(crate) use self::values::parse_instant;
pub use self::{
    clock::Clock,
    values::{ClockChange, ClockReading, Instant, LAST, Mode, Rate, SetClockError, Start},
};
pub(crate) use self::{
    stopwatch::{Stopwatch, micros},
    values::after,
};
