//! Faults: rules that change or replace the responses of an account.
//!
//! A rule selects requests and defines what happens to them. Rules are checked in order, and the first one that applies
//! affects the request. Random decisions derive from the account's seed, the rule and the number of the request among
//! those that the rule matches, so they are the same in every run.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::{quota::RetryAfter, strict};
use crate::{
    api_name::ApiName,
    clock::Instant,
    world::{Millis, World},
};

/// The maximum number of rules of an account.
pub const MAX_FAULTS: usize = 100;
/// The maximum size of a fault's body, in bytes.
pub const MAX_FAULT_BODY_BYTES: usize = 64 * 1024;
/// The maximum delay: one hour.
pub const MAX_DELAY_MS: u64 = 3_600_000;
/// The default wait time of a forced 429, in seconds.
const RETRY_AFTER_SECONDS: u32 = 30;

/// A fault rule.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRule {
    /// The name of the rule in `X-Mock-Fault`: 1 to 64 letters, digits, `-`, `_` or `.`; `fault-1` and so on by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The requests that the rule matches; all requests by default.
    #[serde(rename = "match", deserialize_with = "strict::object")]
    pub matches: FaultMatch,
    /// The effect on these requests.
    #[serde(deserialize_with = "strict::object")]
    pub fault: Fault,
    /// The maximum number of times that the rule applies, from 1; unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Whether the response omits `X-Mock-Fault`.
    pub hidden: bool,
}

/// The requests that a rule matches. All given conditions must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultMatch {
    /// Requests to this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiName>,
    /// Requests at or after this instant of the account's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
    /// Requests before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Instant>,
    /// Only the n-th request, from 1. The count starts when the rule is created. It includes every request that meets
    /// the conditions above and that the fault can affect, whether or not the rule applies to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Every n-th of these requests, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The probability that the rule applies to such a request, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// The effect on a request. Delays use the account's clock. While it is frozen, a delay lasts until it is changed, but
/// at most one hour of the machine's time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Responds with this status, from 200 to 599, without calling the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Responds with this body, at most [`MAX_FAULT_BODY_BYTES`]; the status is 200 unless `status` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The content type of the response, 1 to 200 visible ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Responds with 429, as if the quota were exhausted, with this form of `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RetryAfter>,
    /// The wait time of that 429, in seconds; 30 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// Delays the response by this many milliseconds, from 1 to [`MAX_DELAY_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Sends the body at this rate, from 1 byte per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drip_bytes_per_second: Option<u32>,
    /// Closes the connection at this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// Truncates the body after this many bytes. `Content-Length` is the truncated length, or with `close` the full
    /// length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate_at: Option<u32>,
    /// Makes one byte of the body invalid UTF-8.
    #[serde(skip_serializing_if = "is_false")]
    pub invalid_utf8: bool,
    /// Changes the entries of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<Entries>,
    /// Returns a v3.3 page with a page token that leads to the same page again.
    #[serde(skip_serializing_if = "is_false")]
    pub repeat_page_token: bool,
    /// Expires the access token of the request once its response is ready.
    #[serde(skip_serializing_if = "is_false")]
    pub expire_token: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The point at which a connection is closed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// Before the first byte of the response.
    BeforeHeaders,
    /// In the body: after `truncate_at` bytes, or after half of it.
    MidBody,
}

/// A change of the entries of a page.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entries {
    /// The last entry appears twice.
    Duplicate,
    /// The entries are in a random order that derives from the account's seed.
    Reorder,
    /// The page has no entries, but it keeps its page token.
    Empty,
    /// The first entry is missing.
    Drop,
}

/// Why a rule was rejected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultError {
    why: String,
    /// The index of the rejected rule, from 0.
    pub(super) nth: usize,
    of: usize,
}

/// A rule and its counters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultStatus {
    /// The rule, always with a name.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// The number of requests that the rule matched.
    pub seen: u64,
    /// The number of requests that the rule was applied to.
    pub applied: u64,
}

/// A rule that applies to a request.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) name: Arc<str>,
    pub(crate) fault: Arc<Fault>,
    pub(crate) is_hidden: bool,
    /// A random number for the effect on this request.
    pub(crate) chance: u64,
}

