//! `/_mock/accounts/{account}/audit`: whether a connector lost, doubled or changed a log, and why.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use serde::Deserialize;

use super::{
    body::QueryParams,
    compute::compute,
    events,
    format::{Format, Report},
    problem::Problem,
    state::{ControlState, NamedAccount},
    upload::Upload,
};
use crate::{
    audit::{
        AuditError, AuditQuery, AuditReport, DEFAULT_EXAMPLES, FieldMap, MAX_EXAMPLES, RecordFormat, ServedReport,
    },
    clock::{Clock, Instant},
    world::{AgentType, Category, Filter},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    category: String,
    from: Option<String>,
    to: Option<String>,
    /// Codes of events, separated by commas.
    events: Option<String>,
    /// Numbers of agent types, separated by commas.
    agent_types: Option<String>,
    search: Option<String>,
    map: Option<String>,
    format: Option<String>,
    examples: Option<usize>,
}

/// Compares the records in the body with the events of a window.
pub(super) async fn compare(
    State(control): State<ControlState>,
    NamedAccount(account): NamedAccount,
    QueryParams(params): QueryParams<AuditParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let answer = Format::of(params.format.as_deref(), &headers)?;
    let is_long = params.examples.is_some();
    let query = params.query(account.clock())?;
    let format = record_format(&headers)?;
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| coding.as_bytes() != b"identity") {
        let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
        return Err(Problem::unsupported(invalid_text("Content-Encoding", "must be identity", &coding)));
    }
    let upload = Upload::begin(&account, &headers, body)?;
    let (sent, report) = upload
        .read_by(control.body_seconds, move |records, cancellation| {
            account.audit_cancellable(&query, format, records, cancellation)
        })
        .await;
    // A comparison that ends early does not read the rest, so its error comes first.
    match (report, sent) {
        // Without the whole body, there is no report.
        (Ok(_) | Err(AuditError::Io(_)), Err(problem)) => Err(problem),
        (report, _) => {
            let report = report?;
            let is_passed = report.is_complete;
            let (junit, markdown) = (AuditReport::to_junit as fn(&_) -> _, AuditReport::to_markdown as fn(&_) -> _);
            Ok(Report { value: &report, is_passed, is_long, junit, markdown }.into_response(answer))
        }
    }
}

/// Compares what was served with the events of a window.
pub(super) async fn served(
    NamedAccount(account): NamedAccount,
    QueryParams(params): QueryParams<AuditParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = Format::of(params.format.as_deref(), &headers)?;
    if params.map.is_some() {
        return Err(Problem::invalid("map must be left out of GET, which compares no records, got one"));
    }
    let is_long = params.examples.is_some();
    let query = params.query(account.clock())?;
    let report =
        compute(account, move |account, cancellation| account.audit_served_cancellable(&query, cancellation)).await?;
    let is_passed = report.is_complete;
    let (junit, markdown) = (ServedReport::to_junit as fn(&_) -> _, ServedReport::to_markdown as fn(&_) -> _);
    Ok(Report { value: &report, is_passed, is_long, junit, markdown }.into_response(answer))
}

impl AuditParams {
    fn query(&self, clock: &Clock) -> Result<AuditQuery, Problem> {
        let category = events::category(&self.category)?;
        let instant = |name: &str, text: &Option<String>| {
            let read = |text: &String| text.parse::<Instant>().map_err(|wanted| invalid(name, &wanted, text));
            text.as_ref().map(read).transpose()
        };
        let window = match (instant("from", &self.from)?, instant("to", &self.to)?) {
            (None, None) => None,
            (Some(from), to) => Some(from..to.unwrap_or_else(|| clock.now().into())),
            (None, Some(to)) => {
                return Err(invalid("from", "must be given with to", &format!("only to ({to})")));
            }
        };
        let examples = self.examples.unwrap_or(DEFAULT_EXAMPLES);
        if examples > MAX_EXAMPLES {
            return Err(invalid("examples", &format!("must be from 0 to {MAX_EXAMPLES}"), &examples.to_string()));
        }
        let map = self
            .map
            .as_deref()
            .map(FieldMap::parse)
            .transpose()
            .map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(AuditQuery { category, window, filter: self.filter(category)?, map, examples })
    }

    fn filter(&self, category: Category) -> Result<Filter, Problem> {
        let mut filter = Filter { search: self.search.clone().filter(|text| !text.is_empty()), ..Filter::default() };
        if let Some(events) = &self.events {
            let known = category.event_codes();
            let codes: Vec<&str> = events.split(',').map(str::trim).filter(|code| !code.is_empty()).collect();
            if let Some(unknown) = codes.iter().find(|code| !known.contains(code)) {
                return Err(invalid("events", &format!("must be one or more of {}", known.join(", ")), unknown));
            }
            filter.kinds = (!codes.is_empty()).then(|| category.kinds(&codes));
        }
        if let Some(agents) = &self.agent_types {
            let read = |number: &str| match number.trim() {
                "0" => Ok(AgentType::Endpoint),
                "2" => Ok(AgentType::DomainController),
                other => Err(invalid("agent_types", "must be 0, 2 or 0,2", other)),
            };
            filter.agents = Some(agents.split(',').map(read).collect::<Result<_, _>>()?);
        }
        Ok(filter)
    }
}

fn invalid(name: &str, wanted: &str, got: &str) -> Problem {
    Problem::invalid(invalid_text(name, wanted, got))
}

fn invalid_text(name: &str, wanted: &str, got: &str) -> String {
    let shown: String = got.chars().take(60).collect();
    format!("{name} {wanted}, got {shown}")
}

/// The format of the records: the content type, or JSON where curl sends a form.
fn record_format(headers: &HeaderMap) -> Result<RecordFormat, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(RecordFormat::Json) };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/json"
        | "application/x-www-form-urlencoded"
        | "text/plain"
        | "application/octet-stream" => Ok(RecordFormat::Json),
        "text/csv" => Ok(RecordFormat::Csv),
        other => Err(invalid("The content type", "must be application/x-ndjson, application/json or text/csv", other)),
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        Self::invalid(error.to_string())
    }
}
