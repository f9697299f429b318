//! The emulated surface: what the vendor's service answers, rule by rule.
//!
//! Provenance is kept at each rule: D for documented by the vendor, C for seen in a public client, A for assumed, with
//! the other reading in `docs/fidelity.md`. Behaviour that no client could tell apart is nobody's business here; the
//! company behind it is [`world`](crate::world).

mod activities_v3;
mod admission;
mod authorize;
mod body;
mod client;
mod counting;
mod entries;
mod error;
mod fault;
mod gate;
mod limits;
mod logs_v2;
mod logs_v3_3;
mod note;
pub(crate) mod openapi;
mod page;
mod page_token;
mod params;
pub(crate) mod rows;
mod search;
mod token;
mod wire;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::{MethodRouter, get, post},
};

use tower_http::catch_panic::CatchPanicLayer;

use self::{
    admission::{Admission, House},
    counting::Counting,
    error::Refusal,
    fault::Breaking,
};
pub(crate) use self::{error::Panicked, fault::BrokenOff};
use crate::{
    account::{Accounts, fault::ApiName},
    limits::Limits,
    metrics::Metrics,
};

/// Where a person would consent.
const AUTHORIZE: &str = "/o/oauth/authorize";

/// Where an API is.
const fn path_of(api: ApiName) -> &'static str {
    match api {
        ApiName::Token => "/o/oauth/token",
        ApiName::LogsV2 => "/o/api/v2/logs",
        ApiName::ActivitiesV3 => "/o/api/v3/activities",
        ApiName::LogsV3_3 => "/o/api/v3.3/logs",
    }
}

/// The API at a path.
fn api_at(path: &str) -> Option<ApiName> {
    ApiName::ALL.into_iter().find(|&api| path_of(api) == path)
}

/// Everything under `/o`, and the refusal of every other path.
pub(crate) fn router(accounts: Arc<Accounts>, limits: &Limits, metrics: Arc<Metrics>) -> Router {
    let house = Arc::new(House::new(accounts, limits, metrics));
    let of_clients = Router::new()
        .route(path_of(ApiName::Token), get(token::by_query).post(token::by_form))
        .route(AUTHORIZE, get(authorize::consent))
        .route_layer(from_fn_with_state(house.clone(), client::known));
    let routes = Router::new()
        .merge(of_clients)
        .route(path_of(ApiName::LogsV2), limited(ApiName::LogsV2, get(logs_v2::list)))
        .route(path_of(ApiName::ActivitiesV3), limited(ApiName::ActivitiesV3, post(activities_v3::list)))
        .route(path_of(ApiName::LogsV3_3), limited(ApiName::LogsV3_3, post(logs_v3_3::list)));
    guarded(routes, house)
}

/// Routes behind the first gate, with the refusal of all else. A handler that panics is answered for, and the server goes on.
fn guarded(routes: Router, house: Arc<House>) -> Router {
    routes
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(Panicked {
            metrics: house.metrics.clone(),
            answer: || Refusal::ServerError.into_response(),
        }))
        .layer(Admission(house))
}

/// A route behind the faults and the quota of its API. Methods that it does not have are refused in front of them.
fn limited(api: ApiName, route: MethodRouter) -> MethodRouter {
    route.route_layer(Counting { api }).route_layer(Breaking { api })
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
        let server = guarded(routes, Arc::new(House::new(accounts.clone(), &Limits::default(), metrics.clone())));
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
