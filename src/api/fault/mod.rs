//! Applies faults to responses.
//!
//! Some faults replace the response of the API: with a status, a body, a 429, or an aborted connection. They apply
//! before the quota, and do not change it. The others change the response of the API, or how it is sent.

mod body;
mod entries;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use self::body::{Ending, FaultyBody, Pace};
use super::{
    context::{Authenticated, RequestContext},
    encode,
    error::ApiError,
    params::Params,
    queries,
    rate_limit::{self, set_rate_limit_headers, set_retry_after},
};
use crate::{
    abort::ConnectionAbortedError,
    account::{
        fault::{Applied, Close, Fault, Gate, MatchedRequest, RequestParts, WaitClock, render},
        quota::QuotaStatus,
    },
    api_name::ApiName,
    clock::{Instant, after},
};

/// The header with the name of the fault rule.
const X_MOCK_FAULT: HeaderName = HeaderName::from_static("x-mock-fault");

/// In the extensions of a request that a rule before the token check applies to.
#[derive(Clone, Copy)]
pub(super) struct HasFault;

/// Middleware: applies the first matching fault rule, or else only the quota.
pub(super) async fn inject(
    State(api): State<ApiName>,
    mut caller: Authenticated,
    mut request: Request,
    next: Next,
) -> Response {
    let context = &caller.context;
    let Some(applied) = applying(context, Some(api), &request, Gate::Behind) else {
        return rate_limit::limit(api, caller, request, next).await;
    };
    caller.fault = Some(applied.fault.clone());
    request.extensions_mut().insert(caller.clone());
    let (context, token) = (caller.context.clone(), caller.token.clone());
    if applied.fault.answers_itself() {
        return answer(&applied, &context, Some(&token), Some(api), request).await;
    }
    apply_fault(&applied, &context, Some(&token), None, rate_limit::limit(api, caller, request, next)).await
}

/// The fault that applies to a request.
pub(super) fn applying(
    context: &RequestContext,
    api: Option<ApiName>,
    request: &Request,
    gate: Gate,
) -> Option<Applied> {
    let (method, path, now) = (request.method().as_str(), request.uri().path(), context.now);
    let has_fault = request.extensions().get::<HasFault>().is_some();
    let matched = MatchedRequest { api, method, path, gate, has_fault, now };
    context.account.faults.apply(matched, context.config.settings.world.seed)
}

/// Applies a fault to a request without a route, whose response would be an error.
pub(super) async fn inject_unrouted(request: Request, error: ApiError) -> Response {
    let caller = request.extensions().get::<Authenticated>().cloned();
    let applied = caller
        .and_then(|caller| applying(&caller.context, None, &request, Gate::Behind).map(|applied| (applied, caller)));
    let Some((applied, Authenticated { context, token, .. })) = applied else {
        record_body(request).await;
        return error.into_response();
    };
    if applied.fault.answers_itself() {
        return answer(&applied, &context, Some(&token), None, request).await;
    }
    record_body(request).await;
    apply_fault(&applied, &context, Some(&token), None, async { error.into_response() }).await
}

/// Records the body, so that the journal shows what a client meant.
async fn record_body(request: Request) {
    let extensions = request.extensions();
    let context = extensions.get::<Authenticated>().map(|caller| &caller.context);
    if let Some(recorder) =
        context.or_else(|| extensions.get::<RequestContext>()).map(|context| context.recorder.clone())
    {
        recorder.refused_body(request).await;
    }
}

/// The response of a fault that replaces the response of the API.
pub(super) async fn answer(
    applied: &Applied,
    context: &RequestContext,
    token: Option<&Arc<str>>,
    api: Option<ApiName>,
    mut request: Request,
) -> Response {
    let mut parts = None;
    if applied.fault.template {
        match request_parts(applied, context, request).await {
            Ok((found, read)) => (parts, request) = (Some(found), read),
            Err(error) => {
                context.recorder.fault(applied.name.clone());
                return named(error.into_response(), applied);
            }
        }
    }
    // The API does not read the body in this case, but the journal records it.
    match api {
        Some(api) => queries::record(api, request, context).await,
        None => drop(context.recorder.refused_body(request).await),
    }
    apply_fault(applied, context, token, parts, async { ApiError::ServerError.into_response() }).await
}

