//! The emulated surface as OpenAPI 3.1 describes it. Examples are the golden files.

mod inventory;
mod logs;
mod look_ups;
mod oauth;
mod operation;
mod parts;

use serde_json::{Map, Value, json};

use self::parts::{codes, iso, named, object, text};
use super::{encode, logs_v3};
use crate::{
    api_name::{AUTHORIZE_PATH, ApiName},
    world::{Action, AdminEvent, Category, DeviceEvent, WebhookEvent},
};

/// The paths, and the schemas that they name.
pub(crate) fn describe() -> (Map<String, Value>, Map<String, Value>) {
    let token = json!({ "get": oauth::token_by_query(), "post": oauth::token_by_form() });
    let apis = std::iter::once((ApiName::Token, token)).chain(logs::paths()).chain(inventory::paths());
    let mut paths = Map::new();
    for (api, operations) in apis {
        for (nth, path) in api.paths().iter().enumerate() {
            paths.insert((*path).to_owned(), at_path(operations.clone(), nth));
        }
    }
    paths.insert(AUTHORIZE_PATH.to_owned(), json!({ "get": oauth::authorize() }));
    (paths, schemas())
}

/// The operations of an API at its `nth` path. Their ids are unique.
fn at_path(mut operations: Value, nth: usize) -> Value {
    for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut).filter(|_| nth > 0) {
        operation["operationId"] =
            format!("{}{}", operation["operationId"].as_str().unwrap_or_default(), nth + 1).into();
    }
    operations
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
    add(
        "NumberedLogs",
        json!({
            "type": "object",
            "required": ["data"],
            "properties": { "data": { "type": "array", "maxItems": 50, "items": { "anyOf": [
                named("DeviceEvent"), named("AdminEvent"), named("WebhookEvent"),
            ] } } },
            "additionalProperties": false,
        }),
    );
    let mut entry = object(&["timestamp", "event", "device_id", "device_name", "mac_addresses", "details"]);
    entry["properties"]["timestamp"] = iso();
    entry["properties"]["event"] = codes(&logs_v3::event_codes());
    entry["properties"]["mac_addresses"] =
        json!({ "type": "array", "items": { "type": "string", "pattern": "^[0-9A-F]{2}(:[0-9A-F]{2}){5}$" } });
    add("EventV3", entry);
    add(
        "LogsV3",
        json!({
            "type": "object",
            "required": ["logs"],
            "properties": { "logs": { "type": "array", "maxItems": 50, "items": named("EventV3") } },
            "additionalProperties": false,
        }),
    );
    schemas
}
