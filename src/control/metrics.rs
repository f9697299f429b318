//! `GET /_mock/metrics`: the metrics of the server, and the middleware that counts requests to the control API.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::debug;

use super::state::ControlState;
use crate::{
    clock::{self, Stopwatch},
    metrics::{self, CONTENT_TYPE, Metrics, OTHER, Served},
};

pub(super) async fn show(State(control): State<ControlState>) -> impl IntoResponse {
    let ControlState { accounts, metrics, .. } = control;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text(&accounts.sizes()))
}

/// Middleware: counts a request by its route. Paths may contain account names and tokens.
pub(super) async fn measure(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let stopwatch = Stopwatch::start();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // For a nested path without a route, axum reports an internal route.
    let route = route
        .filter(|route| !route.contains("__private"))
        .map_or(Cow::Borrowed(OTHER), |route| route.to_owned().into());
    let method = metrics::method(request.method().as_str());
    let response = next.run(request).await;
    let (status, after) = (response.status().as_u16(), stopwatch.elapsed());
    let after_us = clock::micros(after);
    debug!(method, route = &*route, status, after_us, "control");
    metrics.served(Served { route, method, status: Some(status), after });
    response
}