/// What a template can use of a request, and the request with its body in memory.
async fn request_parts(
    applied: &Applied,
    context: &RequestContext,
    request: Request,
) -> Result<(RequestParts, Request), ApiError> {
    let (head, body) = request.into_parts();
    let bytes = super::body::read(body, context).await?.bytes;
    let params = Params::parse(head.uri.query().unwrap_or_default(), context.config.profile().repeated_parameter)?;
    let names: Vec<String> = params.names().filter(|name| *name != "access_token").map(str::to_owned).collect();
    let query = names.into_iter().filter_map(|name| Some((name.clone(), params.get(&name)?.into()))).collect();
    let parts = RequestParts {
        method: head.method.to_string(),
        path: applied.captures.iter().map(|(name, part)| (name.clone(), Params::decoded_path(part).into())).collect(),
        query,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
        now: Instant::from(context.now).to_string(),
    };
    drop(params);
    Ok((parts, Request::from_parts(head, Body::from(bytes))))
}

/// Applies a fault to a request. `whole` is the response of the API; it is only awaited if the fault does not replace
/// it. `parts` is what the fault's template can use of the request.
pub(super) async fn apply_fault(
    applied: &Applied,
    context: &RequestContext,
    token: Option<&Arc<str>>,
    parts: Option<RequestParts>,
    whole: impl Future<Output = Response>,
) -> Response {
    let fault = &*applied.fault;
    context.recorder.fault(applied.name.clone());
    let response = match replacement(fault, context, parts.as_ref()) {
        Some(response) => {
            context.recorder.change(|change| change.is_broken = true);
            response
        }
        None => whole.await,
    };
    let mut response = changed(response, applied, context).await;
    if let Some(delay_ms) = fault.delay_ms {
        let clock = context.account.clock();
        match fault.waits_on {
            WaitClock::Account => clock.wait_until(after(context.now, delay_ms), context.epoch).await,
            _ => clock.sleep(Duration::from_millis(delay_ms), context.epoch).await,
        }
    }
    if fault.expire_token
        && let Some(token) = token
    {
        context.account.tokens.expire(token, context.account.clock().now(), context.epoch);
    }
    response = named(response, applied);
    if fault.close == Some(Close::BeforeHeaders) {
        response.extensions_mut().insert(ConnectionAbortedError);
    }
    response
}

/// A response with the name of the rule, unless the rule is hidden.
fn named(mut response: Response, applied: &Applied) -> Response {
    if !applied.is_hidden
        && let Ok(name) = HeaderValue::from_str(&applied.name)
    {
        response.headers_mut().insert(X_MOCK_FAULT, name);
    }
    response
}

