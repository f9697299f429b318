//! What is found out about a request on its way, for the journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{gate::Visit, params::Params};
use crate::account::{
    journal::{MAX_PARAMETER_BYTES, masked},
    quota::Standing,
};

/// Shared by everybody who serves one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Whose client asks, once that is known. Its own notes are empty.
    pub(super) visit: Option<Visit>,
    /// The JSON of the body.
    pub(super) body: Option<Box<str>>,
    /// The form of the body, secrets masked.
    pub(super) form: Vec<(String, String)>,
    pub(super) entries: Option<u64>,
    pub(super) quota: Option<Standing>,
    pub(super) fault: Option<Arc<str>>,
}

impl Notes {
    /// Whose client asks. The visit is kept without these notes, which would keep each other.
    pub(super) fn visit(&self, visit: &Visit) {
        self.noted().visit = Some(Visit { notes: Self::default(), ..visit.clone() });
    }

    pub(super) fn body(&self, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(MAX_PARAMETER_BYTES)];
        self.noted().body = Some(String::from_utf8_lossy(kept).into());
    }

    pub(super) fn form(&self, form: &str) {
        self.noted().form = Params::for_journal(form);
    }

    pub(super) fn entries(&self, count: u64) {
        self.noted().entries = Some(count);
    }

    pub(super) fn quota(&self, standing: Standing) {
        self.noted().quota = Some(standing);
    }

    pub(super) fn fault(&self, name: Arc<str>) {
        self.noted().fault = Some(name);
    }

    /// All that was noted. Nothing is noted afterwards.
    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut self.noted())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Params<'_> {
    /// The pairs of a query or a form as the journal keeps them: as many as fit, and nothing secret in them.
    pub(super) fn for_journal(raw: &str) -> Vec<(String, String)> {
        let end = (0..=MAX_PARAMETER_BYTES.min(raw.len())).rev().find(|&end| raw.is_char_boundary(end)).unwrap_or(0);
        let pairs = raw[..end].split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (Self::decoded_lossy(name), Self::decoded_lossy(value));
            let is_secret = SECRETS.contains(&name.as_str()) && !value.is_empty();
            (name, if is_secret { masked(&value) } else { value })
        });
        pairs.collect()
    }
}

/// Parameters that nobody may read in a journal.
const SECRETS: [&str; 5] = ["access_token", "client_secret", "code", "refresh_token", "password"];
