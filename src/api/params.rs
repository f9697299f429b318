//! The parameters of a query or a form.
//!
//! Unknown parameters are ignored (C: a client sends `?verify=True`). If a parameter is repeated, its first value
//! counts (A: servlet behaviour; profile `repeated_parameter`).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::account::profile::RepeatedParameter;

/// Decoded pairs, in the order of the request.
#[derive(Debug, Default)]
pub(super) struct Params<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    repeated: RepeatedParameter,
}

impl<'a> Params<'a> {
    /// Parses `a=1&b=2`.
    pub(super) fn parse(raw: &'a str, repeated: RepeatedParameter) -> Result<Self, ApiError> {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        decoded.collect::<Result<_, _>>().map(|pairs| Self { pairs, repeated })
    }

    /// The first value of a parameter. Other pairs may be malformed; a malformed value is returned undecoded.
    pub(super) fn first_lossy(raw: &str, name: &str) -> Option<String> {
        let pairs = raw.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(raw_name, _)| decode(raw_name).is_ok_and(|key| key == name))?;
        Some(Self::decoded_lossy(value))
    }

    /// Appends the pairs of another list.
    pub(super) fn followed_by(mut self, more: Self) -> Self {
        self.pairs.extend(more.pairs);
        self
    }

    /// The value of a parameter: the first or the last one, as the profile decides.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        match self.repeated {
            RepeatedParameter::First => values.next(),
            RepeatedParameter::Last => values.next_back(),
        }
    }

    /// The names of the parameters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_ref())
    }

    /// The decoded text, or the undecoded text if it is malformed.
    pub(super) fn decoded_lossy(raw: &str) -> String {
        decode(raw).map_or_else(|_| raw.to_owned(), Cow::into_owned)
    }

    /// A segment of a path without its escapes; a `+` stays.
    pub(super) fn decoded_path(segment: &str) -> String {
        percent_decode_str(segment).decode_utf8_lossy().into_owned()
    }

    /// The value of an integer parameter, or the default if it is missing.
    pub(super) fn integer(&self, name: &'static str, wanted: &str, default: i64) -> Result<i64, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ApiError::invalid(name, wanted, format_args!("\"{text}\""))),
        }
    }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, ApiError> {
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        let escape = rest.as_bytes().get(at + 1..at + 3);
        if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let shown: String = rest[at..].chars().take(3).collect();
            return Err(ApiError::Unreadable(format!(
                "A parameter has {shown} where % and two hexadecimal digits belong"
            )));
        }
        rest = &rest[at + 3..];
    }
    let spaced = if raw.contains('+') { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
    let decoded = match spaced {
        Cow::Borrowed(text) => percent_decode_str(text).decode_utf8(),
        Cow::Owned(ref text) => percent_decode_str(text).decode_utf8().map(|text| Cow::Owned(text.into_owned())),
    };
    decoded.map_err(|_| ApiError::Unreadable("A parameter is not UTF-8 when its escapes are decoded".to_owned()))
}
