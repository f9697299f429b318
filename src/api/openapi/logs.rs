//! The operations of the logs and the activities.

use serde_json::{Map, Value, json};

use super::{
    super::{
        limits::Limits,
        logs::{self, Paging, V3_1, V3_2, V3_3, Version},
        logs_v3,
        search::MAX_SEARCH,
    },
    parts::{answer, codes, error, golden, integer, limited, named, text, too_many, unauthorized},
};
use crate::{api_name::ApiName, world::Action};

/// The paths with their operations.
pub(super) fn paths() -> [(ApiName, Value); 6] {
    [
        (ApiName::LogsV2, json!({ "get": logs_v2(), "head": head(logs_v2()) })),
        (ApiName::ActivitiesV3, json!({ "post": activities_v3() })),
        (ApiName::LogsV3, json!({ "post": logs_v3() })),
        (ApiName::LogsV3_1, json!({ "post": logs(&V3_1, "3.1") })),
        (ApiName::LogsV3_2, json!({ "post": logs(&V3_2, "3.2") })),
        (ApiName::LogsV3_3, json!({ "post": logs(&V3_3, "3.3") })),
    ]
}

fn logs_v2() -> Value {
    let parameter = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    json!({
        "operationId": "logsV2",
        "summary": "Get Logs v2.0: device or administrator events by day",
        "tags": ["emulated"],
        "parameters": [
            parameter("limit", integer(1, Some(50), 1)), parameter("page", integer(1, None, 1)),
            parameter("event_type", json!({ "type": "integer", "enum": [1, 2], "default": 1 })),
        ],
        "responses": {
            "200": limited(answer("A page.", &named("LogsV2"), &[
                ("device events", golden!("pages/logs-v2-device.json")),
                ("administrator events", golden!("pages/logs-v2-admin.json")),
            ])),
            "400": limited(error("A parameter is wrong.", &[("escape", golden!("refusals/400-escape.http"))])),
            "401": unauthorized(&[("no token", golden!("refusals/401-no-token.http"))]),
            "406": limited(error("limit is too large.", &[("limit", golden!("refusals/406-limit-v2.http"))])),
            "413": limited(error("There is nothing on the page.", &[("page", golden!("refusals/413-page-v2.http"))])),
            "429": too_many(),
        },
    })
}

/// The same for `HEAD`, whose answers have no body.
fn head(mut operation: Value) -> Value {
    operation["operationId"] = json!("logsV2Head");
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        response.as_object_mut().map(|response| response.remove("content"));
    }
    operation
}

fn activities_v3() -> Value {
    let body = json!({ "anyOf": [
        {
            "type": "object",
            "properties": {
                "limit": integer(1, Some(50), 50),
                "page": integer(1, None, 1),
                "start_date": { "type": ["string", "null"], "pattern": "^[0-9]{2}/[0-9]{2}/[0-9]{4}$" },
                "end_date": { "type": ["string", "null"], "pattern": "^[0-9]{2}/[0-9]{2}/[0-9]{4}$" },
                "age": integer(1, None, 24),
                "action": { "type": ["array", "null"], "items": codes(&Action::ALL.map(Action::code)) },
                "search": { "type": ["string", "null"], "maxLength": MAX_SEARCH },
            },
        },
        { "type": "array", "maxItems": 0, "items": {} },
    ] });
    let page = json!({ "type": "array", "maxItems": 50, "items": named("Activity") });
    json!({
        "operationId": "activitiesV3",
        "summary": "Get Access Activities v3.0",
        "tags": ["emulated"],
        "requestBody": { "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": limited(answer("A page.", &page, &[("activities", golden!("pages/activities-v3.json"))])),
            "400": limited(error("The body is wrong.", &[
                ("dates", golden!("refusals/400-dates.http")),
                ("wrong type", golden!("refusals/400-wrong-type.http")),
                ("not JSON", golden!("refusals/400-not-json.http")),
            ])),
            "401": unauthorized(&[("unknown token", golden!("refusals/401-unknown-token.http"))]),
            "406": limited(error("limit is too large.", &[("limit", golden!("refusals/406-limit-v3.http"))])),
            "413": limited(error("There is nothing on the page.", &[("page", golden!("refusals/413-page.http"))])),
            "415": limited(error("The body is no JSON.", &[("type", golden!("refusals/415-other-type.http"))])),
            "429": too_many(),
        },
    })
}

