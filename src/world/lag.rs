//! The delay between an event and its visibility.
//!
//! The upstream service collects its logs from devices and other services. A query therefore sees an event some time
//! after it happened, and events do not become visible in the order in which they happened. A connector that reads up
//! to the current time and continues from there misses such events.

use std::{fmt, str::FromStr};

use super::random::Key;

/// Delay between an event and its visibility, in seconds. Each event has its own uniform draw, in milliseconds. The
/// text form is `30` (fixed) or `5..120` (range, both ends included).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Lag {
    least_seconds: u32,
    most_seconds: u32,
}

impl Lag {
    /// No delay: each event is visible at once.
    pub const NONE: Self = Self { least_seconds: 0, most_seconds: 0 };
    /// The longest lag, in seconds: one hour. A selection examines all events of this period one by one.
    pub const MAX_SECONDS: u32 = 3_600;

    pub(crate) fn longest_ms(self) -> i64 {
        i64::from(self.most_seconds) * 1000
    }

    /// The lag of one event, in milliseconds.
    pub(super) fn draw(self, key: Key, index: u64) -> i64 {
        let least_ms = i64::from(self.least_seconds) * 1000;
        let range_ms = u64::from(self.most_seconds - self.least_seconds) * 1000;
        least_ms + if range_ms == 0 { 0 } else { key.below(index, range_ms + 1).cast_signed() }
    }
}

impl FromStr for Lag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let seconds = |text: &str| text.parse().ok().filter(|&seconds: &u32| seconds <= Self::MAX_SECONDS);
        match (seconds(least), seconds(most)) {
            (Some(least_seconds), Some(most_seconds)) if least_seconds <= most_seconds => {
                Ok(Self { least_seconds, most_seconds })
            }
            _ => Err("must be SECONDS such as 30, or FROM..TO such as 5..120, at most 3600".to_owned()),
        }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least_seconds == self.most_seconds {
            write!(f, "{}", self.least_seconds)
        } else {
            write!(f, "{}..{}", self.least_seconds, self.most_seconds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_parses_as_a_number_or_a_range() {
        for (text, read) in [("0", "0"), ("30", "30"), ("5..120", "5..120"), ("7..7", "7"), ("0..3600", "0..3600")] {
            assert_eq!(text.parse::<Lag>().map(|lag| lag.to_string()), Ok(read.to_owned()), "{text}");
        }
        for text in ["", "-1", "1.5", "5..", "..5", "120..5", "3601", "0..3601", "5...9", "5..9..12"] {
            assert!(text.parse::<Lag>().is_err(), "{text} is accepted");
        }
    }
}
