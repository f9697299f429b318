//! `/_mock/accounts/{account}/audit`: whether a connector lost, doubled or changed a log, and why.

use std::{
    io::{self, BufReader, Read},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use bytes::{Buf, Bytes};
use http_body::Body as _;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{
    body::QueryParams,
    events,
    format::{Format, Report},
    problem::Problem,
    state::{ControlState, NamedAccount},
};
use crate::{
    account::journal::CLOSED,
    audit::{
        AuditError, AuditQuery, AuditReport, DEFAULT_EXAMPLES, FieldMap, MAX_EXAMPLES, RecordFormat, ServedReport,
    },
    clock::{Clock, Instant},
    limits::Seconds,
    offload::offload,
    world::{AgentType, Cancellation, Category, Filter},
};

/// The maximum size of the records, in bytes.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// The number of bytes that are read of a body, so that a client whose records are refused gets the reason.
const MAX_DRAINED_BYTES: u64 = 4 * MAX_BYTES;
/// The maximum time for the records to arrive.
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
    let announced = body.size_hint().exact().unwrap_or_default();
    if announced > MAX_BYTES && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    let Ok(upload) = account.shared.audit_uploads.clone().try_acquire_owned() else {
        return Err(Problem::busy("Too many audits receive records; the next one must wait until one has ended", 1));
    };
    let mut deleted = account.journal.subscribe();
    let permit = AuditPermit::acquire(account.shared.audits.clone()).await;
    let (parts, received) = mpsc::channel(READ_AHEAD);
    let reader = BodyReader { received, part: Bytes::new(), is_ended: false, permit: permit.clone() };
    let cancellation = Cancellation::default();
    let _cancelled = cancellation.cancel_on_drop();
    let compared = offload(move || {
        let records = BufReader::with_capacity(BUFFER_BYTES, reader);
        let report = account.audit_cancellable(&query, format, records, &cancellation);
        drop((permit, upload));
        report
    });
    // Whenever this ends, the sender of the parts is dropped, and the comparison with it.
    let sent = async {
        tokio::select! {
            sent = timeout(MAX_TIME, send_parts(body, parts, control.body_seconds)) => match sent {
                Ok(sent) => sent,
                Err(_) => Err(Problem::invalid(format!("The body was not complete after {} s", MAX_TIME.as_secs()))),
            },
            _ = deleted.wait_for(|last| *last == CLOSED) => {
                Err(Problem::not_found("The account was deleted while its records arrived"))
            }
        }
    };
    let (sent, report) = tokio::join!(sent, compared);
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

fn too_large() -> Problem {
    Problem::too_large(format!("The body must have at most {MAX_BYTES} bytes, got more"))
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
    let permit = AuditPermit::acquire(account.shared.audits.clone()).await;
    let cancellation = Cancellation::default();
    let _cancelled = cancellation.cancel_on_drop();
    let report = offload(move || {
        let report = account.audit_served_cancellable(&query, &cancellation);
        drop(permit);
        report
    });
    let report = report.await?;
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

/// Sends the parts of a body to the comparison, as fast as it reads them, and an empty part at the end. When the comparison
/// ends early, the rest is read, so that the client gets its answer.
async fn send_parts(mut body: Body, parts: mpsc::Sender<io::Result<Bytes>>, time: Seconds) -> Result<(), Problem> {
    let mut bytes: u64 = 0;
    let mut result = Ok(());
    let mut is_sending = true;
    loop {
        let part = match timeout(time.get(), body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(_))) => return Err(Problem::invalid("The body ended before it was complete")),
            Err(_) => return Err(Problem::invalid(format!("No part of the body came for {time}"))),
        };
        bytes += part.len() as u64;
        if bytes > MAX_DRAINED_BYTES {
            break;
        }
        if bytes > MAX_BYTES && is_sending {
            is_sending = false;
            result = Err(too_large());
            // An error means that the comparison has ended.
            let _ = parts.send(Err(io::Error::other("the body is too large"))).await;
        }
        if is_sending && !part.is_empty() {
            is_sending = parts.send(Ok(part)).await.is_ok();
        }
    }
    if is_sending {
        // The same.
        let _ = parts.send(Ok(Bytes::new())).await;
    }
    result
}

/// The permit of an audit to compute. While it waits for records, others compute. Clones share the permit.
#[derive(Clone)]
struct AuditPermit {
    permits: Arc<Semaphore>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl AuditPermit {
    async fn acquire(permits: Arc<Semaphore>) -> Self {
        // The semaphore is never closed.
        let held = permits.clone().acquire_owned().await.ok();
        Self { permits, held: Arc::new(Mutex::new(held)) }
    }

    /// Calls a function that waits, without the permit. Blocks until it has the permit again.
    fn release_while<T>(&self, wait: impl FnOnce() -> T) -> T {
        drop(self.held.lock().take());
        let done = wait();
        let held = Handle::current().block_on(self.permits.clone().acquire_owned()).ok();
        *self.held.lock() = held;
        done
    }
}

/// Reads the parts of a body on a blocking thread.
struct BodyReader {
    received: mpsc::Receiver<io::Result<Bytes>>,
    part: Bytes,
    is_ended: bool,
    permit: AuditPermit,
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && !self.is_ended {
            let received = match self.received.try_recv() {
                Ok(part) => Some(part),
                Err(_) => self.permit.release_while(|| self.received.blocking_recv()),
            };
            self.part = received.unwrap_or_else(|| Err(io::Error::other("the client has left")))?;
            self.is_ended = self.part.is_empty();
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
