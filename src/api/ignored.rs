//! Strict mode: what a request has that the API ignores without an error (profile `ignored_input`).
//!
//! Upstream ignores unknown names (C), so a client does not notice a misspelt one. The journal can name what was ignored,
//! and the mock can refuse it.

use super::{
    body::{Fields, Json},
    context::RequestContext,
    error::ApiError,
    params::Params,
};
use crate::account::profile::IgnoredInput;

/// Times in milliseconds below this are before March 1973: such a number is meant as seconds.
const FIRST_MILLIS: i64 = 100_000_000_000;
/// The maximum number of texts, and of characters of a name in one.
const MAX_TEXTS: usize = 10;
const MAX_NAME: usize = 60;

/// Flags or refuses what a request has that the API ignores, if the profile asks for it.
///
/// # Errors
///
/// 400 for the first of the texts.
pub(super) fn check(context: &RequestContext, ignored: impl FnOnce() -> Vec<String>) -> Result<(), ApiError> {
    let reading = context.config.profile().ignored_input;
    if reading == IgnoredInput::Ignored {
        return Ok(());
    }
    let mut texts = ignored();
    texts.truncate(MAX_TEXTS);
    context.recorder.ignored(texts.clone());
    match texts.into_iter().next() {
        Some(text) if reading == IgnoredInput::Refused => Err(ApiError::Ignored(text)),
        _ => Ok(()),
    }
}

/// Names of a body, or of the object `of` in it, that the API does not know.
pub(super) fn unknown_fields(fields: &Fields, of: &str, known: &[&str]) -> Vec<String> {
    let unknown = fields.names().filter(|name| !known.contains(name));
    unknown.map(|name| format!("{of}{} is not a field of this API", shown(name))).collect()
}

/// Names of a query that the API does not know, or that come more than once.
pub(super) fn unknown_params(params: &Params<'_>, known: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    for (nth, name) in params.names().enumerate() {
        if !known.contains(&name) {
            texts.push(format!("{} is not a parameter of this API", shown(name)));
        } else if params.names().take(nth).any(|earlier| earlier == name) {
            texts.push(format!("{name} is given more than once; one of its values is ignored"));
        }
    }
    texts
}

/// Fields that another one makes void.
pub(super) fn void(fields: &Fields, name: &str, others: &[&str]) -> Option<String> {
    let other = others.iter().find(|other| fields.has(other))?;
    fields.has(name).then(|| format!("{name} is ignored when {other} is given"))
}

/// A time that looks like epoch seconds, where the API reads milliseconds.
pub(super) fn seconds(fields: &Fields, name: &str) -> Option<String> {
    match fields.get(name) {
        Some(Json::Integer(number @ 1..FIRST_MILLIS)) => {
            Some(format!("{name} must be in milliseconds since 1970; {number} looks like seconds"))
        }
        _ => None,
    }
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}
