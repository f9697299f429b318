//! The operations and schemas of audits and verdicts.

use serde_json::{Map, Value, json};

use super::parts::{instant, named, operation, parameter, text, with_parameters};
use crate::{
    audit::{DEFAULT_EXAMPLES, MAX_EXAMPLES},
    world::Category,
};

pub(super) fn audit_paths() -> Map<String, Value> {
    let account = parameter("account", "path", text());
    let mut category =
        parameter("category", "query", json!({ "type": "string", "enum": Category::ALL.map(Category::code) }));
    category["required"] = true.into();
    let examples = json!({ "type": "integer", "minimum": 0, "maximum": MAX_EXAMPLES, "default": DEFAULT_EXAMPLES });
    let mut parameters = vec![
        category,
        parameter("from", "query", instant()),
        parameter("to", "query", instant()),
        parameter("events", "query", text()),
        parameter("agent_types", "query", text()),
        parameter("search", "query", text()),
        parameter("examples", "query", examples),
        format(),
    ];
    let summary = "Compares what was served in whole 200 responses with the events of a window, its end excluded";
    let answered = ("200", report("What was served.", "ServedReport"));
    let served = with_parameters(operation("auditServed", summary, answered, &["400", "404"]), &parameters);
    parameters.push(parameter("map", "query", text()));
    let summary = "Compares the records of a connector with the events of a window, its end excluded";
    let answered = ("200", report("What was found.", "AuditReport"));
    let mut compared =
        with_parameters(operation("audit", summary, answered, &["400", "404", "413", "415", "503"]), &parameters);
    compared["requestBody"] = json!({ "content": {
        "application/x-ndjson": { "schema": text() },
        "application/json": { "schema": { "type": "array", "items": { "type": "object" } } },
        "text/csv": { "schema": text() },
    } });
    Map::from_iter([
        (
            "/_mock/accounts/{account}/audit".to_owned(),
            json!({ "parameters": [account], "get": served, "post": compared }),
        ),
        ("/_mock/accounts/{account}/verdict".to_owned(), json!({ "parameters": [account], "get": verdict() })),
    ])
}

fn verdict() -> Value {
    let answered = report("The result of each rule.", "Verdict");
    let mut parameters = vec![parameter("disable", "query", text()), format()];
    for name in ["future_seconds", "max_attempts", "min_poll_seconds"] {
        parameters.push(parameter(name, "query", json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })));
    }
    let summary = "Judges the requests of the journal by the rules of a good client";
    with_parameters(operation("verdict", summary, ("200", answered), &["400", "404"]), &parameters)
}

fn format() -> Value {
    parameter("format", "query", json!({ "enum": ["json", "text", "junit", "markdown"] }))
}

/// A report in all formats.
fn report(description: &str, schema: &str) -> Value {
    json!({
        "description": description,
        "headers": { "X-Mock-Result": { "required": true, "schema": { "enum": ["pass", "fail"] } } },
        "content": {
            "application/json": { "schema": named(schema) },
            "text/plain; charset=utf-8": { "schema": text() },
            "application/xml": { "schema": text() },
            "text/markdown; charset=utf-8": { "schema": text() },
        },
    })
}

/// An object with these properties, all of them required unless they are in `optional`.
fn object(properties: &Value, optional: &[&str]) -> Value {
    let names = properties.as_object().into_iter().flat_map(Map::keys);
    let required: Vec<&String> = names.filter(|name| !optional.contains(&name.as_str())).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// Findings with examples of this schema.
fn findings(example: &Value) -> Value {
    let causes = json!({ "type": "object", "additionalProperties": count() });
    let examples = json!({ "type": "array", "items": example });
    object(&json!({ "count": count(), "causes": causes, "examples": examples }), &["causes"])
}

pub(super) fn audit_schemas() -> Map<String, Value> {
    let is_complete = json!({ "type": "boolean" });
    let category = json!({ "type": "string", "enum": Category::ALL.map(Category::code) });
    let event = json!({
        "type": "object", "required": ["id", "at", "visible_at", "injected"],
        "properties": { "id": text(), "at": instant(), "visible_at": instant(), "injected": { "type": "boolean" } },
        "additionalProperties": text(),
    });
    let missing = json!({
        "event": event, "request": count(), "lag_ms": count(), "status": count(), "rule": text(),
        "cause": { "enum": [
            "late", "gap", "not_paged", "refused", "abandoned", "fault", "served", "filtered", "expired", "unknown",
        ] },
        "after_request": { "type": ["integer", "null"] }, "before_request": { "type": ["integer", "null"] },
    });
    let details = ["request", "lag_ms", "status", "rule", "after_request", "before_request"];
    let missing = findings(&object(&missing, &details));
    let doubled = json!({
        "record": count(), "event": event, "rule": text(), "request": { "type": ["integer", "null"] },
        "cause": { "enum": ["overlap", "fault", "connector", "unknown"] },
        "requests": { "type": "array", "items": count() },
    });
    let difference = json!({ "field": text(), "expected": text(), "received": { "type": ["string", "null"] } });
    let differences = json!({ "type": "array", "items": object(&difference, &[]) });
    let altered = json!({ "record": count(), "event": event, "differences": differences });
    let fields = json!({ "type": "object", "additionalProperties": { "type": ["string", "null"] } });
    let repeated = json!({ "event": event, "times": count(), "requests": { "type": "array", "items": count() } });
    let audit = json!({
        "account": text(), "category": category, "from": instant(), "to": instant(), "now": instant(),
        "hints": { "type": "array", "items": text() }, "is_complete": is_complete,
        "expected": count(), "received": count(), "matched": count(), "outside": count(), "missing": missing,
        "duplicated": findings(&object(&doubled, &["rule", "request", "requests"])),
        "altered": findings(&object(&altered, &[])),
        "unknown": findings(&object(&json!({ "record": count(), "fields": fields }), &[])),
        "unreadable": findings(&object(&json!({ "record": count(), "reason": text() }), &[])),
    });
    let served = json!({
        "account": text(), "category": category, "from": instant(), "to": instant(), "now": instant(),
        "hints": { "type": "array", "items": text() }, "is_complete": is_complete,
        "expected": count(), "served": count(), "missed": missing,
        "repeated": findings(&object(&repeated, &[])),
    });
    let rule = json!({
        "rule": text(), "result": { "enum": ["pass", "fail", "warn", "not_seen"] }, "sentence": text(),
        "violations": count(), "requests": { "type": "array", "items": count() },
        "measured": { "type": ["number", "null"] }, "measure": { "type": ["string", "null"] },
    });
    let verdict = json!({
        "account": text(), "now": instant(), "requests": count(), "is_whole": { "type": "boolean" },
        "is_passed": { "type": "boolean" }, "rules": { "type": "array", "items": object(&rule, &[]) },
    });
    Map::from_iter([
        ("Verdict".to_owned(), object(&verdict, &[])),
        ("AuditReport".to_owned(), object(&audit, &[])),
        ("ServedReport".to_owned(), object(&served, &[])),
    ])
}
