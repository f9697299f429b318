//! Asks the control surface of a running server, for `audit` and `verdict`.

use std::{fmt::Write as _, fs, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, ValueEnum};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_rustls::rustls::crypto::ring;
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// The exit code if the server has findings.
const FINDINGS: u8 = 1;
/// The exit code if the server cannot be asked, or refuses the question.
const NOT_ASKED: u8 = 2;

/// The flags of the server and the account that is asked.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Base URL of the control surface
    #[arg(long, env = "OPSWAT_MOCK_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Name of the account
    #[arg(long, value_name = "NAME", default_value = "default")]
    account: String,
    /// Bearer token of the control surface, if the server has one
    #[arg(long, env = "OPSWAT_MOCK_CONTROL_TOKEN", hide_env_values = true, value_name = "TEXT")]
    control_token: Option<String>,
    /// PEM file with the certificate authority of the server, as written by its --tls-ca-file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: ReportFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReportFormat {
    /// Sentences, with the first findings
    Text,
    /// JSON, with the first 20 examples of each finding
    Json,
    /// JUnit XML, for CI systems
    Junit,
    /// Markdown, for the summary of a CI job
    Markdown,
}

/// A request to the account: its noun, and its parameters.
pub(super) struct Question {
    noun: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Question {
    pub(super) fn new(noun: &'static str) -> Self {
        Self { noun, parameters: Vec::new() }
    }

    /// Adds a parameter, if it has a value.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.parameters.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Target {
    /// Asks a question without a body, see [`ask`](Self::ask).
    pub(super) fn get(&self, question: Question) -> ExitCode {
        self.ask(question, |agent, url, bearer| {
            let request = agent.get(url);
            match bearer {
                Some(bearer) => request.header("authorization", bearer).call(),
                None => request.call(),
            }
        })
    }

    /// Sends a question, prints the report, and returns the exit code.
    pub(super) fn ask(
        &self,
        question: Question,
        send: impl FnOnce(&Agent, &str, Option<&str>) -> Result<Response<Body>, ureq::Error>,
    ) -> ExitCode {
        match self.answer(question, send) {
            Ok((text, has_passed)) => {
                // The reader may have closed the pipe.
                let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
                if has_passed { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) }
            }
            Err(why) => {
                super::print_error(&why);
                ExitCode::from(NOT_ASKED)
            }
        }
    }

    fn answer(
        &self,
        question: Question,
        send: impl FnOnce(&Agent, &str, Option<&str>) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<(String, bool), String> {
        let agent = self.agent()?;
        let format = match self.format {
            ReportFormat::Text => "text",
            ReportFormat::Json => "json",
            ReportFormat::Junit => "junit",
            ReportFormat::Markdown => "markdown",
        };
        let Question { noun, parameters } = question.with("format", Some(format));
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (base, account) = (self.url.trim_end_matches('/'), encoded(&self.account));
        let mut url = format!("{base}/_mock/accounts/{account}/{noun}?");
        for (name, value) in parameters {
            // Writing to a string cannot fail.
            let _ = write!(url, "{name}={}&", encoded(&value));
        }
        let bearer = self.control_token.as_ref().map(|token| format!("Bearer {token}"));
        let failed = |error: ureq::Error| format!("{base} cannot be asked: {error}");
        let mut answer = send(&agent, &url, bearer.as_deref()).map_err(failed)?;
        let status = answer.status();
        let result = answer.headers().get("x-mock-result").map(|result| result.as_bytes() == b"pass");
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string().map_err(failed)?;
        match (status, result) {
            (StatusCode::OK, Some(has_passed)) => Ok((text, has_passed)),
            (StatusCode::OK, None) => {
                Err(format!("{base} is not an opswat-mock server of this version: its response has no result"))
            }
            _ => Err(format!("{base} answers {status}: {}", detail(&text))),
        }
    }

    fn agent(&self) -> Result<Agent, String> {
        let roots = match &self.ca_file {
            None => RootCerts::Specific(Arc::default()),
            Some(path) => {
                let pem = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if certificates.is_empty() {
                    return Err(format!("{} has no certificate", path.display()));
                }
                RootCerts::Specific(Arc::new(certificates))
            }
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(roots)
            .build();
        Ok(Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls).build().into())
    }
}

/// The detail of a problem, or the start of another text.
fn detail(text: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(text).chars().take(500).collect()
}
