//! `/_mock/accounts/{account}/audit`: whether a connector lost, doubled or changed a log, and why.

use std::{
    io::{self, BufReader, Read},
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::{sync::mpsc, time::timeout};

use super::{
    body::QueryParams,
    events,
    format::{Format, Report},
    problem::Problem,
    state::{ControlState, NamedAccount},
};
use crate::{
    audit::{
        AuditError, AuditQuery, AuditReport, DEFAULT_EXAMPLES, FieldMap, MAX_EXAMPLES, RecordFormat, ServedReport,
    },
    clock::{Clock, Instant},
    limits::Seconds,
    offload::offload,
    world::{AgentType, Category, Filter},
};

/// The maximum size of the records, in bytes.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// The maximum time for the records to arrive, so that slow clients do not hold up other audits.
const MAX_TIME: Duration = Duration::from_secs(600);
/// The number of parts of a body that are read ahead of the comparison.
const READ_AHEAD: usize = 8;
/// The size of the buffer from which the records are read.
const BUFFER_BYTES: usize = 64 * 1024;

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
    #[serde(default = "default_examples")]
    examples: usize,
}

fn default_examples() -> usize {
    DEFAULT_EXAMPLES
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
    let query = params.query(account.clock())?;
    let format = record_format(&headers)?;
    // The semaphore is never closed.
    let permit = account.shared.audits.clone().acquire_owned().await;
    let (parts, received) = mpsc::channel(READ_AHEAD);
    let records = BufReader::with_capacity(BUFFER_BYTES, BodyReader { received, part: Bytes::new() });
    let compared = offload(move || {
        let report = account.audit_stream(&query, format, records);
        drop(permit);
        report
    });
    let (sent, report) = tokio::join!(timeout(MAX_TIME, send_parts(body, parts, control.body_seconds)), compared);
    let sent = sent.unwrap_or_else(|_| Err(format!("The body was not complete after {} s", MAX_TIME.as_secs())));
    // A comparison that ends early does not read the rest, so its error comes first.
    match (report, sent) {
        // Without the whole body, there is no report.
        (Ok(_) | Err(AuditError::Io(_)), Err(why)) => Err(Problem::invalid(why)),
        (report, _) => {
            let report = report?;
            let is_passed = report.is_complete;
            let (junit, markdown) = (AuditReport::to_junit as fn(&_) -> _, AuditReport::to_markdown as fn(&_) -> _);
            Ok(Report { value: &report, is_passed, junit, markdown }.into_response(answer))
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
    let query = params.query(account.clock())?;
    let permit = account.shared.audits.clone().acquire_owned().await;
    let report = offload(move || {
        let report = account.audit_served(&query);
        drop(permit);
        report
    });
    let report = report.await?;
    let is_passed = report.is_complete;
    let (junit, markdown) = (ServedReport::to_junit as fn(&_) -> _, ServedReport::to_markdown as fn(&_) -> _);
    Ok(Report { value: &report, is_passed, junit, markdown }.into_response(answer))
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
        if !(0..=MAX_EXAMPLES).contains(&self.examples) {
            return Err(invalid("examples", &format!("must be from 0 to {MAX_EXAMPLES}"), &self.examples.to_string()));
        }
        let map = self
            .map
            .as_deref()
            .map(FieldMap::parse)
            .transpose()
            .map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(AuditQuery { category, window, filter: self.filter(category)?, map, examples: self.examples })
    }

    fn filter(&self, category: Category) -> Result<Filter, Problem> {
        let mut filter = Filter { search: self.search.clone().filter(|text| !text.is_empty()), ..Filter::default() };
        if let Some(events) = &self.events {
            let codes = category.event_codes();
            let mut bits = 0;
            for code in events.split(',').map(str::trim).filter(|code| !code.is_empty()) {
                let nth = codes
                    .iter()
                    .position(|known| *known == code)
                    .ok_or_else(|| invalid("events", &format!("must be one or more of {}", codes.join(", ")), code))?;
                bits |= 1 << nth;
            }
            filter.kinds = (bits != 0).then_some(bits);
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
    let shown: String = got.chars().take(60).collect();
    Problem::invalid(format!("{name} {wanted}, got {shown}"))
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

/// Sends the parts of a body to the comparison, as fast as it reads them.
async fn send_parts(mut body: Body, parts: mpsc::Sender<io::Result<Bytes>>, time: Seconds) -> Result<(), String> {
    let mut bytes: u64 = 0;
    loop {
        let part = match timeout(time.get(), body.frame()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(_))) => return refuse(&parts, "The body ended before it was complete".to_owned()).await,
            Err(_) => return refuse(&parts, format!("No part of the body came for {time}")).await,
        };
        bytes += part.len() as u64;
        if bytes > MAX_BYTES {
            return refuse(&parts, format!("The body must have at most {MAX_BYTES} bytes, got more")).await;
        }
        if parts.send(Ok(part)).await.is_err() {
            // The comparison has ended. The rest is read, so that the client gets its answer.
            return Ok(());
        }
    }
}

async fn refuse(parts: &mpsc::Sender<io::Result<Bytes>>, why: String) -> Result<(), String> {
    // An error means that the comparison has ended.
    let _ = parts.send(Err(io::Error::other(why.clone()))).await;
    Err(why)
}

/// Reads the parts of a body on a blocking thread.
struct BodyReader {
    received: mpsc::Receiver<io::Result<Bytes>>,
    part: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.received.blocking_recv() {
                None => return Ok(0),
                Some(part) => self.part = part?,
            }
        }
        let taken = self.part.len().min(into.len());
        self.part.split_to(taken).copy_to_slice(&mut into[..taken]);
        Ok(taken)
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        Self::invalid(error.to_string())
    }
}
