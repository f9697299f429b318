//! The control surface under `/_mock`: what a test asks of the mock itself.
//!
//! One file a noun. JSON goes in and comes out; refusals are problem details (RFC 9457). No clock, quota or fault of an
//! account touches it, and its journal does not mention it.

mod accounts;
mod body;
mod clock;
mod events;
mod faults;
mod guard;
mod health;
mod metrics;
mod openapi;
mod problem;
mod quota;
mod requests;
mod state;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, delete, get, post},
};

use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::{guard::Access, state::ControlState};
use crate::{api::Panicked, metrics::Metrics};

/// Everything under `/_mock`.
pub(crate) fn router(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    measured(surface(state), &metrics)
}

fn surface(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    let control = Router::new()
        .route("/openapi.json", get(openapi::show))
        .route("/metrics", get(metrics::show))
        .route("/accounts", get(accounts::list).post(accounts::make))
        .route("/accounts/{account}", get(accounts::show).patch(accounts::change).delete(accounts::drop_account))
        .route("/accounts/{account}/reset", post(accounts::reset))
        .route("/accounts/{account}/clock", get(clock::show).put(clock::turn))
        .route("/accounts/{account}/clock/advance", post(clock::advance))
        .route("/accounts/{account}/tokens", post(tokens::mint))
        .route("/accounts/{account}/tokens/expire", post(tokens::expire))
        .route("/accounts/{account}/tokens/{token}", delete(tokens::revoke))
        .route("/accounts/{account}/quota", get(quota::show).put(quota::change))
        .route("/accounts/{account}/events", get(events::list).post(events::add).delete(events::forget))
        .route(
            "/accounts/{account}/faults",
            get(faults::list).put(faults::replace).post(faults::add).delete(faults::forget_all),
        )
        .route("/accounts/{account}/faults/{fault}", delete(faults::forget))
        .route("/accounts/{account}/requests", get(requests::list))
        .route("/accounts/{account}/requests/stream", get(requests::stream))
        .layer(from_fn_with_state(state.guard.clone(), guard::check))
        .with_state(state)
        .layer(CatchPanicLayer::custom(Panicked { metrics, answer: problem::panicked }))
        .merge(health_alone())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::method_not_allowed);
    Router::new().nest("/_mock", control).route("/_mock/", any(problem::no_such_path))
}

/// The same where nothing else is.
#[cfg(feature = "cli")]
pub(crate) fn alone(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    measured(surface(state).fallback(problem::no_such_path), &metrics)
}

/// What is there when the control surface is somewhere else or nowhere: whether the server answers is no secret.
#[cfg(feature = "cli")]
pub(crate) fn health_only(metrics: &Arc<Metrics>) -> Router {
    measured(Router::new().nest("/_mock", health_alone()), metrics)
}

fn measured(routes: Router, metrics: &Arc<Metrics>) -> Router {
    routes.layer(from_fn_with_state(metrics.clone(), metrics::measure))
}

fn health_alone() -> Router {
    Router::new().route("/health", get(health::show)).method_not_allowed_fallback(problem::method_not_allowed)
}
