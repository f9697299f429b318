//! `/_mock/accounts/{account}/verdict`: how a connector behaved as a client.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{body::QueryParams, problem::Problem, state::NamedAccount};
use crate::{
    offload::offload,
    verdict::{VerdictError, VerdictSettings},
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct VerdictParams {
    /// Names of rules, separated by commas.
    disable: Option<String>,
    future_seconds: Option<u32>,
    max_attempts: Option<u32>,
    min_poll_seconds: Option<u32>,
    format: Option<String>,
}

/// The format of the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Json,
    Junit,
    Markdown,
}

/// Judges the journal.
pub(super) async fn show(
    NamedAccount(account): NamedAccount,
    QueryParams(params): QueryParams<VerdictParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = params.format(&headers)?;
    let settings = params.settings();
    let verdict = offload(move || account.verdict_with(&settings)).await?;
    Ok(match format {
        Format::Json => Json(verdict).into_response(),
        Format::Junit => ([(header::CONTENT_TYPE, "application/xml")], verdict.to_junit()).into_response(),
        Format::Markdown => {
            ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], verdict.to_markdown()).into_response()
        }
    })
}

impl VerdictParams {
    /// The format that `format` names, or else `Accept`, or else JSON.
    fn format(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        match self.format.as_deref() {
            Some("json") => return Ok(Format::Json),
            Some("junit") => return Ok(Format::Junit),
            Some("markdown") => return Ok(Format::Markdown),
            Some(other) => {
                let shown: String = other.chars().take(60).collect();
                return Err(Problem::invalid(format!("format must be json, junit or markdown, got {shown}")));
            }
            None => {}
        }
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        Ok(match accept {
            accept if accept.contains("application/xml") || accept.contains("text/xml") => Format::Junit,
            accept if accept.contains("text/markdown") => Format::Markdown,
            _ => Format::Json,
        })
    }

    fn settings(&self) -> VerdictSettings {
        let usual = VerdictSettings::default();
        let names = self.disable.as_deref().unwrap_or_default().split(',').map(str::trim);
        VerdictSettings {
            disabled: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            future_seconds: self.future_seconds.unwrap_or(usual.future_seconds),
            max_attempts: self.max_attempts.unwrap_or(usual.max_attempts),
            min_poll_seconds: self.min_poll_seconds.unwrap_or(usual.min_poll_seconds),
        }
    }
}

impl From<VerdictError> for Problem {
    fn from(error: VerdictError) -> Self {
        Self::invalid(error.to_string())
    }
}
