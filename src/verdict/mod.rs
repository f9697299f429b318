//! The verdict: how a connector behaved as a client, rule by rule.
//!
//! The rules read the journal only. `docs/verdict.md` explains each of them. A verdict says what the journal shows: a rule
//! for which it shows nothing is `not_seen`.

mod finding;
mod formats;
mod judge;
mod rules;
mod seen;
mod settings;
mod spans;

use std::fmt;

use serde::Serialize;

use self::{
    finding::{Finding, Measured},
    rules::{Level, RULES, Rule},
    seen::Seen,
};
pub use self::{rules::RuleOutcome, settings::VerdictSettings};
use crate::{account::Account, clock::Instant, world::Cancellation};

/// The maximum number of requests that a result names.
const MAX_REQUESTS: usize = 20;

/// How a connector behaved as a client.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The name of the account.
    pub account: String,
    /// The time of the verdict.
    pub now: Instant,
    /// The number of requests that were judged.
    pub requests: u64,
    /// Whether the journal has all requests since the last reset.
    pub is_whole: bool,
    /// Whether no rule failed. Warnings do not count.
    pub is_passed: bool,
    /// The result of each rule.
    pub rules: Vec<RuleResult>,
}

/// The result of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleResult {
    /// The name of the rule.
    pub rule: &'static str,
    /// The result.
    pub result: RuleOutcome,
    /// What the journal shows, as a sentence.
    pub sentence: String,
    /// The number of violations.
    pub violations: u64,
    /// The numbers of the first requests that violate the rule.
    pub requests: Vec<u64>,
    /// The measured figure.
    pub measured: Option<f64>,
    /// What the figure is, with its unit.
    pub measure: Option<&'static str>,
}

/// A setting of a verdict that is invalid. `Display` is a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerdictError(String);

/// Whether there is a rule of this name.
#[cfg(feature = "check")]
pub(crate) fn is_rule(name: &str) -> bool {
    RULES.iter().any(|rule| rule.name == name)
}

impl Account {
    /// Judges the requests of the journal by all rules, with the default settings.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judged(&VerdictSettings::default(), &Cancellation::default())
    }

    /// Like [`verdict`](Self::verdict), with other settings.
    ///
    /// # Errors
    ///
    /// If a rule that is switched off does not exist.
    pub fn verdict_with(&self, settings: &VerdictSettings) -> Result<Verdict, VerdictError> {
        self.verdict_cancellable(settings, &Cancellation::default())
    }

    /// The same, with a verdict that is of no use after a cancellation.
    pub(crate) fn verdict_cancellable(
        &self,
        settings: &VerdictSettings,
        cancellation: &Cancellation,
    ) -> Result<Verdict, VerdictError> {
        let names = || RULES.iter().map(|rule| rule.name);
        match settings.disabled.iter().find(|name| names().all(|known| known != *name)) {
            None => Ok(self.judged(settings, cancellation)),
            Some(unknown) => {
                let shown: String = unknown.chars().take(60).collect();
                let known = names().collect::<Vec<_>>().join(", ");
                Err(VerdictError(format!("disable must be names of rules ({known}), got {shown}")))
            }
        }
    }

    fn judged(&self, settings: &VerdictSettings, cancellation: &Cancellation) -> Verdict {
        let seen = Seen::of(self, cancellation);
        let is_enabled = |rule: &&Rule| !settings.disabled.iter().any(|name| name == rule.name);
        let rules: Vec<RuleResult> =
            RULES.iter().filter(is_enabled).map(|rule| RuleResult::new(rule, (rule.judge)(&seen, settings))).collect();
        Verdict {
            account: self.name().to_owned(),
            now: self.clock().now().into(),
            requests: seen.requests.len() as u64,
            is_whole: seen.is_whole,
            is_passed: rules.iter().all(|rule| rule.result != RuleOutcome::Fail),
            rules,
        }
    }
}

impl RuleResult {
    fn new(rule: &Rule, finding: Finding) -> Self {
        let Finding { is_seen, mut requests, names, texts, measured } = finding;
        let violations = (requests.len() + names.len()) as u64;
        requests.sort_unstable();
        requests.dedup();
        requests.truncate(MAX_REQUESTS);
        let result = match (violations, rule.level) {
            (0, _) if is_seen => RuleOutcome::Pass,
            (0, _) => RuleOutcome::NotSeen,
            (_, Level::Fail) => RuleOutcome::Fail,
            (_, Level::Warn) => RuleOutcome::Warn,
        };
        let sentence = match result {
            RuleOutcome::Pass => format!("{}.", rule.statement),
            RuleOutcome::NotSeen => "The journal shows nothing that this rule judges.".to_owned(),
            _ => {
                let numbers = requests.iter().map(ToString::to_string);
                let first: Vec<String> = numbers.chain(names).take(MAX_REQUESTS).collect();
                let more = violations - first.len() as u64;
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                let texts = if texts.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", texts.join("; ").replace(char::is_control, "\u{FFFD}"))
                };
                let of_requests = match requests.len() {
                    0 => "",
                    1 => "number ",
                    _ => "numbers ",
                };
                format!("{}: {of_requests}{}{rest}{texts}.", rule.violation, first.join(", "))
            }
        };
        let (measured, measure) = match measured {
            Some(Measured { value, what }) => (Some(value), Some(what)),
            None => (None, None),
        };
        Self { rule: rule.name, result, sentence, violations, requests, measured, measure }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = if self.is_passed { "passed" } else { "failed" };
        let plural = if self.requests == 1 { "request" } else { "requests" };
        write!(f, "The connector of {} {passed} ({} {plural})", self.account, self.requests)?;
        if !self.is_whole {
            f.write_str("; the journal has dropped earlier ones")?;
        }
        for outcome in [RuleOutcome::Fail, RuleOutcome::Warn, RuleOutcome::Pass] {
            for result in self.of(outcome) {
                write!(f, "\n{:<8} {}: {}", outcome.code(), result.rule, result.sentence)?;
                match result.figure() {
                    figure if figure.is_empty() => {}
                    figure => write!(f, " ({figure})")?,
                }
            }
        }
        let unseen: Vec<&str> = self.of(RuleOutcome::NotSeen).map(|rule| rule.rule).collect();
        if unseen.is_empty() { Ok(()) } else { write!(f, "\n{:<8} {}", RuleOutcome::NotSeen.code(), unseen.join(", ")) }
    }
}

impl Verdict {
    /// The rules with a result.
    fn of(&self, outcome: RuleOutcome) -> impl Iterator<Item = &RuleResult> {
        self.rules.iter().filter(move |rule| rule.result == outcome)
    }
}

impl fmt::Display for VerdictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for VerdictError {}
