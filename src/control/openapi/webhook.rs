//! The schemas of the webhook.

use serde_json::{Map, Value, json};

use super::parts::{instant, text};
use crate::world::WebhookEvent;

pub(super) fn webhook_schemas() -> Map<String, Value> {
    let codes = json!({ "type": "string", "enum": WebhookEvent::ALL.map(WebhookEvent::code) });
    let events = json!({ "type": ["array", "null"], "items": codes });
    let number = json!({ "type": "integer", "minimum": 0 });
    let delivery = json!({
        "type": "object",
        "required": ["number", "at", "event", "device_id", "attempt", "response_code", "response_body"],
        "properties": {
            "number": number, "at": instant(), "event": codes, "device_id": text(), "attempt": number,
            "response_code": number, "response_body": text(),
        },
        "additionalProperties": false,
    });
    Map::from_iter([
        (
            "WebhookSettings".to_owned(),
            json!({
                "type": "object", "required": ["url", "api_key"],
                "properties": { "url": text(), "api_key": text(), "events": events },
                "additionalProperties": false,
            }),
        ),
        (
            "Webhook".to_owned(),
            json!({
                "type": "object", "required": ["state", "idle", "failures_in_a_row", "deliveries"],
                "properties": {
                    "state": { "enum": ["absent", "on", "off", "removed"] },
                    "url": text(), "api_key": text(), "events": events, "idle": { "type": "boolean" },
                    "failures_in_a_row": number, "deliveries": { "type": "array", "items": delivery },
                },
                "additionalProperties": false,
            }),
        ),
    ])
}
