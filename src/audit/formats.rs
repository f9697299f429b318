//! A report as JUnit XML and as Markdown.

use super::{AuditReport, Findings, ServedReport};
use crate::{
    clock::Instant,
    junit::{self, Case, CaseOutcome},
    markdown::escaped,
};

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

/// The first line of a report, and its hints.
fn head(text: &str) -> Vec<&str> {
    let hints = text.lines().skip(1).take_while(|line| line.starts_with("hint: "));
    text.lines().take(1).chain(hints).collect()
}

fn junit(suite: &str, report: &str, parts: Vec<Part>, at: Instant) -> String {
    let head = head(report);
    let has_hints = head.len() > 1;
    let case = |part: Part| {
        let outcome = match part.count {
            0 if has_hints => CaseOutcome::WithOutput,
            0 => CaseOutcome::Passed,
            _ => CaseOutcome::Failed,
        };
        let text = format!("{}\n{}", head.join("\n"), part.lines.join("\n"));
        Case { name: part.name, outcome, message: part.lines.into_iter().next().unwrap_or_default(), text }
    };
    let cases: Vec<Case> = parts.into_iter().map(case).collect();
    junit::document("opswat-mock audit", suite, at, &cases)
}

fn markdown(report: &str, parts: &[Part]) -> String {
    let head: Vec<String> = head(report).into_iter().map(escaped).collect();
    let mut text = format!("{}\n", head.join("\n\n"));
    if parts.iter().any(|part| part.count > 0) {
        text += "\n| | number | examples |\n| --- | --- | --- |\n";
    }
    for part in parts.iter().filter(|part| part.count > 0) {
        let examples: Vec<String> =
            part.lines.iter().skip(1).map(|line| escaped(line.trim_start_matches([' ', '-']))).collect();
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
            count("unreadable", &self.unreadable),
            count("missing", &self.missing),
            count("duplicated", &self.duplicated),
            count("altered", &self.altered),
            count("unknown", &self.unknown),
        ];
        parts(&format!("{self:#}"), &counts)
    }

    /// JUnit XML, as CI systems read it: a test case for each kind of finding.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let suite = format!("opswat-mock.{}.{}", self.account, self.category.code());
        junit(&suite, &self.to_string(), self.parts(), self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown(&self.to_string(), &self.parts())
    }
}

impl ServedReport {
    fn parts(&self) -> Vec<Part> {
        parts(&format!("{self:#}"), &[count("missed", &self.missed)])
    }

    /// JUnit XML, as CI systems read it: one test case.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let suite = format!("opswat-mock.{}.{}", self.account, self.category.code());
        junit(&suite, &self.to_string(), self.parts(), self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown(&self.to_string(), &self.parts())
    }
}
