//! Writes the record of each request to the metrics, the log and the journal.
//!
//! Every request to the emulated API is recorded in the journal of its account; a request without a known account is
//! recorded in the journal of `default`. Metrics and log have the request when its response is ready, and the journal
//! when the response has ended. If the client disconnects before the response, the record has no status.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{Method, Uri},
    response::Response,
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tracing::debug;

use super::{
    context::RequestContext,
    encode,
    masking::{masked_pairs, masked_path},
    rate_limit::set_rate_limit_headers,
    record::{Recorder, RequestRecord, RequestTarget},
    state::ApiState,
};
use crate::{
    abort::ConnectionAbortedError,
    account::{
        Account,
        journal::{self, Outcome, Parameters, RequestedPage},
        profile::Charset,
    },
    api_name::{AUTHORIZE_PATH, ApiName},
    clock::{self, Stopwatch},
    metrics::{self, Served},
};

/// The length limit of methods and paths in the journal. Longer texts are truncated.
const MAX_TEXT_BYTES: usize = 500;

/// A request in flight. [`finish`](Self::finish), or else the drop, writes the record.
pub(super) struct Recording {
    state: Arc<ApiState>,
    pub(super) context: RequestContext,
    method: Method,
    uri: Uri,
    pub(super) api: Option<ApiName>,
    /// The access token of the request.
    pub(super) presented: Option<String>,
    /// The account that issued it.
    pub(super) owner: Option<Arc<Account>>,
    stopwatch: Stopwatch,
    is_written: bool,
}

impl Recording {
    /// Starts the recording of a request that has just arrived.
    pub(super) fn begin(state: &Arc<ApiState>, request: &Request, presented: Option<String>) -> Self {
        let stopwatch = Stopwatch::start();
        let owner = presented.as_deref().and_then(|token| state.accounts.of_token(token));
        let account = owner.as_ref().unwrap_or(state.accounts.default_account());
        Self {
            context: RequestContext::new(account, Recorder::default(), state.bodies.clone()),
            state: state.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            api: ApiName::at(request.uri().path()),
            presented,
            owner,
            stopwatch,
            is_written: false,
        }
    }

    /// Sets the headers that all responses have, and writes the record. `token` is the token of the request, if it is
    /// valid.
    pub(super) fn finish(mut self, token: Option<&Arc<str>>, response: &mut Response) {
        let mut record = self.context.recorder.take();
        // The OAuth routes find the account by the client id, after the first request context exists.
        let target = record.target.clone().unwrap_or_else(|| self.context.target.clone());
        encode::set_date(response, target.now);
        if target.config.profile().charset == Charset::Absent {
            encode::without_charset(response);
        }
        if record.quota.is_none()
            && let Some(token) = token
        {
            // The request did not reach the quota: its path or method is unknown, a fault replaced the response, or too
            // many requests are in flight. For an unknown path this is the state of a bucket from which nothing is
            // taken.
            record.quota = target.account.quota.look(token, self.api.map_or("", ApiName::code), target.now);
            if let Some(status) = record.quota {
                set_rate_limit_headers(response, status, target.config.profile(), target.now);
            }
        }
        let is_cut = ConnectionAbortedError::ends(response);
        let status = (!is_cut).then(|| response.status().as_u16());
        #[cfg(feature = "check")]
        if let Some(wait_seconds) = record.wait_seconds {
            target.account.refused(wait_seconds);
        }
        let outcome = match status {
            None => Outcome::Cut,
            Some(400..) => Outcome::Refused,
            Some(_) => Outcome::Completed,
        };
        let entry = self.entry(record, status, outcome);
        // The server does not read the body of a response to HEAD.
        if is_cut || self.method == Method::HEAD || response.body().is_end_stream() {
            entry.write();
        } else {
            // The request ends with its body.
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = Body::new(RecordedBody { body, entry: Some(entry) });
        }
    }

