//! Smaller look-ups that public clients have: policy checks, statistics, remediation, reports and threats.

use axum::{extract::RawQuery, response::Response};
use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::Authenticated,
        error::ApiError,
        ignored,
        params::Params,
    },
    answer,
    device_id::DeviceId,
    request::{self, MAX_IDS, NumberedPage},
    vulnerabilities::CVES,
};
use crate::world::{Category, Filter, Millis, Order, Record, Severity, Status, Window};

const DAY_MS: i64 = 86_400_000;

#[derive(Serialize)]
struct PolicyCheck {
    /// 0 if every device meets the policy, or else 1 (A).
    result: u8,
    /// 1 if a device has a critical issue.
    critical: u8,
}

#[derive(Serialize)]
struct Stats {
    total_count: u64,
    devices: Vec<String>,
}

#[derive(Serialize)]
struct Remediation {
    /// 1: there is such a device; 0: there is none (D).
    result: u8,
    /// Empty without such a device (D).
    remediation_link: String,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Threats {
    antimalware_scan: [(); 0],
    local_antimalware_threats: [(); 0],
}

/// Checks devices, which are named by MAC addresses (`opt` 0) or device ids (`opt` 1), against the policy (C).
pub(super) async fn policy(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const WANTED: &str = "1 to 50 MAC addresses or device ids, in an array or separated by commas";
    const OPT: &str = "0 (MAC addresses) or 1 (device ids)";
    let context = &caller.context;
    if let Some(other) = fields.integer("opt", OPT)?.filter(|opt| !(0..=1).contains(opt)) {
        return Err(ApiError::invalid("opt", OPT, other));
    }
    let addresses: Vec<String> = match fields.get("MAC_list") {
        None => return Err(ApiError::Missing { parameter: "MAC_list", wanted: WANTED }),
        Some(Json::Text(text)) => text.split(',').map(|address| address.trim().to_owned()).collect(),
        Some(Json::List(list)) => request::texts(list, "MAC_list", WANTED)?,
        Some(other) => return Err(ApiError::invalid("MAC_list", WANTED, other)),
    };
    if !(1..=MAX_IDS).contains(&addresses.len()) {
        return Err(ApiError::invalid("MAC_list", WANTED, format_args!("{} addresses", addresses.len())));
    }
    if addresses.iter().any(String::is_empty) {
        return Err(ApiError::invalid("MAC_list", WANTED, "an empty address"));
    }
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["opt", "MAC_list"]))?;
    let found = answer::read_some(context, &addresses, |_, devices| {
        let state = |address: &String| devices.with_id(address).ok_or_else(|| ApiError::NoSuchDevice(address.clone()));
        addresses.iter().map(state).collect::<Result<Vec<_>, _>>()
    })?;
    answer::json(&PolicyCheck {
        result: u8::from(found.iter().any(|state| state.status == Status::NonCompliant)),
        critical: u8::from(found.iter().any(|state| state.severity == Severity::Critical)),
    })
}

