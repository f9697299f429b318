//! Errors of the control API: problem details (RFC 9457).

use axum::{
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::account::CreateAccountError;

/// An error response. Its `type` is `about:blank`, so its title is the reason phrase of the status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// The value of `Retry-After`, in seconds.
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// 400: a body, a query or a path is invalid.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the control token is missing or wrong.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: the host or the origin of the request is not allowed.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: the path, or the named item, does not exist.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 429: there were too many wrong tokens; the next one is checked after this many seconds.
    #[cfg(feature = "cli")]
    pub(super) fn too_many_requests(wait_seconds: u64) -> Self {
        let detail = format!("There were too many wrong tokens; the next one is looked at in {wait_seconds} s");
        Self { status: StatusCode::TOO_MANY_REQUESTS, detail, retry_after: Some(wait_seconds) }
    }

    /// 413: a body is too large.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: a body has a form that is not read.
    pub(super) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 503: there are too many such requests; the next attempt may be after this many seconds.
    pub(super) fn busy(detail: impl Into<String>, wait_seconds: u64) -> Self {
        Self { retry_after: Some(wait_seconds), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 409: the request conflicts with the current state.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
}

impl From<CreateAccountError> for Problem {
    fn from(why: CreateAccountError) -> Self {
        match why {
            CreateAccountError::Invalid(_) => Self::invalid(why.to_string()),
            CreateAccountError::NameTaken(_)
            | CreateAccountError::ClientTaken(_)
            | CreateAccountError::TokenTaken(_)
            | CreateAccountError::TooMany(_)
            | CreateAccountError::Default => Self::conflict(why.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = ProblemBody { title, status: self.status.as_u16(), detail: &self.detail };
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        // Encoding strings and a number cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, content_type, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Bearer realm="control""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The response after a panic in a handler.
pub(super) fn panicked() -> Response {
    let detail = "The control surface has broken over this request; the standard error says where".to_owned();
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}

pub(super) async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    let detail = "an account's verbs are under /_mock/accounts/{account}/, and /_mock/openapi.json lists all of them";
    Problem::not_found(format!("The control surface has nothing at {}: {detail}", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("{} is not called with {method}; the header Allow has the methods", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
