//! The table of rules: what a good client does, and how the journal shows it.

use serde::Serialize;

use super::{
    finding::Finding,
    judge::{attempts, pages, requests, tokens, windows},
    seen::Seen,
    settings::VerdictSettings,
};

/// How much a violation of a rule matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    Fail,
    Warn,
}

/// A rule.
pub(super) struct Rule {
    /// The name of the rule in reports and in `disable`.
    pub(super) name: &'static str,
    /// What a good client does, as a sentence.
    pub(super) statement: &'static str,
    /// What the requests of a violation did, as a sentence.
    pub(super) violation: &'static str,
    pub(super) level: Level,
    pub(super) judge: fn(&Seen, &VerdictSettings) -> Finding,
}

/// The result of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuleOutcome {
    /// The journal shows the behaviour, and no violation.
    Pass,
    /// The journal shows a violation.
    Fail,
    /// The journal shows a violation that does no harm by itself.
    Warn,
    /// The journal shows nothing that the rule judges.
    NotSeen,
}

impl RuleOutcome {
    /// The text of the outcome.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::NotSeen => "not_seen",
        }
    }
}

const fn rule(
    name: &'static str,
    level: Level,
    judge: fn(&Seen, &VerdictSettings) -> Finding,
    (statement, violation): (&'static str, &'static str),
) -> Rule {
    Rule { name, statement, violation, level, judge }
}

/// All rules, in the order of reports.
pub(super) const RULES: [Rule; 20] = [
    rule(
        "within_quota",
        Level::Fail,
        requests::within_quota,
        ("The client stayed within the quota", "The quota refused requests with 429"),
    ),
    rule(
        "waits_after_429",
        Level::Fail,
        requests::waits_after_429,
        (
            "After a 429, the client waited until the quota allowed the next request",
            "Requests came after a 429 before the quota allowed them",
        ),
    ),
    rule(
        "keeps_token",
        Level::Fail,
        tokens::keeps_token,
        ("The client kept an access token until it expired", "Token requests came while the last token was valid"),
    ),
    rule(
        "one_token_after_expiry",
        Level::Fail,
        tokens::one_token_after_expiry,
        (
            "After a 401, the client fetched exactly one token",
            "After a 401, requests repeated the refused token, or fetched no token or more than one",
        ),
    ),
    rule(
        "token_in_header",
        Level::Warn,
        tokens::token_in_header,
        (
            "The client sent the access token in the header",
            "Requests sent the access token in the URL, where proxies log it",
        ),
    ),
    rule(
        "pages_to_end",
        Level::Fail,
        pages::pages_to_end,
        ("The client read each query to its last page", "The last requests of queries left pages unread"),
    ),
    rule(
        "stops_at_end",
        Level::Fail,
        pages::stops_at_end,
        ("The client stopped after the last page", "Requests asked for pages after the end was seen"),
    ),
    rule(
        "no_page_twice",
        Level::Fail,
        pages::no_page_twice,
        ("The client read no page twice", "Requests asked for a page that the client had received"),
    ),
    rule(
        "same_query_with_token",
        Level::Fail,
        pages::same_query_with_token,
        (
            "Beside a page token, the client sent the same query",
            "Requests sent another query beside a page token; it was ignored",
        ),
    ),
    rule(
        "no_gaps",
        Level::Fail,
        windows::no_gaps,
        ("The windows of the client left no gap", "Windows began later than any other one before them ended"),
    ),
    rule(
        "overlaps_lag",
        Level::Fail,
        windows::overlaps_lag,
        (
            "The windows of the client overlapped by at least the lag",
            "Windows began too late for events that were not visible at the last request",
        ),
    ),
    rule(
        "no_future",
        Level::Fail,
        windows::no_future,
        ("The client asked for no future", "Windows ended after the time of the account"),
    ),
    rule(
        "retries",
        Level::Fail,
        attempts::retries,
        (
            "The client repeated a request after a 401, a 429, a 5xx or a broken response",
            "Requests with a 401, a 429, a 5xx or a broken response were not repeated",
        ),
    ),
    rule(
        "growing_waits",
        Level::Warn,
        attempts::growing_waits,
        ("The waits between repeated attempts grew", "Attempts came sooner after a failure than the attempt before"),
    ),
    rule(
        "bounded_attempts",
        Level::Fail,
        attempts::bounded_attempts,
        ("The client did not repeat a request for ever", "Requests were repeated more often than max_attempts"),
    ),
    rule(
        "valid_requests",
        Level::Fail,
        requests::valid_requests,
        ("No request was refused with 400, 406 or 415", "Requests were refused with 400, 406 or 415"),
    ),
    rule(
        "poll_interval",
        Level::Warn,
        windows::poll_interval,
        (
            "The client polled no faster than the data can change",
            "Polls came sooner than min_poll_seconds after the same poll",
        ),
    ),
    rule(
        "known_paths",
        Level::Fail,
        requests::known_paths,
        ("The client used existing paths and methods only", "Requests were refused with 404 or 405"),
    ),
    rule(
        "no_ignored_input",
        Level::Warn,
        requests::no_ignored_input,
        ("The client sent nothing that the API ignores", "Requests had fields or values that the API ignores"),
    ),
    rule(
        "faults_applied",
        Level::Fail,
        requests::faults_applied,
        ("Each fault rule was applied", "Fault rules were never applied, so the test did not test them"),
    ),
];
