//! Length limits on the head of a request.

use axum::extract::Request;

use super::error::ApiError;

/// The maximum number of bytes of a header line, and of the path with the query: 8 KiB, as in servlet containers (A).
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Checks the lengths. A header line includes `: ` and the line end.
///
/// # Errors
///
/// 400 if a header line, or the path with the query, is too long.
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