/// The fault rules of an account.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Whether there are rules: a check without taking the lock.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<RuleState>,
    /// The number of rules created so far.
    created: u64,
}

#[derive(Debug)]
struct RuleState {
    name: Arc<str>,
    rule: FaultRule,
    fault: Arc<Fault>,
    /// Separates the random draws of this rule from those of other rules.
    number: u64,
    seen: u64,
    applied: u64,
}

impl Faults {
    /// Returns the rule that applies to a request, if any, and updates the counters.
    pub(crate) fn apply(&self, api: ApiName, seed: u64, now: Millis) -> Option<Applied> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state();
        let mut applied = None;
        for entry in &mut state.rules {
            if !(entry.rule.matches.matches_request(api, now) && entry.rule.fault.can_affect(api)) {
                continue;
            }
            entry.seen += 1;
            let chance = World::chance(seed, entry.number, entry.seen);
            if applied.is_none() && entry.rule.matches.selects(entry.seen, chance) && entry.has_uses_left() {
                entry.applied += 1;
                applied = Some(Applied {
                    name: entry.name.clone(),
                    fault: entry.fault.clone(),
                    is_hidden: entry.rule.hidden,
                    chance: chance.rotate_left(32),
                });
            }
        }
        applied
    }

    /// All rules, in order.
    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        self.state().statuses(0)
    }

    /// Appends rules, all or none.
    pub(crate) fn add(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        let mut state = self.state();
        let from = state.add(rules)?;
        self.any.store(!state.rules.is_empty(), Ordering::Release);
        Ok(state.statuses(from))
    }

    /// Replaces all rules, all or none.
    pub(crate) fn replace(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        let mut new = State::default();
        new.add(rules)?;
        let mut state = self.state();
        *state = new;
        self.any.store(!state.rules.is_empty(), Ordering::Release);
        Ok(state.statuses(0))
    }

    /// Deletes all rules, or the rule with this name. Returns the number of deleted rules.
    pub(crate) fn forget(&self, name: Option<&str>) -> usize {
        let mut state = self.state();
        let before = state.rules.len();
        state.rules.retain(|entry| name.is_some_and(|name| *entry.name != *name));
        if state.rules.is_empty() && name.is_none() {
            state.created = 0;
        }
        self.any.store(!state.rules.is_empty(), Ordering::Release);
        before - state.rules.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn statuses(&self, from: usize) -> Vec<FaultStatus> {
        let status = |entry: &RuleState| FaultStatus {
            rule: FaultRule { name: Some(entry.name.to_string()), ..entry.rule.clone() },
            seen: entry.seen,
            applied: entry.applied,
        };
        self.rules[from..].iter().map(status).collect()
    }

    /// Appends rules, all or none, and returns the index of the first one.
    fn add(&mut self, rules: Vec<FaultRule>) -> Result<usize, FaultError> {
        let from = self.rules.len();
        let created = self.created;
        let of = rules.len();
        for (nth, rule) in rules.into_iter().enumerate() {
            let added = self.check(&rule).map(|name| {
                self.created += 1;
                let fault = Arc::new(rule.fault.clone());
                self.rules.push(RuleState { name, rule, fault, number: self.created, seen: 0, applied: 0 });
            });
            if let Err(why) = added {
                self.rules.truncate(from);
                self.created = created;
                return Err(FaultError { nth, of, ..why });
            }
        }
        Ok(from)
    }

    /// Checks a rule, and returns its name or a generated one.
    fn check(&self, rule: &FaultRule) -> Result<Arc<str>, FaultError> {
        if self.rules.len() == MAX_FAULTS {
            return bad(format!("an account keeps {MAX_FAULTS} faults; DELETE some first"));
        }
        rule.check()?;
        let is_taken = |name: &str| self.rules.iter().any(|entry| *entry.name == *name);
        match &rule.name {
            Some(name) if is_taken(name) => bad(format!("name must be unique, there is another fault {name}")),
            Some(name) => Ok(name.as_str().into()),
            None => {
                let mut nth = self.created + 1;
                while is_taken(&format!("fault-{nth}")) {
                    nth += 1;
                }
                Ok(format!("fault-{nth}").into())
            }
        }
    }
}

