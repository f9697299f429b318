//! The table of refusals: whatever the emulated surface answers with a 4xx or 5xx is a row of it.
//!
//! The statuses are documented (D). That every body is `{"error", "error_description"}` with these codes is assumed (A):
//! the token service answers in that shape, one public client dies unless a 404 is JSON, another unless the body has
//! `error`. The sentences are ours; they name the parameter, what it may be and what came.

use std::{
    any::Any,
    fmt::{self, Write as _},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_http::catch_panic::ResponseForPanic;

use super::encode::JSON;
use crate::metrics::Metrics;

/// How many characters of a client's value are repeated in a description.
const MAX_ECHO: usize = 100;

/// A reason not to answer, which is also the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ApiError {
    /// The request names no token.
    NoToken,
    /// Nobody issued this token, or it was revoked.
    UnknownToken(String),
    /// This token has expired.
    ExpiredToken(String),
    /// The client of the token endpoint is unknown, or its secret is wrong.
    BadClient,
    /// There is nothing at this path.
    NoSuchPath(String),
    /// There is something, but not for this method.
    MethodNotAllowed(Method),
    /// The quota is used up; a request is let through again after so many seconds.
    TooManyRequests { wait_seconds: u64 },
    /// So many requests of the account are under way already. The quota has nothing to do with it.
    TooManyAtOnce { most: u32 },
    /// The body is not of the type that is read here.
    UnsupportedMediaType { got: Option<String>, wanted: &'static str },
    /// The body is compressed, and nothing here is decompressed.
    UnsupportedEncoding(String),
    /// The body or the query cannot be read.
    Unreadable(String),
    /// A parameter is wrong.
    Invalid { parameter: &'static str, wanted: String, got: String },
    /// A parameter is missing.
    Missing { parameter: &'static str, wanted: &'static str },
    /// `limit` is above its maximum, which has a status of its own (D).
    LimitTooLarge { max: u16, got: i64 },
    /// The page is beyond the last one, or there is nothing to return (D).
    NothingOnPage { page: u64 },
    /// The token endpoint was not told which grant.
    MissingGrantType,
    /// The token endpoint does not know the grant.
    UnsupportedGrantType(String),
    /// A code, refresh token or redirect address does not fit.
    InvalidGrant(String),
    /// The consent page was asked for something else than a code.
    UnsupportedResponseType(String),
    /// There is nothing after the last page of v3.3, on an account that says so with a status.
    AfterLastPage,
    /// There is more data than `limit`, on an account that does not page.
    MoreThanLimit { limit: usize },
    /// Something broke: a handler panicked. It never comes by itself.
    ServerError,
    /// A fault asks for this status, and leaves the words to us.
    Forced(StatusCode),
}

#[derive(Serialize)]
struct Words<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl ApiError {
    /// A parameter is wrong: what it may be, and what came.
    pub(super) fn invalid(parameter: &'static str, wanted: impl Into<String>, got: impl fmt::Display) -> Self {
        Self::Invalid { parameter, wanted: wanted.into(), got: got.to_string() }
    }

    /// Status and code of the row.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::UnknownToken(_) | Self::ExpiredToken(_) => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::BadClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::NoSuchPath(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooManyRequests { .. } | Self::TooManyAtOnce { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
            }
            Self::UnsupportedMediaType { .. } | Self::UnsupportedEncoding(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::Unreadable(_) | Self::Invalid { .. } | Self::Missing { .. } | Self::MissingGrantType => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Self::LimitTooLarge { .. } | Self::MoreThanLimit { .. } => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::NothingOnPage { .. } | Self::AfterLastPage => (StatusCode::PAYLOAD_TOO_LARGE, "page_out_of_range"),
            Self::UnsupportedGrantType(_) => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidGrant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::UnsupportedResponseType(_) => (StatusCode::BAD_REQUEST, "unsupported_response_type"),
            Self::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Self::Forced(status) => (*status, code_of(*status)),
        }
    }
}

