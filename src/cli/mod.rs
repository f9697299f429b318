//! The commands of the binary, one file each. What they print is part of the product.

mod generate;
mod healthcheck;
mod logs;
mod serve;
mod trusting;

use std::{ffi::OsString, io::Write, process::ExitCode};

use crate::config::{self, Config, ConfigError};

/// A value is wrong.
const USAGE: u8 = 2;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    match dispatch(std::env::args_os()) {
        Ok(code) => code,
        Err(stop) => end(stop),
    }
}

/// Runs the command that the first argument names; without one, the server.
fn dispatch(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, ConfigError> {
    let mut arguments = arguments.peekable();
    let program = arguments.next().unwrap_or_default();
    let named = |name: &OsString| COMMANDS.into_iter().find(|known| name == known);
    let mut command = arguments.peek().and_then(named);
    if command.is_some() {
        arguments.next();
    }
    let mut arguments: Vec<OsString> = std::iter::once(program).chain(arguments).collect();
    if command == Some("help") {
        // `help generate` is `generate --help`.
        command = arguments.get(1).and_then(named);
        arguments.truncate(1);
        arguments.push("--help".into());
    }
    match command {
        Some("generate") => generate::run(arguments).map_err(|error| ConfigError::from(&error)),
        Some("healthcheck") => {
            Config::load_with(healthcheck::command(), arguments).map(|config| healthcheck::run(&config))
        }
        Some(_) => Config::load_with(config::command(), arguments).map(|config| serve::run(&config)),
        None => match Config::load_with(config::command(), arguments.clone()) {
            Err(ConfigError::Invalid(line)) if arguments.get(1).is_some_and(|first| is_no_flag(first, &line)) => {
                Err(ConfigError::Invalid(format!("{line} (the commands are {})", COMMANDS.join(", "))))
            }
            loaded => loaded.map(|config| serve::run(&config)),
        },
    }
}

/// The commands, in the order of the help.
const COMMANDS: [&str; 4] = ["serve", "generate", "healthcheck", "help"];

/// Whether an argument was refused that stands where a command may stand.
fn is_no_flag(argument: &OsString, line: &str) -> bool {
    let argument = argument.to_string_lossy();
    !argument.starts_with('-') && line == format!("unexpected argument '{argument}' found")
}

/// Says why there is nothing to run.
fn end(stop: ConfigError) -> ExitCode {
    match stop {
        ConfigError::Help(text) => {
            // Whoever reads it may have read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        ConfigError::Invalid(line) => {
            complain(&line);
            ExitCode::from(USAGE)
        }
        ConfigError::Unreadable(line) => {
            complain(&line);
            ExitCode::FAILURE
        }
    }
}

/// Says in one line why the command ends, to whoever listens.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "opswat-mock: {line}");
}
