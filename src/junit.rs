//! JUnit XML, as CI systems read it.

use std::io::{self, Write};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::clock::Instant;

/// A test case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) outcome: CaseOutcome,
    /// The first line of what is to be said.
    pub(crate) message: String,
    /// The whole text.
    pub(crate) text: String,
    /// How long it took; 0 where nothing was run.
    pub(crate) seconds: f64,
}

/// The outcome of a test case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CaseOutcome {
    Passed,
    /// Passed, with an output.
    WithOutput,
    Failed,
    Skipped,
}

/// A document with one suite.
pub(crate) fn document(title: &str, suite: &str, at: Instant, cases: &[Case]) -> String {
    let mut xml = Vec::new();
    write(&mut xml, title, suite, at, cases).expect("writing to memory does not fail");
    xml.push(b'\n');
    String::from_utf8(xml).expect("texts are UTF-8")
}

fn write(out: &mut Vec<u8>, title: &str, suite: &str, at: Instant, cases: &[Case]) -> io::Result<()> {
    let count = |wanted| cases.iter().filter(|case| case.outcome == wanted).count().to_string();
    let tests = cases.len().to_string();
    let (failures, skipped) = (count(CaseOutcome::Failed), count(CaseOutcome::Skipped));
    let counts = [("tests", &*tests), ("failures", &*failures), ("errors", "0")];
    // Without the fraction and the offset, as the schema has it.
    let timestamp: String = at.to_string().chars().take(19).collect();
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attribute(("name", title)).with_attributes(counts);
    let seconds = cases.iter().map(|case| case.seconds).sum::<f64>().to_string();
    suites.with_attribute(("time", &*seconds)).write_inner_content(|writer| {
        let element = writer.create_element("testsuite").with_attribute(("name", suite)).with_attributes(counts);
        let element =
            element.with_attributes([("skipped", &*skipped), ("time", &*seconds), ("timestamp", &*timestamp)]);
        element.write_inner_content(|writer| cases.iter().try_for_each(|case| write_case(writer, suite, case)))?;
        Ok(())
    })?;
    Ok(())
}

/// Replaces what XML 1.0 cannot have, escaped or not.
fn valid(text: &str) -> String {
    let is_invalid =
        |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.replace(is_invalid, "\u{FFFD}")
}

fn write_case<W: Write>(writer: &mut Writer<W>, suite: &str, case: &Case) -> io::Result<()> {
    let Case { name, outcome, message, text, seconds } = case;
    let seconds = seconds.to_string();
    let (message, text) = (&valid(message), &valid(text));
    let element = writer.create_element("testcase");
    let element = element.with_attributes([("name", &**name), ("classname", suite), ("time", &*seconds)]);
    match outcome {
        CaseOutcome::Passed => element.write_empty()?,
        CaseOutcome::Skipped => element.write_inner_content(|writer| {
            writer.create_element("skipped").with_attribute(("message", &**message)).write_empty()?;
            Ok(())
        })?,
        CaseOutcome::WithOutput => element.write_inner_content(|writer| {
            writer.create_element("system-out").write_text_content(BytesText::new(text))?;
            Ok(())
        })?,
        CaseOutcome::Failed => element.write_inner_content(|writer| {
            let failure = writer.create_element("failure");
            failure
                .with_attributes([("message", &**message), ("type", &**name)])
                .write_text_content(BytesText::new(text))?;
            Ok(())
        })?,
    };
    Ok(())
}
