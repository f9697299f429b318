//! What is sent to the control surface: JSON, and queries.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{problem::Problem, state::ControlState};
use crate::{
    account::strict::{self, Object},
    offload::offload,
};

/// Up to so many bytes are parsed by the worker that serves the request: well below a millisecond.
const MAX_PARSED_AT_ONCE: usize = 64 * 1024;

/// A JSON body. What it is called does not matter: a shell sends it as a form.
pub(super) struct JsonBody<T>(pub(super) T);

/// A JSON body that is one object, a list of at most so many, or a line for each.
pub(super) struct JsonList<T, const MAX: usize>(pub(super) Vec<T>);

/// The parameters of a query.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<ControlState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &ControlState) -> Result<Self, Problem> {
        let bytes = read(request, control).await?;
        parsed(bytes, one).await.map(Self)
    }
}

/// Parses a body, a large one beside the workers that serve other requests.
async fn parsed<T: Send + 'static>(bytes: Bytes, parse: fn(&[u8]) -> Result<T, Problem>) -> Result<T, Problem> {
    if bytes.len() <= MAX_PARSED_AT_ONCE { parse(&bytes) } else { offload(move || parse(&bytes)).await }
}

fn one<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // No body asks for nothing in particular.
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => parse(b"{}"),
        // Serde would take its parts for the fields, in their order.
        Some(b'[') => Err(Problem::invalid("The body: must be an object, got an array")),
        Some(_) => parse(bytes),
    }
}

fn many<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return parse::<Few<T, MAX>>(bytes).map(|Few(list)| list);
    }
    let mut list = Vec::new();
    for one in serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>() {
        let one = one.map_err(|error| Problem::invalid(format!("The body: {}", plain(&error.to_string()))))?;
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
        let bytes = read(request, control).await?;
        parsed(bytes, many::<T, MAX>).await.map(Self)
    }
}

/// A list with an end.
struct Few<T, const MAX: usize>(Vec<T>);

impl<'de, T: DeserializeOwned, const MAX: usize> Deserialize<'de> for Few<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::objects::<MAX, D, T>(deserializer).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(asked)| Self(asked)).map_err(|rejection| {
            let text = rejection.body_text();
            Problem::invalid(format!(
                "The query: {}",
                text.rsplit_once("query string: ").map_or(&*text, |(_, why)| why)
            ))
        })
    }
}

async fn read(request: Request, control: &ControlState) -> Result<Bytes, Problem> {
    control.bodies.read(request.into_body()).await.map_err(|why| {
        if let Some(limit) = why.limit() {
            control.metrics.limited(limit);
        }
        Problem::invalid(why.to_string())
    })
}

/// Reads JSON, and says where in it something is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let wrong = |why: String| Problem::invalid(format!("The body: {why}"));
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let mut why = error.to_string();
        // The path says where a value is wrong; only what is no JSON is found by line and column.
        if error.is_data() {
            why.truncate(why.rfind(" at line ").unwrap_or(why.len()));
        }
        let why = plain(&why);
        // Where the JSON itself is broken, the parser knows a line and a column instead of a path.
        wrong(if matches!(&*path, "." | "?") { why } else { format!("{path}: {why}") })
    })?;
    json.end().map_err(|error| wrong(error.to_string()))?;
    Ok(value)
}

/// What a parser says, in words that are not Rust's.
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
