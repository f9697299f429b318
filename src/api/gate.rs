//! The gates before a handler: token, then path and method, then faults and quota. Bodies are looked at only behind them.
//!
//! Without a valid token every request is refused with 401 before anything else is looked at (D). The order of the
//! others is the usual one of a Java filter chain (A). Whatever leaves the first gate is noted in the journal of the account
//! that it was about; what is about none goes to that of `default`.

use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_governor::{GovernorError, key_extractor::KeyExtractor};
use tracing::debug;

use super::{
    error::Refusal,
    fault::BrokenOff,
    note::{self, Noted, Notes},
    params::Params,
    wire,
};
use crate::{
    account::{
        Account, Accounts, Setup,
        fault::{ApiName, Fault},
        journal::{self, Parameters},
        profile::{Charset, Profile, ResetTime},
        quota::{RetryAfter, Standing, Taken},
        tokens::Validity,
    },
    clock::Stopwatch,
    limits::{BodyLimits, Limits},
    metrics::{self, Metrics, Served},
    world::Millis,
};

/// The longest header line, and the longest path with its query, that are read: 8 KiB, as servlet containers have it (A).
const MAX_LINE_BYTES: usize = 8 * 1024;

/// How much of a method and of a path the journal keeps.
const MAX_NOTED_BYTES: usize = 500;

/// Whose account a request is about, what it was then, and when. "Now" is read here and nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) account: Arc<Account>,
    pub(super) setup: Arc<Setup>,
    pub(super) now: Millis,
    /// In which life of the account it came.
    pub(super) life: u64,
    pub(super) notes: Notes,
    pub(super) bodies: BodyLimits,
}

/// A visit with a valid token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) visit: Visit,
    pub(super) token: Arc<str>,
    /// What breaks the request.
    pub(super) fault: Option<Arc<Fault>>,
}

/// The first gate: asks for the token where one is needed, and puts on every answer what it must carry.
#[derive(Clone, Debug)]
pub(super) struct Admission(pub(super) Arc<House>);

/// What the first gate knows, for all requests.
#[derive(Debug)]
pub(super) struct House {
    accounts: Arc<Accounts>,
    bodies: BodyLimits,
    /// How many requests of an account are under way at a time.
    most_at_once: u32,
    pub(super) metrics: Arc<Metrics>,
}

/// The quota's gate, in front of one API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    pub(super) api: ApiName,
}

/// A service behind one of the gates.
#[derive(Clone, Debug)]
pub(super) struct Gated<G, S> {
    gate: G,
    inner: S,
}

/// What a gate decides about a request, and does to its answer.
pub(super) trait Gate {
    /// What the gate knows of a request that came to it.
    type Pass;

    /// Lets a request through, or answers it.
    fn pass(&self, request: &mut Request) -> (Self::Pass, Result<(), Refusal>);

    /// What is noted of the request, so that the journal has what it asked for even when it is refused.
    fn notes(pass: &Self::Pass) -> Option<&Notes>;

    /// Completes an answer.
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
        let (pass, passed) = self.gate.pass(&mut request);
        match passed {
            Ok(()) => Passing::Passed { pass, inner: self.inner.call(request) },
            Err(refusal) => {
                let reading = G::notes(&pass).cloned().and_then(|notes| note::reading(request, notes));
                Passing::Refused { pass, reading, response: Some(refusal.into_response()) }
            }
        }
    }
}

