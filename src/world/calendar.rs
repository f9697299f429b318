//! The rhythm of a company's week.
//!
//! Things do not happen evenly: there are working hours, a lunch dip, weekends. Here that is a change of the time scale.
//! *ActiveTime* is time weighted by how busy its hour is; spread evenly over active_ms, events fall into the busy hours of the
//! calendar. ActiveTime is a whole number, a week of it is a small table, and both directions are a look-up.

use super::time::Millis;

/// A Monday at midnight before everything: 2013-09-30T00:00:00Z. ActiveTime is counted from here.
const MONDAY: i64 = 1_380_499_200_000;
/// 2300-01-01: far beyond whatever is counted, and far below what overflows.
const LAST: i64 = 10_413_792_000_000;
/// Milliseconds in an hour.
const HOUR: u64 = 3_600_000;
/// Hours in a week.
const WEEK: usize = 168;

/// How busy each hour of a working day is in an working_hours, midnight first.
const WORKING_DAY: [u64; 24] = [1, 1, 1, 1, 1, 2, 5, 16, 42, 60, 64, 58, 33, 50, 61, 58, 47, 28, 12, 6, 4, 3, 2, 1];
/// The same on a day without work.
const WORKING_REST: [u64; 24] = [1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 4, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 1];
/// How many machines are switched on by hour of a working day: some are never off.
const UPTIME_DAY: [u64; 24] =
    [12, 11, 11, 10, 10, 12, 18, 34, 52, 60, 62, 62, 58, 60, 62, 61, 58, 48, 34, 28, 25, 22, 18, 14];
/// The same on a day without work.
const UPTIME_REST: [u64; 24] =
    [11, 10, 10, 10, 10, 10, 10, 11, 13, 15, 16, 16, 15, 15, 16, 16, 15, 15, 15, 15, 14, 13, 12, 11];

/// Which of the company's two rhythms something follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CalendarKind {
    /// People at work: few events at night and at weekends.
    WorkingHours,
    /// Machines that are switched on: less of a difference.
    DeviceUptime,
}

/// Converts between the calendar and active_ms, for one beat in one time zone.
#[derive(Clone, Debug)]
pub(super) struct ActivityCalendar {
    /// Weight of each hour of the week, Monday midnight first.
    weights: [u64; WEEK],
    /// ActiveTime from the beginning of the week to each of its hours, and to its end.
    before: [u64; WEEK + 1],
    /// How far the company's wall clock is ahead of UTC.
    zone: i64,
}

impl ActivityCalendar {
    /// The rhythm of a company whose wall clock is `zone_hours` ahead of UTC all year round.
    pub(super) fn new(beat: CalendarKind, zone_hours: i64) -> Self {
        let (day, rest) = match beat {
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

    /// ActiveTime of one working day: the unit in which lengths of processes are given.
    pub(super) fn day(&self) -> u64 {
        self.before[24]
    }

    /// ActiveTime of one week.
    pub(super) fn week(&self) -> u64 {
        self.before[WEEK]
    }

    /// ActiveTime spent before an instant.
    pub(super) fn active_ms(&self, at: Millis) -> u64 {
        // Instants before the company's first Monday have no active_ms; the world begins four days later. Instants that
        // nobody can ask for have the active_ms of the last one.
        let since = u64::try_from(at.0.min(LAST) + self.zone - MONDAY).unwrap_or(0);
        let (weeks, rest) = (since / (WEEK as u64 * HOUR), since % (WEEK as u64 * HOUR));
        // Below 168 by the remainder.
        let hour = (rest / HOUR) as usize;
        weeks * self.week() + self.before[hour] + self.weights[hour] * (rest % HOUR)
    }

    /// The millisecond in which an active_ms is reached: the last instant with at most that active_ms.
    pub(super) fn instant(&self, active_ms: u64) -> Millis {
        let (weeks, rest) = (active_ms / self.week(), active_ms % self.week());
        let hour = self.before.partition_point(|&before| before <= rest) - 1;
        let since = (weeks * WEEK as u64 + hour as u64) * HOUR + (rest - self.before[hour]) / self.weights[hour];
        // An active_ms stems from an instant or from a process that began at one: far below 2⁶³ milliseconds.
        Millis(since.cast_signed() + MONDAY - self.zone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn active_time_grows_with_every_millisecond_and_leads_back(
            at in 1_380_873_600_000_i64..4_102_444_800_000,
            zone in -8_i64..=9,
        ) {
            for beat in [CalendarKind::WorkingHours, CalendarKind::DeviceUptime] {
                let rhythm = ActivityCalendar::new(beat, zone);
                let (now, next) = (rhythm.active_ms(Millis(at)), rhythm.active_ms(Millis(at + 1)));
                prop_assert!(now < next);
                prop_assert_eq!(rhythm.instant(now), Millis(at));
                prop_assert_eq!(rhythm.instant(next - 1), Millis(at));
            }
        }
    }

    #[test]
    fn a_working_morning_is_worth_more_than_a_night_or_a_sunday() {
        let rhythm = ActivityCalendar::new(CalendarKind::WorkingHours, 0);
        let hours = |day: i64, from: i64, to: i64| {
            let at = |hour: i64| rhythm.active_ms(Millis(MONDAY + (day * 24 + hour) * 3_600_000));
            at(to) - at(from)
        };
        assert!(hours(2, 9, 11) > 20 * hours(2, 1, 3), "night");
        assert!(hours(2, 9, 11) > 10 * hours(6, 9, 11), "Sunday");
        assert!(hours(2, 12, 13) < hours(2, 11, 12), "lunch");
    }
}
