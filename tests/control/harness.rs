//! A mock with a frozen clock, and a client for both of its surfaces. The client checks every response without a fault
//! header against the OpenAPI document.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use opswat_mock::{Builder, ConnectionClosedError, Local, Mock, account::Account};
use serde_json::{Value, json};

use crate::document;

pub(crate) const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
pub(crate) const NOW: &str = "2026-01-15T12:00:00Z";
pub(crate) const NOW_SECONDS: i64 = 1_768_478_400;
pub(crate) const V2: &str = "/o/api/v2/logs";
pub(crate) const V3: &str = "/o/api/v3/activities";
pub(crate) const V33: &str = "/o/api/v3.3/logs";

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) local: Local,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A mock whose clock is frozen at 2026-01-15 12:00 UTC.
pub(crate) fn builder() -> Builder {
    Mock::builder().now(NOW)
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::of(builder())
    }

    pub(crate) fn of(builder: Builder) -> Self {
        Self { local: builder.local().expect("a mock") }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        self.local.account()
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        self.try_send(request).await.expect("a whole answer")
    }

    pub(crate) async fn try_send(&self, request: Request<Bytes>) -> Result<Answer, ConnectionClosedError> {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let answer = self.local.answer(request).await?;
        // The document does not describe responses that a fault changed.
        if !answer.headers().contains_key("x-mock-fault") {
            document::assert_allowed(&method, &path, &answer);
        }
        let (parts, body) = answer.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// A request to the control surface. `Value::Null` means no body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(format!("/_mock{path}")).header("host", "localhost");
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// A request to the control surface for the account `default`.
    pub(crate) async fn control(&self, method: &str, noun: &str, body: Value) -> Answer {
        self.call(method, &format!("/accounts/default{noun}"), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await.ok()
    }

    /// A POST request to the emulated surface.
    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).expect("a request")).await
    }

    pub(crate) async fn v33(&self, body: Value) -> Answer {
        self.post_as(TOKEN, V33, body).await
    }

    pub(crate) async fn v3(&self, body: Value) -> Answer {
        self.post_as(TOKEN, V3, body).await
    }

    pub(crate) async fn v2_as(&self, token: &str, params: &str) -> Answer {
        let uri = format!("{V2}?access_token={token}&{params}");
        self.send(Request::get(uri).body(Bytes::new()).expect("a request")).await
    }

    pub(crate) async fn v2(&self, params: &str) -> Answer {
        self.v2_as(TOKEN, params).await
    }

    /// Requests a token with client credentials.
    pub(crate) async fn token_of(&self, client_id: &str, client_secret: &str) -> Answer {
        let form = format!("grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}");
        let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.into()).expect("a request")).await
    }

    /// Reads all pages of a v3.3 query.
    pub(crate) async fn walk(&self, query: Value) -> Vec<Value> {
        self.walk_as(TOKEN, query).await
    }

    pub(crate) async fn walk_as(&self, token: &str, mut query: Value) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let page = self.post_as(token, V33, query.clone()).await.ok();
            let data = page["data"].as_array().expect("data").clone();
            if data.is_empty() {
                return entries;
            }
            entries.extend(data);
            query["token"] = page["token"].clone();
        }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status == 200 || self.status == 201, "{} {}", self.status, self.text());
        self.json()
    }

    /// Asserts an error response of the control surface.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, detail: &str) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!((self.status, body["detail"].as_str()), (status, Some(detail)));
        assert_eq!(body["status"], json!(status));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.header(name).unwrap_or_else(|| panic!("no header {name}")).parse().expect("an integer")
    }
}
