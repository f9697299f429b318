//! What a rule says: its conditions and its effects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{quota::RetryAfter, strict};
use crate::{api_name::ApiName, clock::Instant, path_pattern, world::Millis};

/// Whether the token of a request is checked already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// Not yet.
    Before,
    /// The token is valid, or the path needs none.
    Behind,
}

/// What the conditions of a rule look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatchedRequest<'a> {
    /// The API at the path; behind the token check, only if the method is one of the API.
    pub(crate) api: Option<ApiName>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) gate: Gate,
    /// Whether a rule before the token check applies already. No other rule applies then.
    pub(crate) has_fault: bool,
    pub(crate) now: Millis,
}

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
    /// Requests with this method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Requests to a path of this pattern, in which `{name}` is one segment and `*` is any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `false`: the rule applies before the token is checked, also to requests without one. `true` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_token: Option<bool>,
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

/// The effect on a request.
#[expect(clippy::struct_excessive_bools, reason = "the fields of a JSON object")]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Responds with this status, from 200 to 599, without calling the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Responds with this body, at most [`MAX_FAULT_BODY_BYTES`](super::MAX_FAULT_BODY_BYTES); the status is 200 unless `status` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether the body is a template, with parts of the request in it.
    #[serde(skip_serializing_if = "is_false")]
    pub template: bool,
    /// Headers of the response, in addition to others or instead of them: at most [`MAX_FAULT_HEADERS`](super::MAX_FAULT_HEADERS).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The content type of the response, 1 to 200 visible ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Responds with 429, as if the quota were exhausted, with this form of `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RetryAfter>,
    /// The wait time of that 429, in seconds; 30 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// Delays the response by this many milliseconds, from 1 to [`MAX_DELAY_MS`](super::MAX_DELAY_MS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Sends the body at this rate, from 1 byte per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drip_bytes_per_second: Option<u32>,
    /// The clock of `delay_ms` and `drip_bytes_per_second`.
    #[serde(skip_serializing_if = "WaitClock::is_default")]
    pub waits_on: WaitClock,
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

/// The clock that a wait follows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WaitClock {
    /// The machine's clock, as a client measures it.
    #[default]
    Machine,
    /// The account's clock. While it is frozen, a wait lasts until it is changed, but at most one hour of the machine's
    /// time.
    Account,
}

impl WaitClock {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The point at which a connection is closed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Close {
    /// Before the first byte of the response.
    BeforeHeaders,
    /// In the body: after `truncate_at` bytes, or after half of it.
    MidBody,
}

/// A change of the entries of a page.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entries {
    /// The last entry appears twice.
    Duplicate,
    /// The entries are in a random order that derives from the account's seed.
    Reorder,
    /// The page has no entries, but it keeps its page token.
    Empty,
    /// The first entry is missing.
    Drop,
    /// The entries lack the fields whose names end with `name`.
    WithoutNames,
    /// The entries have a further field, `tenant`.
    ExtraField,
    /// Texts of digits are numbers.
    Numbers,
    /// The event code of each entry is one that no document names, `device_quarantined`.
    NewEvent,
}

impl FaultMatch {
    pub(super) fn matches_request(&self, request: MatchedRequest<'_>) -> bool {
        self.gate() == request.gate
            && self.api.is_none_or(|wanted| Some(wanted) == request.api)
            && self.method.as_ref().is_none_or(|method| method == request.method)
            && self.path.as_ref().is_none_or(|pattern| path_pattern::captures(pattern, request.path).is_some())
            && self.from.is_none_or(|from| from.millis() <= request.now)
            && self.to.is_none_or(|to| request.now < to.millis())
    }

    /// Where the rule applies.
    pub(super) fn gate(&self) -> Gate {
        if self.needs_token == Some(false) { Gate::Before } else { Gate::Behind }
    }

    pub(super) fn selects(&self, seen: u64, chance: u64) -> bool {
        // A float holds 53 bits without loss.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let drawn = || (chance >> 11) as f64 / (1_u64 << 53) as f64;
        self.nth.is_none_or(|nth| nth == seen)
            && self.every.is_none_or(|every| seen.is_multiple_of(every))
            && self.probability.is_none_or(|probability| drawn() < probability)
    }
}
