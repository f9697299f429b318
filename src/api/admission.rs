//! The first gate: whose request it is, and whether it may come in.
//!
//! Without a valid token a request is refused with 401 before anything else is looked at (D). Whatever leaves is counted among
//! the server's, and noted in the journal of the account that it was about; what is about none goes to that of `default`.

use std::{cell::Cell, sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, Method, Uri, header},
    response::Response,
};
use tower::Layer;
use tracing::debug;

use super::{
    counting::{state_quota, state_wait},
    error::Refusal,
    fault::BrokenOff,
    gate::{Caller, Gate, Gated, Visit},
    note::{Noted, Notes},
    params::Params,
    wire,
};
use crate::{
    account::{
        Accounts, Entered,
        fault::ApiName,
        journal::{self, Parameters},
        profile::Charset,
        quota::Standing,
        tokens::Validity,
    },
    bodies::Bodies,
    clock::{self, Stopwatch},
    limits::Limits,
    metrics::{self, Metrics, Served},
};

/// How much of a method and of a path the journal keeps.
const MAX_NOTED_BYTES: usize = 500;
/// How long whoever comes while too many requests are under way is asked to wait, in seconds, where the profile has that said.
const AT_ONCE_SECONDS: u64 = 1;

/// The first gate: asks for the token where one is needed, and puts on every answer what it must carry.
#[derive(Clone, Debug)]
pub(super) struct Admission(pub(super) Arc<House>);

/// What the first gate knows, for all requests.
#[derive(Debug)]
pub(super) struct House {
    pub(super) accounts: Arc<Accounts>,
    bodies: Arc<Bodies>,
    /// How many requests of an account are under way at a time.
    most_at_once: u32,
    pub(super) metrics: Arc<Metrics>,
}

impl<S> Layer<S> for Admission {
    type Service = Gated<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.clone(), inner)
    }
}

impl House {
    /// A request is under way for an account, unless there are too many.
    pub(super) fn enter(&self, visit: &Visit) -> Result<Entered, Refusal> {
        visit.account.enter(self.most_at_once).ok_or_else(|| {
            self.metrics.limited("max-concurrent-requests");
            Refusal::TooManyAtOnce { most: self.most_at_once }
        })
    }

    pub(super) fn new(accounts: Arc<Accounts>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let bodies = Arc::new(Bodies::new(limits.max_body_bytes, limits.body_seconds));
        Self { accounts, bodies, most_at_once: limits.max_concurrent_requests, metrics }
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
    /// One of the account's that are under way, if it is.
    entered: Option<Entered>,
    /// Too many are.
    is_turned_away: bool,
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
        let visit = Visit::of(account, Notes::default(), house.bodies.clone());
        let mut admitted = Admitted {
            house: house.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            api: super::api_at(path),
            shown_token: shown.as_deref().map(journal::masked),
            token: None,
            since,
            entered: None,
            is_turned_away: false,
            is_noted: Cell::new(false),
            visit: visit.clone(),
        };
        if !needs_token {
            request.extensions_mut().insert(visit);
            return (admitted, Ok(()));
        }
        let validity = match (&shown, known) {
            (Some(token), Some(account)) => account.tokens.validity(token, visit.now),
            _ => Validity::Unknown,
        };
        let refusal = match (validity, shown) {
            (Validity::Valid(token), _) => {
                admitted.token = Some(token.clone());
                // Whoever has no token takes nobody's place.
                let entered = house.enter(&visit).map(|entered| admitted.entered = Some(entered));
                admitted.is_turned_away = entered.is_err();
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
        if admitted.is_turned_away {
            state_wait(response, visit.setup.profile().retry_after, AT_ONCE_SECONDS, visit.now);
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
        let after_us = clock::micros(after);
        let route = self.route();
        self.count(&noted, route, status, after);
        debug!(
            account = account.name(),
            method = method.as_str(),
            route,
            token = shown_token.as_deref(),
            status,
            entries = noted.entries,
            fault = noted.fault.as_deref(),
            after_us,
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
            // Nothing was served where no answer began.
            entries: noted.entries.filter(|_| status.is_some()),
            quota,
            fault: noted.fault.map(|name| name.to_string()),
            duration_us: after_us,
        };
        account.journal.note(request, *life);
        is_noted.set(true);
    }

    /// What is counted and logged instead of the path, in which anything may stand, secrets among it.
    fn route(&self) -> &'static str {
        match self.api {
            Some(api) => super::path_of(api),
            None if self.uri.path() == super::AUTHORIZE => super::AUTHORIZE,
            None => metrics::OTHER,
        }
    }

    /// Counts the request among the server's.
    fn count(&self, noted: &Noted, route: &'static str, status: Option<u16>, after: Duration) {
        let metrics = &self.house.metrics;
        let method = metrics::method(self.method.as_str());
        metrics.served(Served { route: route.into(), method, status, after });
        if noted.fault.is_some() {
            metrics.broken_by_fault(route);
        }
        if let Some(limit) = noted.limited {
            metrics.limited(limit);
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
