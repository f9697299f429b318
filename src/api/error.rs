//! The table of errors. Each 4xx and 5xx response of the emulated API is a row, except those with a body from a fault.
//!
//! The statuses are documented (D). The body `{"error", "error_description"}` and its codes are assumed (A): the token
//! service uses this format, one public client fails if a 404 is not JSON, and another if the body has no `error`. The
//! descriptions are not the vendor's; they name the parameter, the accepted values and the received value.

use std::{
    any::Any,
    fmt::{self, Write as _},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_http::catch_panic::ResponseForPanic;

use super::encode::JSON;
use crate::metrics::Metrics;

/// The maximum number of characters of a client's value in a description.
const MAX_ECHO: usize = 100;

/// An error response: one row of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ApiError {
    /// The request has no token.
    NoToken,
    /// No account has issued this token, or it is revoked.
    UnknownToken(String),
    /// The token has expired.
    ExpiredToken(String),
    /// The client of the token endpoint is unknown, or its secret is wrong.
    BadClient,
    /// The path has no route.
    NoSuchPath(String),
    /// The path has a route, but not for this method.
    MethodNotAllowed(Method),
    /// The quota is exhausted; it allows a request again after this many seconds.
    TooManyRequests { wait_seconds: u64 },
    /// The account has this maximum number of requests in flight. This limit is independent of the quota.
    TooManyAtOnce { most: u32 },
    /// The handler does not accept the content type of the body.
    UnsupportedMediaType { got: Option<String>, wanted: &'static str },
    /// The body is compressed; the server does not decompress.
    UnsupportedEncoding(String),
    /// The body, the query or a header line cannot be read; the text is the description.
    Unreadable(String),
    /// A parameter is invalid.
    Invalid { parameter: &'static str, wanted: String, got: String },
    /// The API ignores a part of the request, and the profile key `ignored_input` selects an error for it; the text is the
    /// description.
    Ignored(String),
    /// A parameter is missing.
    Missing { parameter: &'static str, wanted: &'static str },
    /// `limit` is above its maximum. This error has its own status (D).
    LimitTooLarge { max: u16, got: i64 },
    /// The page is beyond the last one, or there are no entries (D).
    NothingOnPage { page: u64 },
    /// The account has no such device.
    NoSuchDevice(String),
    /// The account's devices have no such product in this version.
    NoSuchProduct { id: i64, version: String },
    /// The account cannot store the events of an action; the text is the description.
    NotStored(String),
    /// A request to the token endpoint has no `grant_type`.
    MissingGrantType,
    /// The token endpoint does not support the grant type.
    UnsupportedGrantType(String),
    /// A code, a refresh token or a redirect URI is invalid; the text is the description.
    InvalidGrant(String),
    /// The `response_type` of a request to the authorize endpoint is not `code`.
    UnsupportedResponseType(String),
    /// A v3.3 page has no entries, and the profile key `after_last_page` selects an error for it.
    AfterLastPage,
    /// There is more data than `limit`, and the profile key `more_than_limit` selects an error for it.
    MoreThanLimit { limit: usize },
    /// The body of a fault cannot be rendered; the text is the reason.
    BadTemplate(String),
    /// A handler panicked, or an internal invariant does not hold.
    ServerError,
    /// A fault sets this status, but no body.
    Forced(StatusCode),
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl ApiError {
    /// A parameter is invalid: the accepted values, and the received value.
    pub(super) fn invalid(parameter: &'static str, wanted: impl Into<String>, got: impl fmt::Display) -> Self {
        Self::Invalid { parameter, wanted: wanted.into(), got: got.to_string() }
    }

    /// The status and the code of the row.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::UnknownToken(_) | Self::ExpiredToken(_) => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::BadClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::NoSuchPath(_) | Self::NoSuchDevice(_) | Self::NoSuchProduct { .. } => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooManyRequests { .. } | Self::TooManyAtOnce { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
            }
            Self::UnsupportedMediaType { .. } | Self::UnsupportedEncoding(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::Unreadable(_)
            | Self::Ignored(_)
            | Self::Invalid { .. }
            | Self::Missing { .. }
            | Self::NotStored(_)
            | Self::MissingGrantType => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::LimitTooLarge { .. } | Self::MoreThanLimit { .. } => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::NothingOnPage { .. } | Self::AfterLastPage => (StatusCode::PAYLOAD_TOO_LARGE, "page_out_of_range"),
            Self::UnsupportedGrantType(_) => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidGrant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::UnsupportedResponseType(_) => (StatusCode::BAD_REQUEST, "unsupported_response_type"),
            Self::ServerError | Self::BadTemplate(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Self::Forced(status) => (*status, code_of(*status)),
        }
    }
}

/// Writes `error_description`.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str("Full authentication is required to access this resource"),
            Self::UnknownToken(token) => write!(f, "Invalid access token: {}", Echo(token)),
            Self::ExpiredToken(token) => write!(f, "Access token expired: {}", Echo(token)),
            Self::BadClient => f.write_str("Bad client credentials"),
            Self::NoSuchPath(path) => write!(f, "There is nothing at {}", Echo(path)),
            Self::NoSuchDevice(id) => write!(f, "There is no device {} in the account", Echo(id)),
            Self::NoSuchProduct { id, version } => {
                write!(f, "There is no product {id} in version {} on the devices", Echo(version))
            }
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
            Self::Unreadable(why) | Self::Ignored(why) | Self::InvalidGrant(why) | Self::NotStored(why) => {
                f.write_str(why)
            }
            Self::UnsupportedResponseType(got) => write!(f, "response_type must be code, got {}", Echo(got)),
            Self::AfterLastPage => f.write_str("There is nothing after the last page"),
            Self::MoreThanLimit { limit } => write!(f, "There are more event logs than limit ({limit}) asks for"),
            Self::BadTemplate(why) => write!(f, "fault.body cannot be rendered: {why}"),
            Self::ServerError => f.write_str("Internal server error"),
            Self::Forced(status) => f.write_str(status.canonical_reason().unwrap_or("Error")),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error) = self.row();
        let description = self.to_string();
        let body = ErrorBody { error, error_description: &description };
        // Encoding two strings cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = challenge(error, &description);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The code for a status that a fault sets.
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

/// A value that a client sent, truncated to [`MAX_ECHO`] characters.
struct Echo<'a>(&'a str);

impl fmt::Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_ECHO) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}… ({} characters)", &self.0[..end], self.0.chars().count()),
        }
    }
}

/// The value of `WWW-Authenticate`. Characters that a quoted string in a header cannot contain are omitted.
fn challenge(error: &str, description: &str) -> HeaderValue {
    let mut text = String::with_capacity(128);
    // Writing to a string cannot fail.
    let _ = write!(text, r#"Bearer realm="oauth", error="{error}", error_description=""#);
    text.extend(description.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
    text.push('"');
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(r#"Bearer realm="oauth""#))
}

/// Counts a panic in a handler, and creates the response. The panic hook has already logged the message and the
/// location.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) response: fn() -> Response,
}

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response {
        self.metrics.panicked();
        (self.response)()
    }
}
