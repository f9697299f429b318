//! The emulated surface as OpenAPI 3.1 describes it. Examples are the golden files.

use serde_json::{Map, Value, json};

use super::{encode, logs_v3_3, search::MAX_SEARCH};
use crate::{
    account::settings::{DEFAULT_CLIENT_SECRET, DOCUMENTED_CLIENT_ID},
    api_name::{AUTHORIZE_PATH, ApiName, SECOND_TOKEN_PATH},
    world::{Action, AdminEvent, Category, DeviceEvent, WebhookEvent},
};

/// A golden file, by its path below `fixtures`.
macro_rules! golden {
    ($path:literal) => {
        include_str!(concat!("../../fixtures/", $path))
    };
}

/// The paths, and the schemas that they name.
pub(crate) fn describe() -> (Map<String, Value>, Map<String, Value>) {
    let mut paths = Map::new();
    paths.insert(ApiName::Token.path().to_owned(), json!({ "get": token_by_query(), "post": token_by_form() }));
    let second = |mut operation: Value| {
        operation["operationId"] = format!("{}2", operation["operationId"].as_str().unwrap_or_default()).into();
        operation
    };
    let second = json!({ "get": second(token_by_query()), "post": second(token_by_form()) });
    paths.insert(SECOND_TOKEN_PATH.to_owned(), second);
    paths.insert(AUTHORIZE_PATH.to_owned(), json!({ "get": authorize() }));
    paths.insert(ApiName::LogsV2.path().to_owned(), json!({ "get": logs_v2(), "head": head(logs_v2()) }));
    paths.insert(ApiName::ActivitiesV3.path().to_owned(), json!({ "post": activities_v3() }));
    paths.insert(ApiName::LogsV3_3.path().to_owned(), json!({ "post": logs_v3_3() }));
    (paths, schemas())
}

fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Value| drop(schemas.insert(name.to_owned(), schema));
    add("ApiError", object(&["error", "error_description"]));
    add(
        "IssuedToken",
        json!({
            "type": "object",
            "required": ["access_token", "token_type", "expires_in", "scope", "client_id"],
            "properties": {
                "access_token": text(), "token_type": { "const": "bearer" }, "refresh_token": text(),
                "expires_in": { "type": "integer" }, "scope": { "const": "read" }, "client_id": text(),
            },
            "additionalProperties": false,
        }),
    );
    add(
        "LogsV2",
        json!({
            "type": "object",
            "required": ["logs"],
            "properties": { "logs": { "type": "array", "items": {
                "type": "object",
                "required": ["date", "eventlog"],
                "properties": {
                    "date": { "type": "string", "pattern": "^[A-Z][a-z]{2} [0-9]{1,2}, [0-9]{4} $" },
                    "eventlog": { "type": "array", "minItems": 1, "items": {
                        "type": "string", "pattern": "^(0[1-9]|1[0-2]):[0-5][0-9]\\|(AM|PM)\\|",
                    } },
                },
                "additionalProperties": false,
            } } },
            "additionalProperties": false,
        }),
    );
    let mut activity = object(encode::fields(Category::Activity));
    activity["properties"]["action"] = codes(&Action::ALL.map(Action::code));
    activity["properties"]["device_status"] = codes(&["Compliant", "Non-compliant", "Exempted"]);
    add("Activity", activity);
    for (name, category, events) in [
        ("DeviceEvent", Category::Device, codes(&DeviceEvent::ALL.map(DeviceEvent::code))),
        ("AdminEvent", Category::Admin, codes(&AdminEvent::ALL.map(AdminEvent::code))),
        ("WebhookEvent", Category::Webhook, codes(&WebhookEvent::ALL.map(WebhookEvent::code))),
        ("DeviceReport", Category::DeviceReport, codes(&["device_report"])),
    ] {
        let mut row = object(encode::fields(category));
        row["properties"]["event"] = events;
        row["properties"]["timestamp"] = iso();
        if category == Category::DeviceReport {
            row["properties"]["status"] = codes(&["compliant", "non-compliant", "exempted"]);
            row["properties"]["severity"] = codes(&["critical", "warning", "no_issue"]);
            row["properties"]["last_seen"] = iso();
        }
        add(name, row);
    }
    add(
        "LogsV33",
        json!({
            "type": "object",
            "required": ["data", "token"],
            "properties": {
                "data": { "type": "array", "maxItems": 100, "items": { "anyOf": [
                    named("DeviceEvent"), named("AdminEvent"), named("WebhookEvent"), named("DeviceReport"),
                ] } },
                "token": { "type": "string", "description": "For the next page; empty after the last one." },
            },
            "additionalProperties": false,
        }),
    );
    schemas
}

