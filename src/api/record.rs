//! The record of one request, which the layers and the handler fill.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, http::header};
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::masking::{masked_body, masked_pairs};
use crate::{
    account::{
        Account, AccountConfig,
        journal::{MAX_PARAMETER_BYTES, ResponseChange, TokenLife},
        listing::PageQuery,
        quota::QuotaStatus,
    },
    world::Millis,
};

/// The maximum time to wait for the body of a rejected request. The body usually arrives together with the head.
const REFUSED_BODY_TIME: Duration = Duration::from_millis(100);

/// The account of a request, with its effective configuration and its time when the request arrived.
#[derive(Clone, Debug)]
pub(super) struct RequestTarget {
    pub(super) account: Arc<Account>,
    pub(super) config: Arc<AccountConfig>,
    pub(super) now: Millis,
    /// Whether the account's clock stood still then.
    pub(super) is_frozen: bool,
    /// The epoch of the account when the request arrived.
    pub(super) epoch: u64,
    /// The number of the last request of the journal when the request arrived.
    pub(super) arrived_after: u64,
    /// The place of the request in the order of arrival.
    pub(super) arrival: u64,
}

/// A handle to the record of a request. Clones share the record.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<RequestRecord>>);

/// The data of a [`Recorder`].
#[derive(Debug, Default)]
pub(super) struct RequestRecord {
    /// The account of the client id, on the OAuth routes. It replaces the target of the first request context.
    pub(super) target: Option<RequestTarget>,
    /// The JSON body, with secrets masked.
    pub(super) body: Option<Box<str>>,
    /// The pairs of a form, with secrets masked.
    pub(super) form: Vec<(String, String)>,
    /// The page that the request asks for.
    pub(super) page: Option<PageQuery>,
    pub(super) change: ResponseChange,
    /// The fields and values that the API ignores.
    pub(super) ignored: Option<Vec<String>>,
    pub(super) entries: Option<u64>,
    pub(super) quota: Option<QuotaStatus>,
    pub(super) fault: Option<Arc<str>>,
    /// The issued token.
    pub(super) token_life: Option<TokenLife>,
    /// The API refused what a client can learn only from the refusal.
    pub(super) is_unforeseeable: bool,
    /// The quota rejected the request.
    pub(super) is_rate_limited: bool,
    /// The time until a request that was refused with 429 may be repeated.
    pub(super) wait_seconds: Option<u64>,
    /// The flag name of the server limit that the request exceeded.
    pub(super) limited: Option<&'static str>,
}

impl Recorder {
    /// Sets the account of the client id.
    pub(super) fn target(&self, target: RequestTarget) {
        self.0.lock().target = Some(target);
    }

    /// Takes the record. Nothing is recorded afterwards.
    pub(super) fn take(&self) -> RequestRecord {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn body(&self, bytes: &[u8]) {
        let stored = &bytes[..bytes.len().min(MAX_PARAMETER_BYTES)];
        self.0.lock().body = Some(masked_body(&String::from_utf8_lossy(stored)).into());
    }

    pub(super) fn form(&self, form: &str) {
        self.0.lock().form = masked_pairs(form);
    }

    /// Sets the page that the request asks for.
    pub(super) fn page(&self, query: PageQuery) {
        self.0.lock().page = Some(query);
    }

    /// Sets the fields and values that the API ignores.
    pub(super) fn ignored(&self, ignored: Vec<String>) {
        self.0.lock().ignored = Some(ignored);
    }

    /// Records a change of the response by a fault.
    pub(super) fn change(&self, change: impl FnOnce(&mut ResponseChange)) {
        change(&mut self.0.lock().change);
    }

    pub(super) fn entries(&self, count: u64) {
        self.0.lock().entries = Some(count);
    }

    pub(super) fn quota(&self, status: QuotaStatus) {
        self.0.lock().quota = Some(status);
    }

    pub(super) fn fault(&self, name: Arc<str>) {
        self.0.lock().fault = Some(name);
    }

    /// Sets the issued token.
    pub(super) fn token_life(&self, token_life: TokenLife) {
        self.0.lock().token_life = Some(token_life);
    }

    /// Records that the API refuses what a client can learn only from the refusal.
    pub(super) fn unforeseeable(&self) {
        self.0.lock().is_unforeseeable = true;
    }

    pub(super) fn limited(&self, limit: &'static str) {
        self.0.lock().limited = Some(limit);
    }

    /// Records that the quota rejected the request, which may be repeated after some time.
    pub(super) fn rate_limited(&self, wait_seconds: u64) {
        let mut record = self.0.lock();
        (record.is_rate_limited, record.wait_seconds) = (true, Some(wait_seconds));
    }

    /// Sets the time until a request that is refused with 429 may be repeated.
    pub(super) fn wait(&self, seconds: u64) {
        self.0.lock().wait_seconds = Some(seconds);
    }

    /// Reads and records the body of a request that is answered without the API, so that the journal has its
    /// parameters. Returns an empty body if it is not read.
    pub(super) async fn refused_body(&self, request: Request) -> Bytes {
        let length = request.body().size_hint().exact();
        let is_short = length.is_some_and(|length| (1..=MAX_PARAMETER_BYTES as u64).contains(&length));
        // A client that waits for `100 Continue` gets the error immediately.
        let is_wanted = is_short && !request.headers().contains_key(header::EXPECT);
        if !is_wanted {
            return Bytes::new();
        }
        let body = Limited::new(request.into_body(), MAX_PARAMETER_BYTES);
        let Ok(Ok(body)) = timeout(REFUSED_BODY_TIME, body.collect()).await else { return Bytes::new() };
        let bytes = body.to_bytes();
        self.body(&bytes);
        bytes
    }
}
