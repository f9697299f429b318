//! Requests to paths without a route, and with methods that a path does not have.

use axum::extract::Request;

use super::{
    context::{Authenticated, RequestContext},
    error::ApiError,
};

/// Handles requests to paths without a route.
pub(super) async fn no_such_path(request: Request) -> ApiError {
    let path = request.uri().path().to_owned();
    record_body(request).await;
    ApiError::NoSuchPath(path)
}

/// Handles requests whose path has a route, but not for this method. The router adds `Allow`.
pub(super) async fn method_not_allowed(request: Request) -> ApiError {
    let method = request.method().clone();
    record_body(request).await;
    ApiError::MethodNotAllowed(method)
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
