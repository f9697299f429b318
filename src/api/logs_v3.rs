//! `POST /o/api/v3/logs`: the events of devices and administrators together, newest first.

use axum::response::Response;

use super::{
    body::{Fields, Json},
    context::{Authenticated, RequestContext},
    dates::{Days, YEAR_FIRST},
    encode,
    error::ApiError,
    ignored,
    limits::{Limits, PageNumber},
    logs::{self, V3_2},
    page,
};
use crate::{
    account::{
        listing::{PageQuery, PageStart},
        profile::{EmptyPage, EventCodes, V3LogsShape},
    },
    world::{Categories, Filter, Millis, Window},
};

/// The bounds of `limit` (D).
pub(super) const LIMITS: Limits = Limits { max: 50, default: 20 };
/// The maximum and the default of `age`, in seconds (A).
pub(super) const MAX_AGE_SECONDS: i64 = 86_400;

/// Returns a page.
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    if is_of_v3_2(&fields, context) {
        return logs::list(&V3_2, caller, fields).await;
    }
    let (query, number) = own_query(&fields, context)?;
    let entries = page::entries(&query, context).await?;
    if entries.is_empty() && context.config.profile().empty_page == EmptyPage::Refused {
        return Err(ApiError::NothingOnPage { page: number.get() });
    }
    let (before, after): (&[u8], &[u8]) = match context.config.profile().v3_logs_shape {
        V3LogsShape::List => (br#"[{"logs":["#, b"]}]"),
        V3LogsShape::ByRequest | V3LogsShape::Object => (br#"{"logs":["#, b"]}"),
    };
    let world = context.account.world_of(context.config.settings.world);
    let mut body = before.to_vec();
    for (nth, entry) in entries.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        encode::write_v3_row(entry, &world, context.config.row_format, &mut body);
    }
    body.extend_from_slice(after);
    Ok(page::response(body))
}

/// The query of the page.
pub(super) fn query(fields: &Fields, context: &RequestContext) -> Result<PageQuery, ApiError> {
    if is_of_v3_2(fields, context) {
        return Ok(logs::query(&V3_2, fields, context)?.page);
    }
    own_query(fields, context).map(|(query, _)| query)
}

/// Whether a request is meant for v3.2: the vendor's add-on sends such requests here (C; profile `v3_logs_shape`).
fn is_of_v3_2(fields: &Fields, context: &RequestContext) -> bool {
    context.config.profile().v3_logs_shape == V3LogsShape::ByRequest
        && (fields.has("event_category") || fields.has("token"))
}

fn own_query(fields: &Fields, context: &RequestContext) -> Result<(PageQuery, PageNumber), ApiError> {
    let asked = window(fields, context.now, context.config.row_format.zone_hours)?;
    let filter = Filter { kinds: kinds(fields)?, ..Filter::default() };
    let number = PageNumber::read(fields)?;
    // Read last: every other error takes precedence over a limit that is too large.
    let limit = LIMITS.read(fields)?;
    ignored::check(context, || {
        let mut texts =
            ignored::unknown_fields(fields, "", &["limit", "page", "start_date", "end_date", "age", "filter"]);
        texts.extend(ignored::void(fields, "age", &["start_date"]));
        texts
    })?;
    let query = PageQuery {
        categories: Categories::DEVICE_AND_ADMIN,
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

/// The days from `start_date` to `end_date`, including the whole end day (A). Without them, the last `age` seconds.
fn window(fields: &Fields, now: Millis, zone_hours: i64) -> Result<Window, ApiError> {
    const AGE: &str = "an integer of seconds from 1 to 86400";
    let missing = |parameter| ApiError::Missing { parameter, wanted: YEAR_FIRST.wanted() };
    let Days { start, end } = Days::read(fields, YEAR_FIRST)?;
    let age_seconds = fields.integer("age", AGE)?;
    match (start, end) {
        // One of them alone is an error (A).
        (Some(_), None) => Err(missing("end_date")),
        (None, Some(_)) => Err(missing("start_date")),
        (Some(start), Some(end)) if end < start => {
            let wanted = format!("start_date ({}) or later", YEAR_FIRST.show(start));
            Err(ApiError::invalid("end_date", wanted, YEAR_FIRST.show(end)))
        }
        (Some(start), Some(end)) => Ok(Days::window(start, end, zone_hours)),
        (None, None) => match age_seconds.unwrap_or(MAX_AGE_SECONDS) {
            seconds @ 1..=MAX_AGE_SECONDS => Ok(Window { from: Millis(now.0 - seconds * 1000), to: now }),
            other => Err(ApiError::invalid("age", AGE, other)),
        },
    }
}

/// The codes of the events that v3 returns.
pub(super) fn event_codes() -> Vec<&'static str> {
    Categories::DEVICE_AND_ADMIN
        .iter()
        .flat_map(|category| encode::event_codes(category, EventCodes::Earlier))
        .collect()
}

/// The requested event codes, as bits. `None` means all: the field is missing, or the array is empty (A).
fn kinds(fields: &Fields) -> Result<Option<u64>, ApiError> {
    let wanted = || format!("an array of {}", event_codes().join(", "));
    let list = match fields.get("filter") {
        None => return Ok(None),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid("filter", wanted(), other)),
    };
    let mut bits = 0;
    for value in list {
        let Json::Text(code) = value else { return Err(ApiError::invalid("filter", wanted(), value)) };
        let of_code = Categories::DEVICE_AND_ADMIN
            .iter()
            .fold(0, |bits, category| bits | encode::kinds(category, code, EventCodes::Earlier));
        if !event_codes().contains(&code.as_str()) {
            return Err(ApiError::invalid("filter", wanted(), value));
        }
        bits |= of_code;
    }
    Ok((bits != 0).then_some(bits))
}