/// The sentence in `error_description`.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str("Full authentication is required to access this resource"),
            Self::UnknownToken(token) => write!(f, "Invalid access token: {}", Echo(token)),
            Self::ExpiredToken(token) => write!(f, "Access token expired: {}", Echo(token)),
            Self::BadClient => f.write_str("Bad client credentials"),
            Self::NoSuchPath(path) => write!(f, "There is nothing at {}", Echo(path)),
            Self::MethodNotAllowed(method) => {
                write!(f, "Request method {} is not supported here", Echo(method.as_str()))
            }
            Self::TooManyRequests { wait_seconds } => {
                write!(f, "The request exceeds the API rate limit; the next one is let through in {wait_seconds} s")
            }
            Self::TooManyAtOnce { most } => {
                write!(f, "{most} requests of this account are under way, as many as the server takes at once")
            }
            Self::UnsupportedMediaType { got: Some(got), wanted } => {
                write!(f, "Content-Type must be {wanted}, got {}", Echo(got))
            }
            Self::UnsupportedMediaType { got: None, wanted } => write!(f, "Content-Type must be {wanted}, got none"),
            Self::UnsupportedEncoding(got) => write!(f, "Content-Encoding must be identity, got {}", Echo(got)),
            Self::Invalid { parameter, wanted, got } => write!(f, "{parameter} must be {wanted}, got {}", Echo(got)),
            Self::Missing { parameter, wanted } => write!(f, "{parameter} is required: {wanted}"),
            Self::LimitTooLarge { max, got } => write!(f, "limit must be at most {max}, got {got}"),
            Self::NothingOnPage { page } => {
                write!(f, "There is nothing on page {page}: it is beyond the last page, or there is no data to return")
            }
            Self::MissingGrantType => f.write_str("Missing grant type"),
            Self::UnsupportedGrantType(grant) => write!(f, "Unsupported grant type: {}", Echo(grant)),
            Self::Unreadable(why) | Self::InvalidGrant(why) => f.write_str(why),
            Self::UnsupportedResponseType(got) => write!(f, "response_type must be code, got {}", Echo(got)),
            Self::AfterLastPage => f.write_str("There is nothing after the last page"),
            Self::MoreThanLimit { limit } => write!(f, "There are more event logs than limit ({limit}) asks for"),
            Self::ServerError => f.write_str("Internal server error"),
            Self::Forced(status) => f.write_str(status.canonical_reason().unwrap_or("Error")),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error) = self.row();
        let description = self.to_string();
        let body = Words { error, error_description: &description };
        // Two strings always have a form in JSON.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = challenge(error, &description);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The code that goes with a status when nothing else is known.
fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "invalid_token",
        404 => "not_found",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        413 => "page_out_of_range",
        415 => "unsupported_media_type",
        429 => "too_many_requests",
        400..=499 => "invalid_request",
        502 => "bad_gateway",
        503 => "service_unavailable",
        504 => "gateway_timeout",
        _ => "server_error",
    }
}

/// What a client sent, short enough to be repeated.
struct Echo<'a>(&'a str);

impl fmt::Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_ECHO) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}… ({} characters)", &self.0[..end], self.0.chars().count()),
        }
    }
}

/// The header that goes with a 401. What cannot stand in a quoted string of a header is left out.
fn challenge(error: &str, description: &str) -> HeaderValue {
    let mut text = String::with_capacity(128);
    // Writing to a string cannot fail.
    let _ = write!(text, r#"Bearer realm="oauth", error="{error}", error_description=""#);
    text.extend(description.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
    text.push('"');
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(r#"Bearer realm="oauth""#))
}

/// Answers for a handler that has panicked, in the words of its surface. What and where, the hook of panics has said.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) answer: fn() -> Response,
}

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response {
        self.metrics.panicked();
        (self.answer)()
    }
}

/// Whatever has no route.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NoSuchPath(uri.path().to_owned())
}

/// Whatever has a route, but not for this method. The router adds `Allow`.
pub(super) async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}
