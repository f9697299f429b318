//! What a fault does to an answer.
//!
//! Some faults answer in the place of the API: a status, a body, a 429, a connection that ends. They come before the quota,
//! which they leave as it is. The others change what the API has answered, or how it arrives.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{
    counting, entries,
    error::Refusal,
    gate::{Caller, Visit},
    note, wire,
};
use crate::{
    account::{
        Account,
        fault::{ApiName, Applied, Close, Fault},
        quota::Standing,
    },
    clock,
    world::Millis,
};

/// Names the rule that broke an answer.
const X_MOCK_FAULT: HeaderName = HeaderName::from_static("x-mock-fault");
/// How long a connection is kept that ends in mid-body, so that what was sent has left.
const FLUSH: Duration = Duration::from_millis(20);
/// How many parts a second of dripping is made of.
const DRIPS_PER_SECOND: u32 = 10;

/// The connection ends here, without an answer or in the middle of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokenOff;

impl BrokenOff {
    /// Whether the connection ends in the place of an answer.
    pub(crate) fn ends(response: &Response) -> bool {
        response.extensions().get::<Self>().is_some()
    }
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault ends the connection")
    }
}

impl std::error::Error for BrokenOff {}

impl From<std::convert::Infallible> for BrokenOff {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The gate of faults, in front of one API and its quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaking {
    pub(super) api: ApiName,
}

/// A service behind it.
#[derive(Clone, Debug)]
pub(super) struct Breakable<S> {
    api: ApiName,
    inner: S,
}

impl<S> Layer<S> for Breaking {
    type Service = Breakable<S>;

    fn layer(&self, inner: S) -> Breakable<S> {
        Breakable { api: self.api, inner }
    }
}

impl<S> Service<Request> for Breakable<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Error: IntoResponse + Send,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Served<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let applied = request.extensions_mut().get_mut::<Caller>().and_then(|caller| {
            let visit = &caller.visit;
            let applied = visit.account.faults.apply(self.api, visit.setup.settings.shape.seed, visit.now)?;
            caller.fault = Some(applied.fault.clone());
            Some((applied, caller.clone()))
        });
        let Some((applied, caller)) = applied else { return Served::Whole { inner: self.inner.call(request) } };
        // The one that is ready is called, if it is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let mut request = Some(request);
        // What is answered in the place of the API leaves the body unread; the journal has it all the same.
        let reading = (applied.fault.answers_itself())
            .then(|| request.take().and_then(|request| note::reading(request, caller.visit.notes.clone())))
            .flatten();
        let future = Box::pin(async move {
            if let Some(reading) = reading {
                reading.await;
            }
            let whole = async {
                match request {
                    Some(request) => inner.call(request).await.unwrap_or_else(IntoResponse::into_response),
                    None => Refusal::ServerError.into_response(),
                }
            };
            answered(&applied, &caller.visit, Some(&caller.token), whole).await
        });
        Served::Broken { future }
    }
}

pin_project! {
    /// A request that is served, with or without a fault.
    #[project = ServedProjected]
    pub(super) enum Served<F> {
        Whole { #[pin] inner: F },
        Broken { future: Pin<Box<dyn Future<Output = Response> + Send>> },
    }
}

impl<E, F: Future<Output = Result<Response, E>>> Future for Served<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ServedProjected::Whole { inner } => inner.poll(context),
            ServedProjected::Broken { future } => future.as_mut().poll(context).map(Ok),
        }
    }
}

/// The answer of a request that a rule breaks. `whole` is what the API would answer; it is asked only where it counts.
pub(super) async fn answered(
    applied: &Applied,
    visit: &Visit,
    token: Option<&Arc<str>>,
    whole: impl Future<Output = Response>,
) -> Response {
    let fault = &*applied.fault;
    visit.notes.fault(applied.name.clone());
    let response = match instead(fault, visit) {
        Some(response) => response,
        None => whole.await,
    };
    let mut response = changed(response, applied, visit).await;
    if let Some(delay_ms) = fault.delay_ms {
        visit.account.clock().wait_until(after(visit.now, delay_ms), visit.life).await;
    }
    if fault.expire_token
        && let Some(token) = token
    {
        visit.account.tokens.expire(token, visit.account.clock().now(), visit.life);
    }
    if !applied.is_hidden
        && let Ok(name) = HeaderValue::from_str(&applied.name)
    {
        response.headers_mut().insert(X_MOCK_FAULT, name);
    }
    if fault.close == Some(Close::BeforeHeaders) {
        response.extensions_mut().insert(BrokenOff);
    }
    response
}

/// An instant some time later. What lies beyond the end of all clocks comes at their end.
fn after(now: Millis, delay_ms: u64) -> Millis {
    Millis(now.0.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX))).min(clock::LAST)
}

