//! The report of a check, in several formats.

use std::{ffi::OsString, fmt::Write as _};

use serde::Serialize;

use super::outcome::Outcome;
use crate::{
    clock::Instant,
    junit::{self, Case, CaseOutcome},
    markdown::escaped,
};

/// The results of all scenarios, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) command: Vec<String>,
    /// The flags that a repetition needs.
    pub(super) flags: Vec<String>,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) scenarios: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(seed: u64, flags: Vec<String>, command: &[OsString], scenarios: Vec<Outcome>) -> Self {
        let passed = scenarios.iter().filter(|outcome| outcome.passed).count();
        let command = command.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        Self { seed, command, flags, passed, failed: scenarios.len() - passed, scenarios }
    }

    /// What failed and why, and the line that repeats it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for outcome in self.scenarios.iter().filter(|outcome| !outcome.passed) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}: {}", outcome.scenario, outcome.title);
            let _ = writeln!(text, "  {}", outcome.why);
            for finding in &outcome.findings {
                let _ = writeln!(text, "  - {finding}");
            }
            let _ = writeln!(text, "  files: {}", outcome.folder.display());
            let _ = writeln!(text, "  again: {}", self.again(outcome));
        }
        let count = self.scenarios.len();
        let word = if count == 1 { "scenario" } else { "scenarios" };
        let _ = writeln!(text, "\n{count} {word}: {} passed, {} failed", self.passed, self.failed);
        text
    }

    /// The command that runs one scenario again.
    pub(super) fn again(&self, outcome: &Outcome) -> String {
        let seed = self.seed.to_string();
        let start = ["opswat-mock", "check", "--only", &outcome.scenario, "--seed", &seed];
        let flags = self.flags.iter().map(String::as_str);
        let command = self.command.iter().map(String::as_str);
        let parts: Vec<String> = start.into_iter().chain(flags).chain(["--"]).chain(command).map(quoted).collect();
        parts.join(" ")
    }

    pub(super) fn to_json(&self) -> String {
        // Texts and numbers can be encoded.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    pub(super) fn to_junit(&self, at: Instant) -> String {
        let case = |outcome: &Outcome| Case {
            name: outcome.scenario.clone(),
            outcome: if outcome.passed { CaseOutcome::Passed } else { CaseOutcome::Failed },
            message: outcome.findings.first().cloned().unwrap_or_default(),
            text: format!("{}\n{}", outcome.findings.join("\n"), self.again(outcome)),
            seconds: outcome.seconds,
        };
        let cases: Vec<Case> = self.scenarios.iter().map(case).collect();
        junit::document("opswat-mock check", "opswat-mock.check", at, &cases)
    }

    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!(
            "## {} of {} scenarios passed\n\n| | scenario | what happens | first finding |\n| --- | --- | --- | --- |\n",
            self.passed,
            self.scenarios.len()
        );
        for outcome in &self.scenarios {
            let mark = if outcome.passed { "✅" } else { "❌" };
            let first = outcome.findings.first().map(|first| escaped(first)).unwrap_or_default();
            let _ = writeln!(text, "| {mark} | `{}` | {} | {first} |", outcome.scenario, escaped(&outcome.title));
        }
        text
    }
}

/// A part of a command as a shell reads it.
fn quoted(part: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,{}@%+".contains(c);
    if !part.is_empty() && part.chars().all(is_plain) {
        part.to_owned()
    } else {
        format!("'{}'", part.replace('\'', r"'\''"))
    }
}
