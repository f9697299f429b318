//! The control surface under `/_mock`: what a test asks of the mock itself. No quota or clock of an account touches it.

mod health;
mod problem;

use axum::{Router, routing::get};

/// Everything under `/_mock`.
pub(crate) fn router() -> Router {
    let control = Router::new()
        .route("/health", get(health::show))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::method_not_allowed);
    Router::new().nest("/_mock", control)
}
