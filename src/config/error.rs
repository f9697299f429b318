//! Configuration errors: the messages of clap in one line.

use std::env;

use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::flags::Config;

/// Why there is no [`Config`].
#[derive(Debug)]
pub enum ConfigError {
    /// The user requested the help or the version; the text to print.
    Help(String),
    /// A flag, a variable or the configuration file is invalid; the message in one line.
    Invalid(String),
    /// The configuration file cannot be read; the message in one line.
    Unreadable(String),
}

impl From<&clap::Error> for ConfigError {
    fn from(error: &clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self::Help(error.render().to_string()),
            _ => Self::Invalid(line(error)),
        }
    }
}

/// Formats an error of clap in one line, with its tip if there is one.
pub(super) fn line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut wrong = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // clap lists missing arguments in separate lines.
    if wrong.ends_with(':') {
        let missing: Vec<&str> = lines.by_ref().take_while(|line| line.starts_with("--")).collect();
        wrong = format!("{wrong} {}", missing.join(", "));
    }
    let tip = lines.find(|line| line.starts_with("tip: ") || line.starts_with("[possible values"));
    let tip = tip.map(|tip| format!(" ({})", tip.trim_matches(['[', ']']))).unwrap_or_default();
    format!("{wrong}{}{tip}", variable(error).map(|name| format!(" (from {name})")).unwrap_or_default())
}

/// The environment variable that an invalid value came from.
fn variable(error: &clap::Error) -> Option<String> {
    let (ContextValue::String(flag), ContextValue::String(value)) =
        (error.get(ContextKind::InvalidArg)?, error.get(ContextKind::InvalidValue)?)
    else {
        return None;
    };
    let flag = flag.trim_start_matches('-').split([' ', '[']).next();
    let command = Config::command();
    let name = command.get_arguments().find(|argument| argument.get_long() == flag)?.get_env()?.to_str()?;
    let is_its = env::var(name).is_ok_and(|given| given == *value);
    (is_its && !env::args().any(|argument| argument.contains(value))).then(|| name.to_owned())
}
