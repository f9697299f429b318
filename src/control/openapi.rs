//! `GET /_mock/openapi.json`: both surfaces as OpenAPI 3.1 describes them.

use std::sync::OnceLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{account::profile::Profile, api, api_name::ApiName, world::Category};

/// The document, made when it is asked for first: the same for all servers of a process.
pub(super) async fn show() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    // A value always has a form in JSON.
    let document = DOCUMENT.get_or_init(|| serde_json::to_vec(&describe()).unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

fn describe() -> Value {
    let (mut paths, mut schemas) = api::openapi::describe();
    paths.extend(control_paths());
    schemas.extend(control_schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "opswat-mock",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The OPSWAT MetaDefender IT Access log APIs as opswat-mock emulates them, and the surface that \
                controls it. Any path and any method that is not here is answered with 404 or 405. A fault that a test \
                asked for may answer with anything.",
        },
        "tags": [
            { "name": "emulated", "description": "What the vendor's service answers." },
            { "name": "control", "description": "What a test asks of the mock itself." },
        ],
        "security": [{ "bearer": [] }, { "query": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "query": { "type": "apiKey", "in": "query", "name": "access_token" },
                "control": { "type": "http", "scheme": "bearer", "description": "If --control-token asks for it." },
            },
        },
    })
}

