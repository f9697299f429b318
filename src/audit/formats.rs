//! A report as JUnit XML and as Markdown.

use super::{AuditReport, Findings, ServedReport};
use crate::junit::{self, Case, CaseOutcome};

/// The part of a report's text about findings of one kind.
struct Part {
    name: &'static str,
    count: u64,
    /// The lines of the text, the first one with the number and the causes.
    lines: Vec<String>,
}

/// Splits the text of a report into its parts.
fn parts(text: &str, counts: &[(&'static str, u64)]) -> Vec<Part> {
    let mut parts: Vec<Part> = counts.iter().map(|&(name, count)| Part { name, count, lines: Vec::new() }).collect();
    let mut current: Option<usize> = None;
    for line in text.lines().skip(1) {
        if !line.starts_with(' ') {
            current = parts.iter().position(|part| line.starts_with(part.name));
        }
        if let Some(nth) = current {
            parts[nth].lines.push(line.to_owned());
        }
    }
    parts
}

fn junit(title: &str, report: (&str, &str), parts: Vec<Part>, at: crate::clock::Instant) -> String {
    let (suite, first) = report;
    let case = |part: Part| {
        let outcome = if part.count == 0 { CaseOutcome::Passed } else { CaseOutcome::Failed };
        let text = format!("{first}\n{}", part.lines.join("\n"));
        Case { name: part.name, outcome, message: part.lines.into_iter().next().unwrap_or_default(), text }
    };
    let cases: Vec<Case> = parts.into_iter().map(case).collect();
    junit::document(title, suite, at, &cases)
}

fn markdown(first: &str, parts: &[Part]) -> String {
    let mut text = format!("{first}\n");
    if parts.iter().any(|part| part.count > 0) {
        text += "\n| | number | examples |\n| --- | --- | --- |\n";
    }
    for part in parts.iter().filter(|part| part.count > 0) {
        let examples: Vec<String> =
            part.lines.iter().skip(1).map(|line| line.trim_start_matches([' ', '-']).replace('|', "\\|")).collect();
        text += &format!("| ❌ {} | {} | {} |\n", part.name, part.count, examples.join("<br>"));
    }
    text
}

fn count<T>(name: &'static str, findings: &Findings<T>) -> (&'static str, u64) {
    (name, findings.count)
}

impl AuditReport {
    fn parts(&self) -> Vec<Part> {
        let counts = [
            count("missing", &self.missing),
            count("duplicated", &self.duplicated),
            count("altered", &self.altered),
            count("unknown", &self.unknown),
            count("unreadable", &self.unreadable),
        ];
        parts(&self.to_string(), &counts)
    }

    /// JUnit XML, as CI systems read it: a test case for each kind of finding.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let (suite, text) = (format!("opswat-mock.{}", self.category.code()), self.to_string());
        let first = text.lines().next().unwrap_or_default();
        junit("opswat-mock audit", (&suite, first), self.parts(), self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown(self.to_string().lines().next().unwrap_or_default(), &self.parts())
    }
}

impl ServedReport {
    fn parts(&self) -> Vec<Part> {
        parts(&self.to_string(), &[count("missed", &self.missed)])
    }

    /// JUnit XML, as CI systems read it: one test case.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let (suite, text) = (format!("opswat-mock.{}", self.category.code()), self.to_string());
        let first = text.lines().next().unwrap_or_default();
        junit("opswat-mock audit", (&suite, first), self.parts(), self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown(self.to_string().lines().next().unwrap_or_default(), &self.parts())
    }
}
