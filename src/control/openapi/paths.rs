//! The operations of the control surface.

use serde_json::{Map, Value, json};

use super::parts::{
    answer, counted, instant, limit, named, one_or_more, operation, parameter, text, with_body, with_parameters,
};
use crate::world::Category;

#[expect(clippy::too_many_lines, reason = "a table, one path after the other")]
pub(super) fn control_paths() -> Map<String, Value> {
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
            "operationId": "health", "summary": "Whether the server answers", "tags": ["control"], "security": [],
            "responses": { "200": answer("It answers.", &json!({
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
                "get": operation("metrics", "The metrics of the server, for Prometheus", ("200", json!({
                    "description": "The numbers.", "content": { crate::metrics::CONTENT_TYPE: { "schema": text() } },
                })), &[]),
            }),
        ),
        (
            "/_mock/scenarios".to_owned(),
            json!({
                "get": operation("listScenarios", "Lists the scenarios that an account can be created with", ("200", answer("The scenarios.", &json!({
                    "type": "object", "required": ["scenarios"], "additionalProperties": false,
                    "properties": { "scenarios": { "type": "array", "items": {
                        "type": "object", "required": ["name", "title", "why", "tags", "apis"], "additionalProperties": false,
                        "properties": {
                            "name": text(), "title": text(), "why": text(),
                            "tags": { "type": "array", "items": text() }, "apis": { "type": "array", "items": text() },
                        },
                    } } },
                }))), &[]),
            }),
        ),
        (
            "/_mock/accounts".to_owned(),
            json!({
                "get": with_parameters(
                    operation("listAccounts", "Lists accounts by name", ("200", answer("Some accounts.", &named("Accounts"))), &["400"]),
                    &[parameter("after", "query", text()), parameter("limit", "query", limit())],
                ),
                "post": with_body(
                    operation("makeAccount", "Creates an account", ("201", made(answer("The account.", &named("Account")))), &["400", "409"]),
                    &named("NewAccount"), &json!({ "name": "acme", "seed": 7, "now": "2026-01-15T12:00:00Z" }),
                ),
            }),
        ),
        (
            of(""),
            json!({
                "parameters": one(&[]),
                "get": operation("showAccount", "Shows an account", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
                "patch": with_body(
                    operation("changeAccount", "Changes an account", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
                    &named("AccountChange"), &json!({ "profile": { "order": "asc" } }),
                ),
                "delete": operation("dropAccount", "Deletes an account", ("204", nothing()), &["400", "404", "409"]),
            }),
        ),
        (
            of("/reset"),
            json!({
                "parameters": one(&[]),
                "post": operation("resetAccount", "Restores an account to its initial state: clock, quota, tokens, faults, injected events, journal", ("200", answer("The account.", &named("Account"))), &["400", "404"]),
            }),
        ),
        (
            of("/clock"),
            json!({
                "parameters": one(&[]),
                "get": operation("showClock", "Shows the clock", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                "put": with_body(
                    operation("turnClock", "Sets the mode and the time of the clock; only a reset moves it back", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                    &named("ClockChange"), &json!({ "mode": "frozen", "now": "2026-01-15T23:59:30Z" }),
                ),
            }),
        ),
        (
            of("/clock/advance"),
            json!({
                "parameters": one(&[]),
                "post": with_body(
                    operation("advanceClock", "Advances the clock", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                    &json!({ "type": "object", "required": ["seconds"], "properties": { "seconds": { "type": "number", "minimum": 0 } }, "additionalProperties": false }),
                    &json!({ "seconds": 3600 }),
                ),
            }),
        ),
        (
            of("/clock/sleep"),
            json!({
                "parameters": one(&[]),
                "post": with_body(
                    operation("sleepOnClock", "Answers when the clock has gone so far, after an hour of the machine's time at the latest: a client sleeps by the account's clock", ("200", answer("The clock.", &named("Clock"))), &["400", "404"]),
                    &json!({ "type": "object", "required": ["seconds"], "properties": { "seconds": { "type": "number", "minimum": 0 } }, "additionalProperties": false }),
                    &json!({ "seconds": 0.01 }),
                ),
            }),
        ),
        (
            of("/tokens"),
            json!({
                "parameters": one(&[]),
                "post": with_body(
                    operation("mintToken", "Mints a token, or gives an existing one a new expiry", ("201", answer("The token.", &json!({
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
                "post": operation("expireTokens", "Expires all tokens but the access_token that the account was created with", ("200", answer("How many they were.", &counted("expired"))), &["400", "404"]),
            }),
        ),
        (
            of("/tokens/{token}"),
            json!({
                "parameters": one(&["token"]),
                "delete": operation("revokeToken", "Revokes a token", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/quota"),
            json!({
                "parameters": one(&[]),
                "get": operation("showQuota", "Shows the quota, and the buckets that are not full", ("200", answer("The quota.", &named("Quota"))), &["400", "404"]),
                "put": with_body(
                    operation("changeQuota", "Changes the quota; fields that are left out stay", ("200", answer("The quota.", &named("Quota"))), &["400", "404"]),
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
                    operation("addEvents", "Injects events, all or none", ("201", answer("The injected events.", &named("TrueEvents"))), &["400", "404"]),
                    &one_or_more("NewEvent"), &json!({ "category": "device", "event": "noncompliant", "visible_at": "2026-01-15T12:05:00Z" }),
                ),
                "delete": operation("forgetEvents", "Removes the injected events", ("200", answer("How many they were.", &counted("forgotten"))), &["400", "404"]),
            }),
        ),
        (
            of("/faults"),
            json!({
                "parameters": one(&[]),
                "get": operation("listFaults", "Lists the fault rules in their order, with how often each was applied", ("200", answer("The faults.", &named("Faults"))), &["400", "404"]),
                "put": with_body(
                    operation("replaceFaults", "Replaces all fault rules", ("200", answer("The faults.", &named("Faults"))), &["400", "404"]),
                    &one_or_more("FaultRule"), &json!([{ "match": { "api": "logs-v3.3", "nth": 3 }, "fault": { "close": "mid-body" } }]),
                ),
                "post": with_body(
                    operation("addFaults", "Appends fault rules", ("201", answer("Those that were added.", &named("Faults"))), &["400", "404"]),
                    &one_or_more("FaultRule"), &json!({ "match": { "every": 10 }, "fault": { "status": 503 } }),
                ),
                "delete": operation("forgetFaults", "Removes all fault rules", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/faults/{fault}"),
            json!({
                "parameters": one(&["fault"]),
                "delete": operation("forgetFault", "Removes one fault rule", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/webhook"),
            json!({
                "parameters": one(&[]),
                "get": with_parameters(
                    operation("showWebhook", "Shows the receiver of the notifications, and the last attempts", ("200", answer("The webhook.", &named("Webhook"))), &["400", "404"]),
                    &[parameter("wait", "query", json!({ "type": "string", "pattern": "^[0-9]+m?s$" }))],
                ),
                "put": with_body(
                    operation("setWebhook", "Sets the receiver: from now on, notifications are delivered to it, and the logs have what it answers", ("200", answer("The webhook.", &named("Webhook"))), &["400", "404"]),
                    &named("WebhookSettings"), &json!({ "url": "http://127.0.0.1:9000/hook", "api_key": "secret" }),
                ),
                "delete": operation("removeWebhook", "Removes the receiver; there are no notifications until a reset", ("204", nothing()), &["400", "404"]),
            }),
        ),
        (
            of("/requests"),
            json!({
                "parameters": one(&[]),
                "get": with_parameters(
                    operation("listRequests", "Lists the journal, oldest first, after the request of a number", ("200", answer("Some requests.", &named("Requests"))), &["400", "404"]),
                    &[
                        parameter("after", "query", json!({ "type": "integer", "minimum": 0 })), parameter("limit", "query", limit()),
                        parameter("with", "query", json!({ "enum": ["events"] })),
                        parameter("wait", "query", json!({ "type": "string", "pattern": "^[0-9]+m?s$" })),
                        parameter("count", "query", json!({ "type": "integer", "minimum": 1, "maximum": 1000 })),
                        parameter("fault", "query", text()),
                    ],
                ),
            }),
        ),
        (
            of("/requests/stream"),
            json!({
                "parameters": one(&[]),
                "get": with_parameters(
                    operation("followRequests", "Streams the journal as server-sent events", ("200", json!({
                        "description": "Server-sent events: `request` has its number as its id and the request as its data; `reset` says that the account was reset.",
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
    let truth = operation(
        "truth",
        "Lists the true events of a window, from and to included, visible or not, oldest first",
        (
            "200",
            json!({
                "description": "The events, oldest first.",
                "content": {
                    "application/json": { "schema": named("TrueEvents") },
                    "application/x-ndjson": { "schema": text() },
                },
            }),
        ),
        &["400", "404"],
    );
    let category = json!({ "type": "string", "enum": Category::ALL.map(Category::code) });
    let mut required = parameter("category", "query", category);
    required["required"] = true.into();
    with_parameters(truth, &[required, parameter("from", "query", instant()), parameter("to", "query", instant())])
}
