//! Authentication: the access token of a request.
//!
//! A request without a valid token gets 401 before any other check (D).

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
};

use super::{
    context::{Authenticated, RequestContext},
    error::ApiError,
    params::Params,
    state::ApiState,
};
use crate::account::{Account, InFlightGuard, tokens::Validity};

/// Whether requests to a path need an access token.
pub(super) fn needs_token(path: &str) -> bool {
    path == "/o/api" || path.starts_with("/o/api/")
}

/// The token of a request: from the header, or else from the query (D).
pub(super) fn presented(request: &Request) -> Option<String> {
    bearer(request.headers()).or_else(|| in_query(request.uri()))
}

/// Checks the token, and inserts [`Authenticated`] into the request's extensions. The request counts as in flight until
/// the guard is dropped; a request without a valid token does not count.
///
/// # Errors
///
/// 401 without a valid token; 429 if the account has too many requests in flight.
pub(super) fn authenticate(
    state: &ApiState,
    context: &RequestContext,
    (presented, owner): (Option<&str>, Option<&Arc<Account>>),
    request: &mut Request,
) -> Result<InFlightGuard, ApiError> {
    let token = presented.ok_or(ApiError::NoToken)?;
    match owner.map_or(Validity::Unknown, |account| account.tokens.validity(token, context.now)) {
        Validity::Valid(token) => {
            request.extensions_mut().insert(Authenticated { context: context.clone(), token, fault: None });
            state.begin_request(&context.account)
        }
        Validity::Expired => Err(ApiError::ExpiredToken(token.to_owned())),
        Validity::Unknown => Err(ApiError::UnknownToken(token.to_owned())),
    }
}

/// The token in `Authorization: Bearer`; the scheme is case-insensitive. `None` for any other scheme.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let (scheme, token) = text.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The first `access_token` of the query. A value that cannot be decoded is used as sent.
fn in_query(uri: &Uri) -> Option<String> {
    Params::first_lossy(uri.query()?, "access_token").filter(|token| !token.is_empty())
}
