//! The emulated surface: what the vendor's service answers, rule by rule.
//!
//! Provenance is kept at each rule: D for documented by the vendor, C for seen in a public client, A for assumed, with
//! the other reading in `docs/fidelity.md`. Behaviour that no client could tell apart is nobody's business here; the
//! company behind it is [`world`](crate::world).

mod activities_v3;
mod authorize;
mod body;
mod client;
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
    routing::{MethodRouter, get, post},
};

pub(crate) use self::fault::BrokenOff;
use self::{
    fault::Breaking,
    gate::{Admission, Counting},
};
use crate::account::{Accounts, fault::ApiName};

/// Where the APIs are.
const PATHS: [(&str, ApiName); 4] = [
    ("/o/oauth/token", ApiName::Token),
    ("/o/api/v2/logs", ApiName::LogsV2),
    ("/o/api/v3/activities", ApiName::ActivitiesV3),
    ("/o/api/v3.3/logs", ApiName::LogsV3_3),
];

/// The API at a path.
fn api_at(path: &str) -> Option<ApiName> {
    PATHS.into_iter().find(|(known, _)| *known == path).map(|(_, api)| api)
}

/// Everything under `/o`, and the refusal of every other path.
pub(crate) fn router(accounts: Arc<Accounts>) -> Router {
    let of_clients = Router::new()
        .route("/o/oauth/token", get(token::by_query).post(token::by_form))
        .route("/o/oauth/authorize", get(authorize::consent))
        .route_layer(from_fn_with_state(accounts.clone(), client::known));
    Router::new()
        .merge(of_clients)
        .route("/o/api/v2/logs", limited(ApiName::LogsV2, get(logs_v2::list)))
        .route("/o/api/v3/activities", limited(ApiName::ActivitiesV3, post(activities_v3::list)))
        .route("/o/api/v3.3/logs", limited(ApiName::LogsV3_3, post(logs_v3_3::list)))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(Admission { accounts })
}

/// A route behind the faults and the quota of its API. Methods that it does not have are refused in front of them.
fn limited(api: ApiName, route: MethodRouter) -> MethodRouter {
    route.route_layer(Counting { api }).route_layer(Breaking { api })
}
