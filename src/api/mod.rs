//! The emulated surface: what the vendor's service answers, rule by rule.
//!
//! Provenance is kept at each rule: D for documented by the vendor, C for seen in a public client, A for assumed, with
//! the other reading in `docs/fidelity.md`. Behaviour that no client could tell apart is nobody's business here; the
//! company behind it is [`world`](crate::world).

mod activities_v3;
mod authorize;
mod body;
mod error;
mod gate;
mod limits;
mod logs_v2;
mod logs_v3_3;
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
    middleware::from_fn,
    routing::{MethodRouter, get, post},
};

use self::gate::{Admission, Counting};
use crate::account::Account;

/// An API with a quota of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Api {
    LogsV2,
    ActivitiesV3,
    LogsV3_3,
}

impl Api {
    const ALL: [Self; 3] = [Self::LogsV2, Self::ActivitiesV3, Self::LogsV3_3];

    fn path(self) -> &'static str {
        match self {
            Self::LogsV2 => "/o/api/v2/logs",
            Self::ActivitiesV3 => "/o/api/v3/activities",
            Self::LogsV3_3 => "/o/api/v3.3/logs",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LogsV2 => "logs-v2",
            Self::ActivitiesV3 => "activities-v3",
            Self::LogsV3_3 => "logs-v3.3",
        }
    }

    fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.path() == path)
    }
}

/// Everything under `/o`, and the refusal of every other path.
pub(crate) fn router(account: Arc<Account>) -> Router {
    Router::new()
        .route("/o/oauth/token", get(token::by_query).post(token::by_form).route_layer(from_fn(gate::short_lines)))
        .route("/o/oauth/authorize", get(authorize::consent).route_layer(from_fn(gate::short_lines)))
        .route(Api::LogsV2.path(), limited(Api::LogsV2, get(logs_v2::list)))
        .route(Api::ActivitiesV3.path(), limited(Api::ActivitiesV3, post(activities_v3::list)))
        .route(Api::LogsV3_3.path(), limited(Api::LogsV3_3, post(logs_v3_3::list)))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(Admission { account })
}

/// A route behind the quota of its API. Methods that it does not have are refused in front of the quota.
fn limited(api: Api, route: MethodRouter) -> MethodRouter {
    route.route_layer(Counting { api })
}
