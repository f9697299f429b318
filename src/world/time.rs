//! Instants of the history, its beginning and its end.

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Millis(pub i64);

/// The creation of the company's account: 2013-10-04T08:00:00Z. No event happens before it.
pub const ACCOUNT_MADE: Millis = Millis(1_380_873_600_000);

/// The length of a month, as releases count them, in milliseconds.
pub(super) const MONTH_MS: i64 = 2_629_800_000;

/// 2200-01-01T00:00:00Z: the last instant of any query.
pub(crate) const HISTORY_END: Millis = Millis(7_258_118_400_000);
