//! What is found out about a request on its way, for the journal; and what of it nobody may read there.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{extract::Request, http::header};
use http_body_util::{BodyExt, Limited};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::time::timeout;

use super::{gate::Visit, params::Params};
use crate::account::{
    journal::{MAX_PARAMETER_BYTES, masked},
    quota::Standing,
};

/// How long the body of a request is waited for that is refused without it: it mostly comes with the head.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// A body on its way into the notes.
pub(super) type Reading = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Shared by everybody who serves one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Whose client asks, once that is known. Its own notes are empty.
    pub(super) visit: Option<Visit>,
    /// The JSON of the body, secrets masked.
    pub(super) body: Option<Box<str>>,
    /// The form of the body, secrets masked.
    pub(super) form: Vec<(String, String)>,
    pub(super) entries: Option<u64>,
    pub(super) quota: Option<Standing>,
    pub(super) fault: Option<Arc<str>>,
    /// The quota had nothing left for it.
    pub(super) is_rate_limited: bool,
    /// The limit of the server that it met, by the name of its flag.
    pub(super) limited: Option<&'static str>,
}

/// Reads the body of a request that is refused without it. `None` when there is none, or none that the journal would keep.
pub(super) fn reading(request: Request, notes: Notes) -> Option<Reading> {
    let length: usize = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    // Whoever waits to be told to go on is told the refusal instead.
    if length == 0 || length > MAX_PARAMETER_BYTES || request.headers().contains_key(header::EXPECT) {
        return None;
    }
    let body = Limited::new(request.into_body(), MAX_PARAMETER_BYTES);
    Some(Box::pin(async move {
        if let Ok(Ok(bytes)) = timeout(READ_PATIENCE, body.collect()).await {
            notes.body(&bytes.to_bytes());
        }
    }))
}

impl Notes {
    /// Whose client asks. The visit is kept without these notes, which would keep each other.
    pub(super) fn visit(&self, visit: &Visit) {
        self.noted().visit = Some(Visit { notes: Self::default(), ..visit.clone() });
    }

    pub(super) fn body(&self, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(MAX_PARAMETER_BYTES)];
        self.noted().body = Some(unsecret(&String::from_utf8_lossy(kept)).into());
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

    pub(super) fn limited(&self, limit: &'static str) {
        self.noted().limited = Some(limit);
    }

    pub(super) fn rate_limited(&self) {
        self.noted().is_rate_limited = true;
    }

    /// All that was noted. Nothing is noted afterwards.
    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut self.noted())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock()
    }
}

impl Params<'_> {
    /// The pairs of a query or a form as the journal keeps them: as many as fit, and nothing secret in them.
    pub(super) fn for_journal(raw: &str) -> Vec<(String, String)> {
        let end = (0..=MAX_PARAMETER_BYTES.min(raw.len())).rev().find(|&end| raw.is_char_boundary(end)).unwrap_or(0);
        let pairs = raw[..end].split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (Self::decoded_lossy(name), Self::decoded_lossy(value));
            // JSON that was sent as a form is all name.
            let is_name = name.chars().all(|c| c.is_alphanumeric() || "-_.[]% ".contains(c));
            if !is_name && mentions_secret(&name) {
                return ("…".to_owned(), String::new());
            }
            let is_secret = is_secret(&name) || mentions_secret(&value);
            (name, if is_secret && !value.is_empty() { masked(&value) } else { value })
        });
        pairs.collect()
    }
}

/// Words of names whose values nobody may read in a journal.
const SECRETS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "id_token",
    "secret",
    "password",
    "assertion",
    "api_key",
    "apikey",
    "authorization",
];

fn is_secret(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    name == "code" || mentions_secret(&name)
}

/// Whether one of the words stands in a text, in any case. Every request is looked at: one pass, and nothing is copied.
fn mentions_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, first)| {
        // What none of the words begins with.
        if !matches!(first | 0x20, b'a' | b'b' | b'i' | b'p' | b'r' | b's') {
            return false;
        }
        let rest = &bytes[at..];
        SECRETS
            .iter()
            .chain(&["bearer "])
            .any(|word| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes())))
    })
}

/// A body as the journal keeps it. Where it may hold a secret it is read, and what is under a secret's name is masked; what
/// cannot be read then is not kept.
fn unsecret(body: &str) -> String {
    // An escape may hide a name.
    if !(mentions_secret(body) || body.contains("\\u") || body.contains("\"code\"")) {
        return body.to_owned();
    }
    match serde_json::from_str::<Value>(body) {
        Ok(mut value) => {
            mask(&mut value);
            value.to_string()
        }
        Err(_) => "…".to_owned(),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_secret(name) {
                    *value = Value::from(value.as_str().map_or_else(|| "…".to_owned(), masked));
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if mentions_secret(text) => *text = masked(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "HUSHHUSHHUSHHUSHHUSH";

    #[test]
    fn no_secret_stays_in_a_body_or_a_form() {
        for body in [
            r#"{"event_category":"device","access_token":"HIDE"}"#,
            r#"{"filter":{"Client_Secret":"HIDE"}}"#,
            r#"[{"password":["HIDE"]}]"#,
            r#"{"client\u005fsecret":"HIDE"}"#,
            r#"{"client_secret":"HIDE""#,
            r#""client_secret=HIDE""#,
            r#"{"code":"HIDE"}"#,
        ] {
            let kept = unsecret(&body.replace("HIDE", SECRET));
            assert!(!kept.contains(SECRET), "{kept}");
        }
        for form in [
            "client_secret=HIDE",
            "CLIENT_SECRET=HIDE&a=b",
            "access_token%20=HIDE",
            "client_secret[]=HIDE",
            "a=b;access_token=HIDE",
            "client_assertion=HIDE",
            "Authorization=Bearer%20HIDE",
            r#"{"grant_type":"client_credentials","client_secret":"HIDE"}"#,
        ] {
            let kept = format!("{:?}", Params::for_journal(&form.replace("HIDE", SECRET)));
            assert!(!kept.contains(SECRET), "{kept}");
        }
        let plain = r#"{"event_category":"device","token":"AwAAAA","filter":{"search":"x"}}"#;
        assert_eq!(unsecret(plain), plain, "a page token is no secret");
    }
}
