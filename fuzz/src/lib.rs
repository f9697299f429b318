//! What is fuzzed: whatever a client or a file says, nothing panics, and every answer is one that the OpenAPI document allows.

#[path = "../../tests/shared/document.rs"]
mod document;

use std::{cell::OnceCell, fs};

use bytes::Bytes;
use http::{Method, Request};
use opswat_mock::{Builder, Local, Mock, config::Config};
use tokio::runtime::Runtime;

const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";

/// What is done with an input. It panics when something is wrong.
pub type Target = fn(&[u8]);

/// The target of each name: the folder of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("query", query),
    ("form", form),
    ("activities", activities),
    ("logs", logs),
    ("earlier_logs", earlier_logs),
    ("look_ups", look_ups),
    ("page_token", page_token),
    ("control", control),
    ("audit", audit),
    ("config_file", config_file),
];

/// A path with a query, for `GET`.
pub fn query(data: &[u8]) {
    match std::str::from_utf8(data) {
        // A stream does not end.
        Ok(target) if !target.contains("/stream") => shared(&Method::GET, target, "", &[]),
        _ => {}
    }
}

/// A form for the token endpoint.
pub fn form(data: &[u8]) {
    shared(&Method::POST, "/o/oauth/token", "application/x-www-form-urlencoded", data);
}

/// A body for `POST /o/api/v3/activities`.
pub fn activities(data: &[u8]) {
    shared(&Method::POST, "/o/api/v3/activities", "application/json", data);
}

/// A body for `POST /o/api/v3.3/logs`.
pub fn logs(data: &[u8]) {
    shared(&Method::POST, "/o/api/v3.3/logs", "application/json", data);
}

/// A body for the versions of the logs before v3.3.
pub fn earlier_logs(data: &[u8]) {
    for version in ["v3", "v3.1", "v3.2"] {
        shared(&Method::POST, &format!("/o/api/{version}/logs"), "application/json", data);
    }
}

/// A body for each API that connectors look something up with.
pub fn look_ups(data: &[u8]) {
    let is_log = |path: &str| path.ends_with("/logs") || path.ends_with("/activities") || path.starts_with("/o/oauth");
    for api in opswat_mock::ApiName::ALL {
        for path in api.paths().iter().filter(|path| !is_log(path)) {
            shared(&Method::POST, &path.replace("{id}", "KFL5ODOBEFFL38RA"), "application/json", data);
        }
    }
}

/// A page token.
pub fn page_token(data: &[u8]) {
    let token = serde_json::Value::from(String::from_utf8_lossy(data));
    let body = format!(r#"{{"event_category":"device","age":86400,"limit":20,"token":{token}}}"#);
    logs(body.as_bytes());
}

/// Calls of the control surface, each a line with the method, a space and the path below `/_mock`, and a line with the body.
pub fn control(data: &[u8]) {
    let local = mock();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    while let (Some(call), body) = (lines.next(), lines.next().unwrap_or_default()) {
        let Some((method, path)) = call.split_once(' ') else { return };
        let Ok(method) = method.parse::<Method>() else { return };
        // A stream does not end.
        if !path.contains("/stream") {
            ask(&local, &method, &format!("/_mock{path}"), "application/json", body.as_bytes());
        }
    }
    // Whatever was set, the API answers within the document, unless a fault asks for something else.
    if local.account().faults().is_empty() {
        let body = br#"{"event_category":"device","age":86400}"#;
        ask(&local, &Method::POST, "/o/api/v3.3/logs", "application/json", body);
    }
}

/// Records for an audit: a line with parameters, then the records, as JSON and as CSV.
pub fn audit(data: &[u8]) {
    let (params, records) = data.split_at(data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len()));
    let Ok(params) = std::str::from_utf8(params) else { return };
    let window = "category=device&from=2026-01-15T06:00:00Z&to=2026-01-15T12:00:00Z";
    for content_type in ["application/json", "text/csv"] {
        let path = format!("/_mock/accounts/default/audit?{window}&{params}");
        shared(&Method::POST, &path, content_type, records);
    }
}

/// A TOML file for `--config`.
pub fn config_file(data: &[u8]) {
    let path = std::env::temp_dir().join(format!("opswat-mock-fuzz-{}.toml", std::process::id()));
    fs::write(&path, data).expect("a file");
    let flags = ["opswat-mock".into(), "--config".into(), path.clone().into_os_string()];
    if let Ok(config) = Config::load(flags) {
        // It may still be refused, in words.
        let _ = Builder::from(config).local();
    }
    let _ = fs::remove_file(path);
}

/// Asks one mock for all inputs: what these requests leave behind (tokens, sandboxes, a journal) changes no answer's form.
fn shared(method: &Method, target: &str, media_type: &str, body: &[u8]) {
    thread_local! {
        static LOCAL: OnceCell<Local> = const { OnceCell::new() };
    }
    LOCAL.with(|local| ask(local.get_or_init(mock), method, target, media_type, body));
}

fn mock() -> Local {
    Mock::builder().now("2026-01-15T12:00:00Z").without_quota().local().expect("a mock")
}

fn ask(local: &Local, method: &Method, target: &str, media_type: &str, body: &[u8]) {
    thread_local! {
        static RUNTIME: Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
    if target.starts_with("/o/api") && !target.contains("access_token") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    if !media_type.is_empty() {
        request = request.header("content-type", media_type);
    }
    // What is no request never reaches a handler.
    let Ok(request) = request.body(Bytes::copy_from_slice(body)) else { return };
    if !request.uri().path().starts_with('/') {
        return;
    }
    let path = request.uri().path().to_owned();
    let answer = RUNTIME.with(|runtime| runtime.block_on(local.answer(request)));
    if let Ok(answer) = answer {
        assert_ne!(answer.status(), 500, "a handler panicked");
        document::assert_allowed(method.as_str(), &path, &answer);
    }
}
