//! A report as text: its first line, what to check first, and the findings of each kind.

use std::fmt;

use super::findings::Findings;

/// The text of a report.
pub(super) struct ReportText {
    pub(super) headline: String,
    pub(super) hints: Vec<String>,
    pub(super) sections: Vec<Section>,
}

/// The text about the findings of one kind.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) count: u64,
    /// The kind, the number and the causes, such as `missing: 4 (late 3, gap 1)`.
    pub(super) title: String,
    /// The examples, each in one line.
    pub(super) examples: Vec<String>,
    /// The number of findings that are no example.
    pub(super) more: u64,
}

impl Section {
    /// The text with at most so many examples.
    pub(super) fn new<T>(name: &'static str, found: &Findings<T>, max: usize, line: impl Fn(&T) -> String) -> Self {
        let mut title = format!("{name}: {}", found.count);
        if !found.causes.is_empty() {
            let causes: Vec<String> = found.causes.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
            title += &format!(" ({})", causes.join(", "));
        }
        // Values of clients may have line ends and control characters.
        let line = |example: &T| line(example).replace(char::is_control, "\u{FFFD}");
        let examples: Vec<String> = found.examples.iter().take(max).map(line).collect();
        let more = found.count - examples.len() as u64;
        Self { name, count: found.count, title, examples, more }
    }
}

impl fmt::Display for ReportText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))?;
        self.sections.iter().filter(|section| section.count > 0).try_for_each(|section| write!(f, "\n{section}"))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        self.examples.iter().try_for_each(|example| write!(f, "\n  - {example}"))?;
        if self.more > 0 { write!(f, "\n  and {} more", self.more) } else { Ok(()) }
    }
}
