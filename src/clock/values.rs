//! Instants, rates and changes of clocks, as they are written.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::world::{ACCOUNT_MADE, Millis};

/// The minimum number of digits of epoch milliseconds. A shorter number may be a day or seconds.
const MIN_EPOCH_DIGITS: usize = 12;
/// The length of a day such as 2018-05-18.
const DAY_BYTES: usize = 10;
/// The latest time that a clock shows, 2199-12-31. The history ends there.
pub const LAST: Millis = Millis(7_258_032_000_000);

/// The initial state of a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Start {
    /// Runs with the machine's clock.
    #[default]
    System,
    /// Is frozen at an instant until it is changed.
    Frozen(Millis),
    /// Runs from an instant at a rate.
    Scaled(Millis, Rate),
}

/// Seconds of the clock per second of the machine: above 0, at most a million.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(pub(super) f64);

/// A time that a clock can show, from the creation of the company to [`LAST`]. Written as in RFC 3339.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instant(pub(super) Millis);

/// The mode of a clock.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Runs with the machine's clock, ahead of it by as much as the clock was advanced.
    System,
    /// Is frozen until it is changed.
    Frozen,
    /// Runs at its own rate.
    Scaled,
}

/// The time and the mode of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockReading {
    /// The mode.
    pub mode: Mode,
    /// The time that the clock shows.
    pub now: Instant,
    /// The rate, in mode [`Scaled`](Mode::Scaled).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// A change of a clock. Omitted fields stay as they are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// The new mode.
    pub mode: Option<Mode>,
    /// The new time, not before the current one. Not allowed with mode [`System`](Mode::System).
    pub now: Option<Instant>,
    /// The new rate, only with mode [`Scaled`](Mode::Scaled). Required unless the clock has a rate already.
    pub rate: Option<Rate>,
}

/// Why a clock was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SetClockError {
    /// The new time is before the current one.
    Backwards {
        /// The current time.
        now: Instant,
        /// The requested time.
        to: Instant,
    },
    /// The change has both `now` and mode [`System`](Mode::System), whose time is the machine's.
    NowInSystemMode,
    /// The change has a `rate` and a mode other than [`Scaled`](Mode::Scaled).
    RateWithoutScaledMode,
    /// The change has mode [`Scaled`](Mode::Scaled) without a rate, and the clock has none.
    MissingRate,
}

/// The instant `delay_ms` later, at most [`LAST`].
pub(crate) fn after(now: Millis, delay_ms: u64) -> Millis {
    Millis(now.0.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX))).min(LAST)
}

impl Rate {
    /// The maximum rate: at one million, a year passes in half a minute.
    pub const MAX: f64 = 1e6;
}

impl Instant {
    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> Millis {
        self.0
    }
}

/// Parses an instant (RFC 3339), a day, which stands for midnight UTC, or epoch milliseconds of at least twelve digits.
pub(crate) fn parse_instant(text: &str) -> Option<Millis> {
    if text.len() >= MIN_EPOCH_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Millis);
    }
    // A date and a time without a zone also parses as a day.
    let at: Timestamp = if text.len() == DAY_BYTES {
        text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC)).ok()?.timestamp()
    } else {
        text.parse().ok()?
    };
    Some(Millis(at.as_millisecond()))
}

/// Clamps the time to the range of a clock.
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
            "must be an instant such as 2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, \
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