fn token_by_query() -> Value {
    json!({
        "operationId": "tokenByQuery",
        "summary": "A token, with everything in the query",
        "tags": ["emulated"],
        "security": [],
        "parameters": token_fields().as_object().into_iter().flatten().map(|(name, schema)| json!({
            "name": name, "in": "query", "schema": schema,
        })).collect::<Vec<_>>(),
        "responses": token_responses(),
    })
}

fn token_by_form() -> Value {
    let mut responses = token_responses();
    responses["415"] = error("The body is no form.", &[]);
    json!({
        "operationId": "tokenByForm",
        "summary": "A token",
        "tags": ["emulated"],
        "security": [],
        "requestBody": { "content": { "application/x-www-form-urlencoded": { "schema": {
            "type": "object", "properties": token_fields(),
        } } } },
        "responses": responses,
    })
}

fn token_fields() -> Value {
    json!({
        "grant_type": codes(&["client_credentials", "authorization_code", "refresh_token"]),
        "client_id": known(DOCUMENTED_CLIENT_ID), "client_secret": known(DEFAULT_CLIENT_SECRET), "code": text(), "redirect_uri": text(), "refresh_token": text(),
    })
}

fn token_responses() -> Value {
    json!({
        "200": with_headers(answer("A token.", &named("IssuedToken"), &[]), &["Cache-Control", "Pragma"]),
        "400": error("The grant is missing or unknown, or its code or refresh token is.", &[
            ("missing grant type", golden!("refusals/400-missing-grant-type.http")),
            ("bad refresh token", golden!("refusals/400-bad-refresh-token.http")),
        ]),
        "401": unauthorized(&[("bad client", golden!("refusals/401-bad-client.http"))]),
        "429": error(AT_ONCE, &[]),
    })
}

fn authorize() -> Value {
    let parameter = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    json!({
        "operationId": "authorize",
        "summary": "Stands for the pages on which a person logs in and consents; it consents at once",
        "tags": ["emulated"],
        "security": [],
        "parameters": [
            parameter("client_id", known(DOCUMENTED_CLIENT_ID)), parameter("redirect_uri", known("http://127.0.0.1/back")),
            parameter("response_type", json!({ "const": "code" })), parameter("state", text()),
        ],
        "responses": {
            "302": { "description": "Back to the client with a code.", "headers": {
                "Location": { "required": true, "schema": text() },
            } },
            "400": error("A parameter is wrong.", &[("redirect", golden!("refusals/400-redirect.http"))]),
            "401": unauthorized(&[]),
            "429": error(AT_ONCE, &[]),
        },
    })
}

/// Where nothing is counted, a 429 says one thing only.
const AT_ONCE: &str = "Too many requests of the account are under way.";

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

