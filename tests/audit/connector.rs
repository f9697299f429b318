//! A small connector of v3.3, and what its test asks the control surface.

use bytes::Bytes;
use http::{Request, Response};
use opswat_mock::{Builder, ConnectionClosedError, Local, Mock};
use serde_json::{Value, json};

use crate::document;

pub(crate) const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// 2026-01-15 12:00 UTC, the start of every clock, in milliseconds.
pub(crate) const NOW: i64 = 1_768_478_400_000;
/// More requests than any test needs.
const MAX_REQUESTS: usize = 2_000;
pub(crate) const HOUR: i64 = 3_600_000;

/// A mock with a frozen clock and no quota, and the records that a connector has stored.
pub(crate) struct Lab {
    pub(crate) local: Local,
    pub(crate) stored: Vec<Value>,
}

pub(crate) fn builder() -> Builder {
    Mock::builder().now("2026-01-15T12:00:00Z").without_quota()
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::of(builder())
    }

    pub(crate) fn of(builder: Builder) -> Self {
        Self { local: builder.local().expect("a mock"), stored: Vec::new() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.local.account().clock().now().0
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.local.account().advance(std::time::Duration::from_secs(seconds));
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionClosedError> {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let answer = self.local.answer(request).await?;
        if !answer.headers().contains_key("x-mock-fault") {
            document::assert_allowed(&method, &path, &answer);
        }
        Ok(answer)
    }

    /// A request to v3.3: the status, and the body if it is JSON. Status 0 if the connection broke.
    pub(crate) async fn ask(&self, query: &Value) -> (u16, Option<Value>) {
        self.ask_as(TOKEN, query).await
    }

    pub(crate) async fn ask_as(&self, token: &str, query: &Value) -> (u16, Option<Value>) {
        self.post(token, "/o/api/v3.3/logs", query).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, query: &Value) -> (u16, Option<Value>) {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(query.to_string().into())
            .expect("a request");
        match self.send(request).await {
            Ok(answer) => (answer.status().as_u16(), serde_json::from_slice(answer.body()).ok()),
            Err(_) => (0, None),
        }
    }

    /// Reads all pages of a query, with retries, and returns the entries.
    pub(crate) async fn read(&self, mut query: Value) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut token = TOKEN.to_owned();
        for _ in 0..MAX_REQUESTS {
            let page = match self.ask_as(&token, &query).await {
                (200, Some(page)) if page["data"].is_array() => page,
                (429, _) => {
                    self.advance(30);
                    continue;
                }
                (401, _) => {
                    let (_, made) = self.control("POST", "/tokens", "{}").await;
                    made["access_token"].as_str().expect("a token").clone_into(&mut token);
                    continue;
                }
                _ => continue,
            };
            let data = page["data"].as_array().expect("data").clone();
            if data.is_empty() && page["token"] == "" {
                return entries;
            }
            entries.extend(data);
            query["token"] = page["token"].clone();
        }
        panic!("the query {query} does not end");
    }

    /// Reads a window and stores all entries.
    pub(crate) async fn collect(&mut self, from: i64, to: i64) {
        let entries = self.read(window(from, to)).await;
        self.stored.extend(entries);
    }

    /// Stores entries that are not stored yet, as a connector does whose windows overlap.
    pub(crate) fn store_new(&mut self, entries: Vec<Value>) {
        for entry in entries {
            if !self.stored.contains(&entry) {
                self.stored.push(entry);
            }
        }
    }

    /// A request to the control surface for the account `default`.
    pub(crate) async fn control(&self, method: &str, noun: &str, body: impl Into<Bytes>) -> (u16, Value) {
        self.control_as(method, noun, "application/json", body).await
    }

    pub(crate) async fn control_as(
        &self,
        method: &str,
        noun: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/_mock/accounts/default{noun}"))
            .header("host", "localhost")
            .header("content-type", content_type);
        let answer = self.send(request.body(body.into()).expect("a request")).await.expect("a whole answer");
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).expect("JSON"))
    }

    /// Changes the account.
    pub(crate) async fn patch(&self, change: Value) -> (u16, Value) {
        self.control("PATCH", "", change.to_string()).await
    }

    /// Adds a fault rule.
    pub(crate) async fn fault(&self, rule: Value) {
        assert_eq!(self.control("POST", "/faults", rule.to_string()).await.0, 201);
    }

    /// Injects an event.
    pub(crate) async fn inject(&self, event: Value) {
        let (status, answer) = self.control("POST", "/events", event.to_string()).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Audits the stored records of the device category.
    pub(crate) async fn audit(&self, params: &str) -> Value {
        let lines: Vec<String> = self.stored.iter().map(ToString::to_string).collect();
        let noun = format!("/audit?category=device&{params}");
        let (status, report) = self.control_as("POST", &noun, "application/x-ndjson", lines.join("\n")).await;
        assert_eq!(status, 200, "{report}");
        report
    }

    /// Audits what was served.
    pub(crate) async fn audit_served(&self, params: &str) -> Value {
        let (status, report) = self.control("GET", &format!("/audit?category=device&{params}"), "").await;
        assert_eq!(status, 200, "{report}");
        report
    }
}

/// A query for the device events of a window, both ends included, in milliseconds.
pub(crate) fn window(from: i64, to: i64) -> Value {
    json!({"event_category":"device","limit":100,"start_time":from,"end_time":to})
}

/// The window of an audit, in milliseconds, as parameters. The end is excluded.
pub(crate) fn between(from: i64, to: i64) -> String {
    let text = |at: i64| opswat_mock::clock::Instant::from(opswat_mock::world::Millis(at)).to_string();
    format!("from={}&to={}&examples=1000", text(from), text(to))
}

/// The counts of a report that are not 0, and the causes.
pub(crate) fn findings(report: &Value) -> Value {
    let mut found = serde_json::Map::new();
    for kind in ["missing", "duplicated", "altered", "unknown", "unreadable", "missed"] {
        let Some(finding) = report.get(kind).filter(|finding| finding["count"] != 0) else { continue };
        let causes = finding.get("causes").cloned();
        found.insert(kind.to_owned(), causes.unwrap_or_else(|| finding["count"].clone()));
        let examples = finding["examples"].as_array().expect("examples").len();
        assert_eq!(json!(examples), finding["count"], "every {kind} is an example");
    }
    assert_eq!(report["is_complete"], json!(found.is_empty()), "{report}");
    Value::Object(found)
}
