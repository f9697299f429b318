//! Reads the time of a record: RFC 3339 with any offset, epoch seconds or milliseconds, and the formats of the API.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};

use crate::world::Millis;

/// Epoch numbers below this are seconds, all others are milliseconds. As seconds it is in the year 5138, and as
/// milliseconds in 1973.
const FIRST_EPOCH_MS: i64 = 100_000_000_000;
/// Milliseconds in a second.
const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// The time of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RecordTime {
    pub(super) at: Millis,
    /// The precision, in milliseconds. An event is compared after its time is truncated to this.
    pub(super) unit_ms: i64,
}

impl RecordTime {
    /// Parses a text or the text of a number. `zone_hours` is the offset of the API's formats that have none.
    pub(super) fn parse(text: &str, zone_hours: i64) -> Option<Self> {
        let text = text.trim();
        match text.as_bytes() {
            [b'0'..=b'9', .., b'0'..=b'9'] if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                Self::epoch(text)
            }
            [b'A'..=b'Z', ..] => Self::medium(text, zone_hours),
            _ => Self::rfc_3339(text),
        }
    }

    /// Whether a text is a time without a time zone.
    pub(super) fn lacks_zone(text: &str) -> bool {
        text.contains(':') && text.trim().parse::<DateTime>().is_ok()
    }

    /// Epoch seconds, possibly with a fraction, or epoch milliseconds.
    fn epoch(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
        let number: i64 = whole.parse().ok()?;
        if number >= FIRST_EPOCH_MS {
            return Some(Self { at: Millis(number), unit_ms: 1 });
        }
        let millis = match fraction {
            None => return Some(Self { at: Millis(number * SECOND_MS), unit_ms: SECOND_MS }),
            Some(fraction) => fraction_ms(fraction)?,
        };
        Some(Self { at: Millis(number * SECOND_MS + millis), unit_ms: 1 })
    }

    fn rfc_3339(text: &str) -> Option<Self> {
        if let Some(at) = api_time(text.as_bytes()) {
            return Some(Self { at, unit_ms: 1 });
        }
        let at: Timestamp = text.parse().ok()?;
        // Some languages omit the zeros at the end of a fraction, so a short fraction is exact.
        let clock = text.split_once(['T', 't', ' ']).map_or(text, |(_, clock)| clock);
        let clock = clock.split(['Z', 'z', '+', '-', '[']).next().unwrap_or_default();
        let unit_ms = match clock.matches(':').count() {
            _ if clock.contains(['.', ',']) => 1,
            2.. => SECOND_MS,
            _ => MINUTE_MS,
        };
        Some(Self { at: Millis(at.as_millisecond()), unit_ms })
    }

    /// A timestamp of an activity, such as `May 18, 2018 10:40:00 AM`, or of a line of v2, which has no seconds.
    fn medium(text: &str, zone_hours: i64) -> Option<Self> {
        for (format, unit_ms) in [("%b %d, %Y %I:%M:%S %p", SECOND_MS), ("%b %d, %Y %I:%M %p", MINUTE_MS)] {
            if let Ok(time) = DateTime::strptime(format, text) {
                return Some(Self { at: Self::zoned(time, zone_hours)?, unit_ms });
            }
        }
        None
    }

    fn zoned(time: DateTime, zone_hours: i64) -> Option<Millis> {
        let at = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(Millis(at.as_millisecond() - zone_hours * HOUR_MS))
    }

    /// Truncates the time of an event to the precision.
    pub(super) fn truncated(at: Millis, unit_ms: i64) -> i64 {
        at.0 - at.0.rem_euclid(unit_ms)
    }
}

/// A time exactly as v3.3 writes it, such as `2026-01-15T08:55:12.279Z`, which most records have. Five times faster than the
/// general parser, which reads all other forms.
fn api_time(text: &[u8]) -> Option<Millis> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'.', f1, f2, f3, b'Z'] =
        text
    else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits
            .iter()
            .try_fold(0, |number: i16, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(**digit - b'0')))
    };
    let small = |digits: &[&u8]| number(digits).and_then(|number| i8::try_from(number).ok());
    let day = Date::new(number(&[y1, y2, y3, y4])?, small(&[m1, m2])?, small(&[d1, d2])?).ok()?;
    let (hour, minute, second) = (small(&[h1, h2])?, small(&[i1, i2])?, small(&[s1, s2])?);
    let (fraction, is_valid) = (number(&[f1, f2, f3])?, hour < 24 && minute < 60 && second < 60);
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    let days = day.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    is_valid.then(|| Millis((days * 86_400 + seconds) * SECOND_MS + i64::from(fraction)))
}

/// The first three digits of a fraction of a second, as milliseconds.
fn fraction_ms(fraction: &str) -> Option<i64> {
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_formats() {
        const AT: i64 = 1_768_467_312_279;
        for (text, at, unit_ms) in [
            ("2026-01-15T08:55:12.279Z", AT, 1),
            ("2026-01-15T08:55:12.279000Z", AT, 1),
            ("2026-01-15T10:55:12.279+02:00", AT, 1),
            ("2026-01-15 08:55:12.279+00:00", AT, 1),
            ("2026-01-15T08:55:12.2Z", AT - 79, 1),
            ("2026-01-15T08:55:12Z", AT - 279, SECOND_MS),
            ("2026-01-15T10:55+02:00", AT - 12_279, MINUTE_MS),
            ("1768467312279", AT, 1),
            ("1768467312", AT - 279, SECOND_MS),
            ("1768467312.279", AT, 1),
            ("1768467312.28", AT + 1, 1),
            ("Jan 15, 2026 8:55:12 AM", AT - 279, SECOND_MS),
            ("Jan 15, 2026 08:55:12 AM", AT - 279, SECOND_MS),
        ] {
            assert_eq!(RecordTime::parse(text, 0), Some(RecordTime { at: Millis(at), unit_ms }), "{text}");
        }
        let line = RecordTime::parse("Jan 15, 2026 08:55 AM", 0);
        assert_eq!(line, Some(RecordTime { at: Millis(AT - 12_279), unit_ms: MINUTE_MS }));
        let zoned = RecordTime::parse("Jan 15, 2026 3:55:12 AM", -5);
        assert_eq!(zoned, Some(RecordTime { at: Millis(AT - 279), unit_ms: SECOND_MS }));
        for text in [
            "2026-02-30T08:55:12.279Z",
            "2026-01-15T24:55:12.279Z",
            "2026-01-15T08:60:12.279Z",
            "2o26-01-15T08:55:12.279Z",
        ] {
            assert_eq!((api_time(text.as_bytes()), RecordTime::parse(text, 0)), (None, None), "{text}");
        }
        for text in ["", "yesterday", "2026-01-15", "2026-01-15T08:55:12", "1.2.3", "Jan 32, 2026 8:55:12 AM"] {
            assert_eq!(RecordTime::parse(text, 0), None, "{text}");
        }
    }
}
