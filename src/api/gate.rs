//! The gates before a handler: token, then path and method, then faults and quota. Bodies are looked at only behind them.
//!
//! Here is what a gate is, and what it knows of who comes. That 401 comes first is documented (D); the order of the others is
//! the usual one of a Java filter chain (A).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use pin_project_lite::pin_project;
use tower::Service;

use super::{
    error::Refusal,
    note::{self, Notes},
};
use crate::{
    account::{Account, Setup, fault::Fault},
    bodies::Bodies,
    world::Millis,
};

/// The longest header line, and the longest path with its query, that are read: 8 KiB, as servlet containers have it (A).
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Whose account a request is about, what it was then, and when. "Now" is read here and nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) account: Arc<Account>,
    pub(super) setup: Arc<Setup>,
    pub(super) now: Millis,
    /// In which life of the account it came.
    pub(super) life: u64,
    pub(super) notes: Notes,
    pub(super) bodies: Arc<Bodies>,
}

/// A visit with a valid token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) visit: Visit,
    pub(super) token: Arc<str>,
    /// What breaks the request.
    pub(super) fault: Option<Arc<Fault>>,
}

/// A service behind one of the gates.
#[derive(Clone, Debug)]
pub(super) struct Gated<G, S> {
    gate: G,
    inner: S,
}

impl<G, S> Gated<G, S> {
    pub(super) fn new(gate: G, inner: S) -> Self {
        Self { gate, inner }
    }
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

impl Visit {
    /// A visit to an account now.
    pub(super) fn of(account: &Arc<Account>, notes: Notes, bodies: Arc<Bodies>) -> Self {
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
