//! The parts of which paths and schemas are composed.

use serde_json::{Map, Value, json};

/// An operation: its name, what it does, its answer, and the statuses of its refusals besides those of who may control.
pub(super) fn operation(id: &str, summary: &str, (status, response): (&str, Value), refusals: &[&str]) -> Value {
    let mut responses = Map::from_iter([(status.to_owned(), response)]);
    for status in refusals.iter().chain(&["401", "403", "429"]) {
        let description = match *status {
            "400" => "The body or a value is invalid.",
            "401" => "The control token is missing or wrong.",
            "403" => "Host is a foreign name, or a page of another origin sends the request.",
            "429" => "There were too many wrong control tokens.",
            "404" => "Nothing has that name.",
            "413" => "The body is too large.",
            "415" => "The body is compressed.",
            "503" => "There are too many such requests at once; Retry-After has the seconds until the next attempt.",
            _ => "It conflicts with what exists.",
        };
        let problem = json!({ "application/problem+json": { "schema": named("Problem") } });
        responses.insert((*status).to_owned(), json!({ "description": description, "content": problem }));
    }
    json!({
        "operationId": id, "summary": summary, "tags": ["control"], "security": [{}, { "control": [] }],
        "responses": responses,
    })
}

pub(super) fn with_parameters(mut operation: Value, parameters: &[Value]) -> Value {
    operation["parameters"] = parameters.into();
    operation
}

pub(super) fn with_body(mut operation: Value, schema: &Value, example: &Value) -> Value {
    operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema, "example": example } } });
    operation
}

pub(super) fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are made where they are used")]
pub(super) fn parameter(name: &str, place: &str, schema: Value) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "schema": schema });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

pub(super) fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(super) fn one_or_more(schema: &str) -> Value {
    json!({ "anyOf": [named(schema), { "type": "array", "items": named(schema) }] })
}

pub(super) fn counted(name: &str) -> Value {
    json!({
        "type": "object", "required": [name], "properties": { name: { "type": "integer", "minimum": 0 } },
        "additionalProperties": false,
    })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn instant() -> Value {
    json!({ "type": "string", "format": "date-time", "examples": ["2026-01-15T12:00:00Z"] })
}

pub(super) fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })
}
