//! The gates before a handler: token, then path and method, then quota. Bodies are looked at only behind them.
//!
//! Without a valid token every request is refused with 401 before anything else is looked at (D). The order of the
//! others is the usual one of a Java filter chain (A).

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tower_governor::{GovernorError, key_extractor::KeyExtractor};

use super::{Api, error::Refusal, params::Params};
use crate::{
    account::{Account, quota::BucketKey, quota::Standing, tokens},
    world::Millis,
};

/// The longest header line, and the longest path with its query, that are read: 8 KiB, as servlet containers have it (A).
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Whose account a request is about, and when. "Now" is read here and nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) account: Arc<Account>,
    pub(super) now: Millis,
}

/// A visit with a valid token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) account: Arc<Account>,
    pub(super) now: Millis,
    token: Arc<str>,
}

/// The first gate, and what every answer carries: the date of the account's clock, and the state of the quota.
pub(super) async fn admit(State(account): State<Arc<Account>>, mut request: Request, next: Next) -> Response {
    let visit = Visit { now: account.clock().now(), account };
    let caller = match authenticate(&visit, &request) {
        Ok(caller) => caller,
        Err(refusal) => return dated(refusal.into_response(), visit.now),
    };
    let api = Api::at(request.uri().path());
    if let Some(caller) = &caller {
        request.extensions_mut().insert(caller.clone());
    }
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    if let Some(caller) = caller {
        let counted = response.extensions_mut().remove::<Counted>();
        let standing = match counted {
            Some(Counted(standing)) => Some(standing),
            // Not counted: an unknown path or method. An unknown path has a quota that nothing was taken from.
            None => visit.account.quota.look(&caller.bucket(api.map_or("", Api::name)), visit.now),
        };
        if let Some(standing) = standing {
            state_quota(response.headers_mut(), standing);
        }
    }
    dated(response, visit.now)
}

/// The quota's gate, in front of one API.
pub(super) async fn count(api: Api, request: Request, next: Next) -> Response {
    let per_token = PerTokenAndApi { api };
    let outcome = per_token.extract(&request).map_err(Refusal::from).and_then(|key| {
        let Caller { account, now, .. } = request.extensions().get::<Caller>().ok_or(Refusal::ServerError)?;
        Ok(account.quota.take(&key, *now))
    });
    match outcome {
        Err(refusal) => refusal.into_response(),
        Ok(Err(too_many)) => {
            let error = GovernorError::TooManyRequests { wait_time: too_many.wait_seconds, headers: None };
            let mut response = Refusal::from(error).into_response();
            response.extensions_mut().insert(Counted(too_many.standing));
            response
        }
        Ok(Ok(standing)) => {
            let mut response = match check_lines(&request) {
                Ok(()) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            };
            if let Some(standing) = standing {
                response.extensions_mut().insert(Counted(standing));
            }
            response
        }
    }
}

/// The gate of routes that need no token.
pub(super) async fn short_lines(request: Request, next: Next) -> Response {
    match check_lines(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Where the quota stood when the request was counted: later ones may have been since.
#[derive(Clone, Copy, Debug)]
struct Counted(Standing);

/// The quota is for each token and each API (the number is D, the scope A).
#[derive(Clone, Copy, Debug)]
struct PerTokenAndApi {
    api: Api,
}

impl KeyExtractor for PerTokenAndApi {
    type Key = BucketKey;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<BucketKey, GovernorError> {
        let caller = request.extensions().get::<Caller>().ok_or(GovernorError::UnableToExtractKey)?;
        Ok(caller.bucket(self.api.name()))
    }
}

impl Caller {
    fn bucket(&self, api: &'static str) -> BucketKey {
        BucketKey { token: self.token.clone(), api }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    /// Present behind the first gate, on every path that needs a token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::NoToken)
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    /// Present behind the first gate.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::ServerError)
    }
}

/// A caller where the path needs one, nobody elsewhere.
fn authenticate(visit: &Visit, request: &Request) -> Result<Option<Caller>, Refusal> {
    let path = request.uri().path();
    if path != "/o/api" && !path.starts_with("/o/api/") {
        return Ok(None);
    }
    let token = bearer(request.headers()).or_else(|| in_query(request.uri())).ok_or(Refusal::NoToken)?;
    match visit.account.tokens.standing(&token, visit.now) {
        tokens::Standing::Valid(token) => Ok(Some(Caller { account: visit.account.clone(), now: visit.now, token })),
        tokens::Standing::Expired => Err(Refusal::ExpiredToken(token)),
        tokens::Standing::Unknown => Err(Refusal::UnknownToken(token)),
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

fn check_lines(request: &Request) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_LINE_BYTES {
        return Err(Refusal::Unreadable(format!(
            "The path and the query must have at most {MAX_LINE_BYTES} bytes, got {target}"
        )));
    }
    let long = request.headers().iter().find(|(name, value)| name.as_str().len() + value.len() + 4 > MAX_LINE_BYTES);
    match long {
        None => Ok(()),
        Some((name, value)) => Err(Refusal::Unreadable(format!(
            "A header line must have at most {MAX_LINE_BYTES} bytes, got {} in {name}",
            name.as_str().len() + value.len() + 4,
        ))),
    }
}

fn state_quota(headers: &mut HeaderMap, standing: Standing) {
    headers.insert("x-ratelimit-limit", standing.limit.into());
    headers.insert("x-ratelimit-remaining", standing.remaining.into());
    headers.insert("x-ratelimit-reset-time", standing.reset_seconds.into());
}

/// Puts the account's time in `Date`: a client that takes its windows from there must get those of the account.
fn dated(mut response: Response, now: Millis) -> Response {
    let date = Timestamp::from_millisecond(now.0)
        .ok()
        .and_then(|now| DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok())
        .and_then(|date| HeaderValue::try_from(date).ok());
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
