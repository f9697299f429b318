//! Faults: rules by which an account breaks what it would have answered.
//!
//! A rule says which requests it is about and what happens to them. Rules are looked at in their order; the first one that
//! applies breaks the request. What a rule leaves to chance is drawn from the account's seed and the number of the request
//! among those that the rule is about, so the same run breaks in the same places.

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

/// How many rules an account keeps.
pub const MAX_FAULTS: usize = 100;
/// How many bytes the body of a fault may have.
pub const MAX_FAULT_BODY_BYTES: usize = 64 * 1024;
/// The longest delay, an hour.
pub const MAX_DELAY_MS: u64 = 3_600_000;
/// How many seconds a forced 429 asks to wait, unless the rule says so.
const RETRY_AFTER_SECONDS: u32 = 30;

/// A rule.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRule {
    /// What `X-Mock-Fault` calls it: letters, digits, `-`, `_` and `.`, at most 64; `fault-1` and so on by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which requests it is about; all, by default.
    #[serde(rename = "match", deserialize_with = "strict::object")]
    pub matches: FaultMatch,
    /// What happens to them.
    #[serde(deserialize_with = "strict::object")]
    pub fault: Fault,
    /// How often it applies at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Whether the answer does without `X-Mock-Fault`.
    pub hidden: bool,
}

/// Which requests a rule is about. All that is given must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultMatch {
    /// Requests to this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiName>,
    /// Requests from this instant of the account's clock on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
    /// Requests before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Instant>,
    /// The n-th of the requests for which the conditions above hold and which the fault can break, counted from 1 since the
    /// rule was made. Whatever becomes of a request, it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Each so-manieth of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// So great a part of them, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// What happens to a request. Waits are of the account's clock: where it stands still, they end when it is turned.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Answers with this status, from 200 to 599, without looking at the request any further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Answers with this body; with the status 200 unless there is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The content type of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Answers 429, as if the quota were used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RetryAfter>,
    /// How long that 429 asks to wait; 30 s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// Holds the answer back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Sends the body so slowly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drip_bytes_per_second: Option<u32>,
    /// Ends the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// Cuts the body after so many bytes. `Content-Length` is right, unless the connection is closed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate_at: Option<u32>,
    /// Puts a byte into the body that cannot stand in UTF-8.
    #[serde(skip_serializing_if = "is_false")]
    pub invalid_utf8: bool,
    /// Changes the entries of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<Entries>,
    /// Answers a page of v3.3 with a page token that leads to the same page again.
    #[serde(skip_serializing_if = "is_false")]
    pub repeat_page_token: bool,
    /// Lets the token expire with which the request came, once it is answered.
    #[serde(skip_serializing_if = "is_false")]
    pub expire_token: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Where a connection ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// Before anything of the answer is sent.
    BeforeHeaders,
    /// After a part of the body: `truncate_at` bytes of it, or half.
    MidBody,
}

/// What happens to the entries of a page.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entries {
    /// The last one is there twice.
    Duplicate,
    /// They stand in an order that the account's seed draws.
    Reorder,
    /// None is there; the token for the next page is.
    Empty,
    /// The first one is missing.
    Drop,
}

/// Why a rule was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultError {
    why: String,
    /// Which one of how many rules it is about, counted from 0.
    pub(super) nth: usize,
    of: usize,
}

/// A rule, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultStatus {
    /// The rule; it has a name.
    #[serde(flatten)]
    pub rule: FaultRule,
    /// How many requests it was about.
    pub seen: u64,
    /// How many of them it broke.
    pub applied: u64,
}

/// A rule that breaks a request.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) name: Arc<str>,
    pub(crate) fault: Arc<Fault>,
    pub(crate) is_hidden: bool,
    /// What the request may leave to chance.
    pub(crate) chance: u64,
}

