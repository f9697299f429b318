//! The quota's gate, in front of one API; and what an answer says of a quota.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use tower::Layer;
use tower_governor::{GovernorError, key_extractor::KeyExtractor};

use super::{
    error::Refusal,
    gate::{Caller, Gate, Gated, check_lines},
    note::Notes,
    wire,
};
use crate::{
    account::{
        fault::ApiName,
        profile::{Profile, ResetTime},
        quota::{RetryAfter, Standing, Taken},
    },
    world::Millis,
};

/// The quota's gate, in front of one API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    pub(super) api: ApiName,
}

impl<S> Layer<S> for Counting {
    type Service = Gated<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(*self, inner)
    }
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
