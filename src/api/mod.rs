//! The emulated surface: what the vendor's service answers, rule by rule.
//!
//! Provenance is kept at each rule: D for documented by the vendor, C for seen in a public client, A for assumed, with
//! the other reading in `docs/fidelity.md`. Behaviour that no client could tell apart is nobody's business here; the
//! company behind it is [`world`](crate::world).

mod activities_v3;
mod auth;
mod authorize;
mod body;
mod client;
mod context;
mod encode;
mod error;
mod fault;
mod head;
mod limits;
mod logs_v2;
mod logs_v3_3;
mod masking;
pub(crate) mod openapi;
mod page;
mod page_token;
mod params;
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
use self::{context::Authenticated, error::ApiError, recorder::Recording, state::ApiState};
use crate::{
    account::Accounts,
    api_name::{AUTHORIZE_PATH, ApiName},
    bodies::BodyBudget,
    limits::Limits,
    metrics::Metrics,
};

/// How long a client is asked to wait that has too many requests in flight, in seconds, where the profile asks for the header.
const RETRY_SECONDS: u64 = 1;

/// Everything under `/o`, and the refusal of every other path.
pub(crate) fn router(
    accounts: Arc<Accounts>,
    budget: Arc<BodyBudget>,
    limits: &Limits,
    metrics: Arc<Metrics>,
) -> Router {
    let state = Arc::new(ApiState::new(accounts, budget, limits, metrics));
    let of_clients = Router::new()
        .route(ApiName::Token.path(), get(token::by_query).post(token::by_form))
        .route(AUTHORIZE_PATH, get(authorize::consent))
        .route_layer(from_fn_with_state(state.clone(), client::identify));
    let routes = Router::new()
        .merge(of_clients)
        .route(ApiName::LogsV2.path(), limited(ApiName::LogsV2, get(logs_v2::list)))
        .route(ApiName::ActivitiesV3.path(), limited(ApiName::ActivitiesV3, post(activities_v3::list)))
        .route(ApiName::LogsV3_3.path(), limited(ApiName::LogsV3_3, post(logs_v3_3::list)));
    admitted(routes, state)
}

/// Routes behind the authentication, and the refusal of all other paths and methods. A handler that panics is answered with
/// 500.
fn admitted(routes: Router, state: Arc<ApiState>) -> Router {
    routes
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(Panicked {
            metrics: state.metrics.clone(),
            answer: || ApiError::ServerError.into_response(),
        }))
        .layer(from_fn_with_state(state, admit))
}

/// The first layer: records the request, and lets it pass if its token is valid. That 401 comes first is documented (D); the
/// order of the others (404, 405, faults, 429, 415, 400 …) is the usual one of a Java filter chain (A).
async fn admit(State(state): State<Arc<ApiState>>, mut request: Request, next: Next) -> Response {
    let needs_token = auth::needs_token(request.uri().path());
    let presented = if needs_token { auth::presented(&request) } else { None };
    let recording = Recording::begin(&state, &request, presented);
    let context = &recording.context;
    if !needs_token {
        request.extensions_mut().insert(context.clone());
        let mut response = next.run(request).await;
        recording.finish(None, &mut response);
        return response;
    }
    let credentials = (recording.presented.as_deref(), recording.owner.as_ref());
    let in_flight = auth::authenticate(&state, context, credentials, &mut request);
    let token = request.extensions().get::<Authenticated>().map(|caller| caller.token.clone());
    let mut response = match &in_flight {
        Ok(_) => next.run(request).await,
        Err(error) => {
            context.recorder.refused_body(request).await;
            error.clone().into_response()
        }
    };
    if let Err(ApiError::TooManyAtOnce { .. }) = in_flight {
        let form = context.config.profile().retry_after;
        rate_limit::set_retry_after(&mut response, form, RETRY_SECONDS, context.now);
    }
    recording.finish(token.as_ref(), &mut response);
    response
}

/// A route behind the faults and the quota of its API. Methods that it does not have are refused before both.
fn limited(api: ApiName, route: MethodRouter) -> MethodRouter {
    route.route_layer(from_fn_with_state(api, fault::inject))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::Mock;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for_and_noted() {
        let local = Mock::builder().now("2026-01-15T12:00:00Z").local().expect("a mock");
        let routes = Router::new()
            .route("/o/api/panics", get(async || if true { panic!("on purpose") } else { "" }))
            .route("/o/api/works", get(async || "works"));
        let metrics = Arc::new(Metrics::new());
        let accounts = local.shared_accounts();
        let server = admitted(
            routes,
            Arc::new(ApiState::new(accounts.clone(), Arc::default(), &Limits::default(), metrics.clone())),
        );
        let token = local.account().describe().access_token;
        for (path, status, body) in [
            ("/o/api/panics", 500, r#"{"error":"server_error","error_description":"Internal server error"}"#),
            ("/o/api/works", 200, "works"),
        ] {
            let request = Request::get(format!("{path}?access_token={token}")).body(Body::empty()).expect("a request");
            let answer = server.clone().oneshot(request).await.expect("a router does not fail");
            assert_eq!(answer.status(), status);
            assert!(answer.headers().contains_key("date"));
            assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), body);
        }
        let statuses: Vec<_> = local.account().requests(0, 9).requests.iter().map(|request| request.status).collect();
        assert_eq!(statuses, [Some(500), Some(200)]);
        let counted = metrics.text(&accounts.sizes());
        assert!(counted.contains("\nopswat_mock_panics_total 1\n"), "{counted}");
        assert!(counted.contains(r#"{route="other",method="GET",status="500"} 1"#), "{counted}");
    }
}