/// The rules of an account.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Whether there are any, for those who have no time to look.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Known>,
    /// How many rules were ever made.
    made: u64,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    rule: FaultRule,
    fault: Arc<Fault>,
    /// Distinguishes what its rules leave to chance.
    number: u64,
    seen: u64,
    applied: u64,
}

impl Faults {
    /// The rule that breaks a request, if one does.
    pub(crate) fn apply(&self, api: ApiName, seed: u64, now: Millis) -> Option<Applied> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state();
        let mut applied = None;
        for known in &mut state.rules {
            if !(known.rule.matches.is_about(api, now) && known.rule.fault.can_break(api)) {
                continue;
            }
            known.seen += 1;
            let chance = World::chance(seed, known.number, known.seen);
            if applied.is_none() && known.rule.matches.chooses(known.seen, chance) && known.is_left() {
                known.applied += 1;
                applied = Some(Applied {
                    name: known.name.clone(),
                    fault: known.fault.clone(),
                    is_hidden: known.rule.hidden,
                    chance: chance.rotate_left(32),
                });
            }
        }
        applied
    }

    /// All rules, in their order.
    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        self.state().statuses(0)
    }

    /// Adds rules behind the others, all or none.
    pub(crate) fn add(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        let mut state = self.state();
        let from = state.add(rules)?;
        self.any.store(!state.rules.is_empty(), Ordering::Release);
        Ok(state.statuses(from))
    }

    /// Puts rules in the place of all others, all or none.
    pub(crate) fn replace(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        let mut new = State::default();
        new.add(rules)?;
        let mut state = self.state();
        *state = new;
        self.any.store(!state.rules.is_empty(), Ordering::Release);
        Ok(state.statuses(0))
    }

    /// Forgets all rules, or the one of a name; how many there were.
    pub(crate) fn forget(&self, name: Option<&str>) -> usize {
        let mut state = self.state();
        let before = state.rules.len();
        state.rules.retain(|known| name.is_some_and(|name| *known.name != *name));
        if state.rules.is_empty() && name.is_none() {
            state.made = 0;
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
        let status = |known: &Known| FaultStatus {
            rule: FaultRule { name: Some(known.name.to_string()), ..known.rule.clone() },
            seen: known.seen,
            applied: known.applied,
        };
        self.rules[from..].iter().map(status).collect()
    }

    /// Adds rules, all or none; tells the place of the first.
    fn add(&mut self, rules: Vec<FaultRule>) -> Result<usize, FaultError> {
        let from = self.rules.len();
        let made = self.made;
        let of = rules.len();
        for (nth, rule) in rules.into_iter().enumerate() {
            let added = self.check(&rule).map(|name| {
                self.made += 1;
                let fault = Arc::new(rule.fault.clone());
                self.rules.push(Known { name, rule, fault, number: self.made, seen: 0, applied: 0 });
            });
            if let Err(why) = added {
                self.rules.truncate(from);
                self.made = made;
                return Err(FaultError { nth, of, ..why });
            }
        }
        Ok(from)
    }

    /// The name that a rule gets, when nothing is wrong with it.
    fn check(&self, rule: &FaultRule) -> Result<Arc<str>, FaultError> {
        if self.rules.len() == MAX_FAULTS {
            return bad(format!("an account keeps {MAX_FAULTS} faults; DELETE some first"));
        }
        rule.check()?;
        let is_taken = |name: &str| self.rules.iter().any(|known| *known.name == *name);
        match &rule.name {
            Some(name) if is_taken(name) => bad(format!("name must be unique, there is another fault {name}")),
            Some(name) => Ok(name.as_str().into()),
            None => {
                let mut nth = self.made + 1;
                while is_taken(&format!("fault-{nth}")) {
                    nth += 1;
                }
                Ok(format!("fault-{nth}").into())
            }
        }
    }
}

impl Known {
    fn is_left(&self) -> bool {
        self.rule.times.is_none_or(|times| self.applied < u64::from(times))
    }
}

