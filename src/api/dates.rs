//! `start_date` and `end_date`: a window of whole days.

use jiff::civil::Date;

use super::{
    body::{Fields, Json},
    error::ApiError,
};
use crate::world::{Millis, Window};

pub(super) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How an API writes a day, with leading zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayFormat {
    wanted: &'static str,
    pattern: &'static str,
}

/// `MM/DD/YYYY`, of activities.
pub(super) const MONTH_FIRST: DayFormat = DayFormat { wanted: "a day as MM/DD/YYYY", pattern: "%m/%d/%Y" };
/// `YYYY/MM/DD`, of the logs v3.
pub(super) const YEAR_FIRST: DayFormat = DayFormat { wanted: "a day as YYYY/MM/DD", pattern: "%Y/%m/%d" };

/// The two dates of a request, as far as they are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days {
    pub(super) start: Option<Date>,
    pub(super) end: Option<Date>,
}

impl DayFormat {
    pub(super) const fn wanted(self) -> &'static str {
        self.wanted
    }

    pub(super) fn show(self, date: Date) -> String {
        date.strftime(self.pattern).to_string()
    }

    fn read(self, fields: &Fields, name: &'static str) -> Result<Option<Date>, ApiError> {
        let Some(text) = fields.text(name, self.wanted)? else { return Ok(None) };
        match Date::strptime(self.pattern, &*text) {
            Ok(date) if self.show(date) == text => Ok(Some(date)),
            _ => Err(ApiError::invalid(name, self.wanted, Json::Text(text.into_owned()))),
        }
    }
}

impl Days {
    pub(super) fn read(fields: &Fields, format: DayFormat) -> Result<Self, ApiError> {
        Ok(Self { start: format.read(fields, "start_date")?, end: format.read(fields, "end_date")? })
    }

    /// From the start of one day to the end of another, in a time zone (A: UTC; profile `time_zone`).
    pub(super) fn window(start: Date, end: Date, zone_hours: i64) -> Window {
        let midnight =
            |date: Date| date.duration_since(Date::constant(1970, 1, 1)).as_hours() * HOUR_MS - zone_hours * HOUR_MS;
        Window { from: Millis(midnight(start)), to: Millis(midnight(end) + DAY_MS - 1) }
    }
}