fn logs_v3_3() -> Value {
    let body = json!({
        "type": "object",
        "required": ["event_category"],
        "properties": {
            "event_category": codes(&logs_v3_3::CATEGORIES.map(Category::code)),
            "limit": integer(1, Some(100), 20),
            "token": { "type": ["string", "null"], "description": "The token of the page before." },
            "age": integer(1, Some(logs_v3_3::MAX_AGE_SECONDS), logs_v3_3::DEFAULT_AGE_SECONDS),
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
    json!({
        "operationId": "logsV33",
        "summary": "Get Logs v3.3",
        "tags": ["emulated"],
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": limited(answer("A page.", &named("LogsV33"), &[
                ("device", golden!("pages/logs-v3.3-device.json")),
                ("admin", golden!("pages/logs-v3.3-admin.json")),
                ("webhook", golden!("pages/logs-v3.3-webhook.json")),
                ("device_report", golden!("pages/logs-v3.3-device_report.json")),
            ])),
            "400": limited(error("The body is wrong.", &[
                ("missing", golden!("refusals/400-missing.http")),
                ("page token", golden!("refusals/400-page-token.http")),
                ("filter", golden!("refusals/400-filter.http")),
                ("window", golden!("refusals/400-window.http")),
            ])),
            "401": unauthorized(&[("expired token", golden!("refusals/401-expired-token.http"))]),
            "406": limited(error("limit is too large.", &[("limit", golden!("refusals/406-limit-v3.3.http"))])),
            "413": limited(error("There is nothing after the last page, on accounts that say so.", &[])),
            "415": limited(error("The body is no JSON.", &[("type", golden!("refusals/415-no-type.http"))])),
            "429": too_many(),
        },
    })
}

fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// A text, and one that is right.
fn known(example: &str) -> Value {
    json!({ "type": "string", "examples": [example] })
}

fn iso() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$" })
}

fn codes(codes: &[&str]) -> Value {
    json!({ "type": "string", "enum": codes })
}

fn integer(least: i64, most: Option<i64>, default: i64) -> Value {
    let mut schema = json!({ "type": ["integer", "null"], "minimum": least, "default": default });
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    schema
}

/// An object of texts, all of which are there.
fn object(fields: &[&str]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| ((*field).to_owned(), text())).collect();
    json!({ "type": "object", "required": fields, "properties": properties, "additionalProperties": false })
}

fn answer(description: &str, schema: &Value, examples: &[(&str, &str)]) -> Value {
    let examples: Map<String, Value> = examples
        .iter()
        .map(|(name, golden)| {
            // Of a error the file has the whole answer; its body is the last line.
            let body = golden.rsplit_once("\n\n").map_or(*golden, |(_, body)| body);
            ((*name).to_owned(), json!({ "value": serde_json::from_str::<Value>(body).unwrap_or_default() }))
        })
        .collect();
    let mut media = json!({ "schema": schema });
    if !examples.is_empty() {
        media["examples"] = examples.into();
    }
    let date = json!({ "required": true, "description": "The account's time.", "schema": text() });
    let fault = json!({ "description": "The fault that broke the answer.", "schema": text() });
    json!({
        "description": description,
        "headers": { "Date": date, "X-Mock-Fault": fault },
        "content": { encode::JSON_TYPE: media, encode::BARE_JSON_TYPE: { "schema": schema } },
    })
}

fn error(description: &str, examples: &[(&str, &str)]) -> Value {
    answer(description, &named("ApiError"), examples)
}

fn unauthorized(examples: &[(&str, &str)]) -> Value {
    with_headers(error("The token or the client is missing, unknown or expired.", examples), &["WWW-Authenticate"])
}

fn too_many() -> Value {
    let examples = [("quota", golden!("refusals/429-quota.http"))];
    let mut response =
        limited(error("The quota is used up, or too many requests of the account are under way.", &examples));
    response["headers"]["Retry-After"] = json!({ "description": "If the profile asks for it.", "schema": text() });
    response
}

/// A response that tells where the quota stands, where requests are counted.
fn limited(mut response: Value) -> Value {
    for name in ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset-Time"] {
        response["headers"][name] = json!({ "schema": { "type": "integer" } });
    }
    response
}

fn with_headers(mut response: Value, names: &[&str]) -> Value {
    for name in names {
        response["headers"][*name] = json!({ "required": true, "schema": text() });
    }
    response
}
