//! Durations, as scenarios write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

/// The units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The longest duration: ten years.
const MAX_MS: u64 = 3_652 * 86_400_000;

/// A duration of the account's clock: a whole number of `d`, `h`, `m`, `s` or `ms`, such as `90s`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct Span(Duration);

impl Span {
    /// The duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit).map(|(_, millis)| millis);
        let millis = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
        millis.filter(|millis| *millis <= MAX_MS).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            format!("must be a time such as 90s, 15m, 3h, 2d or 250ms, at most 3652d, got {shown:?}")
        })
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(MAX_MS);
        let fits = |(_, unit): &(&str, u64)| millis >= *unit && millis.is_multiple_of(*unit);
        let (unit, length) = UNITS.into_iter().find(fits).unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", millis / length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, millis) in
            [("90s", 90_000), ("15m", 900_000), ("3h", 10_800_000), ("2d", 172_800_000), ("250ms", 250)]
        {
            let span: Span = text.parse().expect("a span");
            assert_eq!((span.duration().as_millis(), span.to_string()), (millis, text.to_owned()));
        }
        assert_eq!("0s".parse::<Span>().map(|span| span.to_string()), Ok("0s".to_owned()));
        for text in ["", "5", "s", "-1s", "1.5h", "1w", "1h 3m", "99999999999999999999s", "4000d"] {
            let why = text.parse::<Span>().expect_err("not a span");
            assert!(why.ends_with(&format!("got {text:?}")), "{why}");
        }
    }
}
