//! Reads the query of a request, as far as it is one of several versions.

use super::{
    super::{
        body::{Fields, Json},
        context::RequestContext,
        encode,
        error::ApiError,
        ignored,
        limits::{Limit, PageNumber},
        page_token, search,
    },
    version::{Paging, Version},
};
use crate::{
    account::{
        listing::{PageQuery, PageStart, Position},
        profile::{EventCodes, InapplicableFilter, LimitWithToken, Profile, ReversedWindow, WindowEnd},
    },
    world::{AgentType, Category, Filter, Millis, Window},
};

/// The query of a page.
pub(in crate::api) struct LogsQuery {
    pub(in crate::api) page: PageQuery,
    pub(super) category: Category,
    /// The number of the page, of the versions that have page numbers.
    pub(super) number: Option<PageNumber>,
}

/// The default of `age`, and the length of a window with only an end (A), in seconds.
pub(in crate::api) const DEFAULT_AGE_SECONDS: i64 = 3_600;
/// The maximum of `age`, in seconds (D).
pub(in crate::api) const MAX_AGE_SECONDS: i64 = 86_400;

/// The query of a first page, of a page with a number, or of the page that a page token leads to. Clients send the fields
/// again with the token (C). They are checked and then ignored, except that `event_category` must match the token, and that
/// a given `limit` replaces the token's (A; profile `limit_with_token`).
pub(in crate::api) fn query(
    version: &Version,
    fields: &Fields,
    context: &RequestContext,
) -> Result<LogsQuery, ApiError> {
    let profile = context.config.profile();
    let category = category(version, fields)?;
    let window = window(fields, context.now, profile)?;
    let filter = filter(version, fields, category, profile)?;
    let (mut number, mut sealed) = (None, None);
    match version.paging {
        Paging::Number => number = Some(PageNumber::read(fields)?),
        Paging::Token => {
            let text = fields.text("token", "the token of the page before, or an empty string")?;
            let text = text.filter(|text| !text.is_empty());
            sealed = text.map(|text| open(&text, category, context)).transpose()?;
        }
    }
    // Read last: every other error takes precedence over a limit that is too large.
    let limit = version.limits.given(fields)?;
    ignored::check(context, || ignored_input(version, fields, category))?;
    if let Some(sealed) = sealed {
        let given = limit.filter(|_| profile.limit_with_token == LimitWithToken::Given);
        let page = PageQuery { take: given.map_or(sealed.take, Limit::entries), ..sealed };
        return Ok(LogsQuery { page, category, number });
    }
    let limit = version.limits.read(fields)?;
    let page = PageQuery {
        categories: category.into(),
        asked: window,
        window: context.readable(window),
        filter,
        take: limit.entries(),
        order: profile.order.into(),
        begin: number.map_or(PageStart::At(Position::default()), |number| PageStart::Skip(number.skip(limit))),
        seen_at: context.now,
        snapshot: context.account.injected.snapshot(),
    };
    Ok(LogsQuery { page, category, number })
}

/// What the API ignores of a request.
fn ignored_input(version: &Version, fields: &Fields, category: Category) -> Vec<String> {
    let paging = match version.paging {
        Paging::Number => "page",
        Paging::Token => "token",
    };
    let known = ["event_category", "limit", paging, "age", "start_time", "end_time", "filter"];
    let mut texts = ignored::unknown_fields(fields, "", &known);
    if let Some(Json::Object(filter_fields)) = fields.get("filter") {
        texts.extend(ignored::unknown_fields(filter_fields, "filter.", &FILTERS.map(|(_, name, _)| name)));
        for (parameter, name, categories) in FILTERS {
            if filter_fields.has(name) && !categories.contains(&category) {
                texts.push(format!("{parameter} is ignored for {}", category.code()));
            }
        }
    }
    texts.extend(ignored::void(fields, "age", &["start_time", "end_time"]));
    if version.paging == Paging::Token {
        texts.extend(ignored::void(fields, "age", &["token"]));
    }
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
    let opened = page_token::open(text, &context.config).filter(|(_, page)| page.seen_at <= context.now);
    let Some((of, token)) = opened else {
        let wanted = "the token of the page before, as it was answered, of the same account and configuration";
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    };
    let life_seconds = i64::from(context.config.profile().page_token_life_seconds);
    if life_seconds > 0 && context.now.0 - token.seen_at.0 >= life_seconds * 1000 {
        context.recorder.unforeseeable();
        let wanted = format!("the token of a first page that was read less than {life_seconds} s ago");
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    }
    if of != category {
        let wanted = format!("{}, which the token was made for", of.code());
        return Err(ApiError::invalid("event_category", wanted, category.code()));
    }
    Ok(token)
}

fn category(version: &Version, fields: &Fields) -> Result<Category, ApiError> {
    let wanted = version.categories_wanted;
    let missing = ApiError::Missing { parameter: "event_category", wanted };
    let text = fields.text("event_category", wanted)?.ok_or(missing)?;
    let known = version.categories.iter().copied().find(|category| category.code() == text);
    known.ok_or_else(|| ApiError::invalid("event_category", wanted, Json::Text(text.into_owned())))
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
fn filter(version: &Version, fields: &Fields, category: Category, profile: &Profile) -> Result<Filter, ApiError> {
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
            Category::Device | Category::Admin | Category::Webhook => kinds(filter_fields, category, version.codes)?,
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
fn kinds(filter_fields: &Fields, category: Category, codes: EventCodes) -> Result<Option<u64>, ApiError> {
    let known = encode::event_codes(category, codes);
    let wanted = || format!("one or more of {}", known.join(", "));
    let mut bits = 0;
    let mut want = |text: &str| {
        for code in text.split(',').map(str::trim).filter(|code| !code.is_empty()) {
            if !known.contains(&code) {
                return Err(ApiError::invalid("filter.events", wanted(), Json::Text(code.to_owned())));
            }
            bits |= encode::kinds(category, code, codes);
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
