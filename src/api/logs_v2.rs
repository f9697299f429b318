//! `GET /o/api/v2/logs`: device or administrator events of the whole retention period, newest first, grouped by day.

use axum::{extract::RawQuery, response::Response};
use serde::Serialize;

use super::{
    context::Authenticated,
    encode,
    error::ApiError,
    limits::{Limit, PageNumber},
    page::{self, Page, PageStart},
    params::Params,
};
use crate::{
    account::profile::EmptyPage,
    world::{Category, Filter, Millis, Window},
};

/// The parameters of the query.
struct LogsQuery {
    category: Category,
    page: PageNumber,
    limit: Limit<50>,
}

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
    let profile = context.config.profile();
    let params = Params::parse(query.as_deref().unwrap_or_default(), profile.repeated_parameter)?;
    let query = LogsQuery::read(&params)?;
    let page = Page {
        category: query.category,
        window: context.config.readable(Window { from: Millis(0), to: context.now }, context.now),
        filter: Filter::default(),
        order: profile.order.into(),
        begin: PageStart::Skip(query.page.skip(query.limit)),
        take: query.limit.entries(),
        seen_at: context.now,
        snapshot: context.account.injected.snapshot(),
    };
    let entries = page.entries(&context).await?;
    if entries.is_empty() && profile.empty_page == EmptyPage::Refused {
        return Err(ApiError::NothingOnPage { page: query.page.get() });
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

impl LogsQuery {
    fn read(params: &Params<'_>) -> Result<Self, ApiError> {
        const EVENT_TYPE: &str = "1 (device events) or 2 (administrator events)";
        let category = match params.integer("event_type", EVENT_TYPE, 1)? {
            1 => Category::Device,
            2 => Category::Admin,
            other => return Err(ApiError::invalid("event_type", EVENT_TYPE, other)),
        };
        let page = params.integer("page", PageNumber::WANTED, 1)?.try_into()?;
        // Read last: every other error takes precedence over a limit that is too large. The default is 1 (D).
        let limit = params.integer("limit", &Limit::<50>::wanted(), 1)?.try_into()?;
        Ok(Self { category, page, limit })
    }
}
