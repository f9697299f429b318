//! Instants of the history, and where it begins and ends.

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Millis(pub i64);

/// 2013-10-04T08:00:00Z: the company's account was created. Nothing happened before.
pub const ACCOUNT_MADE: Millis = Millis(1_380_873_600_000);

/// 2200-01-01: no query reaches further.
pub(super) const LAST: Millis = Millis(7_258_118_400_000);
