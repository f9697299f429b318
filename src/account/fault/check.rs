//! Which rules are valid.

use std::fmt;

use super::{
    rule::{Close, Fault, FaultMatch, FaultRule, Gate, WaitClock},
    template,
};
use crate::{
    api_name::ApiName,
    path_pattern::{self, captures},
};

/// The maximum size of a fault's body, in bytes.
pub const MAX_FAULT_BODY_BYTES: usize = 64 * 1024;
/// The maximum number of headers of a fault.
pub const MAX_FAULT_HEADERS: usize = 20;
/// Headers that the server sets itself.
const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "content-type", "date", "transfer-encoding", "x-mock-fault"];
/// The maximum delay: one hour.
pub const MAX_DELAY_MS: u64 = 3_600_000;
/// The default wait time of a forced 429, in seconds.
const RETRY_AFTER_SECONDS: u32 = 30;

/// Why a rule was rejected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultError {
    pub(super) why: String,
    /// The index of the rejected rule, from 0.
    pub(in crate::account) nth: usize,
    pub(super) of: usize,
}

impl FaultRule {
    /// Checks the rule.
    ///
    /// # Errors
    ///
    /// An error if a value is out of range, or if two effects exclude each other.
    pub fn check(&self) -> Result<(), FaultError> {
        let Self { name, matches, fault, times, .. } = self;
        let is_plain = |name: &str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if let Some(name) = name.as_ref().filter(|name| !is_plain(name)) {
            let shown: String = name.chars().take(80).collect();
            return bad(format!("name must be 1 to 64 letters, digits or any of - _ . , got {shown:?}"));
        }
        if *times == Some(0) {
            return bad("times must be from 1, got 0");
        }
        if matches.nth == Some(0) || matches.every == Some(0) {
            return bad("match.nth and match.every must be from 1, got 0");
        }
        if let Some(probability) = matches.probability
            && !(0.0..=1.0).contains(&probability)
        {
            return bad(format!("match.probability must be from 0 to 1, got {probability}"));
        }
        if let (Some(from), Some(to)) = (matches.from, matches.to)
            && to <= from
        {
            return bad(format!("match.to must be after match.from ({from}), got {to}"));
        }
        matches.check()?;
        if matches.gate() == Gate::Before && fault.expire_token {
            return bad("fault.expire_token is about the token of a request, and match.needs_token is false");
        }
        fault.check(matches)
    }
}