fn logs(version: &Version, name: &str) -> Value {
    let paging = match version.paging {
        Paging::Number => ("page", integer(1, None, 1)),
        Paging::Token => {
            ("token", json!({ "type": ["string", "null"], "description": "The token of the page before." }))
        }
    };
    let Limits { max, default } = version.limits;
    let mut body = json!({
        "type": "object",
        "required": ["event_category"],
        "properties": {
            "event_category": codes(&version.categories.iter().map(|category| category.code()).collect::<Vec<_>>()),
            "limit": integer(1, Some(max.into()), default.into()),
            "age": integer(1, Some(logs::MAX_AGE_SECONDS), logs::DEFAULT_AGE_SECONDS),
            "start_time": { "type": ["integer", "null"], "minimum": 0 },
            "end_time": { "type": ["integer", "null"], "minimum": 0 },
            "filter": { "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "events": { "anyOf": [text(), { "type": "array", "items": text() }] },
                        "agent_types": { "type": ["array", "null"], "items": { "type": "integer", "enum": [0, 2] } },
                        "search": { "type": ["string", "null"], "maxLength": MAX_SEARCH },
                    },
                },
                { "type": "array", "maxItems": 0, "items": {} },
                { "type": "null" },
            ] },
        },
    });
    let (parameter, schema) = paging;
    body["properties"][parameter] = schema;
    let (schema, after_last) = match version.paging {
        Paging::Number => ("NumberedLogs", "There is nothing on the page."),
        Paging::Token => ("LogsV33", "There is nothing after the last page, on accounts that say so."),
    };
    json!({
        "operationId": format!("logsV{}", name.replace('.', "")),
        "summary": format!("Get Logs v{name}"),
        "tags": ["emulated"],
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": limited(answer("A page.", &named(schema), &examples(name))),
            "400": limited(error("The body is wrong.", &[
                ("missing", golden!("refusals/400-missing.http")),
                ("page token", golden!("refusals/400-page-token.http")),
                ("filter", golden!("refusals/400-filter.http")),
                ("window", golden!("refusals/400-window.http")),
            ])),
            "401": unauthorized(&[("expired token", golden!("refusals/401-expired-token.http"))]),
            "406": limited(error("limit is too large.", &[("limit", golden!("refusals/406-limit-v3.3.http"))])),
            "413": limited(error(after_last, &[])),
            "415": limited(error("The body is no JSON.", &[("type", golden!("refusals/415-no-type.http"))])),
            "429": too_many(),
        },
    })
}

/// The golden pages of a version.
fn examples(name: &str) -> Vec<(&'static str, &'static str)> {
    match name {
        "3.1" => vec![("device", golden!("pages/logs-v3.1-device.json"))],
        "3.2" => vec![("device", golden!("pages/logs-v3.2-device.json"))],
        _ => vec![
            ("device", golden!("pages/logs-v3.3-device.json")),
            ("admin", golden!("pages/logs-v3.3-admin.json")),
            ("webhook", golden!("pages/logs-v3.3-webhook.json")),
            ("device_report", golden!("pages/logs-v3.3-device_report.json")),
        ],
    }
}

fn logs_v3() -> Value {
    let Limits { max, default } = logs_v3::LIMITS;
    let day = json!({ "type": ["string", "null"], "pattern": "^[0-9]{4}/[0-9]{2}/[0-9]{2}$" });
    let own = json!({
        "type": "object",
        "properties": {
            "limit": integer(1, Some(max.into()), default.into()),
            "page": integer(1, None, 1),
            "start_date": day,
            "end_date": day,
            "age": integer(1, Some(logs_v3::MAX_AGE_SECONDS), logs_v3::MAX_AGE_SECONDS),
            "filter": { "type": ["array", "null"], "items": codes(&logs_v3::event_codes()) },
            "event_category": { "type": "null" },
            "token": { "type": "null" },
        },
    });
    let of_v3_2 = logs(&V3_2, "3.2");
    let body = json!({ "anyOf": [
        own,
        of_v3_2["requestBody"]["content"]["application/json"]["schema"],
        { "type": "array", "maxItems": 0, "items": {} },
    ] });
    let page = json!({ "anyOf": [
        named("LogsV3"),
        { "type": "array", "minItems": 1, "maxItems": 1, "items": named("LogsV3") },
        named("LogsV33"),
    ] });
    json!({
        "operationId": "logsV3",
        "summary": "Get Logs v3.0: device and administrator events together, or v3.2 for a body of v3.2",
        "tags": ["emulated"],
        "requestBody": { "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": limited(answer("A page.", &page, &[("a page", golden!("pages/logs-v3.json"))])),
            "400": limited(error("The body is wrong.", &[])),
            "401": unauthorized(&[]),
            "406": limited(error("limit is too large.", &[])),
            "413": limited(error("There is nothing on the page.", &[])),
            "415": limited(error("The body is no JSON.", &[])),
            "429": too_many(),
        },
    })
}
