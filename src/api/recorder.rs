//! The record of one request: what the layers find out about it, and where that goes when it is answered.
//!
//! Every request of the emulated surface is counted among the server's, logged, and written to the journal of the account
//! that it was about; a request that is about none goes to the journal of `default`. A client that leaves before its answer
//! came is recorded without a status.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{Method, Uri},
    response::Response,
};
use tracing::debug;

use super::{
    context::RequestContext,
    encode,
    masking::masked_pairs,
    rate_limit::set_rate_limit_headers,
    record::{Recorder, RequestRecord, RequestTarget},
    state::ApiState,
};
use crate::{
    abort::ConnectionAbortedError,
    account::{
        Account,
        journal::{self, Parameters},
        profile::Charset,
    },
    api_name::{AUTHORIZE_PATH, ApiName},
    clock::{self, Stopwatch},
    metrics::{self, Served},
};

/// How many bytes of a method and of a path the journal keeps.
const MAX_KEPT_BYTES: usize = 500;

/// A request that is being served. Its end, or its drop, writes the record.
pub(super) struct Recording {
    state: Arc<ApiState>,
    pub(super) context: RequestContext,
    method: Method,
    uri: Uri,
    api: Option<ApiName>,
    /// The token that the request presented.
    pub(super) presented: Option<String>,
    /// The account that issued it.
    pub(super) owner: Option<Arc<Account>>,
    since: Stopwatch,
    is_written: bool,
}

impl Recording {
    /// Begins with a request that has just come.
    pub(super) fn begin(state: &Arc<ApiState>, request: &Request, presented: Option<String>) -> Self {
        let since = Stopwatch::start();
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
            since,
            is_written: false,
        }
    }

    /// Completes the answer with the headers that every answer has, and writes the record. `token` is the valid token that the
    /// request came with.
    pub(super) fn finish(mut self, token: Option<&Arc<str>>, response: &mut Response) {
        let mut record = self.context.recorder.take();
        // The token service finds out whose client asks only when it reads the form.
        let target = record.target.clone().unwrap_or_else(|| self.context.target.clone());
        encode::set_date(response, target.now);
        if target.config.profile().charset == Charset::Absent {
            encode::without_charset(response);
        }
        if record.quota.is_none()
            && let Some(token) = token
        {
            // Not counted: an unknown path or method. An unknown path has a quota that nothing was taken from.
            record.quota = target.account.quota.look(token, self.api.map_or("", ApiName::code), target.now);
            if let Some(status) = record.quota {
                set_rate_limit_headers(response, status, target.config.profile(), target.now);
            }
        }
        let status = (!ConnectionAbortedError::ends(response)).then(|| response.status().as_u16());
        self.write(record, status);
    }

    /// Writes the record: to the metrics, the log and the journal.
    fn write(&mut self, record: RequestRecord, status: Option<u16>) {
        self.is_written = true;
        let Self { context, method, uri, api, presented, since, .. } = &*self;
        let RequestTarget { account, now, epoch, .. } = record.target.as_ref().unwrap_or(&context.target);
        let after = since.elapsed();
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
        let request = journal::Request {
            number: 0,
            at: (*now).into(),
            method: short(method.as_str()),
            path: short(uri.path()),
            api: api.map(ApiName::code),
            token,
            parameters: Parameters {
                pairs: [masked_pairs(uri.query().unwrap_or_default()), record.form].concat(),
                body: record.body,
            },
            status,
            // Nothing was served where no answer began.
            entries: record.entries.filter(|_| status.is_some()),
            quota: record.quota,
            fault: record.fault.map(|name| name.to_string()),
            duration_us: after_us,
        };
        account.journal.record(request, *epoch);
    }

    /// What is counted and logged instead of the path, in which anything may stand, secrets among it.
    fn route(&self) -> &'static str {
        match self.api {
            Some(api) => api.path(),
            None if self.uri.path() == AUTHORIZE_PATH => AUTHORIZE_PATH,
            None => metrics::OTHER,
        }
    }

    /// Counts the request among the server's.
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

/// A client that left before its answer came did ask all the same.
impl Drop for Recording {
    fn drop(&mut self) {
        if !self.is_written {
            let record = self.context.recorder.take();
            self.write(record, None);
        }
    }
}

/// A text of a client's, as much of it as the journal keeps.
fn short(text: &str) -> String {
    if text.len() <= MAX_KEPT_BYTES { text.to_owned() } else { text.chars().take(MAX_KEPT_BYTES).collect() }
}