/// What is answered in the place of the API, where a fault does that.
fn instead(fault: &Fault, visit: &Visit) -> Option<Response> {
    if fault.close == Some(Close::BeforeHeaders) {
        return Some(StatusCode::OK.into_response());
    }
    if let Some(form) = fault.rate_limit {
        let wait_seconds = u64::from(fault.retry_seconds());
        let mut response = Refusal::TooManyRequests { wait_seconds }.into_response();
        counting::state_wait(&mut response, form, wait_seconds, visit.now);
        // The headers tell the same story as the status.
        let reset_seconds = after(visit.now, wait_seconds * 1000 + 999).0.div_euclid(1000);
        let standing = Standing { limit: visit.account.quota.settings().requests.get(), remaining: 0, reset_seconds };
        visit.notes.quota(standing);
        counting::state_quota(&mut response, standing, visit.setup.profile(), visit.now);
        return Some(response);
    }
    if fault.status.is_none() && fault.body.is_none() {
        return None;
    }
    // Rules are checked when they are made.
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let has_body = !matches!(status.as_u16(), 204 | 304);
    Some(match &fault.body {
        _ if !has_body => status.into_response(),
        Some(body) => (status, [(header::CONTENT_TYPE, wire::JSON)], body.clone()).into_response(),
        None if status.is_client_error() || status.is_server_error() => Refusal::Forced(status).into_response(),
        None => (status, [(header::CONTENT_TYPE, wire::JSON)]).into_response(),
    })
}

/// Changes an answer, and how it arrives.
async fn changed(mut response: Response, applied: &Applied, visit: &Visit) -> Response {
    let fault = &*applied.fault;
    if let Some(text) = fault.content_type.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, text);
    }
    let cuts = fault.close == Some(Close::MidBody);
    // These have no body, and nothing to announce.
    let is_bodiless = matches!(response.status().as_u16(), 204 | 304);
    let is_whole = is_bodiless
        || fault.entries.is_none()
            && !fault.invalid_utf8
            && fault.truncate_at.is_none()
            && fault.drip_bytes_per_second.is_none()
            && !cuts;
    if is_whole {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Answers are made of what is in memory; they have an end, and do not fail.
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if let Some(change) = fault.entries
        && parts.status == StatusCode::OK
        && let Some((changed, count)) = entries::changed(&bytes, change, applied.chance)
    {
        visit.notes.entries(count);
        bytes = changed.into();
    }
    if fault.invalid_utf8 {
        bytes = entries::with_invalid_utf8(&bytes).into();
    }
    let whole = bytes.len();
    let mut ends = Ends::Whole;
    if cuts {
        // At least one byte is missing, or nothing would be broken.
        let at = fault.truncate_at.map_or(whole / 2, |at| usize::try_from(at).unwrap_or(usize::MAX));
        bytes.truncate(at.min(whole.saturating_sub(1)));
        ends = Ends::BrokenOff;
    } else if let Some(at) = fault.truncate_at {
        bytes.truncate(usize::try_from(at).unwrap_or(usize::MAX));
    }
    // Of an empty body one byte is announced: it never comes.
    let announced = if cuts { whole.max(1) } else { bytes.len() };
    parts.headers.insert(header::CONTENT_LENGTH, announced.into());
    let pace = fault.drip_bytes_per_second.map(|bytes_per_second| Pace {
        account: visit.account.clone(),
        life: visit.life,
        from: visit.account.clock().now(),
        bytes_per_second,
        sent: 0,
    });
    Response::from_parts(parts, Body::new(Sending { left: announced as u64, bytes, pace, wait: None, ends }))
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ends {
    Whole,
    /// The connection ends; before that, what was sent is given some time to leave.
    BrokenOff,
    BrokenOffNow,
}

/// How fast a body is sent, by the account's clock.
struct Pace {
    account: Arc<Account>,
    life: u64,
    from: Millis,
    bytes_per_second: u32,
    sent: u64,
}

/// A body on its way.
struct Sending {
    bytes: Bytes,
    /// How many bytes were announced and not sent yet.
    left: u64,
    pace: Option<Pace>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ends: Ends,
}

impl Pace {
    /// How many of the bytes that are left come next.
    fn part(&self, left: usize) -> usize {
        let part = (self.bytes_per_second / DRIPS_PER_SECOND).max(1);
        left.min(usize::try_from(part).unwrap_or(usize::MAX))
    }

    /// When they come.
    fn due(&self, left: usize) -> Millis {
        let sent = self.sent + self.part(left) as u64;
        after(self.from, sent.saturating_mul(1000).div_ceil(self.bytes_per_second.into()))
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        loop {
            let is_due = this.wait.is_some();
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(context));
                this.wait = None;
            }
            if this.bytes.is_empty() {
                match this.ends {
                    Ends::Whole => return Poll::Ready(None),
                    Ends::BrokenOff => {
                        this.ends = Ends::BrokenOffNow;
                        this.wait = Some(Box::pin(tokio::time::sleep(FLUSH)));
                        continue;
                    }
                    Ends::BrokenOffNow => return Poll::Ready(Some(Err(BrokenOff))),
                }
            }
            let part = match &mut this.pace {
                None => this.bytes.split_to(this.bytes.len()),
                Some(pace) if is_due => {
                    let part = pace.part(this.bytes.len());
                    pace.sent += part as u64;
                    this.bytes.split_to(part)
                }
                Some(pace) => {
                    let due = pace.due(this.bytes.len());
                    let (account, life) = (pace.account.clone(), pace.life);
                    this.wait = Some(Box::pin(async move { account.clock().wait_until(due, life).await }));
                    continue;
                }
            };
            this.left -= part.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.ends == Ends::Whole
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
