//! A verdict as JUnit XML and as Markdown.

use super::{RuleOutcome, RuleResult, Verdict};
use crate::{
    junit::{self, Case, CaseOutcome},
    markdown::escaped,
};

impl Verdict {
    /// JUnit XML, as CI systems read it: a test case for each rule. A warning is a passed test case with an output.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let case = |rule: &RuleResult| Case {
            seconds: 0.0,
            name: rule.rule.to_owned(),
            outcome: match rule.result {
                RuleOutcome::Pass => CaseOutcome::Passed,
                RuleOutcome::Fail => CaseOutcome::Failed,
                RuleOutcome::Warn => CaseOutcome::WithOutput,
                RuleOutcome::NotSeen => CaseOutcome::Skipped,
            },
            message: rule.sentence.clone(),
            text: match rule.figure() {
                figure if figure.is_empty() => rule.sentence.clone(),
                figure => format!("{} ({figure})", rule.sentence),
            },
        };
        let cases: Vec<Case> = self.rules.iter().map(case).collect();
        junit::document("opswat-mock verdict", &format!("opswat-mock.{}", self.account), self.now, &cases)
    }

    /// A table in Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let passed = if self.is_passed { "passed" } else { "failed" };
        let mut text = format!("## The connector of `{}` {passed}\n\n", self.account);
        text += &format!("{} requests were judged, by `opswat-mock` at {}.", self.requests, self.now);
        if !self.is_whole {
            text += " The journal has dropped earlier ones.";
        }
        text += "\n\n| | rule | what the journal shows | measured |\n| --- | --- | --- | --- |\n";
        for rule in &self.rules {
            let mark = match rule.result {
                RuleOutcome::Pass => "✅",
                RuleOutcome::Fail => "❌",
                RuleOutcome::Warn => "⚠️",
                RuleOutcome::NotSeen => "➖",
            };
            let sentence = escaped(&rule.sentence);
            text += &format!("| {mark} {} | `{}` | {sentence} | {} |\n", rule.result.code(), rule.rule, rule.figure());
        }
        text
    }
}

impl RuleResult {
    /// The measured figure with its unit, or nothing.
    pub(super) fn figure(&self) -> String {
        match (self.measured, self.measure) {
            (Some(measured), Some(measure)) => format!("{measured} {measure}"),
            _ => String::new(),
        }
    }
}