/// Counts the events of a kind in the last `in` periods, and names the newest devices.
pub(super) async fn stats(caller: Authenticated, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    const NUMBER: &str = "an integer from 1 to 1000";
    const PERIOD: &str = "second, hour, month or ytd";
    let context = &caller.context;
    let params = Params::parse(query.as_deref().unwrap_or_default(), context.config.profile().repeated_parameter)?;
    let codes = Category::Device.event_codes();
    let event = params.get("event").filter(|event| !event.is_empty());
    let event =
        event.ok_or(ApiError::Missing { parameter: "event", wanted: "not_seen, or a code of a device event" })?;
    // The only documented value that public pages show is `not_seen`; the codes of the log are assumed.
    let event = if event == "not_seen" { "unseen" } else { event };
    if !codes.contains(&event) {
        let wanted = format!("not_seen or one of {}", codes.join(", "));
        return Err(ApiError::invalid("event", wanted, format_args!("\"{event}\"")));
    }
    let number = params.integer("in", NUMBER, 1)?;
    if !(1..=1000).contains(&number) {
        return Err(ApiError::invalid("in", NUMBER, number));
    }
    let from = match params.get("period") {
        None | Some("month") => context.now.0 - number * 30 * DAY_MS,
        Some("hour") => context.now.0 - number * 3_600_000,
        Some("second") => context.now.0 - number * 1000,
        Some("ytd") => start_of_year(context.now),
        Some(other) => return Err(ApiError::invalid("period", PERIOD, format_args!("\"{other}\""))),
    };
    ignored::check(context, || ignored::unknown_params(&params, &["event", "period", "in", "access_token"]))?;
    let asked = Window { from: Millis(from), to: context.now };
    let window = context.readable(asked);
    let filter = Filter { kinds: Some(Category::Device.kinds(&[event])), ..Filter::default() };
    let injected = context.account.injected.select(Category::Device, window, &filter, context.now, None);
    let world = context.account.world_of(context.config.settings.world);
    let selection = world.select_seen(Category::Device, window, filter, context.now);
    let generated = selection.page(0, MAX_IDS, Order::NewestFirst).into_iter();
    let generated = generated.map(|event| (event.at(), world.render(&event)));
    let added = injected.iter().rev().take(MAX_IDS).map(|event| (event.at, event.entry.clone()));
    let mut newest: Vec<(Millis, Record)> = generated.chain(added).collect();
    newest.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let id = |(_, record)| if let Record::Device(record) = record { Some(record.device.id.clone()) } else { None };
    answer::json(&Stats {
        total_count: selection.count() + injected.len() as u64,
        devices: newest.into_iter().filter_map(id).take(MAX_IDS).collect(),
    })
}

/// The first instant of the calendar year (UTC).
fn start_of_year(now: Millis) -> i64 {
    let date = Timestamp::from_millisecond(now.0).map(|at| Offset::UTC.to_datetime(at).date());
    date.map_or(0, |date| date.first_of_year().duration_since(Date::constant(1970, 1, 1)).as_hours() * 3_600_000)
}

/// Returns the address of the page that says how a device meets the policy.
pub(super) async fn remediation(caller: Authenticated, DeviceId(id): DeviceId) -> Result<Response, ApiError> {
    let found = answer::read_some(&caller.context, std::slice::from_ref(&id), |_, devices| devices.with_id(&id));
    let link = found.map(|state| answer::remediation_link(&state.device.id));
    answer::json(&Remediation { result: u8::from(link.is_some()), remediation_link: link.unwrap_or_default() })
}

/// Returns a report about the account, as a sentence (A: the values are assumed).
pub(super) async fn reports(caller: Authenticated, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let context = &caller.context;
    let params = Params::parse(query.as_deref().unwrap_or_default(), context.config.profile().repeated_parameter)?;
    let kind = params.get("type").filter(|kind| !kind.is_empty());
    let kind = kind.ok_or(ApiError::Missing { parameter: "type", wanted: "the type of a report" })?;
    ignored::check(context, || ignored::unknown_params(&params, &["type", "access_token"]))?;
    let total = answer::read(context, |_, devices| devices.len());
    // The value of a client can be of any length.
    let kind: String = kind.chars().take(100).collect();
    answer::json(&Report { status: "success", message: format!("Report {kind} about {total} devices") })
}

/// Returns the threats of a device. No threats are invented, so a device has none (A).
pub(super) async fn threats(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let id = request::required(&fields, "id", "a device id")?;
    request::is_verbose(&fields)?;
    NumberedPage::read(&fields, CVES)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["id", "limit", "page", "verbose"]))?;
    let found = answer::read_some(context, std::slice::from_ref(&id), |_, devices| devices.with_id(&id));
    found.ok_or(ApiError::NoSuchDevice(id))?;
    answer::json(&Threats { antimalware_scan: [], local_antimalware_threats: [] })
}
