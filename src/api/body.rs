//! Strict parsing of JSON bodies, with precise errors.
//!
//! Wrong types are rejected and not converted (A; profile `wrong_types`), so that mistakes of a client become visible.
//! A name that occurs twice in an object is rejected, too. Unknown names are ignored, `null` means absent, and a body
//! that is empty or `[]` has no fields (C).

use std::{borrow::Cow, fmt};

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    context::{Authenticated, RequestContext},
    error::ApiError,
};
use crate::{account::profile::WrongTypes, bodies::WholeBody};

/// The fields of a JSON body.
#[derive(Debug, Default)]
pub(super) struct Fields {
    all: Vec<(String, Json)>,
    wrong_types: WrongTypes,
}

/// A JSON value, without conversion.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is not an `i64`, formatted.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Fields),
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let Authenticated { context, .. } = request.extensions().get().ok_or(ApiError::ServerError)?;
        // The content type is checked before the body is read. A request without a body needs none.
        let media_type = check_media_type(request.headers(), "application/json");
        if let (Err(error), true) = (&media_type, has_body(request.headers())) {
            let recorder = context.recorder.clone();
            recorder.refused_body(request).await;
            return Err(error.clone());
        }
        let (parts, body) = request.into_parts();
        let Authenticated { context, .. } = parts.extensions.get().ok_or(ApiError::ServerError)?;
        // The body holds its part of the budget until it is parsed.
        let body = read(body, context).await?;
        if body.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        context.recorder.body(&body.bytes);
        media_type?;
        Self::read(&body.bytes, context)
    }
}

/// Reads a body up to the maximum size.
///
/// # Errors
///
/// 400 if the body is too large, late or incomplete (A: the vendor documents no maximum, and uses 413 for pages).
pub(super) async fn read(body: axum::body::Body, context: &RequestContext) -> Result<WholeBody, ApiError> {
    context.bodies.read(body).await.map_err(|why| {
        if let Some(limit) = why.limit() {
            context.recorder.limited(limit);
        }
        ApiError::Unreadable(why.to_string())
    })
}

/// Whether the headers announce a non-empty body.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// Checks that the content type is `wanted`, with UTF-8 as its charset if it names one, and that the body is not
/// compressed (A: servlet containers do not decompress requests).
///
/// # Errors
///
/// 415 if any of these checks fails.
pub(super) fn check_media_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), ApiError> {
    let is_plain = |encoding: &&HeaderValue| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if let Some(encoding) = headers.get_all(header::CONTENT_ENCODING).iter().find(|encoding| !is_plain(encoding)) {
        return Err(ApiError::UnsupportedEncoding(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(ApiError::UnsupportedMediaType { got: None, wanted });
    };
    let got = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut parts = got.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(wanted));
    let is_utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset")
            || ["utf-8", "utf8"].iter().any(|utf8| value.trim_matches('"').eq_ignore_ascii_case(utf8))
    });
    if is_wanted && is_utf8 { Ok(()) } else { Err(ApiError::UnsupportedMediaType { got: Some(got), wanted }) }
}

impl Fields {
    /// Parses a body. An empty body has no fields.
    pub(super) fn read(bytes: &[u8], context: &RequestContext) -> Result<Self, ApiError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        Ok(Self { wrong_types: context.config.profile().wrong_types, ..Self::parse(bytes)? })
    }

    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let json = serde_json::from_slice(bytes)
            .map_err(|error| ApiError::Unreadable(format!("The body cannot be read as JSON: {error}")))?;
        match json {
            Json::Object(fields) => Ok(fields),
            Json::List(list) if list.is_empty() => Ok(Self::default()),
            other => Err(ApiError::Unreadable(format!("The body must be a JSON object, got {other}"))),
        }
    }

    /// The value of a field. `None` if it is missing or `null`.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.all
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Json::Null))
    }

    /// The value of an integer field.
    pub(super) fn integer(&self, name: &'static str, wanted: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Integer(number)) => Ok(Some(*number)),
            Some(Json::Text(text)) if self.converts() && text.trim().parse::<i64>().is_ok() => {
                Ok(text.trim().parse().ok())
            }
            Some(other) => Err(ApiError::invalid(name, wanted, other)),
        }
    }

    /// The value of a string field.
    pub(super) fn text(&self, name: &'static str, wanted: &str) -> Result<Option<Cow<'_, str>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.into())),
            Some(number @ (Json::Integer(_) | Json::Number(_))) if self.converts() => {
                Ok(Some(number.to_string().into()))
            }
            Some(other) => Err(ApiError::invalid(name, wanted, other)),
        }
    }

    /// Whether a field has a value other than `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names of the fields that are not `null`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter(|(_, value)| !matches!(value, Json::Null)).map(|(name, _)| name.as_str())
    }

    fn converts(&self) -> bool {
        self.wrong_types == WrongTypes::Converted
    }
}

/// The value as JSON, for error descriptions. Arrays and objects are only named.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => f.write_str(number),
            // Encoding a string cannot fail.
            Self::Text(text) => f.write_str(&serde_json::to_string(text).unwrap_or_default()),
            Self::List(list) if list.is_empty() => f.write_str("an empty array"),
            Self::List(_) => f.write_str("an array"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or_else(|_| Json::Number(number.to_string()), Json::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(format!("{number:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if fields.len() == MAX_FIELDS {
                return Err(de::Error::custom(format_args!("an object has more than {MAX_FIELDS} names")));
            }
            if fields.iter().any(|(key, _)| *key == name) {
                let name: String = name.chars().take(40).collect();
                return Err(de::Error::custom(format_args!("the name {name:?} is given twice")));
            }
            fields.push((name, value));
        }
        Ok(Json::Object(Fields { all: fields, wrong_types: WrongTypes::Refused }))
    }
}

/// The maximum number of names in an object. Each name is compared with all previous ones; real requests have at most a
/// dozen.
const MAX_FIELDS: usize = 256;
