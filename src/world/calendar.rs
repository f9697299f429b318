//! Business-time arithmetic: the weekly activity calendars of a company.
//!
//! The event rate changes with working hours, lunch breaks and weekends. A calendar models this as a change of the time
//! scale: *active time* is time in milliseconds, weighted by the activity of its hour. Events that are evenly spaced in
//! active time are dense in busy hours. Active time is an integer, a week is a small table, and both conversions are
//! look-ups.

use super::time::Millis;

/// Origin of active time: Monday 2013-09-30, 00:00 in the company's local time. The history begins four days later.
const ORIGIN: i64 = 1_380_499_200_000;
/// 2300-01-01T00:00:00Z. Later instants are clamped to it, which prevents an overflow.
const LAST: i64 = 10_413_792_000_000;
/// Milliseconds in an hour.
const HOUR: u64 = 3_600_000;
/// Hours in a week.
const WEEK: usize = 168;

/// Working-hours calendar: weight of each hour of a working day, midnight first.
const WORKING_DAY: [u64; 24] = [1, 1, 1, 1, 1, 2, 5, 16, 42, 60, 64, 58, 33, 50, 61, 58, 47, 28, 12, 6, 4, 3, 2, 1];
/// Working-hours calendar: weight of each hour of a weekend day, midnight first.
const WORKING_REST: [u64; 24] = [1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 4, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 1];
/// Device-uptime calendar: weight of each hour of a working day, midnight first. Some devices are always on.
const UPTIME_DAY: [u64; 24] =
    [12, 11, 11, 10, 10, 12, 18, 34, 52, 60, 62, 62, 58, 60, 62, 61, 58, 48, 34, 28, 25, 22, 18, 14];
/// Device-uptime calendar: weight of each hour of a weekend day, midnight first.
const UPTIME_REST: [u64; 24] =
    [11, 10, 10, 10, 10, 10, 10, 11, 13, 15, 16, 16, 15, 15, 16, 16, 15, 15, 15, 15, 14, 13, 12, 11];

/// The two activity calendars of a company.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CalendarKind {
    /// People at work: few events at night and at weekends.
    WorkingHours,
    /// Devices that are switched on: the weights differ less between day and night.
    DeviceUptime,
}

/// Converts between instants and active time, for one kind of calendar in one time zone.
#[derive(Clone, Debug)]
pub(super) struct ActivityCalendar {
    /// Weight of each hour of the week, Monday midnight first.
    weights: [u64; WEEK],
    /// Active time from the start of the week to the start of each hour, and to the end of the week.
    before: [u64; WEEK + 1],
    /// Offset of the company's local time from UTC, in milliseconds.
    zone: i64,
}

impl ActivityCalendar {
    /// Creates the calendar of a company whose local time is `zone_hours` ahead of UTC all year round.
    pub(super) fn new(kind: CalendarKind, zone_hours: i64) -> Self {
        let (day, rest) = match kind {
            CalendarKind::WorkingHours => (&WORKING_DAY, &WORKING_REST),
            CalendarKind::DeviceUptime => (&UPTIME_DAY, &UPTIME_REST),
        };
        let weights = std::array::from_fn(|hour| if hour / 24 < 5 { day[hour % 24] } else { rest[hour % 24] });
        let mut before = [0; WEEK + 1];
        for hour in 0..WEEK {
            before[hour + 1] = before[hour] + weights[hour] * HOUR;
        }
        Self { weights, before, zone: zone_hours * 3_600_000 }
    }

    /// Active time of one working day: the unit for the durations of processes.
    pub(super) fn day(&self) -> u64 {
        self.before[24]
    }

    /// Active time of one week.
    pub(super) fn week(&self) -> u64 {
        self.before[WEEK]
    }

    /// Active time from the origin to an instant.
    pub(super) fn active_ms(&self, at: Millis) -> u64 {
        // Instants before the origin have active time 0. Instants after `LAST` have the active time of `LAST`.
        let since = u64::try_from(at.0.min(LAST) + self.zone - ORIGIN).unwrap_or(0);
        let (weeks, rest) = (since / (WEEK as u64 * HOUR), since % (WEEK as u64 * HOUR));
        // Below 168: `rest` is shorter than a week.
        let hour = (rest / HOUR) as usize;
        weeks * self.week() + self.before[hour] + self.weights[hour] * (rest % HOUR)
    }

    /// The millisecond in which an active time is reached: the last instant whose active time is at most `active_ms`.
    pub(super) fn instant(&self, active_ms: u64) -> Millis {
        let (weeks, rest) = (active_ms / self.week(), active_ms % self.week());
        let hour = self.before.partition_point(|&before| before <= rest) - 1;
        let since = (weeks * WEEK as u64 + hour as u64) * HOUR + (rest - self.before[hour]) / self.weights[hour];
        // `active_ms` is that of an instant, or of a process that began at one: the result is far below 2⁶³
        // milliseconds.
        Millis(since.cast_signed() + ORIGIN - self.zone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn active_time_is_strictly_increasing_and_invertible(
            at in 1_380_873_600_000_i64..4_102_444_800_000,
            zone in -8_i64..=9,
        ) {
            for kind in [CalendarKind::WorkingHours, CalendarKind::DeviceUptime] {
                let calendar = ActivityCalendar::new(kind, zone);
                let (now, next) = (calendar.active_ms(Millis(at)), calendar.active_ms(Millis(at + 1)));
                prop_assert!(now < next);
                prop_assert_eq!(calendar.instant(now), Millis(at));
                prop_assert_eq!(calendar.instant(next - 1), Millis(at));
            }
        }
    }

    #[test]
    fn a_working_morning_has_more_active_time_than_a_night_or_a_sunday() {
        let calendar = ActivityCalendar::new(CalendarKind::WorkingHours, 0);
        let hours = |day: i64, from: i64, to: i64| {
            let at = |hour: i64| calendar.active_ms(Millis(ORIGIN + (day * 24 + hour) * 3_600_000));
            at(to) - at(from)
        };
        assert!(hours(2, 9, 11) > 20 * hours(2, 1, 3), "night");
        assert!(hours(2, 9, 11) > 10 * hours(6, 9, 11), "Sunday");
        assert!(hours(2, 12, 13) < hours(2, 11, 12), "lunch");
    }
}
