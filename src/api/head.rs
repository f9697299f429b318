//! The length of a request's head, as far as upstream limits it.

use axum::extract::Request;

use super::error::ApiError;

/// The longest header line, and the longest path with its query, that are accepted: 8 KiB, as servlet containers have it (A).
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Refuses lines that are too long.
pub(super) fn check(request: &Request) -> Result<(), ApiError> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_LINE_BYTES {
        return Err(ApiError::Unreadable(format!(
            "The path and the query must have at most {MAX_LINE_BYTES} bytes, got {target}"
        )));
    }
    let long = request.headers().iter().find(|(name, value)| name.as_str().len() + value.len() + 4 > MAX_LINE_BYTES);
    match long {
        None => Ok(()),
        Some((name, value)) => Err(ApiError::Unreadable(format!(
            "A header line must have at most {MAX_LINE_BYTES} bytes, got {} in {name}",
            name.as_str().len() + value.len() + 4,
        ))),
    }
}
