//! `POST /o/api/v3.3/logs`: the events of one category in a window, newest first, with opaque page tokens.

use axum::response::Response;

use super::{
    body::{Fields, Json},
    context::{Authenticated, RequestContext},
    error::ApiError,
    ignored,
    limits::Limit,
    page, page_token, search,
};
use crate::{
    account::{
        listing::{PageQuery, PageStart, Position},
        profile::{AfterLastPage, InapplicableFilter, LimitWithToken, Profile, ReversedWindow, WindowEnd},
    },
    world::{AdminEvent, AgentType, Category, DeviceEvent, Filter, Millis, WebhookEvent, Window},
};

/// The default of `age`, and the length of a window with only an end (A), in seconds.
pub(super) const DEFAULT_AGE_SECONDS: i64 = 3_600;
/// The maximum of `age`, in seconds (D).
pub(super) const MAX_AGE_SECONDS: i64 = 86_400;

/// Returns a page.
///
/// The `token` of a page with data is never empty, not even on the last page: a client that receives data and an empty
/// token starts over endlessly (C). The page after the last one has no data and an empty token (A; profile
/// `after_last_page`).
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let query = query(&fields, context)?;
    let rows = page::rows(&query, context).await?;
    let repeats_token = caller.fault.as_ref().is_some_and(|fault| fault.repeat_page_token);
    let next = match rows.count {
        0 if context.config.profile().after_last_page == AfterLastPage::Refused => return Err(ApiError::AfterLastPage),
        0 => String::new(),
        _ => {
            if repeats_token {
                context.recorder.change(|change| change.is_token_repeated = true);
            }
            let PageStart::At(begin) = query.begin else { return Err(ApiError::ServerError) };
            page_token::seal(&query, if repeats_token { begin } else { rows.end }, &context.config)
        }
    };
    Ok(rows.response(r#"{"data":["#, format!(r#"],"token":"{next}"}}"#)))
}

/// The query of a first page, or the query in the page token. Clients send the fields again with the token (C). They
/// are checked and then ignored, except that `event_category` must match the token, and that a given `limit` replaces
/// the token's (A; profile `limit_with_token`).
pub(super) fn query(fields: &Fields, context: &RequestContext) -> Result<PageQuery, ApiError> {
    let profile = context.config.profile();
    let category = category(fields)?;
    let window = window(fields, context.now, profile)?;
    let filter = filter(fields, category, profile)?;
    let sealed = match fields.text("token", "the token of the page before, or an empty string")? {
        None => None,
        Some(text) if text.is_empty() => None,
        Some(text) => Some(open(&text, category, context)?),
    };
    // Read last: every other error takes precedence over a limit that is too large. The default is 20 (D).
    let limit = fields.integer("limit", &Limit::<100>::wanted())?.map(Limit::<100>::try_from).transpose()?;
    ignored::check(context, || ignored_input(fields, category))?;
    Ok(if let Some(sealed) = sealed {
        let given = limit.filter(|_| profile.limit_with_token == LimitWithToken::Given);
        PageQuery { take: given.map_or(sealed.take, Limit::entries), ..sealed }
    } else {
        let limit = limit.map_or_else(|| Limit::try_from(20), Ok)?;
        PageQuery {
            category,
            asked: window,
            window: context.config.readable(window, context.now),
            filter,
            take: limit.entries(),
            order: profile.order.into(),
            begin: PageStart::At(Position::default()),
            seen_at: context.now,
            snapshot: context.account.injected.snapshot(),
        }
    })
}

/// What the API ignores of a request.
fn ignored_input(fields: &Fields, category: Category) -> Vec<String> {
    const FIELDS: [&str; 7] = ["event_category", "limit", "token", "age", "start_time", "end_time", "filter"];
    let mut texts = ignored::unknown_fields(fields, "", &FIELDS);
    if let Some(Json::Object(filter_fields)) = fields.get("filter") {
        texts.extend(ignored::unknown_fields(filter_fields, "filter.", &FILTERS.map(|(_, name, _)| name)));
        for (parameter, name, categories) in FILTERS {
            if filter_fields.has(name) && !categories.contains(&category) {
                texts.push(format!("{parameter} is ignored for {}", category.code()));
            }
        }
    }
    texts.extend(ignored::void(fields, "age", &["start_time", "end_time", "token"]));
    texts.extend(["start_time", "end_time"].into_iter().filter_map(|name| ignored::seconds(fields, name)));
    texts
}

/// The parts of `filter`: the parameter, its name in the filter, and the categories that have it.
const FILTERS: [(&str, &str, &[Category]); 3] = [
    ("filter.events", "events", &[Category::Device, Category::Admin, Category::Webhook]),
    ("filter.agent_types", "agent_types", &[Category::Device]),
    ("filter.search", "search", &[Category::Device, Category::DeviceReport, Category::Webhook]),
];

fn open(text: &str, category: Category, context: &RequestContext) -> Result<PageQuery, ApiError> {
    // A token from the future was issued before a reset of the account, or by another run of the server.
    let Some(token) = page_token::open(text, &context.config).filter(|token| token.seen_at <= context.now) else {
        let wanted = "the token of the page before, as it was answered, of the same account and configuration";
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    };
    let life_seconds = i64::from(context.config.profile().page_token_life_seconds);
    if life_seconds > 0 && context.now.0 - token.seen_at.0 >= life_seconds * 1000 {
        context.recorder.unforeseeable();
        let wanted = format!("the token of a first page that was read less than {life_seconds} s ago");
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    }
    if token.category != category {
        let wanted = format!("{}, which the token was made for", token.category.code());
        return Err(ApiError::invalid("event_category", wanted, category.code()));
    }
    Ok(token)
}

pub(super) const CATEGORIES: [Category; 4] =
    [Category::Device, Category::Admin, Category::Webhook, Category::DeviceReport];

fn category(fields: &Fields) -> Result<Category, ApiError> {
    const WANTED: &str = "device, admin, webhook or device_report";
    let missing = ApiError::Missing { parameter: "event_category", wanted: WANTED };
    let text = fields.text("event_category", WANTED)?.ok_or(missing)?;
    let known = CATEGORIES.into_iter().find(|&category| category.code() == text);
    known.ok_or_else(|| ApiError::invalid("event_category", WANTED, Json::Text(text.into_owned())))
}

/// The window from `start_time` to `end_time`, both ends included (A; profile `window_end`). If both are missing, it is
/// the last `age` seconds. If one is given, the value of `age` is ignored (C: a client requests 30 days with times
/// only).
fn window(fields: &Fields, now: Millis, profile: &Profile) -> Result<Window, ApiError> {
    const AGE: &str = "an integer of seconds from 1 to 86400";
    let start = instant(fields, "start_time")?;
    let end = instant(fields, "end_time")?;
    let age_seconds = fields.integer("age", AGE)?;
    let window = match (start, end) {
        (None, None) => {
            let age_seconds = age_seconds.unwrap_or(DEFAULT_AGE_SECONDS);
            if !(1..=MAX_AGE_SECONDS).contains(&age_seconds) {
                return Err(ApiError::invalid("age", AGE, age_seconds));
            }
            Window { from: Millis(now.0 - age_seconds * 1000), to: now }
        }
        (None, Some(end)) => Window { from: Millis(end.0.saturating_sub(DEFAULT_AGE_SECONDS * 1000)), to: end },
        (Some(start), None) => Window { from: start, to: now },
        (Some(start), Some(end)) => Window { from: start, to: end },
    };
    if window.from > window.to && profile.reversed_window == ReversedWindow::Refused {
        let what = if end.is_some() { "end_time" } else { "now, where the window ends without end_time" };
        return Err(ApiError::invalid("start_time", format!("at most {what} ({})", window.to.0), window.from.0));
    }
    Ok(match profile.window_end {
        WindowEnd::Inclusive => window,
        // The default end is now, and it is always included.
        WindowEnd::Exclusive if end.is_none() => window,
        WindowEnd::Exclusive => Window { to: Millis(window.to.0.saturating_sub(1)), ..window },
    })
}

fn instant(fields: &Fields, name: &'static str) -> Result<Option<Millis>, ApiError> {
    const WANTED: &str = "an integer of milliseconds since 1970, from 0";
    match fields.integer(name, WANTED)? {
        Some(negative @ ..0) => Err(ApiError::invalid(name, WANTED, negative)),
        millis => Ok(millis.map(Millis)),
    }
}

/// The parts of `filter` that apply to the category. Other parts are ignored (A; profile `inapplicable_filter`).
fn filter(fields: &Fields, category: Category, profile: &Profile) -> Result<Filter, ApiError> {
    let filter_fields = match fields.get("filter") {
        None => return Ok(Filter::default()),
        Some(Json::Object(filter_fields)) => filter_fields,
        // PHP encodes an empty map as an empty array.
        Some(Json::List(list)) if list.is_empty() => return Ok(Filter::default()),
        Some(other) => return Err(ApiError::invalid("filter", "an object", other)),
    };
    if profile.inapplicable_filter == InapplicableFilter::Refused {
        refuse_inapplicable(filter_fields, category)?;
    }
    Ok(Filter {
        kinds: match category {
            Category::Device => kinds(filter_fields, &DeviceEvent::ALL.map(DeviceEvent::code))?,
            Category::Admin => kinds(filter_fields, &AdminEvent::ALL.map(AdminEvent::code))?,
            Category::Webhook => kinds(filter_fields, &WebhookEvent::ALL.map(WebhookEvent::code))?,
            Category::DeviceReport | Category::Activity => None,
        },
        agents: if category == Category::Device { agents(filter_fields)? } else { None },
        search: if category == Category::Admin { None } else { search::text(filter_fields, "filter.search")? },
    })
}

/// Rejects parts of `filter` that do not apply to the category.
fn refuse_inapplicable(filter_fields: &Fields, category: Category) -> Result<(), ApiError> {
    for (parameter, name, categories) in FILTERS {
        if filter_fields.has(name) && !categories.contains(&category) {
            return Err(ApiError::invalid(parameter, format!("left out for {}", category.code()), "one"));
        }
    }
    Ok(())
}

/// The requested event codes, as bits; `None` means all. The vendor documents a string, but describes several events.
/// So a string, a comma-separated string and an array of strings are accepted (A).
fn kinds(filter_fields: &Fields, codes: &[&str]) -> Result<Option<u32>, ApiError> {
    let wanted = || format!("one or more of {}", codes.join(", "));
    let mut bits = 0;
    let mut want = |text: &str| {
        for code in text.split(',').map(str::trim).filter(|code| !code.is_empty()) {
            let place = codes.iter().position(|known| *known == code);
            let error = || ApiError::invalid("filter.events", wanted(), Json::Text(code.to_owned()));
            bits |= 1 << place.ok_or_else(error)?;
        }
        Ok::<(), ApiError>(())
    };
    match filter_fields.get("events") {
        None => {}
        Some(Json::Text(text)) => want(text)?,
        Some(Json::List(list)) => {
            for value in list {
                let Json::Text(text) = value else { return Err(ApiError::invalid("filter.events", wanted(), value)) };
                want(text)?;
            }
        }
        Some(other) => return Err(ApiError::invalid("filter.events", wanted(), other)),
    }
    Ok((bits != 0).then_some(bits))
}

/// The requested agent types. `None` means all: the field is missing, or the array is empty.
fn agents(filter_fields: &Fields) -> Result<Option<Vec<AgentType>>, ApiError> {
    const WANTED: &str = "an array of 0 (MetaDefender Endpoint) and 2 (OPSWAT Domain Controller Client)";
    let list = match filter_fields.get("agent_types") {
        None => return Ok(None),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid("filter.agent_types", WANTED, other)),
    };
    let known = list.iter().map(|value| match value {
        Json::Integer(0) => Ok(AgentType::Endpoint),
        Json::Integer(2) => Ok(AgentType::DomainController),
        other => Err(ApiError::invalid("filter.agent_types", WANTED, other)),
    });
    let agents: Vec<AgentType> = known.collect::<Result<_, _>>()?;
    Ok((!agents.is_empty()).then_some(agents))
}
