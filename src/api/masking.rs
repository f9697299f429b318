//! Masks the secrets in a request's parameters before the journal stores them.

use serde_json::Value;

use super::params::Params;
use crate::account::journal::{MAX_PARAMETER_BYTES, masked};

/// Decodes the pairs in the first [`MAX_PARAMETER_BYTES`] bytes of a query or a form, and masks secrets.
pub(super) fn masked_pairs(raw: &str) -> Vec<(String, String)> {
    let end = (0..=MAX_PARAMETER_BYTES.min(raw.len())).rev().find(|&end| raw.is_char_boundary(end)).unwrap_or(0);
    let pairs = raw[..end].split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (Params::decoded_lossy(name), Params::decoded_lossy(value));
        // JSON that is sent as a form decodes to a name without a value.
        let is_name = name.chars().all(|c| c.is_alphanumeric() || "-_.[]% ".contains(c));
        if !is_name && mentions_secret(&name) {
            return ("…".to_owned(), String::new());
        }
        let is_secret = is_secret(&name) || mentions_secret(&value);
        (name, if is_secret && !value.is_empty() { masked(&value) } else { value })
    });
    pairs.collect()
}

/// Parts of parameter names whose values are secret.
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

/// A path without what follows the name of a secret in it, such as a matrix parameter.
pub(super) fn masked_path(path: &str) -> String {
    if !mentions_secret(path) {
        return path.to_owned();
    }
    let lower = path.to_ascii_lowercase();
    let secret = SECRETS.iter().filter_map(|word| lower.find(word).map(|at| at + word.len())).min();
    secret.map_or_else(|| path.to_owned(), |end| format!("{}…", &path[..end]))
}

/// Whether a text contains one of [`SECRETS`] or `bearer `, case-insensitively. This runs for every request, so it
/// makes a single pass without allocation.
fn mentions_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, first)| {
        // Skips bytes that start none of the words.
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

/// The body as the journal stores it. A body that may contain a secret is parsed, and its secret values are masked. If
/// it cannot be parsed, the journal stores only `…`.
pub(super) fn masked_body(body: &str) -> String {
    // A name may be escaped.
    if !(mentions_secret(body) || body.contains("\\u") || body.contains("\"code\"") || body.contains("code=")) {
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
    fn secrets_in_paths_are_cut_off() {
        assert_eq!(masked_path("/o/api/v2/logs;access_token=HUSH"), "/o/api/v2/logs;access_token…");
        assert_eq!(masked_path("/o/api/v3.3/logs"), "/o/api/v3.3/logs");
    }

    #[test]
    fn secrets_in_bodies_and_forms_are_masked() {
        for body in [
            r#"{"event_category":"device","access_token":"HIDE"}"#,
            r#"{"filter":{"Client_Secret":"HIDE"}}"#,
            r#"[{"password":["HIDE"]}]"#,
            r#"{"client\u005fsecret":"HIDE"}"#,
            r#"{"client_secret":"HIDE""#,
            r#""client_secret=HIDE""#,
            r#"{"code":"HIDE"}"#,
            "grant_type=authorization_code&code=HIDE",
        ] {
            let stored = masked_body(&body.replace("HIDE", SECRET));
            assert!(!stored.contains(SECRET), "{stored}");
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
            let stored = format!("{:?}", masked_pairs(&form.replace("HIDE", SECRET)));
            assert!(!stored.contains(SECRET), "{stored}");
        }
        let plain = r#"{"event_category":"device","token":"AwAAAA","filter":{"search":"x"}}"#;
        assert_eq!(masked_body(plain), plain, "a page token is not a secret");
    }
}