impl FaultMatch {
    /// Checks the method, the path and the gate.
    fn check(&self) -> Result<(), FaultError> {
        let is_method = |method: &String| {
            (1..=20).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        if let Some(method) = self.method.as_ref().filter(|method| !is_method(method)) {
            let shown: String = method.chars().take(40).collect();
            return bad(format!("match.method must be a method in capitals, such as GET or POST, got {shown:?}"));
        }
        if let Some(pattern) = &self.path {
            path_pattern::check(pattern).or_else(|why| bad(format!("match.path must be {why}")))?;
            if let Some(api) = self.api
                && !(api.is_at(pattern) || api.paths().iter().any(|path| captures(pattern, path).is_some()))
            {
                return bad(format!("match.path must match a path of match.api ({}), got {pattern:?}", api.path()));
            }
        }
        if self.path.as_ref().is_some_and(|path| path.starts_with("/_mock")) {
            return bad("match.path must not be one of the control surface");
        }
        let literal = self.path.as_deref().and_then(|path| path.split(['*', '{']).next());
        let is_in_api = literal.is_none_or(|start| start.starts_with("/o/api/") || "/o/api/".starts_with(start));
        let is_of_token =
            |pattern: &String| ApiName::Token.paths().iter().any(|path| captures(pattern, path).is_some());
        if self.gate() == Gate::Behind && !is_in_api && !self.path.as_ref().is_some_and(is_of_token) {
            return bad("match.needs_token must be false for a path outside of /o/api, which has no token check");
        }
        if self.gate() == Gate::Before && self.path.is_none() && self.api.is_none() {
            return bad("match.needs_token comes with match.path or match.api");
        }
        Ok(())
    }
}

impl Fault {
    fn check(&self, matches: &FaultMatch) -> Result<(), FaultError> {
        let api = matches.api;
        if self.waits_on != WaitClock::default() && self.delay_ms.is_none() && self.drip_bytes_per_second.is_none() {
            return bad("fault.waits_on comes with fault.delay_ms or fault.drip_bytes_per_second only");
        }
        if *self == Self::default() {
            return bad("fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another");
        }
        if let Some(status) = self.status.filter(|status| !(200..=599).contains(status)) {
            return bad(format!("fault.status must be from 200 to 599, got {status}"));
        }
        if let Some(bytes) = self.body.as_ref().map(String::len).filter(|&bytes| bytes > MAX_FAULT_BODY_BYTES) {
            return bad(format!("fault.body must have at most {MAX_FAULT_BODY_BYTES} bytes, got {bytes}"));
        }
        if self.template {
            let Some(body) = &self.body else { return bad("fault.template comes with fault.body only") };
            template::check(body, matches.path.as_deref())
                .or_else(|why| bad(format!("fault.body must be a template: {why}")))?;
        }
        self.check_headers()?;
        let is_header =
            |text: &String| (1..=200).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if self.content_type.as_ref().is_some_and(|text| !is_header(text)) {
            return bad("fault.content_type must be 1 to 200 visible ASCII characters");
        }
        if let Some(delay) = self.delay_ms.filter(|delay| !(1..=MAX_DELAY_MS).contains(delay)) {
            return bad(format!("fault.delay_ms must be from 1 to {MAX_DELAY_MS}, got {delay}"));
        }
        if self.drip_bytes_per_second == Some(0) {
            return bad("fault.drip_bytes_per_second must be from 1, got 0");
        }
        if self.retry_after_seconds.is_some() && self.rate_limit.is_none() {
            return bad("fault.retry_after_seconds comes with fault.rate_limit only");
        }
        if self.rate_limit.is_some() && (self.status.is_some() || self.body.is_some() || self.content_type.is_some()) {
            return bad("fault.rate_limit answers 429 by itself: status, body and content_type cannot come with it");
        }
        let changes_page = self.entries.is_some() || self.repeat_page_token;
        if changes_page && (self.status.is_some() || self.body.is_some() || self.rate_limit.is_some()) {
            return bad(
                "fault.entries and fault.repeat_page_token change a page: status, body and rate_limit leave none",
            );
        }
        if changes_page && api.is_some_and(|api| !api.has_pages()) {
            return bad("fault.entries and fault.repeat_page_token are for APIs with pages of events only");
        }
        if self.expire_token && api == Some(ApiName::Token) {
            return bad(
                "fault.expire_token is about the token that a request came with, and none comes to the token API",
            );
        }
        if self.repeat_page_token && api.is_some_and(|api| !api.has_page_tokens()) {
            let with_tokens = ApiName::ALL.iter().filter(|api| api.has_page_tokens()).map(|api| api.code());
            let with_tokens: Vec<&str> = with_tokens.collect();
            return bad(format!("fault.repeat_page_token is for APIs with page tokens: {}", with_tokens.join(", ")));
        }
        let has_no_body = matches!(self.status, Some(204 | 205 | 304));
        let changes_body = self.close == Some(Close::MidBody)
            || self.invalid_utf8
            || self.truncate_at.is_some()
            || self.drip_bytes_per_second.is_some()
            || self.body.as_ref().is_some_and(|body| !body.is_empty());
        if has_no_body && changes_body {
            return bad("fault.status 204, 205 and 304 have no body: nothing that changes one can come with them");
        }
        let without_answer = Self { delay_ms: None, expire_token: false, close: None, ..self.clone() };
        if self.close == Some(Close::BeforeHeaders) && without_answer != Self::default() {
            return bad("fault.close before-headers leaves no answer: only delay_ms and expire_token can come with it");
        }
        Ok(())
    }

    fn check_headers(&self) -> Result<(), FaultError> {
        if self.headers.len() > MAX_FAULT_HEADERS {
            return bad(format!("fault.headers must be at most {MAX_FAULT_HEADERS}, got {}", self.headers.len()));
        }
        for (name, value) in &self.headers {
            if self.headers.keys().any(|other| other < name && other.eq_ignore_ascii_case(name)) {
                return bad("fault.headers must not have a name twice");
            }
            let shown: String = name.chars().take(80).collect();
            if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                return bad(format!("fault.headers must not have {shown}, which has a field of its own or is set"));
            }
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if !(1..=100).contains(&name.len()) || !name.bytes().all(is_token) {
                return bad(format!("fault.headers must have names of letters, digits and -, got {shown:?}"));
            }
            if value.len() > 1_000 || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return bad(format!("fault.headers.{shown} must be at most 1000 visible ASCII characters"));
            }
        }
        Ok(())
    }

    /// Whether the fault can affect an API, or a path without one: some effects need access tokens, pages or page
    /// tokens.
    pub(super) fn can_affect(&self, api: Option<ApiName>) -> bool {
        (api != Some(ApiName::Token) || !self.expire_token)
            && (api.is_some_and(ApiName::has_pages) || self.entries.is_none())
            && (api.is_some_and(ApiName::has_page_tokens) || !self.repeat_page_token)
    }

    /// Whether the fault replaces the API's response.
    pub(crate) fn answers_itself(&self) -> bool {
        self.status.is_some()
            || self.body.is_some()
            || self.rate_limit.is_some()
            || self.close == Some(Close::BeforeHeaders)
    }

    /// The wait time of a forced 429, in seconds.
    pub(crate) fn retry_seconds(&self) -> u32 {
        self.retry_after_seconds.unwrap_or(RETRY_AFTER_SECONDS)
    }
}

pub(super) fn bad<T>(why: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError { why: why.into(), nth: 0, of: 1 })
}

impl FaultError {
    /// The message without the index of the rule.
    pub(in crate::account) fn alone(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            1 => f.write_str(&self.why),
            _ => write!(f, "[{}]: {}", self.nth, self.why),
        }
    }
}

impl std::error::Error for FaultError {}
