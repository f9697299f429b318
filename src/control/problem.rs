//! Refusals of the control surface: problem details (RFC 9457).

use axum::{
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A refusal. Its `type` is `about:blank`, so its title is that of the status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { title, status: self.status.as_u16(), detail: &self.detail };
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        // Texts and a number always have a form in JSON.
        (self.status, content_type, serde_json::to_vec(&body).unwrap_or_default()).into_response()
    }
}

pub(super) async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    Problem { status: StatusCode::NOT_FOUND, detail: format!("The control surface has nothing at {}", uri.path()) }
}

pub(super) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("{} is not called with {method}", uri.path());
    Problem { status: StatusCode::METHOD_NOT_ALLOWED, detail }
}