impl RuleState {
    fn has_uses_left(&self) -> bool {
        self.rule.times.is_none_or(|times| self.applied < u64::from(times))
    }
}

impl FaultMatch {
    fn matches_request(&self, api: ApiName, now: Millis) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && self.from.is_none_or(|from| from.millis() <= now)
            && self.to.is_none_or(|to| now < to.millis())
    }

    fn selects(&self, seen: u64, chance: u64) -> bool {
        // A float holds 53 bits without loss.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let drawn = || (chance >> 11) as f64 / (1_u64 << 53) as f64;
        self.nth.is_none_or(|nth| nth == seen)
            && self.every.is_none_or(|every| seen.is_multiple_of(every))
            && self.probability.is_none_or(|probability| drawn() < probability)
    }
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
        fault.check(matches.api)
    }
}

impl Fault {
    fn check(&self, api: Option<ApiName>) -> Result<(), FaultError> {
        if *self == Self::default() {
            return bad("fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another");
        }
        if let Some(status) = self.status.filter(|status| !(200..=599).contains(status)) {
            return bad(format!("fault.status must be from 200 to 599, got {status}"));
        }
        if let Some(bytes) = self.body.as_ref().map(String::len).filter(|&bytes| bytes > MAX_FAULT_BODY_BYTES) {
            return bad(format!("fault.body must have at most {MAX_FAULT_BODY_BYTES} bytes, got {bytes}"));
        }
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
        if changes_page && api == Some(ApiName::Token) {
            return bad("fault.entries and fault.repeat_page_token are not for the token API, which has no pages");
        }
        if self.expire_token && api == Some(ApiName::Token) {
            return bad(
                "fault.expire_token is about the token that a request came with, and none comes to the token API",
            );
        }
        if self.repeat_page_token && !matches!(api, None | Some(ApiName::LogsV3_3)) {
            return bad("fault.repeat_page_token is for logs-v3.3 only, which has page tokens");
        }
        let has_no_body = matches!(self.status, Some(204 | 304));
        let changes_body = self.close == Some(Close::MidBody)
            || self.invalid_utf8
            || self.truncate_at.is_some()
            || self.drip_bytes_per_second.is_some()
            || self.body.as_ref().is_some_and(|body| !body.is_empty());
        if has_no_body && changes_body {
            return bad("fault.status 204 and 304 have no body: nothing that changes one can come with them");
        }
        let without_answer = Self { delay_ms: None, expire_token: false, close: None, ..self.clone() };
        if self.close == Some(Close::BeforeHeaders) && without_answer != Self::default() {
            return bad("fault.close before-headers leaves no answer: only delay_ms and expire_token can come with it");
        }
        Ok(())
    }

    /// Whether the fault can affect an API: some effects need access tokens, pages or page tokens.
    fn can_affect(&self, api: ApiName) -> bool {
        let changes_page = self.entries.is_some() || self.expire_token;
        match api {
            ApiName::Token => !changes_page && !self.repeat_page_token,
            ApiName::LogsV3_3 => true,
            ApiName::LogsV2 | ApiName::ActivitiesV3 => !self.repeat_page_token,
        }
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

fn bad<T>(why: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError { why: why.into(), nth: 0, of: 1 })
}

impl FaultError {
    /// The message without the index of the rule.
    pub(super) fn alone(&self) -> &str {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &str) -> Result<Faults, FaultError> {
        let faults = Faults::default();
        let rules = serde_json::from_str(rules).expect("valid JSON");
        faults.add(rules).map(|_| faults)
    }

    /// The numbers of the affected requests out of thirty.
    fn affected_requests(rules: &str) -> Vec<usize> {
        let faults = faults(rules).expect("valid rules");
        (1..=30).filter(|_| faults.apply(ApiName::LogsV2, 7, Millis(1_768_478_400_000)).is_some()).collect()
    }

