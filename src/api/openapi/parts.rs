//! The parts of which the operations are composed.

use serde_json::{Map, Value, json};

use super::super::encode;

/// A golden file, by its path below `fixtures`.
macro_rules! golden {
    ($path:literal) => {
        include_str!(concat!("../../../fixtures/", $path))
    };
}

pub(super) use golden;

pub(super) fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A text, and one that is right.
pub(super) fn known(example: &str) -> Value {
    json!({ "type": "string", "examples": [example] })
}

pub(super) fn iso() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$" })
}

pub(super) fn codes(codes: &[&str]) -> Value {
    json!({ "type": "string", "enum": codes })
}

pub(super) fn integer(least: i64, most: Option<i64>, default: i64) -> Value {
    let mut schema = json!({ "type": ["integer", "null"], "minimum": least, "default": default });
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    schema
}

/// An object of texts, all of which are there.
pub(super) fn object(fields: &[&str]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| ((*field).to_owned(), text())).collect();
    json!({ "type": "object", "required": fields, "properties": properties, "additionalProperties": false })
}

pub(super) fn answer(description: &str, schema: &Value, examples: &[(&str, &str)]) -> Value {
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

pub(super) fn error(description: &str, examples: &[(&str, &str)]) -> Value {
    answer(description, &named("ApiError"), examples)
}

pub(super) fn unauthorized(examples: &[(&str, &str)]) -> Value {
    with_headers(error("The token or the client is missing, unknown or expired.", examples), &["WWW-Authenticate"])
}

pub(super) fn too_many() -> Value {
    let examples = [("quota", golden!("refusals/429-quota.http"))];
    let mut response =
        limited(error("The quota is used up, or too many requests of the account are under way.", &examples));
    response["headers"]["Retry-After"] = json!({ "description": "If the profile asks for it.", "schema": text() });
    response
}

/// A response that tells where the quota stands, where requests are counted.
pub(super) fn limited(mut response: Value) -> Value {
    for name in ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset-Time"] {
        response["headers"][name] = json!({ "schema": { "type": "integer" } });
    }
    response
}

pub(super) fn with_headers(mut response: Value, names: &[&str]) -> Value {
    for name in names {
        response["headers"][*name] = json!({ "required": true, "schema": text() });
    }
    response
}