impl FaultMatch {
    fn is_about(&self, api: ApiName, now: Millis) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && self.from.is_none_or(|from| from.millis() <= now)
            && self.to.is_none_or(|to| now < to.millis())
    }

    fn chooses(&self, seen: u64, chance: u64) -> bool {
        // 53 bits are what a float holds without loss.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let drawn = || (chance >> 11) as f64 / (1_u64 << 53) as f64;
        self.nth.is_none_or(|nth| nth == seen)
            && self.every.is_none_or(|every| seen.is_multiple_of(every))
            && self.probability.is_none_or(|probability| drawn() < probability)
    }
}

impl FaultRule {
    /// Whether the rule can be followed.
    ///
    /// # Errors
    ///
    /// When a value is out of range, and when two effects exclude each other.
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
        let of_pages = self.entries.is_some() || self.repeat_page_token;
        if of_pages && (self.status.is_some() || self.body.is_some() || self.rate_limit.is_some()) {
            return bad(
                "fault.entries and fault.repeat_page_token change a page: status, body and rate_limit leave none",
            );
        }
        if of_pages && api == Some(ApiName::Token) {
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
        let of_bodies = self.close == Some(Close::MidBody)
            || self.invalid_utf8
            || self.truncate_at.is_some()
            || self.drip_bytes_per_second.is_some()
            || self.body.as_ref().is_some_and(|body| !body.is_empty());
        if has_no_body && of_bodies {
            return bad("fault.status 204 and 304 have no body: nothing that changes one can come with them");
        }
        let without_answer = Self { delay_ms: None, expire_token: false, close: None, ..self.clone() };
        if self.close == Some(Close::BeforeHeaders) && without_answer != Self::default() {
            return bad("fault.close before-headers leaves no answer: only delay_ms and expire_token can come with it");
        }
        Ok(())
    }

    /// Whether it does anything to an API: some effects are about tokens, pages or page tokens.
    fn can_break(&self, api: ApiName) -> bool {
        let of_pages = self.entries.is_some() || self.expire_token;
        match api {
            ApiName::Token => !of_pages && !self.repeat_page_token,
            ApiName::LogsV3_3 => true,
            ApiName::LogsV2 | ApiName::ActivitiesV3 => !self.repeat_page_token,
        }
    }

    /// Whether the API is not asked at all.
    pub(crate) fn answers_itself(&self) -> bool {
        self.status.is_some()
            || self.body.is_some()
            || self.rate_limit.is_some()
            || self.close == Some(Close::BeforeHeaders)
    }

    /// How long a forced 429 asks to wait.
    pub(crate) fn retry_seconds(&self) -> u32 {
        self.retry_after_seconds.unwrap_or(RETRY_AFTER_SECONDS)
    }
}

fn bad<T>(why: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError { why: why.into(), nth: 0, of: 1 })
}

impl FaultError {
    /// What is wrong with the rule, without its place.
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
        let rules = serde_json::from_str(rules).expect("rules in JSON");
        faults.add(rules).map(|_| faults)
    }

    /// The numbers of the requests that are broken, out of thirty.
    fn broken(rules: &str) -> Vec<usize> {
        let faults = faults(rules).expect("rules that can be followed");
        (1..=30).filter(|_| faults.apply(ApiName::LogsV2, 7, Millis(1_768_478_400_000)).is_some()).collect()
    }

    #[test]
    fn a_rule_chooses_requests() {
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
            assert_eq!(broken(rules), expected, "{rules}");
        }
    }

    #[test]
    fn chance_breaks_the_same_requests_in_every_run() {
        let rules = r#"[{"match":{"probability":0.3},"fault":{"status":503}}]"#;
        // Written down, so that a change of the draw is seen.
        assert_eq!(broken(rules), [2, 3, 6, 9, 11, 12, 18, 19, 23, 24, 28]);
    }

    #[test]
    fn a_rule_that_cannot_be_followed_is_refused_with_the_reason() {
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