    #[test]
    fn rules_select_requests() {
        for (rules, expected) in [
            (r#"[{"match":{"nth":3},"fault":{"status":503}}]"#, vec![3]),
            (r#"[{"match":{"every":10},"fault":{"status":503}}]"#, vec![10, 20, 30]),
            (r#"[{"match":{"every":10},"fault":{"status":503},"times":2}]"#, vec![10, 20]),
            (r#"[{"match":{"api":"logs-v3.3"},"fault":{"status":503}}]"#, vec![]),
            (r#"[{"match":{"to":"2026-01-15T12:00:00Z"},"fault":{"status":503}}]"#, vec![]),
            (r#"[{"match":{"from":"2026-01-15T12:00:00Z","nth":1},"fault":{"status":503}}]"#, vec![1]),
            (r#"[{"match":{"probability":0},"fault":{"status":503}}]"#, vec![]),
            (r#"[{"match":{"probability":1},"fault":{"status":503}}]"#, (1..=30).collect()),
            (r#"[{"match":{"nth":2},"fault":{"status":503}},{"match":{"nth":4},"fault":{"status":502}}]"#, vec![2, 4]),
        ] {
            assert_eq!(affected_requests(rules), expected, "{rules}");
        }
    }

    #[test]
    fn probability_selects_same_requests_in_every_run() {
        let rules = r#"[{"match":{"probability":0.3},"fault":{"status":503}}]"#;
        // Pinned values: a change of the random draw fails this test.
        assert_eq!(affected_requests(rules), [2, 3, 6, 9, 11, 12, 18, 19, 23, 24, 28]);
    }

    #[test]
    fn invalid_rules_are_rejected_with_reason() {
        for (rule, named) in [
            (r#"{"fault":{}}"#, "fault must have an effect"),
            (r#"{"fault":{"status":199}}"#, "fault.status"),
            (r#"{"fault":{"status":600}}"#, "fault.status"),
            (r#"{"fault":{"delay_ms":0}}"#, "fault.delay_ms"),
            (r#"{"fault":{"delay_ms":3600001}}"#, "fault.delay_ms"),
            (r#"{"fault":{"drip_bytes_per_second":0}}"#, "fault.drip_bytes_per_second"),
            (r#"{"fault":{"content_type":""}}"#, "fault.content_type"),
            (r#"{"fault":{"content_type":"a\nb"}}"#, "fault.content_type"),
            (r#"{"fault":{"retry_after_seconds":1}}"#, "fault.retry_after_seconds"),
            (r#"{"fault":{"rate_limit":"seconds","status":503}}"#, "fault.rate_limit"),
            (r#"{"fault":{"entries":"empty","status":503}}"#, "fault.entries"),
            (r#"{"match":{"api":"token"},"fault":{"entries":"empty"}}"#, "fault.entries"),
            (r#"{"match":{"api":"token"},"fault":{"expire_token":true}}"#, "fault.expire_token"),
            (r#"{"match":{"api":"logs-v2"},"fault":{"repeat_page_token":true}}"#, "fault.repeat_page_token"),
            (r#"{"fault":{"close":"before-headers","status":503}}"#, "fault.close"),
            (r#"{"fault":{"close":"mid-body","status":204}}"#, "fault.status"),
            (r#"{"fault":{"body":"x","status":304}}"#, "fault.status"),
            (r#"{"fault":{"status":503},"times":0}"#, "times"),
            (r#"{"match":{"nth":0},"fault":{"status":503}}"#, "match.nth"),
            (r#"{"match":{"probability":1.5},"fault":{"status":503}}"#, "match.probability"),
            (
                r#"{"match":{"from":"2026-01-15T12:00:00Z","to":"2026-01-15T12:00:00Z"},"fault":{"status":503}}"#,
                "match.to",
            ),
            (r#"{"name":"a b","fault":{"status":503}}"#, "name"),
            (r#"{"name":"twice","fault":{"status":503}},{"name":"twice","fault":{"status":503}}"#, "name"),
        ] {
            let why = faults(&format!("[{rule}]")).expect_err(rule).to_string();
            assert!(why.trim_start_matches("[1]: ").starts_with(named), "{rule}: {why}");
        }
    }
}
