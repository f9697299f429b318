//! `GET /o/api/v2/logs`: device or administrator events of the whole retention period, newest first, grouped by day.

use axum::{extract::RawQuery, response::Response};
use serde::Serialize;

use super::{
    context::{Authenticated, RequestContext},
    encode,
    error::ApiError,
    ignored,
    limits::{Limits, PageNumber},
    page,
    params::Params,
};
use crate::{
    account::{
        listing::{PageQuery, PageStart},
        profile::EmptyPage,
    },
    world::{Category, Filter, Millis, Window},
};

/// The bounds of `limit` (D).
const LIMITS: Limits = Limits { max: 50, default: 1 };

#[derive(Serialize)]
struct Logs {
    logs: Vec<Day>,
}

/// The entries of the page that belong to one calendar day (UTC, A; profile `time_zone`).
#[derive(Serialize)]
struct Day {
    date: String,
    eventlog: Vec<String>,
}

/// Returns a page. `limit` counts entries, not days (D: the documented request with 10 returns ten under one date).
pub(super) async fn list(caller: Authenticated, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let Authenticated { context, .. } = caller;
    let (query, number) = self::query(query.as_deref().unwrap_or_default(), &context)?;
    let entries = page::entries(&query, &context).await?;
    if entries.is_empty() && context.config.profile().empty_page == EmptyPage::Refused {
        return Err(ApiError::NothingOnPage { page: number.get() });
    }
    let mut logs: Vec<Day> = Vec::new();
    for (date, line) in entries.iter().filter_map(|entry| encode::v2_line(entry, context.config.row_format)) {
        match logs.last_mut() {
            Some(day) if day.date == date => day.eventlog.push(line),
            _ => logs.push(Day { date, eventlog: vec![line] }),
        }
    }
    // Encoding strings cannot fail.
    Ok(page::response(serde_json::to_vec(&Logs { logs }).map_err(|_| ApiError::ServerError)?))
}

/// The query of the page, and its number.
pub(super) fn query(raw: &str, context: &RequestContext) -> Result<(PageQuery, PageNumber), ApiError> {
    const EVENT_TYPE: &str = "1 (device events) or 2 (administrator events)";
    let profile = context.config.profile();
    let params = Params::parse(raw, profile.repeated_parameter)?;
    let category = match params.integer("event_type", EVENT_TYPE, 1)? {
        1 => Category::Device,
        2 => Category::Admin,
        other => return Err(ApiError::invalid("event_type", EVENT_TYPE, other)),
    };
    let number: PageNumber = params.integer("page", PageNumber::WANTED, 1)?.try_into()?;
    // Read last: every other error takes precedence over a limit that is too large.
    let limit = LIMITS.check(params.integer("limit", &LIMITS.wanted(), LIMITS.default.into())?)?;
    ignored::check(context, || ignored::unknown_params(&params, &["limit", "page", "event_type", "access_token"]))?;
    let asked = Window { from: Millis(0), to: context.now };
    let query = PageQuery {
        categories: category.into(),
        asked,
        window: context.readable(asked),
        filter: Filter::default(),
        order: profile.order.into(),
        begin: PageStart::Skip(number.skip(limit)),
        take: limit.entries(),
        seen_at: context.now,
        snapshot: context.account.injected.snapshot(),
    };
    Ok((query, number))
}
