//! The control API under `/_mock`, with which tests control the mock.
//!
//! Each resource has its own file. Bodies are JSON, except for NDJSON, server-sent events and metrics; errors are
//! problem details (RFC 9457). The clocks, quotas and faults of accounts do not affect these requests, and journals do
//! not record them.

mod accounts;
mod audit;
mod body;
mod clock;
mod compute;
mod events;
mod faults;
mod format;
mod guard;
mod health;
mod metrics;
mod openapi;
mod problem;
mod quota;
mod requests;
mod scenarios;
mod state;
mod tokens;
mod upload;
mod verdict;
mod wait;
mod webhook;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, delete, get, post},
};

use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::{guard::Access, state::ControlState};
use crate::{api::Panicked, metrics::Metrics};

/// The routes under `/_mock`.
pub(crate) fn router(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    measured(surface(state), &metrics)
}

fn surface(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    let control = Router::new()
        .route("/openapi.json", get(openapi::show))
        .route("/metrics", get(metrics::show))
        .route("/scenarios", get(scenarios::list))
        .route("/accounts", get(accounts::list).post(accounts::make))
        .route("/accounts/{account}", get(accounts::show).patch(accounts::change).delete(accounts::drop_account))
        .route("/accounts/{account}/reset", post(accounts::reset))
        .route("/accounts/{account}/clock", get(clock::show).put(clock::change))
        .route("/accounts/{account}/clock/advance", post(clock::advance))
        .route("/accounts/{account}/clock/sleep", post(clock::sleep))
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
        .route("/accounts/{account}/audit", get(audit::served).post(audit::compare))
        .route("/accounts/{account}/verdict", get(verdict::show))
        .route("/accounts/{account}/webhook", get(webhook::show).put(webhook::set).delete(webhook::remove))
        .route("/accounts/{account}/requests", get(requests::list))
        .route("/accounts/{account}/requests/stream", get(requests::stream))
        .layer(from_fn_with_state(state.guard.clone(), guard::check))
        .with_state(state)
        .layer(CatchPanicLayer::custom(Panicked { metrics, response: problem::panicked }))
        .merge(health_alone())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::method_not_allowed);
    Router::new().nest("/_mock", control).route("/_mock/", any(problem::no_such_path))
}

/// The routes under `/_mock`, for a listener with no other routes. All other paths return 404.
#[cfg(feature = "cli")]
pub(crate) fn standalone(state: ControlState) -> Router {
    let metrics = state.metrics.clone();
    measured(surface(state).fallback(problem::no_such_path), &metrics)
}

/// Only the health check, for a listener without the control API. It needs no token.
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
