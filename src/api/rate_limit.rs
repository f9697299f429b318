//! Enforces the quota of an API, and sets the rate limit headers.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    context::{Authenticated, RequestContext},
    encode,
    error::ApiError,
    head, queries,
};
use crate::{
    account::{
        profile::{Profile, ResetTime},
        quota::{QuotaExceeded, QuotaStatus, RetryAfter},
    },
    api_name::ApiName,
    world::Millis,
};

/// Counts the request in the quota, and calls the API, or returns 429 if the quota is exhausted.
pub(super) async fn limit(api: ApiName, caller: Authenticated, request: Request, next: Next) -> Response {
    let Authenticated { context, token, .. } = &caller;
    let taken = match context.account.quota.take(token, api.code(), context.now) {
        Ok(taken) => taken,
        Err(QuotaExceeded { status, wait_seconds }) => {
            queries::record(api, request, context).await;
            context.recorder.rate_limited(wait_seconds);
            let mut response = ApiError::TooManyRequests { wait_seconds }.into_response();
            set_retry_after(&mut response, context.config.profile().retry_after, wait_seconds, context.now);
            complete(context, status, &mut response);
            return response;
        }
    };
    let mut response = match head::check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            context.recorder.refused_body(request).await;
            error.into_response()
        }
    };
    if let Some(taken) = taken {
        let mut status = taken.status;
        let is_refused = matches!(response.status().as_u16(), 400 | 406 | 413 | 415);
        if is_refused && !context.config.profile().quota_counts_refused {
            // Reading the body may have taken a while, so the status uses the current time.
            let now = context.account.clock().now();
            status = context.account.quota.give_back(token, api.code(), taken, now).unwrap_or(status);
        }
        complete(context, status, &mut response);
    }
    response
}

fn complete(context: &RequestContext, status: QuotaStatus, response: &mut Response) {
    context.recorder.quota(status);
    set_rate_limit_headers(response, status, context.config.profile(), context.now);
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET_TIME: HeaderName = HeaderName::from_static("x-ratelimit-reset-time");

pub(super) fn set_rate_limit_headers(response: &mut Response, status: QuotaStatus, profile: &Profile, now: Millis) {
    let reset = match profile.reset_time {
        ResetTime::Epoch => status.reset_seconds,
        ResetTime::Left => (status.reset_seconds - now.0.div_euclid(1000)).max(0),
    };
    let headers = response.headers_mut();
    headers.insert(LIMIT, status.limit.into());
    headers.insert(REMAINING, status.remaining.into());
    headers.insert(RESET_TIME, reset.into());
}

/// Sets `Retry-After` on a 429, in the form that the profile or a fault selects.
pub(super) fn set_retry_after(response: &mut Response, form: RetryAfter, wait_seconds: u64, now: Millis) {
    let value = match form {
        RetryAfter::Off => None,
        RetryAfter::Seconds => Some(HeaderValue::from(wait_seconds)),
        RetryAfter::HttpDate => {
            // Rounded up, so that a request at this time is not rejected.
            let at = now.0.saturating_add(i64::try_from(wait_seconds).unwrap_or(i64::MAX).saturating_mul(1000));
            encode::http_date(Millis(at.saturating_add(999)))
        }
    };
    if let Some(value) = value {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
}
