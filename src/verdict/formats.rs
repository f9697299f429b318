//! A verdict as JUnit XML and as Markdown.

use std::io::Write;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{RuleOutcome, RuleResult, Verdict};

impl Verdict {
    /// JUnit XML, as CI systems read it: a test case for each rule. A warning is a passed test case with an output.
    ///
    /// # Panics
    ///
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut xml = Vec::new();
        self.write_junit(&mut xml).expect("writing to memory does not fail");
        String::from_utf8(xml).expect("texts are UTF-8")
    }

    fn write_junit(&self, out: impl Write) -> std::io::Result<()> {
        let count = |wanted: RuleOutcome| self.rules.iter().filter(|rule| rule.result == wanted).count().to_string();
        let (tests, failures, skipped) =
            (self.rules.len().to_string(), count(RuleOutcome::Fail), count(RuleOutcome::NotSeen));
        let counts =
            [("tests", &*tests), ("failures", &*failures), ("errors", "0"), ("skipped", &*skipped), ("time", "0")];
        let mut writer = Writer::new_with_indent(out, b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let suite = format!("opswat-mock.{}", self.account);
        writer
            .create_element("testsuites")
            .with_attribute(("name", "opswat-mock verdict"))
            .with_attributes(counts.iter().copied().filter(|(name, _)| *name != "skipped"))
            .write_inner_content(|writer| {
                writer
                    .create_element("testsuite")
                    .with_attribute(("name", &*suite))
                    .with_attributes(counts)
                    .with_attribute(("timestamp", &*self.now.to_string()[..19].to_owned()))
                    .write_inner_content(|writer| {
                        self.rules.iter().try_for_each(|rule| write_case(writer, &suite, rule))
                    })?;
                Ok(())
            })?;
        Ok(())
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
            let sentence = rule.sentence.replace('|', "\\|");
            text += &format!("| {mark} {} | `{}` | {sentence} | {} |\n", rule.result.code(), rule.rule, rule.figure());
        }
        text
    }
}

impl RuleResult {
    /// The measured figure with its unit, or nothing.
    fn figure(&self) -> String {
        match (self.measured, self.measure) {
            (Some(measured), Some(measure)) => format!("{measured} {measure}"),
            _ => String::new(),
        }
    }
}

fn write_case<W: Write>(writer: &mut Writer<W>, suite: &str, rule: &RuleResult) -> std::io::Result<()> {
    let case =
        writer.create_element("testcase").with_attributes([("name", rule.rule), ("classname", suite), ("time", "0")]);
    let shown = match rule.figure() {
        figure if figure.is_empty() => rule.sentence.clone(),
        figure => format!("{} ({figure})", rule.sentence),
    };
    match rule.result {
        RuleOutcome::Pass => case.write_empty()?,
        RuleOutcome::NotSeen => case.write_inner_content(|writer| {
            writer.create_element("skipped").with_attribute(("message", &*shown)).write_empty()?;
            Ok(())
        })?,
        RuleOutcome::Warn => case.write_inner_content(|writer| {
            writer.create_element("system-out").write_text_content(BytesText::new(&shown))?;
            Ok(())
        })?,
        RuleOutcome::Fail => case.write_inner_content(|writer| {
            writer
                .create_element("failure")
                .with_attributes([("message", &*rule.sentence), ("type", rule.rule)])
                .write_text_content(BytesText::new(&shown))?;
            Ok(())
        })?,
    };
    Ok(())
}
