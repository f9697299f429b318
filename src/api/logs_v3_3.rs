//! `POST /o/api/v3.3/logs`: events of one category in a window, newest first, paged by an opaque token.

use axum::response::Response;

use super::{
    body::{Fields, Json},
    context::{Authenticated, RequestContext},
    error::ApiError,
    limits::Limit,
    page::{Begin, Page, Place},
    page_token::PageToken,
    search,
};
use crate::{
    account::profile::{AfterLastPage, InapplicableFilter, LimitWithToken, Profile, ReversedWindow, WindowEnd},
    world::{AdminEvent, AgentType, Category, DeviceEvent, Filter, Millis, WebhookEvent, Window},
};

/// How far back a window reaches that is given only its end (A: the default of `age`).
const DEFAULT_AGE_SECONDS: i64 = 3_600;
/// The largest `age` (D).
const MAX_AGE_SECONDS: i64 = 86_400;

/// Lists a page.
///
/// The answer's `token` is never empty on a page with data, the last one included: a client that gets data and an empty
/// token starts over for ever (C). The page after the last one is empty and has an empty token (A; profile
/// `after_last_page`).
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let query = read(&fields, context)?;
    let page = Page {
        category: query.category,
        window: query.window,
        filter: query.filter.clone(),
        order: query.order,
        begin: Begin::At(query.begin),
        take: query.limit.entries(),
        seen_at: query.seen_at,
        snapshot: query.snapshot,
    };
    let rows = page.rows(context).await?;
    let stays = caller.fault.as_ref().is_some_and(|fault| fault.repeat_page_token);
    let next = match rows.count {
        0 if context.config.profile().after_last_page == AfterLastPage::Refused => return Err(ApiError::AfterLastPage),
        0 => String::new(),
        _ => PageToken { begin: if stays { query.begin } else { rows.end }, ..query }.seal(&context.config),
    };
    Ok(rows.answer(r#"{"data":["#, format!(r#"],"token":"{next}"}}"#)))
}

/// The query of a first page, or the one that the page token carries. With a token, the fields that it carries are still
/// checked, and then ignored, as clients send them again (C); only a `limit` that is given replaces the token's (A; profile
/// `limit_with_token`).
fn read(fields: &Fields, context: &RequestContext) -> Result<PageToken, ApiError> {
    let profile = context.config.profile();
    let category = category(fields)?;
    let window = window(fields, context.now, profile)?;
    let filter = filter(fields, category, profile)?;
    let sealed = match fields.text("token", "the token of the page before, or an empty string")? {
        None => None,
        Some(text) if text.is_empty() => None,
        Some(text) => Some(open(&text, category, context)?),
    };
    // Last, because what is wrong in another way comes before a limit that is too large. Twenty entries by default (D).
    let limit = fields.integer("limit", &Limit::<100>::wanted())?.map(Limit::try_from).transpose()?;
    Ok(if let Some(sealed) = sealed {
        let given = limit.filter(|_| profile.limit_with_token == LimitWithToken::Given);
        PageToken { limit: given.unwrap_or(sealed.limit), ..sealed }
    } else {
        let limit = limit.map_or_else(|| Limit::try_from(20), Ok)?;
        PageToken {
            category,
            window: context.config.readable(window, context.now),
            filter,
            limit,
            order: profile.order.into(),
            begin: Place::default(),
            seen_at: context.now,
            snapshot: context.account.injected.snapshot(),
        }
    })
}

fn open(text: &str, category: Category, context: &RequestContext) -> Result<PageToken, ApiError> {
    // One from the future was made by another clock, which this account has never shown.
    let Some(token) = PageToken::open(text, &context.config).filter(|token| token.seen_at <= context.now) else {
        let wanted = "the token of the page before, as it was answered, of the same account and configuration";
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    };
    let life_seconds = i64::from(context.config.profile().page_token_life_seconds);
    if life_seconds > 0 && context.now.0 - token.seen_at.0 >= life_seconds * 1000 {
        let wanted = format!("the token of a first page that was read less than {life_seconds} s ago");
        return Err(ApiError::invalid("token", wanted, Json::Text(text.to_owned())));
    }
    if token.category != category {
        let wanted = format!("{}, which the token was made for", token.category.code());
        return Err(ApiError::invalid("event_category", wanted, category.code()));
    }
    Ok(token)
}

const CATEGORIES: [Category; 4] = [Category::Device, Category::Admin, Category::Webhook, Category::DeviceReport];

fn category(fields: &Fields) -> Result<Category, ApiError> {
    const WANTED: &str = "device, admin, webhook or device_report";
    let missing = ApiError::Missing { parameter: "event_category", wanted: WANTED };
    let text = fields.text("event_category", WANTED)?.ok_or(missing)?;
    let known = CATEGORIES.into_iter().find(|&category| category.code() == text);
    known.ok_or_else(|| ApiError::invalid("event_category", WANTED, Json::Text(text.into_owned())))
}

/// From `start_time` to `end_time`, both ends included (A; profile `window_end`); without both, `age` seconds back from now. `age` is skipped
/// when one of them is given (C: a client asks for 30 days by times alone).
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
        // An end that was not given is now, and what happens now is in the window.
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

/// What `filter` asks for, as far as the category has it; the rest of it is ignored (A; profile `inapplicable_filter`).
fn filter(fields: &Fields, category: Category, profile: &Profile) -> Result<Filter, ApiError> {
    let asked = match fields.get("filter") {
        None => return Ok(Filter::default()),
        Some(Json::Object(asked)) => asked,
        // An empty map of PHP is written as an empty array.
        Some(Json::List(list)) if list.is_empty() => return Ok(Filter::default()),
        Some(other) => return Err(ApiError::invalid("filter", "an object", other)),
    };
    if profile.inapplicable_filter == InapplicableFilter::Refused {
        refuse_inapplicable(asked, category)?;
    }
    Ok(Filter {
        kinds: match category {
            Category::Device => kinds(asked, &DeviceEvent::ALL.map(DeviceEvent::code))?,
            Category::Admin => kinds(asked, &AdminEvent::ALL.map(AdminEvent::code))?,
            Category::Webhook => kinds(asked, &WebhookEvent::ALL.map(WebhookEvent::code))?,
            Category::DeviceReport | Category::Activity => None,
        },
        agents: if category == Category::Device { agents(asked)? } else { None },
        search: if category == Category::Admin { None } else { search::text(asked, "filter.search")? },
    })
}

/// Refuses what a category does not have.
fn refuse_inapplicable(asked: &Fields, category: Category) -> Result<(), ApiError> {
    for (parameter, name, categories) in [
        ("filter.events", "events", &[Category::Device, Category::Admin, Category::Webhook][..]),
        ("filter.agent_types", "agent_types", &[Category::Device]),
        ("filter.search", "search", &[Category::Device, Category::DeviceReport, Category::Webhook]),
    ] {
        if asked.has(name) && !categories.contains(&category) {
            return Err(ApiError::invalid(parameter, format!("left out for {}", category.code()), "one"));
        }
    }
    Ok(())
}

/// The codes that are wanted, as bits. The document's type says a string, its text says events: a string, several in one
/// with commas, and an array of strings are taken (A). None of them means all.
fn kinds(asked: &Fields, codes: &[&str]) -> Result<Option<u32>, ApiError> {
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
    match asked.get("events") {
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

/// The kinds of agents that are wanted; an empty array means all.
fn agents(asked: &Fields) -> Result<Option<Vec<AgentType>>, ApiError> {
    const WANTED: &str = "an array of 0 (MetaDefender Endpoint) and 2 (OPSWAT Domain Controller Client)";
    let list = match asked.get("agent_types") {
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
