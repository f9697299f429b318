//! The formats of reports: JSON, text, JUnit XML and Markdown.

use std::fmt::Display;

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::problem::Problem;

/// Whether the report has no finding: `pass` or `fail`, for clients that do not read the report.
const X_MOCK_RESULT: HeaderName = HeaderName::from_static("x-mock-result");

/// The format of a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Json,
    Text,
    Junit,
    Markdown,
}

/// A report in all formats.
pub(super) struct Report<'r, R> {
    pub(super) value: &'r R,
    pub(super) is_passed: bool,
    /// Whether the text has all examples.
    pub(super) is_long: bool,
    pub(super) junit: fn(&R) -> String,
    pub(super) markdown: fn(&R) -> String,
}

impl Format {
    /// The format that the parameter `format` names, or else `Accept`, or else JSON.
    pub(super) fn of(named: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match named {
            Some("json") => return Ok(Self::Json),
            Some("text") => return Ok(Self::Text),
            Some("junit") => return Ok(Self::Junit),
            Some("markdown") => return Ok(Self::Markdown),
            Some(other) => {
                let shown: String = other.chars().take(60).collect();
                return Err(Problem::invalid(format!("format must be json, text, junit or markdown, got {shown}")));
            }
            None => {}
        }
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        Ok(match accept {
            accept if accept.contains("application/xml") || accept.contains("text/xml") => Self::Junit,
            accept if accept.contains("text/markdown") => Self::Markdown,
            accept if accept.contains("text/plain") => Self::Text,
            _ => Self::Json,
        })
    }
}

impl<R: Serialize + Display> Report<'_, R> {
    pub(super) fn into_response(self, format: Format) -> Response {
        let text =
            |content_type: &'static str, body: String| ([(header::CONTENT_TYPE, content_type)], body).into_response();
        let mut response = match format {
            Format::Json => Json(self.value).into_response(),
            Format::Text if self.is_long => text("text/plain; charset=utf-8", format!("{:#}\n", self.value)),
            Format::Text => text("text/plain; charset=utf-8", format!("{}\n", self.value)),
            Format::Junit => text("application/xml", (self.junit)(self.value)),
            Format::Markdown => text("text/markdown; charset=utf-8", (self.markdown)(self.value)),
        };
        let result = HeaderValue::from_static(if self.is_passed { "pass" } else { "fail" });
        response.headers_mut().insert(X_MOCK_RESULT, result);
        response
    }
}
