//! Extractors of the control API for JSON bodies and queries.

use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{problem::Problem, state::ControlState};
use crate::{
    account::strict::{self, Object},
    bodies::WholeBody,
    offload::offload,
};

/// The maximum size of a body that an async worker parses, which takes well below a millisecond. Larger bodies are
/// parsed on a blocking thread.
const MAX_PARSED_AT_ONCE: usize = 64 * 1024;

/// A JSON body with any content type: `curl -d` sends it as a form.
pub(super) struct JsonBody<T>(pub(super) T);

/// A body with one JSON object, an array of objects, or NDJSON; at most `MAX` objects.
pub(super) struct JsonList<T, const MAX: usize>(pub(super) Vec<T>);

/// The parameters of a query.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<ControlState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &ControlState) -> Result<Self, Problem> {
        let body = read(request, control).await?;
        parsed(body, one).await.map(Self)
    }
}

/// Parses a body; a large body on a blocking thread.
async fn parsed<T: Send + 'static>(body: WholeBody, parse: fn(&[u8]) -> Result<T, Problem>) -> Result<T, Problem> {
    // The body holds its part of the budget until it is parsed.
    if body.bytes.len() <= MAX_PARSED_AT_ONCE { parse(&body.bytes) } else { offload(move || parse(&body.bytes)).await }
}

fn one<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // An empty body is an empty object.
        None => parse(b"{}"),
        // Serde would read the items of the array as the fields, in order.
        Some(b'[') => Err(Problem::invalid("The body: must be an object, got an array")),
        Some(_) => parse(bytes),
    }
}

fn many<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return parse::<BoundedList<T, MAX>>(bytes).map(|BoundedList(list)| list);
    }
    let mut list = Vec::new();
    for one in serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>() {
        let one = one.map_err(|error| {
            Problem::invalid(format!("The body: {}", shortened(&plain(&error.to_string()), MAX_MESSAGE)))
        })?;
        if list.len() == MAX {
            return Err(Problem::invalid(format!("The body: must be at most {MAX}, got more")));
        }
        list.push(parse::<Object<T>>(one.get().as_bytes())?.0);
    }
    if list.is_empty() {
        return Err(Problem::invalid("The body: must be an object, or an array of objects, got nothing"));
    }
    Ok(list)
}

impl<T: DeserializeOwned + Send + 'static, const MAX: usize> FromRequest<ControlState> for JsonList<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &ControlState) -> Result<Self, Problem> {
        let body = read(request, control).await?;
        parsed(body, many::<T, MAX>).await.map(Self)
    }
}

/// A list of at most `MAX` objects.
struct BoundedList<T, const MAX: usize>(Vec<T>);

impl<'de, T: DeserializeOwned, const MAX: usize> Deserialize<'de> for BoundedList<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::objects::<MAX, D, T>(deserializer).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(params)| Self(params)).map_err(|rejection| {
            let text = rejection.body_text();
            Problem::invalid(format!(
                "The query: {}",
                text.rsplit_once("query string: ").map_or(&*text, |(_, why)| why)
            ))
        })
    }
}

async fn read(request: Request, control: &ControlState) -> Result<WholeBody, Problem> {
    control.bodies.read(request.into_body()).await.map_err(|why| {
        if let Some(limit) = why.limit() {
            control.metrics.limited(limit);
        }
        Problem::invalid(why.to_string())
    })
}

/// Parses JSON. An error names the path of the invalid value.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let wrong = |why: String| Problem::invalid(format!("The body: {why}"));
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = shortened(&error.path().to_string(), MAX_PATH);
        let error = error.into_inner();
        let mut why = error.to_string();
        // An invalid value has a path; the line and the column are only useful for invalid JSON.
        if error.is_data() {
            why.truncate(why.rfind(" at line ").unwrap_or(why.len()));
        }
        let why = shortened(&plain(&why), MAX_MESSAGE);
        // Invalid JSON has a line and a column instead of a path.
        wrong(if matches!(&*path, "." | "?") { why } else { format!("{path}: {why}") })
    })?;
    json.end().map_err(|error| wrong(error.to_string()))?;
    Ok(value)
}

/// The maximum number of characters of a path in an error.
const MAX_PATH: usize = 200;
/// The maximum number of characters of a message of the parser in an error: it repeats what came.
const MAX_MESSAGE: usize = 500;

fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
    }
}

/// Replaces the Rust terms in a message of the parser.
fn plain(why: &str) -> String {
    let mut plain = why.to_owned();
    for (rust, word) in [
        ("expected u64", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0"),
        ("expected usize", "expected a whole number from 0"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected u16", "expected a whole number"),
        ("invalid type: map", "invalid type: an object"),
        ("invalid type: sequence", "invalid type: an array"),
        ("expected a sequence", "expected an array"),
        ("expected a map", "expected an object"),
        ("expected value at", "expected a JSON value (texts stand in quotes) at"),
    ] {
        plain = plain.replace(rust, word);
    }
    if let Some(at) = plain.find("expected struct ") {
        plain.truncate(at);
        plain.push_str("expected an object");
    }
    plain
}
