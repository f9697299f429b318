//! What the layers find out about one request.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, http::header};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::masking::{masked_body, masked_pairs};
use crate::{
    account::{Account, AccountConfig, journal::MAX_PARAMETER_BYTES, quota::QuotaStatus},
    world::Millis,
};

/// How long the body of a request is waited for that is refused without it. It mostly comes with the head.
const REFUSED_BODY_TIME: Duration = Duration::from_millis(100);

/// The account that a request is about, its configuration when the request came, and the account's time then.
#[derive(Clone, Debug)]
pub(super) struct RequestTarget {
    pub(super) account: Arc<Account>,
    pub(super) config: Arc<AccountConfig>,
    pub(super) now: Millis,
    /// The epoch of the account in which the request came.
    pub(super) epoch: u64,
}

/// What the layers find out about a request. Its clones share one record.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<RequestRecord>>);

/// See [`Recorder`].
#[derive(Debug, Default)]
pub(super) struct RequestRecord {
    /// The account of the client that the token service found in the form, instead of the one that the request came with.
    pub(super) target: Option<RequestTarget>,
    /// The JSON of the body, secrets masked.
    pub(super) body: Option<Box<str>>,
    /// The pairs of a form, secrets masked.
    pub(super) form: Vec<(String, String)>,
    pub(super) entries: Option<u64>,
    pub(super) quota: Option<QuotaStatus>,
    pub(super) fault: Option<Arc<str>>,
    /// The quota had nothing left for the request.
    pub(super) is_rate_limited: bool,
    /// The limit of the server that the request met, by the name of its flag.
    pub(super) limited: Option<&'static str>,
}

impl Recorder {
    /// Sets the account that the token service found.
    pub(super) fn target(&self, target: RequestTarget) {
        self.0.lock().target = Some(target);
    }

    /// All that was found out. Nothing is added afterwards.
    pub(super) fn take(&self) -> RequestRecord {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn body(&self, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(MAX_PARAMETER_BYTES)];
        self.0.lock().body = Some(masked_body(&String::from_utf8_lossy(kept)).into());
    }

    pub(super) fn form(&self, form: &str) {
        self.0.lock().form = masked_pairs(form);
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

    pub(super) fn limited(&self, limit: &'static str) {
        self.0.lock().limited = Some(limit);
    }

    pub(super) fn rate_limited(&self) {
        self.0.lock().is_rate_limited = true;
    }

    /// Reads the body of a request that is refused without it, so that the journal has what was asked for.
    pub(super) async fn refused_body(&self, request: Request) {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // A client that waits for 100 Continue gets the refusal instead.
        let is_wanted =
            matches!(length, Some(1..=MAX_PARAMETER_BYTES)) && !request.headers().contains_key(header::EXPECT);
        if !is_wanted {
            return;
        }
        let body = Limited::new(request.into_body(), MAX_PARAMETER_BYTES);
        if let Ok(Ok(bytes)) = timeout(REFUSED_BODY_TIME, body.collect()).await {
            self.body(&bytes.to_bytes());
        }
    }
}
