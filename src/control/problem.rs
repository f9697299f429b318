//! Refusals of the control surface: problem details (RFC 9457).

use axum::{
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::account::CreateAccountError;

/// A error. Its `type` is `about:blank`, so its title is that of the status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds, for `Retry-After`.
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Words<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// A body or a value is wrong.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nobody says who asks.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// There is nothing of that name.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// There were too many wrong tokens; the next one is looked at after so many seconds.
    #[cfg(feature = "cli")]
    pub(super) fn too_many_requests(wait_seconds: u64) -> Self {
        let detail = format!("There were too many wrong tokens; the next one is looked at in {wait_seconds} s");
        Self { status: StatusCode::TOO_MANY_REQUESTS, detail, retry_after: Some(wait_seconds) }
    }

    /// Something else is in the way.
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
        let body = Words { title, status: self.status.as_u16(), detail: &self.detail };
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        // Texts and a number always have a form in JSON.
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

/// A handler has panicked.
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
