//! Authentication: the access token of a request.
//!
//! Without a valid token a request is refused with 401 before anything else is looked at (D).

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

/// Whether a path is behind the authentication.
pub(super) fn needs_token(path: &str) -> bool {
    path == "/o/api" || path.starts_with("/o/api/")
}

/// The token that a request presents: in the header, or else in the query (D).
pub(super) fn presented(request: &Request) -> Option<String> {
    bearer(request.headers()).or_else(|| in_query(request.uri()))
}

/// Checks the token, and puts [`Authenticated`] among the request's extensions. The guard counts the request as in flight
/// until it is dropped; a request without a valid token is not counted.
///
/// # Errors
///
/// 401 without a valid token; 429 when the account has too many requests in flight.
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

/// The token in `Authorization: Bearer`, the scheme in any case. Another scheme is no token.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let (scheme, token) = text.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The first `access_token` of the query. One that cannot be decoded is taken as it stands, and is unknown then.
fn in_query(uri: &Uri) -> Option<String> {
    Params::first_lossy(uri.query()?, "access_token").filter(|token| !token.is_empty())
}