/// The response that replaces the response of the API, if the fault has one.
fn replacement(fault: &Fault, context: &RequestContext, parts: Option<&RequestParts>) -> Option<Response> {
    if fault.close == Some(Close::BeforeHeaders) {
        return Some(StatusCode::OK.into_response());
    }
    if let Some(form) = fault.rate_limit {
        let wait_seconds = u64::from(fault.retry_seconds());
        let mut response = ApiError::TooManyRequests { wait_seconds }.into_response();
        set_retry_after(&mut response, form, wait_seconds, context.now);
        // The headers are consistent with the status.
        let reset_seconds = after(context.now, wait_seconds * 1000 + 999).0.div_euclid(1000);
        let status =
            QuotaStatus { limit: context.account.quota.settings().requests.get(), remaining: 0, reset_seconds };
        context.recorder.quota(status);
        context.recorder.wait(wait_seconds);
        set_rate_limit_headers(&mut response, status, context.config.profile(), context.now);
        return Some(response);
    }
    if fault.status.is_none() && fault.body.is_none() {
        return None;
    }
    // The status is valid: rules are checked when they are added.
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let has_body = !matches!(status.as_u16(), 204 | 205 | 304);
    Some(match &fault.body {
        _ if !has_body => status.into_response(),
        Some(body) => match rendered(fault, body, parts) {
            Ok(body) => (status, [(header::CONTENT_TYPE, encode::JSON)], body).into_response(),
            Err(why) if parts.is_some_and(|parts| parts.json.is_null()) => {
                ApiError::BadTemplate(format!("{why}; the request has no JSON body")).into_response()
            }
            Err(why) => ApiError::BadTemplate(why).into_response(),
        },
        None if status.is_client_error() || status.is_server_error() => ApiError::Forced(status).into_response(),
        None => (status, [(header::CONTENT_TYPE, encode::JSON)]).into_response(),
    })
}

/// The body of a fault, with the parts of the request in it if it is a template.
fn rendered(fault: &Fault, body: &str, parts: Option<&RequestParts>) -> Result<Vec<u8>, String> {
    let Some(parts) = parts else { return Ok(body.as_bytes().to_vec()) };
    let is_json = fault.content_type.as_ref().is_none_or(|content_type| content_type.contains("json"));
    render(body, is_json, parts)
}

/// Changes a response, and how it is sent.
async fn changed(mut response: Response, applied: &Applied, context: &RequestContext) -> Response {
    let fault = &*applied.fault;
    for (name, value) in &fault.headers {
        // Both are valid: rules are checked when they are added.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some(text) = fault.content_type.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        context.recorder.change(|change| change.is_type_changed = true);
    }
    let aborts_body = fault.close == Some(Close::MidBody);
    // These statuses have no body and no `Content-Length`.
    let is_bodiless = matches!(response.status().as_u16(), 204 | 205 | 304);
    let is_whole = is_bodiless
        || fault.entries.is_none()
            && !fault.invalid_utf8
            && fault.truncate_at.is_none()
            && fault.drip_bytes_per_second.is_none()
            && !aborts_body;
    if is_whole {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Responses are finite and in memory, so reading the body cannot fail.
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if let Some(change) = fault.entries
        && parts.status == StatusCode::OK
        && let Some((changed, count)) = entries::changed(&bytes, change, applied.chance)
    {
        context.recorder.entries(count);
        context.recorder.change(|response| response.entries = Some(change));
        bytes = changed.into();
    }
    if fault.invalid_utf8 {
        bytes = entries::with_invalid_utf8(&bytes).into();
    }
    let whole = bytes.len();
    let mut ending = Ending::Complete;
    if aborts_body {
        // At least one byte must be missing, or the response would be complete.
        let at = fault.truncate_at.map_or(whole / 2, |at| usize::try_from(at).unwrap_or(usize::MAX));
        bytes.truncate(at.min(whole.saturating_sub(1)));
        ending = Ending::Aborted;
    } else if let Some(at) = fault.truncate_at {
        bytes.truncate(usize::try_from(at).unwrap_or(usize::MAX));
    }
    if fault.invalid_utf8 || aborts_body || bytes.len() < whole {
        context.recorder.change(|change| change.is_broken = true);
    }
    // For an empty body, one byte is announced that is never sent.
    let announced = if aborts_body { whole.max(1) } else { bytes.len() };
    parts.headers.insert(header::CONTENT_LENGTH, announced.into());
    let pace = fault.drip_bytes_per_second.map(|bytes_per_second| Pace {
        account: context.account.clone(),
        epoch: context.epoch,
        waits_on: fault.waits_on,
        from: context.account.clock().now(),
        bytes_per_second,
        sent: 0,
    });
    Response::from_parts(parts, Body::new(FaultyBody::new(bytes, announced as u64, pace, ending)))
}