    /// Updates the metrics and the log, and creates the entry of the journal.
    fn entry(&mut self, record: RequestRecord, status: Option<u16>, outcome: Outcome) -> JournalEntry {
        self.is_written = true;
        let Self { context, method, uri, api, presented, stopwatch, .. } = &*self;
        let RequestTarget { account, now, epoch, config, arrived_after, arrival, is_frozen } =
            record.target.as_ref().unwrap_or(&context.target);
        let after = stopwatch.elapsed();
        let after_us = clock::micros(after);
        let route = self.route();
        self.count(&record, route, status, after);
        let token = presented.as_deref().map(journal::masked);
        debug!(
            account = account.name(),
            method = method.as_str(),
            route,
            token = token.as_deref(),
            status,
            entries = record.entries,
            fault = record.fault.as_deref(),
            after_us,
            "request"
        );
        let mut pairs = masked_pairs(uri.query().unwrap_or_default());
        pairs.extend(record.form);
        let request = journal::Request {
            number: 0,
            at: (*now).into(),
            method: truncated(method.as_str()),
            path: truncated(&masked_path(uri.path())),
            api: *api,
            token,
            parameters: Parameters { pairs, body: record.body },
            status,
            // Without a response, no entries were returned.
            entries: record.entries.filter(|_| status.is_some()),
            quota: record.quota,
            fault: record.fault.map(|name| name.to_string()),
            outcome,
            bytes_sent: 0,
            ignored: record.ignored,
            // The response to HEAD has no entries.
            page: record
                .page
                .filter(|_| self.method != Method::HEAD)
                .map(|query| Box::new(RequestedPage { query, config: config.clone() })),
            duration_us: after_us,
            arrived_after: *arrived_after,
            arrival: *arrival,
            change: record.change,
            is_over_quota: record.is_rate_limited,
            is_frozen: *is_frozen,
            token_hash: presented.as_deref().map(hash),
            token_life: record.token_life,
            is_unforeseeable: record.is_unforeseeable,
        };
        JournalEntry { account: account.clone(), epoch: *epoch, request }
    }

    /// The route in metrics and logs. The path itself may contain anything, including secrets.
    fn route(&self) -> &'static str {
        match self.api {
            Some(api) => api.path(),
            None if self.uri.path() == AUTHORIZE_PATH => AUTHORIZE_PATH,
            None => metrics::OTHER,
        }
    }

    /// Updates the metrics.
    fn count(&self, record: &RequestRecord, route: &'static str, status: Option<u16>, after: Duration) {
        let metrics = &self.state.metrics;
        let method = metrics::method(self.method.as_str());
        metrics.served(Served { route: route.into(), method, status, after });
        if record.fault.is_some() {
            metrics.broken_by_fault(route);
        }
        if let Some(limit) = record.limited {
            metrics.limited(limit);
        }
        if record.is_rate_limited {
            metrics.rate_limited(route);
        }
        if let (Some(entries), Some(200)) = (record.entries, status) {
            metrics.entries(route, entries);
        }
    }
}

/// Records a request whose client disconnected before the response.
impl Drop for Recording {
    fn drop(&mut self) {
        if !self.is_written {
            let record = self.context.recorder.take();
            self.entry(record, None, Outcome::Abandoned).write();
        }
    }
}

/// An entry of the journal, before it is written.
struct JournalEntry {
    account: Arc<Account>,
    epoch: u64,
    request: journal::Request,
}

impl JournalEntry {
    fn write(self) {
        self.account.journal.record(self.request, self.epoch);
    }
}

/// A response body that writes the journal entry when the last byte is passed to the connection. The entry is therefore
/// in the journal before the client has the whole response.
struct RecordedBody {
    body: Body,
    entry: Option<JournalEntry>,
}

impl RecordedBody {
    fn write(&mut self, outcome: Option<Outcome>) {
        if let Some(mut entry) = self.entry.take() {
            entry.request.outcome = outcome.unwrap_or(entry.request.outcome);
            entry.write();
        }
    }
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(entry) = &mut self.entry {
                    entry.request.bytes_sent += bytes as u64;
                }
                if self.body.is_end_stream() {
                    self.write(None);
                }
            }
            Some(Err(_)) => self.write(Some(Outcome::Cut)),
            None => self.write(None),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Records a response that the client did not read to its end.
impl Drop for RecordedBody {
    fn drop(&mut self) {
        self.write(Some(Outcome::Abandoned));
    }
}

/// The hash of a token, which tells tokens apart that are masked as one.
fn hash(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

/// Truncates a text of a client for the journal.
fn truncated(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES { text.to_owned() } else { text.chars().take(MAX_TEXT_BYTES).collect() }
}
