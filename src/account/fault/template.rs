//! Bodies of faults with parts of the request in them.

use std::io::{self, Write};

use minijinja::{AutoEscape, Environment, ErrorKind, Template, UndefinedBehavior, filters, value::Serde};
use serde::Serialize;

/// The maximum size of a rendered body, in bytes.
const MAX_RENDERED_BYTES: usize = 1024 * 1024;
/// The maximum work of a template: one for each instruction, and for each 64 bytes of text.
const MAX_WORK: u64 = 100_000;

/// The names of the filters.
const FILTERS: [&str; 6] = ["default", "first", "last", "length", "lower", "upper"];

/// What a template can use of a request.
#[derive(Debug, Serialize)]
pub(crate) struct RequestParts {
    pub(crate) method: String,
    /// The parts of the path that the names of the rule's path match.
    pub(crate) path: serde_json::Map<String, serde_json::Value>,
    /// The parameters of the query.
    pub(crate) query: serde_json::Map<String, serde_json::Value>,
    /// The body; `null` if it is no JSON.
    pub(crate) json: serde_json::Value,
    /// The account's time, in ISO 8601.
    pub(crate) now: String,
}

/// Checks the syntax of a template, its filters, and its names of the parts of the path.
///
/// # Errors
///
/// The description of the error.
pub(super) fn check(source: &str, path_pattern: Option<&str>) -> Result<(), String> {
    check_words(source)?;
    let mut environment = environment(true);
    // A name that a request may lack is no error here.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let template = environment.template_from_str(source).map_err(|error| described(source, &error))?;
    let in_pattern = |part: &str| path_pattern.is_some_and(|pattern| pattern.contains(&format!("{{{part}}}")));
    for name in template.undeclared_variables(true) {
        let mut parts = name.split('.');
        match (parts.next().unwrap_or_default(), parts.next()) {
            ("path", Some(part)) if !in_pattern(part) => {
                return Err(format!("match.path has no {{{part}}}, which {name} needs"));
            }
            ("json" | "path" | "query" | "method" | "now", _) => {}
            (other, _) => return Err(format!("the names are json, path, query, method and now, got {other}")),
        }
    }
    match template.render(()) {
        Err(error) if is_unknown(&error) => Err(described(source, &error)),
        _ => Ok(()),
    }
}

/// Whether an error is about a test or a function that is not there.
fn is_unknown(error: &minijinja::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnknownTest | ErrorKind::UnknownFunction)
}

/// Renders a template. In a JSON body, values are written as JSON, texts with their quotation marks.
///
/// # Errors
///
/// The description of the error, also if the body is too large.
pub(crate) fn render(source: &str, is_json: bool, parts: &RequestParts) -> Result<Vec<u8>, String> {
    let environment = environment(is_json);
    let template = environment.template_from_str(source).map_err(|error| described(source, &error))?;
    let mut rendered = Limited(Vec::new());
    let written = template.render_captured_to(Serde(parts), &mut rendered);
    written.map_err(|error| {
        let missing = if error.kind() == ErrorKind::UndefinedError { missing(&template, parts) } else { Vec::new() };
        if missing.is_empty() {
            return described(source, &error);
        }
        format!("the request has no {}", missing.join(", "))
    })?;
    Ok(rendered.0)
}

/// The names in a template that the request does not have, in the order of the alphabet.
fn missing(template: &Template<'_, '_>, parts: &RequestParts) -> Vec<String> {
    // Texts and JSON can be encoded.
    let parts = serde_json::to_value(parts).unwrap_or_default();
    let has = |name: &String| name.split('.').try_fold(&parts, |value, part| value.get(part)).is_some();
    let mut names: Vec<String> = template.undeclared_variables(true).into_iter().filter(|name| !has(name)).collect();
    names.sort();
    names
}

/// Refuses what could build values of any size from a small request: operators that join values, and statements other than
/// conditions and loops. The limit of the engine does not count the items of joined lists.
fn check_words(source: &str) -> Result<(), String> {
    const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];
    let mut rest = source;
    while let Some(at) = rest.find(['{']) {
        let (closing, inside) = match rest[at..].get(..2) {
            Some("{{") => ("}}", &rest[at + 2..]),
            Some("{%") => ("%}", &rest[at + 2..]),
            Some("{#") => {
                let end = rest[at..].find("#}").map_or(rest.len(), |end| at + end + 2);
                rest = &rest[end..];
                continue;
            }
            _ => {
                rest = &rest[at + 1..];
                continue;
            }
        };
        let line = source[..source.len() - inside.len()].matches('\n').count() + 1;
        if closing == "%}" {
            let words = inside.trim_start_matches(['-', '+']).trim_start();
            let word: &str = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            if !STATEMENTS.contains(&word) {
                return Err(format!("the statements are {}, got {word:?} in line {line}", STATEMENTS.join(", ")));
            }
        }
        // The end of the expression, outside of quoted texts.
        let (mut quote, mut end) = (None, inside.len());
        let mut characters = inside.char_indices();
        while let Some((place, character)) = characters.next() {
            match (quote, character) {
                (Some(_), '\\') => drop(characters.next()),
                (Some(opened), _) if opened == character => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (None, '+' | '*' | '~') if place > 0 && !inside[place + 1..].starts_with(closing) => {
                    return Err(format!("the operators + * ~ are not supported, got {character} in line {line}"));
                }
                (None, '|') => {
                    let name = inside[place + 1..].trim_start();
                    let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
                    if !FILTERS.contains(&name) {
                        let filters = FILTERS.join(", ");
                        return Err(format!("the filters are {filters}, got {name:?} in line {line}"));
                    }
                }
                (None, _) if inside[place..].starts_with(closing) => {
                    end = place + closing.len();
                    break;
                }
                _ => {}
            }
        }
        rest = &inside[end..];
    }
    Ok(())
}

/// An environment with few filters: what a stub needs, and nothing that builds texts of any size from lists.
fn environment(is_json: bool) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.set_auto_escape_callback(move |_| if is_json { AutoEscape::Json } else { AutoEscape::None });
    // A name that the request does not have is an error, so that a mistake in a template becomes visible.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_WORK));
    environment
}

/// What is wrong, and the line of the template.
fn described(source: &str, error: &minijinja::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let detail = cause.or_else(|| error.detail().map(str::to_owned));
    let what = detail.map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let line = error.line().and_then(|number| Some((number, source.lines().nth(number.checked_sub(1)?)?)));
    line.map_or(what.clone(), |(number, text)| {
        let text: String = text.trim().chars().take(100).collect();
        format!("{what} in line {number}, {text:?}")
    })
}

/// A buffer with a maximum size.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED_BYTES {
            return Err(io::Error::other(format!("the body is larger than {MAX_RENDERED_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
