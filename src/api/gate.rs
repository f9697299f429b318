//! The gates before a handler: token, then path and method, then quota. Bodies are looked at only behind them.
//!
//! Without a valid token every request is refused with 401 before anything else is looked at (D). The order of the
//! others is the usual one of a Java filter chain (A).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
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

/// The first gate: asks for the token where one is needed, and puts on every answer what it must carry.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) account: Arc<Account>,
}

/// The quota's gate, in front of one API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    pub(super) api: Api,
}

/// A service behind one of the gates.
#[derive(Clone, Debug)]
pub(super) struct Gated<G, S> {
    gate: G,
    inner: S,
}

/// What a gate decides about a request, and does to its answer.
pub(super) trait Gate {
    /// What the gate knows of a request that it let through.
    type Pass;

    /// Lets a request through, or answers it.
    fn pass(&self, request: &mut Request) -> Result<Self::Pass, Box<Response>>;

    /// Completes the answer of a request that was let through.
    fn complete(pass: &Self::Pass, response: &mut Response);
}

impl<S> Layer<S> for Admission {
    type Service = Gated<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { gate: self.clone(), inner }
    }
}

impl<S> Layer<S> for Counting {
    type Service = Gated<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { gate: *self, inner }
    }
}

impl<G: Gate, S: Service<Request, Response = Response>> Service<Request> for Gated<G, S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Passing<G, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.gate.pass(&mut request) {
            Ok(pass) => Passing::Passed { pass, inner: self.inner.call(request) },
            Err(response) => Passing::Refused { response: Some(*response) },
        }
    }
}

pin_project! {
    /// A request on its way through a gate.
    #[project = PassingProjected]
    pub(super) enum Passing<G: Gate, F> {
        Passed { pass: G::Pass, #[pin] inner: F },
        Refused { response: Option<Response> },
    }
}

impl<G: Gate, E, F: Future<Output = Result<Response, E>>> Future for Passing<G, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            PassingProjected::Passed { pass, inner } => inner.poll(context).map_ok(|mut response| {
                G::complete(pass, &mut response);
                response
            }),
            PassingProjected::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}

/// Who came through the first gate: nobody in particular where no token is needed.
#[derive(Debug)]
pub(super) struct Admitted {
    now: Millis,
    caller: Option<(Caller, Option<Api>)>,
}

impl Gate for Admission {
    type Pass = Admitted;

    fn pass(&self, request: &mut Request) -> Result<Admitted, Box<Response>> {
        let visit = Visit { now: self.account.clock().now(), account: self.account.clone() };
        let now = visit.now;
        match authenticate(&visit, request) {
            Ok(Some(caller)) => {
                let api = Api::at(request.uri().path());
                request.extensions_mut().insert(caller.clone());
                Ok(Admitted { now, caller: Some((caller, api)) })
            }
            Ok(None) => {
                request.extensions_mut().insert(visit);
                Ok(Admitted { now, caller: None })
            }
            Err(refusal) => {
                let mut response = refusal.into_response();
                date(&mut response, now);
                Err(Box::new(response))
            }
        }
    }

    fn complete(admitted: &Admitted, response: &mut Response) {
        date(response, admitted.now);
        let Some((caller, api)) = &admitted.caller else { return };
        if !response.headers().contains_key(&LIMIT) {
            // Not counted: an unknown path or method. An unknown path has a quota that nothing was taken from.
            let bucket = caller.bucket(api.map_or("", Api::name));
            if let Some(standing) = caller.account.quota.look(&bucket, admitted.now) {
                state_quota(response, standing);
            }
        }
    }
}

impl Gate for Counting {
    type Pass = Option<Standing>;

    fn pass(&self, request: &mut Request) -> Result<Option<Standing>, Box<Response>> {
        let per_token = PerTokenAndApi { api: self.api };
        let refused = |refusal: Refusal, standing: Option<Standing>| {
            let mut response = refusal.into_response();
            Self::complete(&standing, &mut response);
            Box::new(response)
        };
        let key = per_token.extract(request).map_err(|error| refused(error.into(), None))?;
        let caller = request.extensions().get::<Caller>().ok_or_else(|| refused(Refusal::ServerError, None))?;
        let standing = caller.account.quota.take(&key, caller.now).map_err(|too_many| {
            let error = GovernorError::TooManyRequests { wait_time: too_many.wait_seconds, headers: None };
            refused(error.into(), Some(too_many.standing))
        })?;
        check_lines(request).map_err(|refusal| refused(refusal, standing))?;
        Ok(standing)
    }

    fn complete(standing: &Option<Standing>, response: &mut Response) {
        if let Some(standing) = standing {
            state_quota(response, *standing);
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

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET_TIME: HeaderName = HeaderName::from_static("x-ratelimit-reset-time");

fn state_quota(response: &mut Response, standing: Standing) {
    let headers = response.headers_mut();
    headers.insert(LIMIT, standing.limit.into());
    headers.insert(REMAINING, standing.remaining.into());
    headers.insert(RESET_TIME, standing.reset_seconds.into());
}

/// Puts the account's time in `Date`: a client that takes its windows from there must get those of the account.
fn date(response: &mut Response, now: Millis) {
    let date = Timestamp::from_millisecond(now.0)
        .ok()
        .and_then(|now| DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok())
        .and_then(|date| HeaderValue::try_from(date).ok());
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date);
    }
}
