//! A mock with a frozen clock, and a client for it. The client checks every response against the OpenAPI document
//! and the list of allowed headers.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use opswat_mock::{Builder, Local, account::Account, config::Config};
use serde_json::Value;

use crate::document;

pub(crate) const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
pub(crate) const CLIENT: &str = "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
pub(crate) const SECRET: &str = "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
pub(crate) const V2: &str = "/o/api/v2/logs";
pub(crate) const V3: &str = "/o/api/v3/activities";
pub(crate) const V33: &str = "/o/api/v3.3/logs";

/// The headers that a response of the emulated surface may have.
const ALLOWED_HEADERS: [&str; 10] = [
    "allow",
    "cache-control",
    "content-length",
    "content-type",
    "date",
    "location",
    "pragma",
    "www-authenticate",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
];
const RESET: &str = "x-ratelimit-reset-time";

pub(crate) struct Mock {
    pub(crate) account: Arc<Account>,
    pub(crate) local: Local,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Mock {
    /// A mock with these flags. Its clock is frozen at 2026-01-15 12:00 UTC unless `flags` has `--now`.
    pub(crate) fn new(flags: &str) -> Self {
        let given = flags.split_whitespace().map(str::to_owned);
        let now = ["--now", "2026-01-15T12:00:00Z"].map(str::to_owned);
        let now = if flags.contains("--now") { None } else { Some(now) };
        let arguments = std::iter::once("opswat-mock".to_owned()).chain(now.into_iter().flatten()).chain(given);
        Self::of(Config::load(arguments.map(Into::into)).expect("flags of a test"))
    }

    pub(crate) fn of(config: Config) -> Self {
        let local = Builder::from(config).local().expect("a mock of these flags");
        Self { account: local.account().clone(), local }
    }

    /// A mock without a quota.
    pub(crate) fn unlimited() -> Self {
        Self::new("--rate-limit off")
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.account.clock().advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let answer = self.local.answer(request).await.expect("a whole answer");
        document::assert_allowed(&method, &path, &answer);
        let (parts, body) = answer.into_parts();
        for name in parts.headers.keys() {
            assert!(ALLOWED_HEADERS.contains(&name.as_str()) || name == RESET, "{name} is not an allowed header");
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() }
    }

    /// A GET request without a token header.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(Request::get(target).body(Bytes::new()).expect("a request")).await
    }

    /// `GET /o/api/v2/logs` with the configured token and these parameters.
    pub(crate) async fn v2(&self, params: &str) -> Answer {
        self.get(&format!("{V2}?access_token={TOKEN}&{params}")).await
    }

    /// A POST request with a JSON body and the configured token.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.post_as(TOKEN, path, body).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub(crate) async fn v3(&self, body: Value) -> Answer {
        self.post(V3, body.to_string()).await
    }

    pub(crate) async fn v33(&self, body: Value) -> Answer {
        self.post(V33, body.to_string()).await
    }

    /// A POST request with a form to the token endpoint.
    pub(crate) async fn form(&self, form: &str) -> Answer {
        let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.to_owned().into()).expect("a request")).await
    }

    /// All entries of a v3.3 query, page by page, newest first.
    pub(crate) async fn walk_v33(&self, query: &Value) -> Vec<Value> {
        let mut query = query.clone();
        let mut entries = Vec::new();
        loop {
            let page = self.v33(query.clone()).await.ok();
            let data = page["data"].as_array().expect("data is an array").clone();
            let token = page["token"].as_str().expect("token is a string");
            assert_eq!(token.is_empty(), data.is_empty(), "only the empty page has an empty token");
            if data.is_empty() {
                return entries;
            }
            entries.extend(data);
            query["token"] = token.into();
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

    /// The JSON body; asserts the status 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/json;charset=UTF-8");
        self.json()
    }

    /// The status, `error` and `error_description` of an error response; asserts that the body has no other field.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        assert!(self.status >= 400, "{} {}", self.status, self.text());
        assert_eq!(self.headers["content-type"], "application/json;charset=UTF-8", "{}", self.text());
        let body = self.json();
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
        let field = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        (self.status, field("error"), field("error_description"))
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, error: &str, description: &str) {
        assert_eq!(self.refusal(), (status, error.to_owned(), description.to_owned()));
    }

    pub(crate) fn header(&self, name: &str) -> i64 {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}"));
        value.to_str().expect("ASCII").parse().expect("an integer")
    }

    /// The response in the format of the golden files.
    pub(crate) fn printed(&self) -> String {
        let mut text = format!("HTTP {}\n", self.status);
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in headers {
            writeln!(text, "{name}: {}", value.to_str().expect("a header in ASCII"))
                .expect("a write to a string succeeds");
        }
        text + "\n" + self.text() + "\n"
    }
}

/// A row of a test table: the input, and the expected status, error and description.
pub(crate) type Row<'a> = (&'a str, u16, &'a str, &'a str);