#[expect(clippy::too_many_lines, reason = "a table, one path after the other")]
fn control_paths() -> Map<String, Value> {
    let account = || parameter("account", "path", text());
    let of = |rest: &str| format!("/_mock/accounts/{{account}}{rest}");
    let one = |names: &[&str]| {
        let mut all = vec![account()];
        all.extend(names.iter().map(|name| parameter(name, "path", text())));
        Value::from(all)
    };
    let made = |mut response: Value| {
        response["headers"] = json!({ "Location": { "required": true, "schema": text() } });
        response
    };
    let nothing = || json!({ "description": "Done." });
    Map::from_iter([
        (
            "/_mock/health".to_owned(),
            json!({ "get": {
            "operationId": "health", "summary": "Whether the listener answers", "tags": ["control"], "security": [],
            "responses": { "200": answer("It does.", &json!({
                "type": "object", "required": ["status", "version"],
                "properties": { "status": { "const": "ok" }, "version": text() }, "additionalProperties": false,
            })) },
        } }),
        ),
        (
            "/_mock/openapi.json".to_owned(),
            json!({
                "get": operation("openapi", "This document", ("200", answer("The document.", &json!({ "type": "object" }))), &[]),
            }),
        ),
        (
            "/_mock/metrics".to_owned(),
            json!({
                "get": operation("metrics", "What the server counts, as Prometheus reads it", ("200", json!({
                    "description": "The numbers.", "content": { crate::metrics::CONTENT_TYPE: { "schema": text() } },
                })), &[]),
            }),
        ),
        (
            "/_mock/accounts".to_owned(),
            json!({
                "get": with_parameters(
                    operation("listAccounts", "Accounts by name", ("200", answer("Some accounts.", &named("Accounts"))), &["400"]),
                    &[parameter("after", "query", text()), parameter("limit", "query", limit())],
                ),
                "post": with_body(
                    operation("makeAccount", "Makes an account", ("201", made(answer("The account.", &named("Account")))), &["400", "409"]),
                    &named("NewAccount"), &json!({ "name": "acme", "seed": 7, "now": "2026-01-15T12:00:00Z" }),
                ),
            }),
        ),
        (
            of(""),
            json!({
                "parameters": one(&[]),
                "get": operation("showAccount", "An account", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
                "patch": with_body(
                    operation("changeAccount", "Changes an account", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
                    &named("AccountChange"), &json!({ "profile": { "order": "asc" } }),
                ),
                "delete": operation("dropAccount", "Drops an account", ("204", nothing()), &["400", "404", "409"]),
            }),
        ),
        (
            of("/reset"),
            json!({
                "parameters": one(&[]),
                "post": operation("resetAccount", "Makes an account what it was when it was made", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
            }),
        ),
        (
            of("/clock"),
            json!({
                "parameters": one(&[]),
                "get": operation("showClock", "What the clock shows", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                "put": with_body(
                    operation("turnClock", "Changes how the clock runs and what it shows", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                    &named("ClockChange"), &json!({ "mode": "frozen", "now": "2026-01-15T23:59:30Z" }),
                ),
            }),
        ),
        (
            of("/clock/advance"),
            json!({
                "parameters": one(&[]),
                "post": with_body(
                    operation("advanceClock", "Turns the clock forward", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                    &json!({ "type": "object", "required": ["seconds"], "properties": { "seconds": { "type": "number", "minimum": 0 } }, "additionalProperties": false }),
                    &json!({ "seconds": 3600 }),
                ),
            }),
        ),
        (
            of("/tokens"),
            json!({
                "parameters": one(&[]),
                "post": with_body(
                    operation("mintToken", "Makes a token", ("201", answer("The token.", &json!({
                        "type": "object", "required": ["access_token", "expires_at"],
                        "properties": { "access_token": text(), "expires_at": instant() }, "additionalProperties": false,
                    }))), &["400", "404", "409"]),
                    &named("NewToken"), &json!({ "expires_in": 10 }),
                ),
            }),
        ),
        (
            of("/tokens/expire"),
            json!({
                "parameters": one(&[]),
                "post": operation("expireTokens", "Lets all issued tokens expire", ("200", answer("How many they were.", &counted("expired"))), &["400", "404"]),
            }),
        ),
        (
            of("/tokens/{token}"),
            json!({
                "parameters": one(&["token"]),
                "delete": operation("revokeToken", "Takes a token back", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/quota"),
            json!({
                "parameters": one(&[]),
                "get": operation("showQuota", "How requests are counted, and each bucket", ("200", answer("The quota.", &named("Quota"))), &["400", "404"]),
                "put": with_body(
                    operation("changeQuota", "Changes how requests are counted", ("200", answer("The quota.", &named("Quota"))), &["400", "404"]),
                    &named("QuotaChange"), &json!({ "requests": 10, "per_seconds": 60, "algorithm": "fixed-window", "retry_after": "seconds" }),
                ),
            }),
        ),
        (
            of("/events"),
            json!({
                "parameters": one(&[]),
                "get": events(),
                "post": with_body(
                    operation("addEvents", "Adds events to the history", ("201", answer("What they tell.", &named("ToldEvents"))), &["400", "404"]),
                    &one_or_more("NewEvent"), &json!({ "category": "device", "event": "noncompliant", "visible_at": "2026-01-15T12:05:00Z" }),
                ),
                "delete": operation("forgetEvents", "Forgets the added events", ("200", answer("How many they were.", &counted("forgotten"))), &["400", "404"]),
            }),
        ),
        (
            of("/faults"),
            json!({
                "parameters": one(&[]),
                "get": operation("listFaults", "The faults, in their order", ("200", answer("The faults.", &named("Faults"))), &["400", "404"]),
                "put": with_body(
                    operation("replaceFaults", "Puts faults in the place of all others", ("200", answer("The faults.", &named("Faults"))), &["400", "404"]),
                    &one_or_more("FaultRule"), &json!([{ "match": { "api": "logs-v3.3", "nth": 3 }, "fault": { "close": "mid-body" } }]),
                ),
                "post": with_body(
                    operation("addFaults", "Adds faults behind the others", ("201", answer("Those that were added.", &named("Faults"))), &["400", "404"]),
                    &one_or_more("FaultRule"), &json!({ "match": { "every": 10 }, "fault": { "status": 503 } }),
                ),
                "delete": operation("forgetFaults", "Forgets all faults", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/faults/{fault}"),
            json!({
                "parameters": one(&["fault"]),
                "delete": operation("forgetFault", "Forgets a fault", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/requests"),
            json!({
                "parameters": one(&[]),
                "get": with_parameters(
                    operation("listRequests", "The journal, oldest first", ("200", answer("Some requests.", &named("Requests"))), &["400", "404"]),
                    &[parameter("after", "query", json!({ "type": "integer", "minimum": 0 })), parameter("limit", "query", limit())],
                ),
            }),
        ),
        (
            of("/requests/stream"),
            json!({
                "parameters": one(&[]),
                "get": with_parameters(
                    operation("followRequests", "The journal, as it is written", ("200", json!({
                        "description": "Server-sent events: `request` has its number as its id and the request as its data; `reset` says that the account began anew.",
                        "content": { "text/event-stream": { "schema": text() } },
                    })), &["400", "404"]),
                    &[
                        parameter("after", "query", json!({ "type": "integer", "minimum": 0 })),
                        parameter("Last-Event-ID", "header", json!({ "type": "integer", "minimum": 0 })),
                    ],
                ),
            }),
        ),
    ])
}

fn events() -> Value {
    let told = operation(
        "truth",
        "The truth of a window: all that happened, whether it can be seen yet or not",
        (
            "200",
            json!({
                "description": "The events, oldest first.",
                "content": {
                    "application/json": { "schema": named("ToldEvents") },
                    "application/x-ndjson": { "schema": text() },
                },
            }),
        ),
        &["400", "404"],
    );
    let category = json!({ "type": "string", "enum": Category::ALL.map(Category::code) });
    let mut required = parameter("category", "query", category);
    required["required"] = true.into();
    with_parameters(told, &[required, parameter("from", "query", instant()), parameter("to", "query", instant())])
}

#[expect(clippy::too_many_lines, reason = "a table, one schema after the other")]
fn control_schemas() -> Map<String, Value> {
    let apis = ApiName::ALL.map(ApiName::code);
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
        "status": { "type": "integer", "minimum": 200, "maximum": 599 },
        "body": said(text(), "Answered in the place of the API, with 200 unless there is a status."),
        "content_type": text(),
        "rate_limit": said(json!({ "enum": ["off", "seconds", "http-date"] }), "Answers 429; the form of Retry-After."),
        "retry_after_seconds": number(0),
        "delay_ms": said(number(1), "Of the account's clock."),
        "drip_bytes_per_second": said(number(1), "Of the account's clock."),
        "close": { "enum": ["before-headers", "mid-body"] },
        "truncate_at": said(number(0), "Bytes of the body that arrive. Content-Length says so, unless the connection is closed there."),
        "invalid_utf8": { "type": "boolean" },
        "entries": { "enum": ["duplicate", "reorder", "empty", "drop"] },
        "repeat_page_token": said(json!({ "type": "boolean" }), "The answer's page token leads to the same page again."),
        "expire_token": said(json!({ "type": "boolean" }), "The token of the request expires once it is answered."),
    });
    let matches = json!({
        "api": { "type": "string", "enum": apis },
        "from": said(instant(), "Requests from this instant of the account's clock on."),
        "to": said(instant(), "Requests before this instant."),
        "nth": said(number(1), "The n-th of the requests that the rule is about, counted since it was made."),
        "every": said(number(1), "Each so-manieth of them."),
        "probability": said(json!({ "type": "number", "minimum": 0, "maximum": 1 }), "So great a part of them, drawn from the seed."),
    });
    let rule = json!({
        "name": name, "match": some(matches), "fault": some(fault), "times": number(1), "hidden": { "type": "boolean" },
    });
    let mut standing_rule = rule.clone();
    standing_rule["seen"] = number(0);
    standing_rule["applied"] = number(0);
    let list = |name: &str, item: Value| some(json!({ name: { "type": "array", "items": item } }));
    let told = json!({
        "type": "object", "required": ["at", "visible_at", "injected"],
        "properties": { "at": instant(), "visible_at": instant(), "injected": { "type": "boolean" } },
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
    });
    let new_account = json!({
        "name": name, "seed": number(0), "devices": number(0), "now": instant(), "quota": named("QuotaChange"),
        "profile": named("Profile"), "retention_days": number(1), "lag": lag, "journal": number(0),
        "access_token": credential, "client_id": credential, "client_secret": credential,
        "redirect_uris": { "type": "array", "items": text() },
        "tokens": { "type": "array", "items": named("NewToken") }, "faults": { "type": "array", "items": named("FaultRule") },
    });
    let change = json!({
        "seed": number(0), "devices": number(0), "quota": named("QuotaChange"), "profile": named("Profile"),
        "retention_days": number(1), "lag": lag, "redirect_uris": { "type": "array", "items": text() },
    });
    let modes = json!({ "type": "string", "enum": ["system", "frozen", "scaled"] });
    let rate = json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000 });
    Map::from_iter([
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
        ("Faults".to_owned(), list("faults", some(standing_rule))),
        (
            "NewEvent".to_owned(),
            json!({
                "type": "object", "required": ["category"], "properties": new_event, "additionalProperties": false,
            }),
        ),
        ("ToldEvents".to_owned(), list("events", told)),
        (
            "Requests".to_owned(),
            json!({
                "type": "object", "required": ["requests", "next_after", "noted"],
                "properties": {
                    "requests": { "type": "array", "items": {
                        "type": "object", "required": ["number", "at", "method", "path", "parameters", "status", "duration_us"],
                        "properties": request, "additionalProperties": false,
                    } },
                    "next_after": number(0), "noted": number(0),
                },
                "additionalProperties": false,
            }),
        ),
    ])
}

/// An operation: its name, what it does, its answer, and the statuses of its refusals besides those of who may control.
fn operation(id: &str, summary: &str, (status, response): (&str, Value), refusals: &[&str]) -> Value {
    let mut responses = Map::from_iter([(status.to_owned(), response)]);
    for status in refusals.iter().chain(&["401", "403"]) {
        let description = match *status {
            "400" => "A body or a value is wrong.",
            "401" => "The control token is missing or wrong.",
            "403" => "Host is a foreign name, or a page of another origin writes.",
            "404" => "There is nothing of that name.",
            _ => "Something else is in the way.",
        };
        let problem = json!({ "application/problem+json": { "schema": named("Problem") } });
        responses.insert((*status).to_owned(), json!({ "description": description, "content": problem }));
    }
    json!({
        "operationId": id, "summary": summary, "tags": ["control"], "security": [{}, { "control": [] }],
        "responses": responses,
    })
}

fn with_parameters(mut operation: Value, parameters: &[Value]) -> Value {
    operation["parameters"] = parameters.into();
    operation
}

fn with_body(mut operation: Value, schema: &Value, example: &Value) -> Value {
    operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema, "example": example } } });
    operation
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are made where they are used")]
fn parameter(name: &str, place: &str, schema: Value) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "schema": schema });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn one_or_more(schema: &str) -> Value {
    json!({ "anyOf": [named(schema), { "type": "array", "items": named(schema) }] })
}

fn counted(name: &str) -> Value {
    json!({
        "type": "object", "required": [name], "properties": { name: { "type": "integer", "minimum": 0 } },
        "additionalProperties": false,
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time", "examples": ["2026-01-15T12:00:00Z"] })
}

fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })
}
