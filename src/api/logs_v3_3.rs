//! `POST /o/api/v3.3/logs`: events of one category in a window, newest first, paged by an opaque token.

use axum::response::Response;

use super::{
    body::{Fields, Json},
    error::Refusal,
    gate::Caller,
    limits::Limit,
    page::{Begin, Page},
    page_token::PageToken,
    search,
};
use crate::world::{AdminEvent, AgentType, DeviceEvent, Filter, Millis, Stream, WebhookEvent, Window};

/// How far back a window reaches that is given only its end (A: the default of `age`).
const DEFAULT_AGE_SECONDS: i64 = 3_600;
/// The largest `age` (D).
const MAX_AGE_SECONDS: i64 = 86_400;

/// Lists a page.
///
/// The answer's `token` is never empty on a page with data, the last one included: a client that gets data and an empty
/// token starts over for ever (C). The page after the last one is empty and has an empty token (A).
pub(super) async fn list(caller: Caller, fields: Fields) -> Result<Response, Refusal> {
    let query = read(&fields, &caller)?;
    let page = Page {
        stream: query.stream,
        window: query.window,
        filter: query.filter.clone(),
        begin: Begin::Read(query.read),
        take: query.limit.entries(),
        seen_at: query.seen_at,
    };
    let rows = page.rows(&caller).await?;
    let next = match rows.count {
        0 => String::new(),
        _ => PageToken { read: rows.read, ..query }.seal(&caller.account),
    };
    Ok(rows.answer(r#"{"data":["#, format!(r#"],"token":"{next}"}}"#)))
}

/// The query of a first page, or the one that the page token carries. With a token, the fields that it carries are still
/// checked, and then ignored, as clients send them again (C); only a `limit` that is given replaces the token's (A).
fn read(fields: &Fields, caller: &Caller) -> Result<PageToken, Refusal> {
    let stream = category(fields)?;
    let window = window(fields, caller.now)?;
    let filter = filter(fields, stream)?;
    let sealed = match fields.text("token", "the token of the page before, or an empty string")? {
        None | Some("") => None,
        Some(text) => Some(open(text, stream, caller)?),
    };
    // Last, because what is wrong in another way comes before a limit that is too large. Twenty entries by default (D).
    let limit = fields.integer("limit", &Limit::<100>::wanted())?.map(Limit::try_from).transpose()?;
    Ok(if let Some(sealed) = sealed {
        PageToken { limit: limit.unwrap_or(sealed.limit), ..sealed }
    } else {
        let limit = limit.map_or_else(|| Limit::try_from(20), Ok)?;
        PageToken {
            stream,
            window: caller.account.readable(window, caller.now),
            filter,
            limit,
            read: 0,
            seen_at: caller.now,
        }
    })
}

fn open(text: &str, stream: Stream, caller: &Caller) -> Result<PageToken, Refusal> {
    // One from the future was made by another clock, which this account has never shown.
    let Some(token) = PageToken::open(text, &caller.account).filter(|token| token.seen_at <= caller.now) else {
        let wanted = "the token of the page before, as it was answered, of the same account and configuration";
        return Err(Refusal::invalid("token", wanted, Json::Text(text.to_owned())));
    };
    if token.stream != stream {
        let wanted = format!("{}, which the token was made for", name(token.stream));
        return Err(Refusal::invalid("event_category", wanted, name(stream)));
    }
    Ok(token)
}

const CATEGORIES: [Stream; 4] = [Stream::Device, Stream::Admin, Stream::Webhook, Stream::DeviceReport];

fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Device => "device",
        Stream::Admin => "admin",
        Stream::Webhook => "webhook",
        Stream::DeviceReport => "device_report",
        Stream::Activity => "activity",
    }
}

fn category(fields: &Fields) -> Result<Stream, Refusal> {
    const WANTED: &str = "device, admin, webhook or device_report";
    let missing = Refusal::Missing { parameter: "event_category", wanted: WANTED };
    let text = fields.text("event_category", WANTED)?.ok_or(missing)?;
    let known = CATEGORIES.into_iter().find(|&stream| name(stream) == text);
    known.ok_or_else(|| Refusal::invalid("event_category", WANTED, Json::Text(text.to_owned())))
}

