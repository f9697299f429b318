//! What a rule finds, and what rules have in common.

use super::seen::Seen;
use crate::{account::journal::Request, api_name::ApiName};

/// What a rule found.
#[derive(Default)]
pub(super) struct Finding {
    /// Whether there was anything to judge.
    pub(super) is_seen: bool,
    /// The numbers of the requests that violate the rule.
    pub(super) requests: Vec<u64>,
    /// Names of other things that violate it.
    pub(super) names: Vec<String>,
    /// What the violations are, if the rule tells.
    pub(super) texts: Vec<String>,
    pub(super) measured: Option<Measured>,
}

/// A measured figure.
pub(super) struct Measured {
    pub(super) value: f64,
    /// What it is, with its unit.
    pub(super) what: &'static str,
}

impl Finding {
    /// A finding from the requests that a rule judges, and whether each violates it.
    pub(super) fn of<'r>(judged: impl Iterator<Item = (&'r Request, bool)>, what: &'static str) -> Self {
        let mut finding = Self::default();
        for (request, violates) in judged {
            finding.is_seen = true;
            if violates {
                finding.requests.push(request.number);
            }
        }
        finding.counted(what)
    }

    /// With the number of the requests that violate the rule as the figure.
    pub(super) fn counted(self, what: &'static str) -> Self {
        let count = number(self.requests.len());
        self.measure(count, what)
    }

    pub(super) fn measure(self, value: f64, what: &'static str) -> Self {
        if self.is_seen { Self { measured: Some(Measured { value, what }), ..self } } else { self }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a journal has at most a million requests")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "times between requests are far below 2^53 milliseconds")]
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// The requests to the APIs that have a quota.
pub(super) fn api_requests(seen: &Seen) -> impl Iterator<Item = &Request> {
    seen.requests
        .iter()
        .map(|request| &**request)
        .filter(|request| request.api.is_some_and(|api| api != ApiName::Token))
}

pub(super) fn token_requests(seen: &Seen) -> impl Iterator<Item = &Request> {
    seen.requests.iter().map(|request| &**request).filter(|request| request.api == Some(ApiName::Token))
}

pub(super) fn at(request: &Request) -> i64 {
    request.at.millis().0
}

/// The client of a token request. `None` if it authenticated with HTTP Basic.
pub(super) fn client_of(request: &Request) -> Option<String> {
    request.parameters.get("client_id").map(|id| id.to_string())
}
