//! `POST /o/api/v3/activities`: the accesses of devices to applications, newest first.

use axum::response::Response;

use super::{
    body::{Fields, Json},
    context::{Authenticated, RequestContext},
    dates::{Days, HOUR_MS, MONTH_FIRST},
    error::ApiError,
    ignored,
    limits::{Limits, PageNumber},
    page, search,
};
use crate::{
    account::{
        listing::{PageQuery, PageStart},
        profile::EmptyPage,
    },
    world::{Action, Category, Filter, Millis, Window},
};

/// The bounds of `limit` (D).
const LIMITS: Limits = Limits { max: 50, default: 50 };

/// Returns a page as a JSON array without an envelope (D).
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let (query, number) = query(&fields, context)?;
    let rows = page::rows(&query, context.config.row_format, context).await?;
    if rows.count == 0 && context.config.profile().empty_page == EmptyPage::Refused {
        return Err(ApiError::NothingOnPage { page: number.get() });
    }
    Ok(rows.response("[", "]"))
}

/// The query of the page, and its number.
pub(super) fn query(fields: &Fields, context: &RequestContext) -> Result<(PageQuery, PageNumber), ApiError> {
    let asked = window(fields, context.now, context.config.row_format.zone_hours)?;
    let filter = Filter { kinds: actions(fields)?, search: search::text(fields, "search")?, agents: None };
    let number = PageNumber::read(fields)?;
    // Read last: every other error takes precedence over a limit that is too large.
    let limit = LIMITS.read(fields)?;
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
        categories: Category::Activity.into(),
        asked,
        window: context.readable(asked),
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
    let Days { start, end } = Days::read(fields, MONTH_FIRST)?;
    let age_hours = fields.integer("age", AGE)?;
    if let (Some(start), Some(end)) = (start, end) {
        if end <= start {
            return Err(ApiError::invalid("end_date", "later than start_date", MONTH_FIRST.show(end)));
        }
        return Ok(Days::window(start, end, zone_hours));
    }
    // The default is 24 hours (D). A large age saturates; retention limits the window later.
    match age_hours.unwrap_or(24) {
        hours @ ..1 => Err(ApiError::invalid("age", AGE, hours)),
        hours => Ok(Window { from: Millis(now.0.saturating_sub(hours.saturating_mul(HOUR_MS))), to: now }),
    }
}

/// The requested actions, as bits. `None` means all actions: the field is missing, or the array is empty (A).
fn actions(fields: &Fields) -> Result<Option<u64>, ApiError> {
    const WANTED: &str = "an array of allowed, blocked, monitored_block, monitored_allow";
    let list = match fields.get("action") {
        None => return Ok(None),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid("action", WANTED, other)),
    };
    let mut bits = 0;
    for value in list {
        let known = Action::ALL.into_iter().find(|action| matches!(value, Json::Text(text) if text == action.code()));
        let action = known.ok_or_else(|| ApiError::invalid("action", WANTED, value))?;
        bits |= Category::Activity.kinds(&[action.code()]);
    }
    Ok((bits != 0).then_some(bits))
}