/// From `start_time` to `end_time`, both ends included (A); without both, `age` seconds back from now. `age` is skipped
/// when one of them is given (C: a client asks for 30 days by times alone).
fn window(fields: &Fields, now: Millis) -> Result<Window, Refusal> {
    const AGE: &str = "an integer of seconds from 1 to 86400";
    let start = instant(fields, "start_time")?;
    let end = instant(fields, "end_time")?;
    let age_seconds = fields.integer("age", AGE)?;
    let window = match (start, end) {
        (None, None) => {
            let age_seconds = age_seconds.unwrap_or(DEFAULT_AGE_SECONDS);
            if !(1..=MAX_AGE_SECONDS).contains(&age_seconds) {
                return Err(Refusal::invalid("age", AGE, age_seconds));
            }
            Window { from: Millis(now.0 - age_seconds * 1000), to: now }
        }
        (None, Some(end)) => Window { from: Millis(end.0.saturating_sub(DEFAULT_AGE_SECONDS * 1000)), to: end },
        (Some(start), None) => Window { from: start, to: now },
        (Some(start), Some(end)) => Window { from: start, to: end },
    };
    if window.from > window.to {
        let what = if end.is_some() { "end_time" } else { "now, where the window ends without end_time" };
        return Err(Refusal::invalid("start_time", format!("at most {what} ({})", window.to.0), window.from.0));
    }
    Ok(window)
}

fn instant(fields: &Fields, name: &'static str) -> Result<Option<Millis>, Refusal> {
    const WANTED: &str = "an integer of milliseconds since 1970, from 0";
    match fields.integer(name, WANTED)? {
        Some(negative @ ..0) => Err(Refusal::invalid(name, WANTED, negative)),
        millis => Ok(millis.map(Millis)),
    }
}

/// What `filter` asks for, as far as the category has it; the rest of it is ignored (A).
fn filter(fields: &Fields, stream: Stream) -> Result<Filter, Refusal> {
    let asked = match fields.get("filter") {
        None => return Ok(Filter::default()),
        Some(Json::Object(asked)) => asked,
        // An empty map of PHP is written as an empty array.
        Some(Json::List(list)) if list.is_empty() => return Ok(Filter::default()),
        Some(other) => return Err(Refusal::invalid("filter", "an object", other)),
    };
    Ok(Filter {
        kinds: match stream {
            Stream::Device => kinds(asked, &DeviceEvent::ALL.map(DeviceEvent::code))?,
            Stream::Admin => kinds(asked, &AdminEvent::ALL.map(AdminEvent::code))?,
            Stream::Webhook => kinds(asked, &WebhookEvent::ALL.map(WebhookEvent::code))?,
            Stream::DeviceReport | Stream::Activity => None,
        },
        agents: if stream == Stream::Device { agents(asked)? } else { None },
        search: if stream == Stream::Admin { None } else { search::text(asked, "filter.search")? },
    })
}

/// The codes that are wanted, as bits. The document's type says a string, its text says events: a string, several in one
/// with commas, and an array of strings are taken (A). None of them means all.
fn kinds(asked: &Fields, codes: &[&str]) -> Result<Option<u32>, Refusal> {
    let wanted = || format!("one or more of {}", codes.join(", "));
    let mut bits = 0;
    let mut want = |text: &str| {
        for code in text.split(',').map(str::trim).filter(|code| !code.is_empty()) {
            let place = codes.iter().position(|known| *known == code);
            let refusal = || Refusal::invalid("filter.events", wanted(), Json::Text(code.to_owned()));
            bits |= 1 << place.ok_or_else(refusal)?;
        }
        Ok::<(), Refusal>(())
    };
    match asked.get("events") {
        None => {}
        Some(Json::Text(text)) => want(text)?,
        Some(Json::List(list)) => {
            for value in list {
                let Json::Text(text) = value else { return Err(Refusal::invalid("filter.events", wanted(), value)) };
                want(text)?;
            }
        }
        Some(other) => return Err(Refusal::invalid("filter.events", wanted(), other)),
    }
    Ok((bits != 0).then_some(bits))
}

/// The kinds of agents that are wanted; an empty array means all.
fn agents(asked: &Fields) -> Result<Option<Vec<AgentType>>, Refusal> {
    const WANTED: &str = "an array of 0 (MetaDefender Endpoint) and 2 (OPSWAT Domain Controller Client)";
    let list = match asked.get("agent_types") {
        None => return Ok(None),
        Some(Json::List(list)) => list,
        Some(other) => return Err(Refusal::invalid("filter.agent_types", WANTED, other)),
    };
    let known = list.iter().map(|value| match value {
        Json::Integer(0) => Ok(AgentType::Endpoint),
        Json::Integer(2) => Ok(AgentType::DomainController),
        other => Err(Refusal::invalid("filter.agent_types", WANTED, other)),
    });
    let agents: Vec<AgentType> = known.collect::<Result<_, _>>()?;
    Ok((!agents.is_empty()).then_some(agents))
}
