//! Which rule applies to a request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::{
    check::{FaultError, bad},
    rule::{Fault, FaultRule, MatchedRequest},
};
use crate::{path_pattern, world::World};

/// The maximum number of rules of an account.
pub const MAX_FAULTS: usize = 100;
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
    /// The names in the rule's path, and the parts of the path that they match.
    pub(crate) captures: Vec<(String, String)>,
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
    pub(crate) fn apply(&self, request: MatchedRequest<'_>, seed: u64) -> Option<Applied> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state();
        let mut applied = None;
        for entry in &mut state.rules {
            if !(entry.rule.matches.matches_request(request) && entry.rule.fault.can_affect(request.api)) {
                continue;
            }
            entry.seen += 1;
            let chance = World::chance(seed, entry.number, entry.seen);
            let is_free = applied.is_none() && !request.has_fault;
            if is_free && entry.rule.matches.selects(entry.seen, chance) && entry.has_uses_left() {
                entry.applied += 1;
                applied = Some(Applied {
                    name: entry.name.clone(),
                    fault: entry.fault.clone(),
                    is_hidden: entry.rule.hidden,
                    chance: chance.rotate_left(32),
                    captures: entry.captures(request.path),
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
    fn captures(&self, path: &str) -> Vec<(String, String)> {
        let pattern = self.rule.matches.path.as_deref().filter(|_| self.fault.template);
        let found = pattern.and_then(|pattern| path_pattern::captures(pattern, path)).unwrap_or_default();
        found.into_iter().map(|(name, part)| (name.to_owned(), part.to_owned())).collect()
    }

    fn has_uses_left(&self) -> bool {
        self.rule.times.is_none_or(|times| self.applied < u64::from(times))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rule::Gate, *};
    use crate::{api_name::ApiName, world::Millis};

    fn faults(rules: &str) -> Result<Faults, FaultError> {
        let faults = Faults::default();
        let rules = serde_json::from_str(rules).expect("valid JSON");
        faults.add(rules).map(|_| faults)
    }

    /// The numbers of the affected requests out of thirty.
    fn affected_requests(rules: &str) -> Vec<usize> {
        let faults = faults(rules).expect("valid rules");
        let request = MatchedRequest {
            api: Some(ApiName::LogsV2),
            method: "GET",
            path: "/o/api/v2/logs",
            gate: Gate::Behind,
            has_fault: false,
            now: Millis(1_768_478_400_000),
        };
        (1..=30).filter(|_| faults.apply(request, 7).is_some()).collect()
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
            (r#"{"match":{"path":"x"},"fault":{"status":503}}"#, "match.path"),
            (r#"{"match":{"path":"/other"},"fault":{"status":503}}"#, "match.needs_token"),
            (r#"{"match":{"method":"get"},"fault":{"status":503}}"#, "match.method"),
            (
                r#"{"match":{"path":"/o/api/v9","needs_token":false},"fault":{"expire_token":true}}"#,
                "fault.expire_token",
            ),
            (r#"{"match":{"needs_token":false},"fault":{"status":200}}"#, "match.needs_token"),
            (r#"{"match":{"api":"groups","path":"/o/api/v3/apps"},"fault":{"status":503}}"#, "match.path"),
            (r#"{"fault":{"template":true,"status":200}}"#, "fault.template"),
            (r#"{"fault":{"template":true,"body":"{{ json.a "}}"#, "fault.body"),
            (r#"{"fault":{"headers":{"Content-Length":"1"}}}"#, "fault.headers"),
            (r#"{"fault":{"headers":{"a b":"1"}}}"#, "fault.headers"),
            (r#"{"fault":{"headers":{"A":"\n"}}}"#, "fault.headers"),
            (r#"{"fault":{"status":199}}"#, "fault.status"),
            (r#"{"fault":{"status":600}}"#, "fault.status"),
            (r#"{"fault":{"delay_ms":0}}"#, "fault.delay_ms"),
            (r#"{"fault":{"delay_ms":3600001}}"#, "fault.delay_ms"),
            (r#"{"fault":{"drip_bytes_per_second":0}}"#, "fault.drip_bytes_per_second"),
            (r#"{"fault":{"content_type":""}}"#, "fault.content_type"),
            (r#"{"fault":{"content_type":"a\nb"}}"#, "fault.content_type"),
            (r#"{"fault":{"status":503,"waits_on":"account"}}"#, "fault.waits_on"),
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
            (r#"{"name":"twice","fault":{"status":503}},{"name":"twice","fault":{"status":503}}"#, "[1]: name"),
        ] {
            let why = faults(&format!("[{rule}]")).expect_err(rule).to_string();
            assert!(why.starts_with(named), "{rule}: {why}");
        }
    }
}
