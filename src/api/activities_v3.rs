//! `POST /o/api/v3/activities`: the accesses of devices to applications, newest first.

use axum::response::Response;
use jiff::civil::Date;

use super::{
    body::{Fields, Json},
    context::{Authenticated, RequestContext},
    error::ApiError,
    ignored,
    limits::{Limit, PageNumber},
    page, search,
};
use crate::{
    account::{
        listing::{PageQuery, PageStart},
        profile::EmptyPage,
    },
    world::{Action, Category, Filter, Millis, Window},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Returns a page as a JSON array without an envelope (D).
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let (query, number) = query(&fields, context)?;
    let rows = page::rows(&query, context).await?;
    if rows.count == 0 && context.config.profile().empty_page == EmptyPage::Refused {
        return Err(ApiError::NothingOnPage { page: number.get() });
    }
    Ok(rows.response("[", "]"))
}

/// The query of the page, and its number.
pub(super) fn query(fields: &Fields, context: &RequestContext) -> Result<(PageQuery, PageNumber), ApiError> {
    let asked = window(fields, context.now, context.config.row_format.zone_hours)?;
    let filter = Filter { kinds: actions(fields)?, search: search::text(fields, "search")?, agents: None };
    let number: PageNumber = fields.integer("page", PageNumber::WANTED)?.unwrap_or(1).try_into()?;
    // Read last: every other error takes precedence over a limit that is too large. The default is 50 (D).
    let limit: Limit<50> = fields.integer("limit", &Limit::<50>::wanted())?.unwrap_or(50).try_into()?;
    ignored::check(context, || {
        let mut texts = ignored::unknown_fields(
            fields,
            "",
            &["limit", "page", "start_date", "end_date", "age", "action", "search"],
        );
        match (fields.has("start_date"), fields.has("end_date")) {
            (true, true) => texts.extend(ignored::void(fields, "age", &["start_date"])),
            (true, false) => texts.push("start_date is ignored without end_date".to_owned()),
            (false, true) => texts.push("end_date is ignored without start_date".to_owned()),
            (false, false) => {}
        }
        texts
    })?;
    let query = PageQuery {
        category: Category::Activity,
        asked,
        window: context.config.readable(asked, context.now),
        filter,
        order: context.config.profile().order.into(),
        begin: PageStart::Skip(number.skip(limit)),
        take: limit.entries(),
        seen_at: context.now,
        snapshot: context.account.injected.snapshot(),
    };
    Ok((query, number))
}

/// The days from `start_date` to `end_date`, including the whole end day (D). If either is missing, the window is the
/// last `age` hours.
fn window(fields: &Fields, now: Millis, zone_hours: i64) -> Result<Window, ApiError> {
    const AGE: &str = "an integer of hours from 1";
    let start = date(fields, "start_date")?;
    let end = date(fields, "end_date")?;
    let age_hours = fields.integer("age", AGE)?;
    if let (Some(start), Some(end)) = (start, end) {
        if end <= start {
            return Err(ApiError::invalid("end_date", "later than start_date", format_date(end)));
        }
        let midnight = |date| midnight(date) - zone_hours * HOUR_MS;
        let (from, to) = (midnight(start), midnight(end) + DAY_MS - 1);
        return Ok(Window { from: Millis(from), to: Millis(to) });
    }
    // The default is 24 hours (D). A large age saturates; retention limits the window later.
    match age_hours.unwrap_or(24) {
        hours @ ..1 => Err(ApiError::invalid("age", AGE, hours)),
        hours => Ok(Window { from: Millis(now.0.saturating_sub(hours.saturating_mul(HOUR_MS))), to: now }),
    }
}

/// The start of a day in UTC, in milliseconds since 1970. The caller applies the time zone (A; profile `time_zone`).
fn midnight(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() * HOUR_MS
}

const DATE: &str = "a day as MM/DD/YYYY";

/// A day as `MM/DD/YYYY`, with leading zeros.
fn date(fields: &Fields, name: &'static str) -> Result<Option<Date>, ApiError> {
    let Some(text) = fields.text(name, DATE)? else { return Ok(None) };
    match Date::strptime("%m/%d/%Y", &*text) {
        Ok(date) if format_date(date) == text => Ok(Some(date)),
        _ => Err(ApiError::invalid(name, DATE, Json::Text(text.into_owned()))),
    }
}

fn format_date(date: Date) -> String {
    format!("{:02}/{:02}/{:04}", date.month(), date.day(), date.year())
}

/// The requested actions, as bits. `None` means all actions: the field is missing, or the array is empty (A).
fn actions(fields: &Fields) -> Result<Option<u32>, ApiError> {
    const WANTED: &str = "an array of allowed, blocked, monitored_block, monitored_allow";
    let list = match fields.get("action") {
        None => return Ok(None),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid("action", WANTED, other)),
    };
    let mut bits = 0;
    for value in list {
        let known = Action::ALL.into_iter().find(|action| matches!(value, Json::Text(text) if text == action.code()));
        bits |= 1 << known.ok_or_else(|| ApiError::invalid("action", WANTED, value))? as u32;
    }
    Ok((bits != 0).then_some(bits))
}
