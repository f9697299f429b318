//! Requests to paths without a route, and with methods that a path does not have.

use axum::{extract::Request, response::Response};

use super::{error::ApiError, fault};

/// Handles requests to paths without a route.
pub(super) async fn no_such_path(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    fault::inject_unrouted(request, ApiError::NoSuchPath(path)).await
}

/// Handles requests whose path has a route, but not for this method. The router adds `Allow`.
pub(super) async fn method_not_allowed(request: Request) -> Response {
    let method = request.method().clone();
    fault::inject_unrouted(request, ApiError::MethodNotAllowed(method)).await
}
