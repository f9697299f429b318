//! `GET /_mock/openapi.json`: both surfaces as OpenAPI 3.1 describes them.

mod audit;
mod parts;
mod paths;
mod schemas;
mod webhook;

use std::sync::OnceLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use self::{paths::control_paths, schemas::control_schemas};
use crate::api;

/// The document, made when it is asked for first: the same for all servers of a process.
pub(super) async fn show() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    // A value always has a form in JSON.
    let document = DOCUMENT.get_or_init(|| serde_json::to_vec(&describe()).unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

fn describe() -> Value {
    let (mut paths, mut schemas) = api::openapi::describe();
    paths.extend(control_paths());
    paths.extend(audit::audit_paths());
    schemas.extend(control_schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "opswat-mock",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The OPSWAT MetaDefender IT Access log APIs as opswat-mock emulates them, and the surface that \
                controls it. Any path and any method that is not here is answered with 404 or 405. A fault that a test \
                asked for may answer with anything.",
        },
        "tags": [
            { "name": "emulated", "description": "What the vendor's service answers." },
            { "name": "control", "description": "What a test asks of the mock itself." },
        ],
        "security": [{ "bearer": [] }, { "query": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "query": { "type": "apiKey", "in": "query", "name": "access_token" },
                "control": { "type": "http", "scheme": "bearer", "description": "If --control-token asks for it." },
            },
        },
    })
}