pin_project! {
    /// A request on its way through a gate.
    #[project = PassingProjected]
    pub(super) enum Passing<G: Gate, F> {
        Passed { pass: G::Pass, #[pin] inner: F },
        Refused { pass: G::Pass, reading: Option<note::Reading>, response: Option<Response> },
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
            PassingProjected::Refused { pass, reading, response } => {
                if let Some(reading) = reading {
                    ready!(reading.as_mut().poll(context));
                }
                let mut response = response.take().expect("a future is not polled after it was ready");
                G::complete(pass, &mut response);
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl House {
    pub(super) fn new(accounts: Arc<Accounts>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self { accounts, bodies: limits.of_bodies(), most_at_once: limits.max_concurrent_requests, metrics }
    }
}

/// A request that came to the first gate.
#[derive(Debug)]
pub(super) struct Admitted {
    house: Arc<House>,
    visit: Visit,
    method: Method,
    uri: Uri,
    api: Option<ApiName>,
    /// The token that it came with, masked.
    shown_token: Option<String>,
    /// That token, if it is valid.
    token: Option<Arc<str>>,
    since: Stopwatch,
    /// Whether it is one of the account's that are under way.
    has_entered: bool,
    /// Whether the journal has it.
    is_noted: Cell<bool>,
}

/// A client that went before its answer came did ask all the same.
impl Drop for Admitted {
    fn drop(&mut self) {
        if !self.is_noted.get() {
            let noted = self.visit.notes.take();
            self.note(noted, None, None);
        }
        if self.has_entered {
            self.visit.account.leave();
        }
    }
}

impl Gate for Admission {
    type Pass = Admitted;

    fn pass(&self, request: &mut Request) -> (Admitted, Result<(), Refusal>) {
        let since = Stopwatch::start();
        let path = request.uri().path();
        let needs_token = path == "/o/api" || path.starts_with("/o/api/");
        let shown = if needs_token { bearer(request.headers()).or_else(|| in_query(request.uri())) } else { None };
        let house = &self.0;
        let known = shown.as_deref().and_then(|token| house.accounts.of_token(token));
        let account = known.as_ref().unwrap_or(house.accounts.default_account());
        let visit = Visit::of(account, Notes::default(), house.bodies);
        let mut admitted = Admitted {
            house: house.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            api: super::api_at(path),
            shown_token: shown.as_deref().map(journal::masked),
            token: None,
            since,
            has_entered: account.enter(house.most_at_once),
            is_noted: Cell::new(false),
            visit: visit.clone(),
        };
        let entered = if admitted.has_entered {
            Ok(())
        } else {
            house.metrics.limited("max-concurrent-requests");
            Err(Refusal::TooManyAtOnce { most: house.most_at_once })
        };
        if !needs_token {
            request.extensions_mut().insert(visit);
            return (admitted, entered);
        }
        let validity = match (&shown, known) {
            (Some(token), Some(account)) => account.tokens.validity(token, visit.now),
            _ => Validity::Unknown,
        };
        let refusal = match (validity, shown) {
            (Validity::Valid(token), _) => {
                admitted.token = Some(token.clone());
                request.extensions_mut().insert(Caller { visit, token, fault: None });
                return (admitted, entered);
            }
            (_, None) => Refusal::NoToken,
            (Validity::Expired, Some(token)) => Refusal::ExpiredToken(token),
            (Validity::Unknown, Some(token)) => Refusal::UnknownToken(token),
        };
        (admitted, Err(refusal))
    }

    fn notes(admitted: &Admitted) -> Option<&Notes> {
        Some(&admitted.visit.notes)
    }

    fn complete(admitted: &Admitted, response: &mut Response) {
        let Admitted { visit, token, api, .. } = admitted;
        let noted = visit.notes.take();
        // The token service finds out whose client asks only when it reads the form.
        let visit = noted.visit.as_ref().unwrap_or(visit);
        wire::set_date(response, visit.now);
        if visit.setup.profile().charset == Charset::Absent {
            wire::without_charset(response);
        }
        let mut standing = noted.quota;
        if standing.is_none()
            && let Some(token) = token
        {
            // Not counted: an unknown path or method. An unknown path has a quota that nothing was taken from.
            standing = visit.account.quota.look(token, api.map_or("", ApiName::code), visit.now);
            if let Some(standing) = standing {
                state_quota(response, standing, visit.setup.profile(), visit.now);
            }
        }
        let status = (!BrokenOff::ends(response)).then(|| response.status().as_u16());
        admitted.note(noted, standing, status);
    }
}

impl Admitted {
    /// Notes the request in the journal of the account that it is about.
    fn note(&self, noted: Noted, quota: Option<Standing>, status: Option<u16>) {
        let Self { visit, method, uri, api, shown_token, since, is_noted, .. } = self;
        let Visit { account, now, life, .. } = noted.visit.as_ref().unwrap_or(visit);
        let after = since.elapsed();
        self.count(&noted, status, after);
        debug!(
            account = account.name(),
            method = method.as_str(),
            path = uri.path(),
            token = shown_token.as_deref(),
            status,
            entries = noted.entries,
            fault = noted.fault.as_deref(),
            after_us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
        let request = journal::Request {
            number: 0,
            at: (*now).into(),
            method: short(method.as_str()),
            path: short(uri.path()),
            api: api.map(ApiName::code),
            token: shown_token.clone(),
            parameters: Parameters {
                pairs: [Params::for_journal(uri.query().unwrap_or_default()), noted.form].concat(),
                body: noted.body,
            },
            status,
            entries: noted.entries,
            quota,
            fault: noted.fault.map(|name| name.to_string()),
            duration_us: u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
        };
        account.journal.note(request, *life);
        is_noted.set(true);
    }

    /// Counts the request among the server's.
    fn count(&self, noted: &Noted, status: Option<u16>, after: Duration) {
        let metrics = &self.house.metrics;
        let route = match self.api {
            Some(api) => super::path_of(api),
            None if self.uri.path() == super::AUTHORIZE => super::AUTHORIZE,
            None => metrics::OTHER,
        };
        let method = metrics::method(self.method.as_str());
        metrics.served(Served { route: route.into(), method, status, after });
        if noted.fault.is_some() {
            metrics.broken_by_fault(route);
        }
        if noted.is_rate_limited {
            metrics.rate_limited(route);
        }
        if let (Some(entries), Some(200)) = (noted.entries, status) {
            metrics.entries(route, entries);
        }
    }
}

/// A text of a client's, as much of it as the journal keeps.
fn short(text: &str) -> String {
    if text.len() <= MAX_NOTED_BYTES { text.to_owned() } else { text.chars().take(MAX_NOTED_BYTES).collect() }
}

/// A request that was counted, or that need not be.
#[derive(Debug)]
pub(super) struct Counted {
    caller: Option<Caller>,
    api: ApiName,
    standing: Option<Standing>,
    taken: Option<Taken>,
    /// How long to wait, when there was nothing left.
    wait_seconds: Option<u64>,
}

impl Gate for Counting {
    type Pass = Counted;

    fn pass(&self, request: &mut Request) -> (Counted, Result<(), Refusal>) {
        let mut counted = Counted {
            caller: request.extensions().get::<Caller>().cloned(),
            api: self.api,
            standing: None,
            taken: None,
            wait_seconds: None,
        };
        let passed = counted.take(request).and_then(|()| check_lines(request));
        counted.wait_seconds = passed.as_ref().err().and_then(Refusal::wait_seconds);
        (counted, passed)
    }

    fn notes(counted: &Counted) -> Option<&Notes> {
        counted.caller.as_ref().map(|caller| &caller.visit.notes)
    }

    fn complete(counted: &Counted, response: &mut Response) {
        let Counted { caller: Some(caller), api, standing: Some(standing), taken, wait_seconds } = counted else {
            return;
        };
        let Caller { visit, token, .. } = caller;
        if let Some(wait_seconds) = wait_seconds {
            visit.notes.rate_limited();
            state_wait(response, visit.setup.profile().retry_after, *wait_seconds, visit.now);
        }
        let mut standing = *standing;
        let is_refused = matches!(response.status().as_u16(), 400 | 406 | 413 | 415);
        if let Some(taken) = *taken
            && is_refused
            && !visit.setup.profile().quota_counts_refused
        {
            // The body may have been long in coming: what counts is what is missing now.
            let now = visit.account.clock().now();
            standing = visit.account.quota.give_back(token, api.code(), taken, now).unwrap_or(standing);
        }
        visit.notes.quota(standing);
        state_quota(response, standing, visit.setup.profile(), visit.now);
    }
}

impl Counted {
    /// Takes the request from its bucket.
    fn take(&mut self, request: &Request) -> Result<(), Refusal> {
        let whose = WhoseToken.extract(request)?;
        let Some(Caller { visit, .. }) = &self.caller else { return Err(Refusal::ServerError) };
        match visit.account.quota.take(&whose, self.api.code(), visit.now) {
            Ok(taken) => {
                self.standing = taken.map(|taken| taken.standing);
                self.taken = taken;
                Ok(())
            }
            Err(too_many) => {
                self.standing = Some(too_many.standing);
                Err(GovernorError::TooManyRequests { wait_time: too_many.wait_seconds, headers: None }.into())
            }
        }
    }
}

/// Whose request is counted. At which API, and what of the two has a bucket of its own, is the quota's affair.
#[derive(Clone, Copy, Debug)]
struct WhoseToken;

impl KeyExtractor for WhoseToken {
    type Key = Arc<str>;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<Arc<str>, GovernorError> {
        request.extensions().get::<Caller>().map(|caller| caller.token.clone()).ok_or(GovernorError::UnableToExtractKey)
    }
}

impl Visit {
    /// A visit to an account now.
    pub(super) fn of(account: &Arc<Account>, notes: Notes, bodies: BodyLimits) -> Self {
        // Read first: when the account begins anew meanwhile, what follows is of the new life, and the visit of the old one.
        let life = account.life();
        Self { life, now: account.clock().now(), setup: account.setup(), account: account.clone(), notes, bodies }
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

    /// Present behind the first gate, on every path that needs no token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::ServerError)
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

/// Refuses lines that are too long.
pub(super) fn check_lines(request: &Request) -> Result<(), Refusal> {
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

pub(super) fn state_quota(response: &mut Response, standing: Standing, profile: &Profile, now: Millis) {
    let reset = match profile.reset_time {
        ResetTime::Epoch => standing.reset_seconds,
        ResetTime::Left => (standing.reset_seconds - now.0.div_euclid(1000)).max(0),
    };
    let headers = response.headers_mut();
    headers.insert(LIMIT, standing.limit.into());
    headers.insert(REMAINING, standing.remaining.into());
    headers.insert(RESET_TIME, reset.into());
}

/// Puts `Retry-After` on a 429, in the form that is wanted.
pub(super) fn state_wait(response: &mut Response, form: RetryAfter, wait_seconds: u64, now: Millis) {
    let value = match form {
        RetryAfter::Off => None,
        RetryAfter::Seconds => Some(HeaderValue::from(wait_seconds)),
        RetryAfter::HttpDate => {
            // Rounded up, so that whoever comes then is let through.
            let at = now.0.saturating_add(i64::try_from(wait_seconds).unwrap_or(i64::MAX).saturating_mul(1000));
            wire::http_date(Millis(at.saturating_add(999)))
        }
    };
    if let Some(value) = value {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
}
