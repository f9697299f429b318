//! Refusals of the control surface: problem details (RFC 9457).

use axum::{
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::account::NotMade;

/// A refusal. Its `type` is `about:blank`, so its title is that of the status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

#[derive(Serialize)]
struct Words<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// A body or a value is wrong.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: detail.into() }
    }

    /// Nobody says who asks.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, detail: detail.into() }
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, detail: detail.into() }
    }

    /// There is nothing of that name.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail: detail.into() }
    }

    /// Something else is in the way.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, detail: detail.into() }
    }
}

impl From<NotMade> for Problem {
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::Invalid(_) => Self::invalid(why.to_string()),
            NotMade::NameTaken(_)
            | NotMade::ClientTaken(_)
            | NotMade::TokenTaken(_)
            | NotMade::TooMany(_)
            | NotMade::Default => Self::conflict(why.to_string()),
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
        response
    }
}

/// A handler has panicked.
pub(super) fn panicked() -> Response {
    let detail = "The control surface has broken over this request; the standard error says where".to_owned();
    Problem { status: StatusCode::INTERNAL_SERVER_ERROR, detail }.into_response()
}

pub(super) async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    let detail = "an account's verbs are under /_mock/accounts/{account}/, and /_mock/openapi.json lists all of them";
    Problem::not_found(format!("The control surface has nothing at {}: {detail}", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("{} is not called with {method}; the header Allow has the methods", uri.path());
    Problem { status: StatusCode::METHOD_NOT_ALLOWED, detail }
}
