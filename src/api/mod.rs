//! The emulated API: the routes, checks and response formats of the vendor's service.
//!
//! Each rule names its provenance: D is documented by the vendor, C is seen in a public client, A is assumed. The
//! alternatives are in `docs/explanation/fidelity.md`. The simulated company behind the API is
//! [`world`](crate::world).

mod activities_v3;
mod auth;
mod authorize;
mod body;
mod client;
mod context;
mod dates;
mod encode;
mod error;
mod fallback;
mod fault;
mod head;
mod ignored;
mod inventory;
mod limits;
mod logs;
mod logs_v2;
mod logs_v3;
mod masking;
pub(crate) mod openapi;
mod page;
mod page_token;
mod params;
mod queries;
mod rate_limit;
mod record;
mod recorder;
pub(crate) mod rows;
mod search;
mod state;
mod token;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::error::Panicked;
use self::{
    context::Authenticated,
    error::ApiError,
    logs::{V3_1, V3_2, V3_3},
    recorder::Recording,
    state::ApiState,
};
use crate::{
    account::{Accounts, fault::Gate},
    api_name::{AUTHORIZE_PATH, ApiName},
    limits::Limits,
    metrics::Metrics,
};

/// The value of `Retry-After`, in seconds, if an account has too many requests in flight and its profile sends the
/// header.
const RETRY_SECONDS: u64 = 1;

/// The routes under `/o`. All other paths return 404.
pub(crate) fn router(accounts: Arc<Accounts>, limits: &Limits, metrics: Arc<Metrics>) -> Router {
    let state = Arc::new(ApiState::new(accounts, limits, metrics));
    let oauth_routes = Router::new()
        .merge(at_paths(ApiName::Token, &get(token::by_query).post(token::by_form)))
        .route(AUTHORIZE_PATH, get(authorize::consent))
        .route_layer(from_fn_with_state(state.clone(), client::identify));
    let routes = Router::new()
        .merge(oauth_routes)
        .merge(limited(ApiName::LogsV2, get(logs_v2::list)))
        .merge(limited(ApiName::ActivitiesV3, post(activities_v3::list)))
        .merge(limited(ApiName::LogsV3, post(logs_v3::list)))
        .merge(limited(ApiName::LogsV3_1, post(async |caller, fields| logs::list(&V3_1, caller, fields).await)))
        .merge(limited(ApiName::LogsV3_2, post(async |caller, fields| logs::list(&V3_2, caller, fields).await)))
        .merge(limited(ApiName::LogsV3_3, post(async |caller, fields| logs::list(&V3_3, caller, fields).await)));
    let routes = inventory::routes().into_iter().fold(routes, |routes, (api, route)| routes.merge(limited(api, route)));
    with_layers(routes, state)
}

/// Adds authentication, the 404 and 405 responses for all other paths and methods, and a 500 response for handlers
/// that panic.
fn with_layers(routes: Router, state: Arc<ApiState>) -> Router {
    routes
        .fallback(fallback::no_such_path)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(CatchPanicLayer::custom(Panicked {
            metrics: state.metrics.clone(),
            response: || ApiError::ServerError.into_response(),
        }))
        .layer(from_fn_with_state(state, record_and_authenticate))
}

/// The outermost layer: records the request, and rejects it if its path needs a token and it has no valid one.
///
/// 401 comes before all other errors (D). The order of the others is that of a usual Java filter chain (A): 429 for too
/// many requests in flight, 404, 405, faults, 429 of the quota, 400 for a long header line, 415, then 400 and 406.
async fn record_and_authenticate(State(state): State<Arc<ApiState>>, mut request: Request, next: Next) -> Response {
    let needs_token = auth::needs_token(request.uri().path());
    let presented = if needs_token { auth::presented(&request) } else { None };
    let recording = Recording::begin(&state, &request, presented);
    let context = &recording.context;
    let mut token = None;
    let api = recording.api;
    let mut response = match fault::applying(context, api, &request, Gate::Before) {
        None => authenticate(&state, &recording, request, next, &mut token).await,
        Some(applied) if applied.fault.answers_itself() => fault::answer(&applied, context, None, api, request).await,
        Some(applied) => {
            request.extensions_mut().insert(fault::HasFault);
            let whole = authenticate(&state, &recording, request, next, &mut token);
            fault::apply_fault(&applied, context, None, None, whole).await
        }
    };
    recording.finish(token.as_ref(), &mut response);
    response
}

/// Rejects a request without a valid token, if its path needs one, and calls the route. Sets `token` to the token of the
/// request, if it is valid.
async fn authenticate(
    state: &ApiState,
    recording: &Recording,
    mut request: Request,
    next: Next,
    token: &mut Option<Arc<str>>,
) -> Response {
    let context = &recording.context;
    if !auth::needs_token(request.uri().path()) {
        request.extensions_mut().insert(context.clone());
        return next.run(request).await;
    }
    let credentials = (recording.presented.as_deref(), recording.owner.as_ref());
    let in_flight = auth::authenticate(state, context, credentials, &mut request);
    *token = request.extensions().get::<Authenticated>().map(|caller| caller.token.clone());
    let mut response = match &in_flight {
        Ok(_) => next.run(request).await,
        Err(error) => {
            match recording.api {
                // The account of an unknown token is unknown, too.
                Some(api) if recording.owner.is_some() => queries::record(api, request, context).await,
                _ => drop(context.recorder.refused_body(request).await),
            }
            error.clone().into_response()
        }
    };
    if let Err(ApiError::TooManyAtOnce { .. }) = in_flight {
        let form = context.config.profile().retry_after;
        rate_limit::set_retry_after(&mut response, form, RETRY_SECONDS, context.now);
    }
    response
}

/// An API at its paths, with its faults and its quota. Requests with another method get 405 before both.
fn limited(api: ApiName, route: MethodRouter) -> Router {
    at_paths(api, &route.route_layer(from_fn_with_state(api, fault::inject)))
}

fn at_paths(api: ApiName, route: &MethodRouter) -> Router {
    api.paths().iter().fold(Router::new(), |routes, path| routes.route(path, route.clone()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::Mock;

    #[tokio::test]
    async fn a_panic_in_a_handler_returns_500_and_is_recorded() {
        let local = Mock::builder().now("2026-01-15T12:00:00Z").local().expect("a mock");
        let routes = Router::new()
            .route("/o/api/panics", get(async || if true { panic!("on purpose") } else { "" }))
            .route("/o/api/works", get(async || "works"));
        let metrics = Arc::new(Metrics::new());
        let accounts = local.shared_accounts();
        let server =
            with_layers(routes, Arc::new(ApiState::new(accounts.clone(), &Limits::default(), metrics.clone())));
        let token = local.account().describe().access_token;
        for (path, status, body) in [
            ("/o/api/panics", 500, r#"{"error":"server_error","error_description":"Internal server error"}"#),
            ("/o/api/works", 200, "works"),
        ] {
            let request = Request::get(format!("{path}?access_token={token}")).body(Body::empty()).expect("a request");
            let response = server.clone().oneshot(request).await.expect("a router does not fail");
            assert_eq!(response.status(), status);
            assert!(response.headers().contains_key("date"));
            assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), body);
        }
        let statuses: Vec<_> = local.account().requests(0, 9).requests.iter().map(|request| request.status).collect();
        assert_eq!(statuses, [Some(500), Some(200)]);
        let counted = metrics.text(&accounts.sizes());
        assert!(counted.contains("\nopswat_mock_panics_total 1\n"), "{counted}");
        assert!(counted.contains(r#"{route="other",method="GET",status="500"} 1"#), "{counted}");
    }
}
