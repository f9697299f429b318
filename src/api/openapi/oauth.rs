//! The operations of the token endpoint and of the consent page.

use serde_json::{Value, json};

use super::parts::{answer, codes, error, golden, known, named, text, unauthorized, with_headers};
use crate::account::settings::{DEFAULT_CLIENT_SECRET, DOCUMENTED_CLIENT_ID};

pub(super) fn token_by_query() -> Value {
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

pub(super) fn token_by_form() -> Value {
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

pub(super) fn token_fields() -> Value {
    json!({
        "grant_type": codes(&["client_credentials", "authorization_code", "refresh_token"]),
        "client_id": known(DOCUMENTED_CLIENT_ID), "client_secret": known(DEFAULT_CLIENT_SECRET), "code": text(), "redirect_uri": text(), "refresh_token": text(),
    })
}

pub(super) fn token_responses() -> Value {
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

pub(super) fn authorize() -> Value {
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
