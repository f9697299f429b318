//! The schemas of the control surface. Enumerations are derived from the types, so that they cannot differ.

use serde_json::{Map, Value, json};

use super::{
    audit::audit_schemas,
    parts::{instant, named, text},
    webhook::webhook_schemas,
};
use crate::{account::profile::Profile, api_name::ApiName, world::Category};

#[expect(clippy::too_many_lines, reason = "a table, one schema after the other")]
pub(super) fn control_schemas() -> Map<String, Value> {
    let apis: Vec<&str> = ApiName::ALL.iter().map(|api| api.code()).collect();
    let number = |least: u32| json!({ "type": "integer", "minimum": least });
    let profile: Map<String, Value> = Profile::KEYS
        .iter()
        .map(|(key, values)| {
            let schema = match values[1].strip_prefix("from ") {
                Some(least) => number(least.parse().unwrap_or_default()),
                None if values.contains(&"true") => json!({ "type": "boolean" }),
                None => json!({ "type": "string", "enum": values }),
            };
            ((*key).to_owned(), schema)
        })
        .collect();
    let quota = json!({
        "requests": number(1), "per_seconds": number(1),
        "algorithm": { "enum": ["gcra", "fixed-window"] },
        "scope": { "enum": ["token-api", "token", "account-api", "account"] },
        "retry_after": { "enum": ["off", "seconds", "http-date"] },
        "enabled": { "type": "boolean" },
    });
    let status = json!({
        "type": "object", "required": ["limit", "remaining", "reset_at"],
        "properties": { "limit": number(1), "remaining": number(0), "reset_at": instant() },
    });
    let name = json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" });
    let credential = json!({ "type": "string", "pattern": "^[A-Za-z0-9._~-]{1,256}$" });
    let lag = json!({ "anyOf": [number(0), text()], "description": "Seconds, or FROM..TO." });
    let account = json!({
        "name": name, "seed": number(0), "devices": number(0), "retention_days": number(1), "lag": text(),
        "access_token": text(), "client_id": text(), "client_secret": text(),
        "redirect_uris": { "type": "array", "items": text() },
        "clock": named("Clock"), "quota": { "type": "object", "properties": quota }, "profile": { "type": "object", "properties": profile },
    });
    let whole = |properties: &Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let some = |properties: Value| json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let said = |mut schema: Value, description: &str| {
        schema["description"] = description.into();
        schema
    };
    let fault = json!({
        "status": said(json!({ "type": "integer", "minimum": 200, "maximum": 599 }), "Answers with this status instead of the API's answer."),
        "body": said(text(), "Answers with this body instead of the API's, with 200 unless there is a status."),
        "template": said(json!({ "type": "boolean" }), "The body is a template: `{{ json.ids[0] }}` is a part of the request's JSON; `path`, `query`, `method` and `now` are there, too. In a JSON body, values are written as JSON."),
        "headers": said(json!({ "type": "object", "additionalProperties": text() }), "Sets these headers of the answer."),
        "content_type": said(text(), "Sets the content type of the answer."),
        "rate_limit": said(json!({ "enum": ["off", "seconds", "http-date"] }), "Answers 429 whatever the quota is; the value is the form of `Retry-After`."),
        "retry_after_seconds": said(number(0), "What that 429 asks to wait; 30 by default."),
        "delay_ms": said(number(1), "Delays the answer by this many milliseconds, at most an hour."),
        "drip_bytes_per_second": said(number(1), "Sends the body slowly."),
        "waits_on": said(json!({ "enum": ["machine", "account"] }), "Which clock `delay_ms` and `drip_bytes_per_second` follow: the machine's by default. A wait on the account's clock lasts until a test advances it."),
        "close": said(json!({ "enum": ["before-headers", "mid-body"] }), "Closes the connection before the answer, or in the middle of its body."),
        "truncate_at": said(number(0), "Sends only so many bytes of the body. Content-Length is right, unless the connection is closed there."),
        "invalid_utf8": said(json!({ "type": "boolean" }), "Inserts a byte that is not valid UTF-8."),
        "entries": said(json!({ "enum": ["duplicate", "reorder", "empty", "drop", "without-names", "extra-field", "numbers", "new-event"] }), "Repeats the last entry of a page, reorders the entries, leaves all out, or leaves the first out; or changes the fields of all entries: without those whose names end with `name`, with a further one, with numbers for texts of digits, or with an unknown event code."),
        "repeat_page_token": said(json!({ "type": "boolean" }), "Answers a page of v3.3 with a page token that leads to the same page again."),
        "expire_token": said(json!({ "type": "boolean" }), "Expires the token of the request once it is answered."),
    });
    let matches = json!({
        "api": said(json!({ "type": "string", "enum": apis }), "Requests to this API."),
        "method": said(text(), "Requests with this method."),
        "path": said(text(), "Requests to a path of this pattern: `{name}` is one segment, `*` is any text. Also paths that would be 404."),
        "needs_token": said(json!({ "type": "boolean" }), "`false`: applies before the token is checked, also to requests without one. Such a rule belongs to the account of the token, or else to `default`."),
        "from": said(instant(), "Requests from this instant of the account's clock on."),
        "to": said(instant(), "Requests before this instant."),
        "nth": said(number(1), "The n-th of the requests for which the other conditions hold, counted from 1 since the rule was created."),
        "every": said(number(1), "Every n-th of them."),
        "probability": said(json!({ "type": "number", "minimum": 0, "maximum": 1 }), "This share of them, drawn from the account's seed: a run repeats."),
    });
    let rule = json!({
        "name": said(name.clone(), "Named in `X-Mock-Fault` and in the journal; `fault-1` and so on by default."),
        "match": some(matches), "fault": some(fault), "times": said(number(1), "Applies at most this many times."),
        "hidden": said(json!({ "type": "boolean" }), "Leaves `X-Mock-Fault` out of the answer."),
    });
    let mut counted_rule = rule.clone();
    counted_rule["seen"] = number(0);
    counted_rule["applied"] = number(0);
    let list = |name: &str, item: Value| some(json!({ name: { "type": "array", "items": item } }));
    let true_event = json!({
        "type": "object", "required": ["id", "at", "visible_at", "injected"],
        "properties": { "id": text(), "at": instant(), "visible_at": instant(), "injected": { "type": "boolean" } },
        "additionalProperties": { "type": "string" },
    });
    let mut new_event: Map<String, Value> = [
        "event",
        "details",
        "device_id",
        "device_name",
        "device_username",
        "device_group",
        "status",
        "severity",
        "policy_name",
        "public_ip",
        "admin_name",
        "admin_email",
        "response_body",
        "app_name",
        "access_rule",
        "app_user",
    ]
    .into_iter()
    .map(|field| (field.to_owned(), text()))
    .collect();
    new_event.insert("category".to_owned(), json!({ "type": "string", "enum": Category::ALL.map(Category::code) }));
    new_event.extend(["timestamp", "visible_at", "last_seen"].map(|field| (field.to_owned(), instant())));
    new_event.insert("response_code".to_owned(), json!({ "type": "integer", "minimum": 100, "maximum": 599 }));
    let request = json!({
        "number": number(1), "at": instant(), "method": text(), "path": text(), "api": { "type": "string", "enum": apis },
        "token": text(), "parameters": { "type": "object" }, "status": { "type": ["integer", "null"] },
        "entries": number(0), "quota": status, "fault": text(), "duration_us": number(0),
        "outcome": { "enum": ["completed", "refused", "cut", "abandoned"] }, "bytes_sent": number(0),
        "events": { "type": "array", "items": text() }, "ignored": { "type": "array", "items": text() },
    });
    let new_account = json!({
        "name": name, "scenario": text(), "seed": number(0), "devices": number(0), "now": instant(), "quota": named("QuotaChange"),
        "profile": named("Profile"), "retention_days": number(1), "lag": lag, "journal": number(0), "dense": number(0),
        "access_token": credential, "client_id": credential, "client_secret": credential,
        "redirect_uris": { "type": "array", "items": text() },
        "tokens": { "type": "array", "items": named("NewToken") }, "faults": { "type": "array", "items": named("FaultRule") },
        "events": { "type": "array", "items": named("NewEvent") },
    });
    let change = json!({
        "seed": number(0), "devices": number(0), "quota": named("QuotaChange"), "profile": named("Profile"),
        "retention_days": number(1), "lag": lag, "redirect_uris": { "type": "array", "items": text() },
    });
    let modes = json!({ "type": "string", "enum": ["system", "frozen", "scaled"] });
    let rate = json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000 });
    let mut schemas = audit_schemas();
    schemas.extend(webhook_schemas());
    schemas.extend([
        (
            "Problem".to_owned(),
            json!({
                "type": "object", "required": ["title", "status", "detail"],
                "properties": { "title": text(), "status": { "type": "integer" }, "detail": text() },
                "additionalProperties": false,
            }),
        ),
        ("Account".to_owned(), whole(&account)),
        (
            "Accounts".to_owned(),
            json!({
                "type": "object", "required": ["accounts", "total", "next_after"],
                "properties": { "accounts": { "type": "array", "items": named("Account") }, "total": number(1), "next_after": { "type": ["string", "null"] } },
                "additionalProperties": false,
            }),
        ),
        ("NewAccount".to_owned(), some(new_account)),
        ("AccountChange".to_owned(), some(change)),
        (
            "Clock".to_owned(),
            json!({
                "type": "object", "required": ["mode", "now"],
                "properties": { "mode": modes, "now": instant(), "rate": rate }, "additionalProperties": false,
            }),
        ),
        ("ClockChange".to_owned(), some(json!({ "mode": modes, "now": instant(), "rate": rate }))),
        (
            "NewToken".to_owned(),
            some(json!({ "token": credential, "expires_in": { "type": "integer", "minimum": 0 } })),
        ),
        ("Quota".to_owned(), {
            let mut all = quota.clone();
            all["buckets"] = json!({ "type": "array", "items": {
                "type": "object", "required": ["remaining", "reset_at"],
                "properties": { "token": text(), "api": { "type": "string", "enum": apis }, "remaining": number(0), "reset_at": instant() },
                "additionalProperties": false,
            } });
            whole(&all)
        }),
        (
            "QuotaChange".to_owned(),
            json!({ "anyOf": [some(quota), { "type": "string", "description": "As --rate-limit has it." }] }),
        ),
        ("Profile".to_owned(), some(profile.into())),
        ("FaultRule".to_owned(), some(rule)),
        ("Faults".to_owned(), list("faults", some(counted_rule))),
        (
            "NewEvent".to_owned(),
            json!({
                "type": "object", "required": ["category"], "properties": new_event, "additionalProperties": false,
            }),
        ),
        ("TrueEvents".to_owned(), list("events", true_event)),
        (
            "Requests".to_owned(),
            json!({
                "type": "object", "required": ["requests", "next_after", "noted", "epoch"],
                "properties": {
                    "requests": { "type": "array", "items": {
                        "type": "object", "required": ["number", "at", "method", "path", "parameters", "status", "outcome", "bytes_sent", "duration_us"],
                        "properties": request, "additionalProperties": false,
                    } },
                    "next_after": number(0), "noted": number(0), "epoch": number(0),
                },
                "additionalProperties": false,
            }),
        ),
    ]);
    schemas
}
