//! The text that some APIs search for, as a case-insensitive substring (A) of the fields that each API names.

use super::{
    body::{Fields, Json},
    error::ApiError,
};

/// How many characters may be searched for (A).
const MAX_SEARCH: usize = 256;

/// A text to search for; an empty one is none.
pub(super) fn text(fields: &Fields, parameter: &'static str) -> Result<Option<String>, ApiError> {
    let wanted = format!("a string of at most {MAX_SEARCH} characters");
    // The last part of the name is what the field is called where it stands.
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
