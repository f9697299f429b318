//! The OpenAPI document: it describes every route, and its schemas, references and examples are consistent.

use std::{collections::BTreeSet, fs};

use serde_json::{Map, Value, json};

use crate::document::{assert_valid, document};

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file of the project")
}

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// The routes of the APIs: the method of each is in the source of the router, and its paths are in that of the names.
fn api_routes() -> BTreeSet<(String, String)> {
    let source = read("src/api/mod.rs") + &read("src/api/inventory/mod.rs");
    let names = read("src/api_name.rs");
    let mut found = BTreeSet::new();
    for route in source.split("(ApiName::").skip(1) {
        let (name, rest) = route.split_once(',').expect("a name");
        let handlers = rest.lines().next().expect("handlers");
        let row = names.split(&format!("    {name} = ")).nth(1).expect("a row of the names");
        let (_, paths) = row.split(';').next().and_then(|row| row.split_once(" at ")).expect("paths");
        for method in METHODS.into_iter().filter(|method| handlers.contains(&format!("{method}("))) {
            found.extend(paths.split('"').skip(1).step_by(2).map(|path| (method.to_owned(), path.to_owned())));
        }
    }
    found
}

/// The routes in a source file that are given by their paths: method and path.
fn routes(source: &str, prefix: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let source = source.split("#[cfg(test)]").next().unwrap_or(source);
    let names = read("src/api_name.rs");
    for route in source.split(".route(").skip(1) {
        if route.starts_with("path,") {
            continue;
        }
        let path = match route {
            _ if route.split(',').next().is_some_and(|name| name.ends_with("_PATH")) => {
                let name = route.split(',').next().unwrap_or_default();
                names.split(&format!("{name}: &str = \"")).nth(1).expect("a path").split('"').next()
            }
            _ => route.split('"').nth(1),
        };
        let path = path.expect("a path");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let handlers = route.split("\n        .").next().expect("handlers");
        for method in METHODS {
            if handlers
                .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(')
                .any(|word| word.starts_with(&format!("{method}(")))
            {
                found.insert((method.to_owned(), format!("{prefix}{path}")));
            }
        }
    }
    found
}

#[test]
fn exactly_the_existing_routes_are_described() {
    let mut expected = routes(&read("src/api/mod.rs"), "");
    expected.extend(api_routes());
    expected.extend(routes(&read("src/control/mod.rs"), "/_mock"));
    // axum serves HEAD for GET routes.
    let of_api = |(method, path): &&(String, String)| method == "get" && path.starts_with("/o/api/");
    let heads: Vec<_> = expected.iter().filter(of_api).map(|(_, path)| ("head".to_owned(), path.clone())).collect();
    expected.extend(heads);
    assert!(expected.len() > 25, "too few routes were found: {expected:?}");
    let mut described = BTreeSet::new();
    for (path, operations) in document()["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys().filter(|key| *key != "parameters") {
            described.insert((method.clone(), path.clone()));
        }
    }
    assert_eq!(described, expected);
}

#[test]
fn every_reference_has_a_schema_and_every_schema_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    found.insert(to.trim_start_matches("#/components/schemas/").to_owned());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    references(document(), &mut used);
    let schemas: BTreeSet<String> =
        document()["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect();
    assert_eq!(used, schemas);
}

/// Each example is valid for its schema.
#[test]
fn examples_are_valid() {
    let mut count = 0;
    for operation in operations() {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            for media in response["content"].as_object().into_iter().flat_map(Map::values) {
                for (name, example) in media["examples"].as_object().into_iter().flatten() {
                    assert_valid(
                        &media["schema"],
                        &example["value"],
                        &format!("{} {status} {name}", operation["operationId"]),
                    );
                    count += 1;
                }
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        if let Some(example) = body.get("example") {
            assert_valid(&body["schema"], example, &operation["operationId"].to_string());
            count += 1;
        }
    }
    assert!(count > 35, "{count}");
}

fn operations() -> Vec<Value> {
    let paths = document()["paths"].as_object().expect("paths").values();
    paths
        .flat_map(|operations| {
            operations
                .as_object()
                .expect("operations")
                .iter()
                .filter(|(key, _)| *key != "parameters")
                .map(|(_, operation)| operation.clone())
        })
        .collect()
}

#[test]
fn operation_ids_are_unique() {
    let names: Vec<Value> = operations().iter().map(|operation| operation["operationId"].clone()).collect();
    let distinct: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(document()["openapi"], "3.1.0");
    assert_eq!(document()["info"]["version"], json!(env!("CARGO_PKG_VERSION")));
}
