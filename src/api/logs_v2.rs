//! `GET /o/api/v2/logs`: device or administrator events of all that retention keeps, newest first, by day.

use axum::{extract::RawQuery, response::Response};
use serde::Serialize;

use super::{
    error::Refusal,
    gate::Caller,
    limits::{Limit, PageNumber},
    page,
    params::Params,
    wire,
};
use crate::world::{Filter, Millis, Order, Stream, Window};

/// The parameters, all in the query.
struct LogsQuery {
    stream: Stream,
    page: PageNumber,
    limit: Limit<50>,
}

#[derive(Serialize)]
struct Logs {
    logs: Vec<Day>,
}

/// The entries of one calendar day (UTC, A) that are on the page.
#[derive(Serialize)]
struct Day {
    date: String,
    eventlog: Vec<String>,
}

/// Lists a page. `limit` counts entries, not days (D: the documented request with 10 gets ten under one date).
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = LogsQuery::read(&Params::parse(query.as_deref().unwrap_or_default())?)?;
    let window = caller.account.readable(Window { from: Millis(0), to: caller.now }, caller.now);
    let world = caller.account.world();
    let selection = world.select_seen(query.stream, window, Filter::default(), caller.now);
    let events = selection.page(query.page.skip(query.limit), query.limit.entries(), Order::NewestFirst);
    if events.is_empty() {
        return Err(Refusal::NothingOnPage { page: query.page.get() });
    }
    let mut logs: Vec<Day> = Vec::new();
    for (date, line) in events.iter().filter_map(|event| wire::v2_line(&world.tell(event))) {
        match logs.last_mut() {
            Some(day) if day.date == date => day.eventlog.push(line),
            _ => logs.push(Day { date, eventlog: vec![line] }),
        }
    }
    // Texts always have a form in JSON.
    Ok(page::answer(serde_json::to_vec(&Logs { logs }).map_err(|_| Refusal::ServerError)?))
}

impl LogsQuery {
    fn read(params: &Params<'_>) -> Result<Self, Refusal> {
        const EVENT_TYPE: &str = "1 (device events) or 2 (administrator events)";
        let stream = match params.integer("event_type", EVENT_TYPE, 1)? {
            1 => Stream::Device,
            2 => Stream::Admin,
            other => return Err(Refusal::invalid("event_type", EVENT_TYPE, other)),
        };
        let page = params.integer("page", PageNumber::WANTED, 1)?.try_into()?;
        // Last, because what is wrong in another way comes before a limit that is too large. One entry by default (D).
        let limit = params.integer("limit", &Limit::<50>::wanted(), 1)?.try_into()?;
        Ok(Self { stream, page, limit })
    }
}
