//! The parts of which the operations of look-ups are composed.

use serde_json::{Map, Value, json};

use super::{
    super::limits::Limits,
    parts::{answer, codes, error, integer, limited, text, too_many, unauthorized},
};

/// The parts of an operation that differ.
pub(super) struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// The fields of the body, and the names of those that are required.
    body: Option<(Value, &'static [&'static str])>,
    answer: Value,
    /// The statuses of errors, besides those that every operation has.
    errors: &'static [&'static str],
}

impl Operation {
    pub(super) fn new(id: &'static str, summary: &'static str, answer: Value) -> Self {
        Self { id, summary, parameters: Vec::new(), body: None, answer, errors: &[] }
    }

    pub(super) fn parameters(self, parameters: Vec<Value>) -> Self {
        Self { parameters, ..self }
    }

    pub(super) fn body(self, fields: Value, required: &'static [&'static str]) -> Self {
        Self { body: Some((fields, required)), ..self }
    }

    pub(super) fn errors(self, errors: &'static [&'static str]) -> Self {
        Self { errors, ..self }
    }

    pub(super) fn get(self) -> Value {
        let id = format!("{}Head", self.id);
        let get = self.describe();
        let mut head = get.clone();
        head["operationId"] = id.into();
        for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            response.as_object_mut().map(|response| response.remove("content"));
        }
        json!({ "get": get, "head": head })
    }

    pub(super) fn post(self) -> Value {
        json!({ "post": self.describe() })
    }

    fn describe(self) -> Value {
        let mut responses = json!({
            "200": limited(answer("The answer.", &self.answer, &[])),
            "400": limited(error("A parameter is wrong.", &[])),
            "401": unauthorized(&[]),
            "429": too_many(),
        });
        for status in self.errors {
            let description = match *status {
                "404" => "There is no such device or product.",
                "406" => "limit is too large.",
                "413" => "There is nothing on the page.",
                _ => "It is refused.",
            };
            responses[*status] = limited(error(description, &[]));
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": ["emulated"],
            "responses": responses,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some((properties, required)) = self.body {
            let mut schema = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            let is_required = !required.is_empty();
            operation["requestBody"] =
                json!({ "required": is_required, "content": { "application/json": { "schema": schema } } });
            operation["responses"]["415"] = limited(error("The body is no JSON.", &[]));
        }
        operation
    }
}

/// An object with fields that are all there, and no others.
pub(super) fn shape(fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// A shape with further fields.
pub(super) fn with(mut shape: Value, fields: &[(&str, Value)]) -> Value {
    for (name, schema) in fields {
        shape["properties"][*name] = schema.clone();
        if let Some(required) = shape["required"].as_array_mut() {
            required.push((*name).into());
        }
    }
    shape
}

pub(super) fn array(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

pub(super) fn nullable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn seconds() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" })
}

pub(super) fn issues() -> Value {
    shape(&[("total_issue", count()), ("total_critical_issue", count()), ("total_warning_issue", count())])
}

pub(super) fn violated() -> Value {
    array(&shape(&[("id", text()), ("severity", severity())]))
}

pub(super) fn status() -> Value {
    codes(&["compliant", "non_compliant", "exempted"])
}

pub(super) fn severity() -> Value {
    codes(&["critical", "warning", "no_issues"])
}

pub(super) fn ids() -> Value {
    json!({ "type": "array", "minItems": 1, "maxItems": 50, "items": text() })
}

pub(super) fn zero_or_one() -> Value {
    nullable(&json!({ "type": "integer", "enum": [0, 1] }))
}

pub(super) fn opt() -> Value {
    nullable(&json!({ "type": "integer", "enum": [0, 1], "default": 0 }))
}

pub(super) fn limit(Limits { max, default }: Limits) -> Value {
    integer(1, Some(max.into()), default.into())
}

pub(super) fn page_of(limits: Limits, mut fields: Value) -> Value {
    fields["limit"] = limit(limits);
    fields["page"] = integer(1, None, 1);
    fields
}

pub(super) fn in_path() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
}
