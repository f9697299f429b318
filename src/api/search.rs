//! The search text of the APIs: a case-insensitive substring (A) of the fields that each API defines.

use super::{
    body::{Fields, Json},
    error::ApiError,
};

/// The maximum number of characters of a search text (A).
pub(super) const MAX_SEARCH: usize = 256;

/// The search text of a request. `None` if it is missing or empty.
pub(super) fn text(fields: &Fields, parameter: &'static str) -> Result<Option<String>, ApiError> {
    let wanted = format!("a string of at most {MAX_SEARCH} characters");
    // The last part of `parameter` is the name of the field in its object.
    let name = parameter.rsplit('.').next().unwrap_or(parameter);
    match fields.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) if text.chars().count() > MAX_SEARCH => {
            Err(ApiError::invalid(parameter, wanted, Json::Text(text.clone())))
        }
        Some(Json::Text(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(other) => Err(ApiError::invalid(parameter, wanted, other)),
    }
}
