//! Validates responses against the OpenAPI document.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use http::{HeaderMap, Request, Response};
use jsonschema::Validator;
use opswat_mock::Mock;
use serde_json::{Value, json};

/// The OpenAPI document of a mock.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        // A separate runtime: callers may have none, or one that must not block.
        let asked = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let local = Mock::builder().local().expect("a mock");
            let request = Request::get("/_mock/openapi.json").body(bytes::Bytes::new()).expect("a request");
            runtime.block_on(local.answer(request)).expect("a whole answer")
        });
        serde_json::from_slice(asked.join().expect("no panic").body()).expect("a document in JSON")
    })
}

/// Asserts that the document allows this response to a method on a path.
pub(crate) fn assert_allowed(method: &str, path: &str, answer: &Response<bytes::Bytes>) {
    let status = answer.status().as_u16();
    let Some((template, operations)) = operations_at(path) else {
        let expected = if path == "/o/api" || path.starts_with("/o/api/") { [404, 401] } else { [404, 404] };
        assert!(expected.contains(&status), "{path} is not in the document: {status}");
        return;
    };
    // Methods are case-sensitive.
    let operation = operations.get(&method.to_lowercase()).filter(|_| method == method.to_uppercase());
    let Some(operation) = operation else {
        assert!([405, 401, 404, 403].contains(&status), "{method} {path} is not in the document: {status}");
        return;
    };
    let what = format!("{method} {template} {status}");
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{what} is not in the document: {}", String::from_utf8_lossy(answer.body()));
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let is_there = answer.headers().contains_key(name.to_lowercase());
        assert!(is_there || header["required"] != true, "{what} lacks the header {name}");
    }
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body().is_empty(), "{what} has a body, but the document describes none");
        return;
    };
    let content_type = content_type(answer.headers());
    let media = content.get(&content_type).unwrap_or_else(|| panic!("{what} has the content type {content_type}"));
    if content_type.contains("json") && !content_type.contains("ndjson") && method != "HEAD" {
        let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_valid(&media["schema"], &body, &what);
    }
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("none").to_owned()
}

/// Asserts that a value is valid for a schema of the document.
pub(crate) fn assert_valid(schema: &Value, value: &Value, what: &str) {
    static VALIDATORS: Mutex<Option<HashMap<String, &'static Validator>>> = Mutex::new(None);
    let validator = {
        let mut validators = VALIDATORS.lock().expect("the lock is not poisoned");
        *validators.get_or_insert_default().entry(schema.to_string()).or_insert_with(|| {
            let whole = json!({ "allOf": [schema], "components": document()["components"] });
            Box::leak(Box::new(jsonschema::draft202012::new(&whole).expect("a schema")))
        })
    };
    let wrong: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?} in {value}");
}

/// The path template that matches a path, and its operations.
fn operations_at(path: &str) -> Option<(String, &'static serde_json::Map<String, Value>)> {
    let paths = document()["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        let same = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') || wanted == given;
        wanted.len() == given.len() && wanted.iter().zip(&given).all(same)
    };
    // A template with fewer placeholders has precedence.
    let mut found: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
    found.sort_by_key(|(template, _)| template.matches('{').count());
    let (template, operations) = found.first()?;
    Some(((*template).clone(), operations.as_object().expect("operations")))
}
