//! `/_mock/accounts/{account}/verdict`: how a connector behaved as a client.

use axum::{http::HeaderMap, response::Response};
use serde::Deserialize;

use super::{
    body::QueryParams,
    compute::compute,
    format::{Format, Report},
    problem::Problem,
    state::NamedAccount,
};
use crate::verdict::{Verdict, VerdictError, VerdictSettings};

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

/// Judges the journal.
pub(super) async fn show(
    NamedAccount(account): NamedAccount,
    QueryParams(params): QueryParams<VerdictParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::of(params.format.as_deref(), &headers)?;
    let settings = params.settings();
    let verdict =
        compute(account, move |account, cancellation| account.verdict_cancellable(&settings, cancellation)).await?;
    let is_passed = verdict.is_passed;
    let report =
        Report { value: &verdict, is_passed, is_long: false, junit: Verdict::to_junit, markdown: Verdict::to_markdown };
    Ok(report.into_response(format))
}

impl VerdictParams {
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
