//! A report as JUnit XML and as Markdown.

use super::{
    report::{AuditReport, ServedReport},
    text::{ReportText, Section},
};
use crate::{
    clock::Instant,
    junit::{self, Case, CaseOutcome},
    markdown::escaped,
};

impl ReportText {
    /// A test case for each kind of finding.
    fn to_junit(&self, suite: &str, at: Instant) -> String {
        let head = [&*self.headline].into_iter().chain(self.hints.iter().map(String::as_str)).collect::<Vec<_>>();
        let case = |section: &Section| Case {
            name: section.name.to_owned(),
            outcome: match section.count {
                0 if self.hints.is_empty() => CaseOutcome::Passed,
                0 => CaseOutcome::WithOutput,
                _ => CaseOutcome::Failed,
            },
            message: section.title.clone(),
            text: format!("{}\n{section}", head.join("\n")),
            seconds: 0.0,
        };
        let cases: Vec<Case> = self.sections.iter().map(case).collect();
        junit::document("opswat-mock audit", suite, at, &cases)
    }

    /// A table of the kinds of findings.
    fn to_markdown(&self) -> String {
        let mut text = format!("{}\n", escaped(&self.headline));
        for hint in &self.hints {
            text += &format!("\n{}\n", escaped(hint));
        }
        let found: Vec<&Section> = self.sections.iter().filter(|section| section.count > 0).collect();
        if !found.is_empty() {
            text += "\n| | number | examples |\n| --- | --- | --- |\n";
        }
        for Section { name, count, examples, more, .. } in found {
            let mut examples: Vec<String> = examples.iter().map(|example| escaped(example)).collect();
            examples.extend((*more > 0).then(|| format!("and {more} more")));
            text += &format!("| ❌ {name} | {count} | {} |\n", examples.join("<br>"));
        }
        text
    }

    /// Without the events that were served repeatedly, which is no finding.
    fn without_repeated(mut self) -> Self {
        self.sections.retain(|section| section.name != "repeated");
        self
    }
}

impl AuditReport {
    /// JUnit XML, as CI systems read it: a test case for each kind of finding.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let suite = format!("opswat-mock.{}.{}", self.account, self.category.code());
        self.text(usize::MAX).to_junit(&suite, self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.text(usize::MAX).to_markdown()
    }
}

impl ServedReport {
    /// JUnit XML, as CI systems read it: one test case.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let suite = format!("opswat-mock.{}.{}", self.account, self.category.code());
        self.text(usize::MAX).without_repeated().to_junit(&suite, self.now)
    }

    /// Markdown, for the summary of a CI job.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.text(usize::MAX).without_repeated().to_markdown()
    }
}
