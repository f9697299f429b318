//! What a check found.

use std::{fmt, fs, io, path::PathBuf, process::ExitStatus, time::Duration};

use serde::Serialize;

use super::evidence::Evidence;
use crate::{
    audit::AuditReport,
    scenario::{ReadApi, Scenario},
};

/// What was found in one scenario.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Sentences, the most important ones first.
    sentences: Vec<String>,
    /// Whether the run was ended before its last step.
    is_over: bool,
    /// How the last poll ended, unless it succeeded.
    exit: Option<ExitStatus>,
}

/// The result of one scenario.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) scenario: String,
    pub(super) title: String,
    pub(super) why: String,
    pub(super) passed: bool,
    pub(super) findings: Vec<String>,
    /// The machine's time.
    pub(super) seconds: f64,
    /// What the connector stored and said.
    pub(super) folder: PathBuf,
    pub(super) evidence: Evidence,
}

impl Findings {
    pub(super) fn add(&mut self, sentence: String) {
        // Polls of one step can show the same.
        if !self.sentences.contains(&sentence) {
            self.sentences.push(sentence);
        }
    }

    /// Ends the run with a finding.
    pub(super) fn end(&mut self, sentence: String) {
        self.is_over = true;
        self.sentences.push(sentence);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Sets how the last poll ended; `None` if it succeeded.
    pub(super) fn set_exit(&mut self, exit: Option<ExitStatus>) {
        self.exit = exit;
    }

    /// Adds what an audit found, with the first example of each kind; with the API that was read, if there are several.
    pub(super) fn add_audit(&mut self, report: &AuditReport, api: Option<ReadApi>) {
        let of_api = api.map(|api| format!("{api}: ")).unwrap_or_default();
        let mut add = |what: &str, count: u64, first: Option<String>| {
            if count > 0 {
                let first = first.map(|first| format!(", first {first}")).unwrap_or_default();
                self.sentences.push(format!("{of_api}{what}: {count}{first}"));
            }
        };
        let AuditReport { missing, duplicated, altered, unknown, unreadable, .. } = report;
        add("missing", missing.count, missing.examples.first().map(ToString::to_string));
        let double = duplicated.examples.first();
        add("stored twice", duplicated.count, double.map(|found| format!("{}: {}", found.event, found.cause)));
        let changed = altered.examples.first().map(|found| format!("{}: {}", found.event, found.difference()));
        add("changed", altered.count, changed);
        let record = |number: Option<u64>| number.map(|number| format!("record {number}"));
        add("like no event", unknown.count, record(unknown.examples.first().map(|found| found.record)));
        add("not readable", unreadable.count, record(unreadable.examples.first().map(|found| found.record)));
    }

    /// Adds a rule of the verdict that failed.
    pub(super) fn add_rule(&mut self, rule: &str, sentence: &str) {
        self.sentences.push(format!("{rule}: {sentence}"));
    }

    /// Adds a rule that explains what was found, before it.
    pub(super) fn explain(&mut self, rule: &str, sentence: &str) {
        if !self.sentences.is_empty() {
            self.sentences.insert(0, format!("{rule}: {sentence}"));
        }
    }

    /// Adds how the last poll ended, which explains what else was found.
    pub(super) fn close(&mut self, last_error: &str) {
        if let Some(exit) = self.exit {
            let said = if last_error.is_empty() { String::new() } else { format!(": {last_error}") };
            self.sentences.insert(0, format!("The last poll ended with {exit}{said}"));
        }
    }
}

impl Outcome {
    pub(super) fn new(
        scenario: &Scenario,
        findings: Findings,
        evidence: Evidence,
        time: Duration,
        folder: PathBuf,
    ) -> Self {
        Self {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            why: scenario.why.clone(),
            passed: findings.sentences.is_empty(),
            findings: findings.sentences,
            seconds: (time.as_secs_f64() * 1_000.0).round() / 1_000.0,
            folder,
            evidence,
        }
    }
}

impl Outcome {
    /// Writes the requests to which findings refer, one a line.
    pub(super) fn write_requests(&self) -> io::Result<()> {
        let mut text = String::new();
        for request in &self.evidence.requests {
            text += &serde_json::to_string(request)?;
            text.push('\n');
        }
        fs::write(self.folder.join("requests.ndjson"), text)
    }
}

/// One line, with the first finding.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "pass" } else { "FAIL" };
        write!(f, "{word}  {:<30} {:>5.1} s", self.scenario, self.seconds)?;
        self.findings.first().map_or(Ok(()), |first| write!(f, "  {first}"))
    }
}
