//! The commands of the binary, one file each. Their output is part of the public interface.

mod ask;
mod audit;
mod banner;
#[cfg(feature = "check")]
mod check;
mod files;
mod generate;
mod healthcheck;
mod logs;
mod serve;
mod signals;
mod trusting;
mod verdict;

use std::{ffi::OsString, io::Write, process::ExitCode};

use crate::config::{self, Config, ConfigError};

/// The exit code for an invalid flag, variable or configuration file.
const USAGE: u8 = 2;

/// Runs the command of the process arguments, and returns the exit code.
#[must_use]
pub fn run() -> ExitCode {
    match dispatch(std::env::args_os()) {
        Ok(code) => code,
        Err(stop) => end(stop),
    }
}

/// Runs the command that the first argument names. The default command is `serve`.
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
        command = match arguments.get(1) {
            None => None,
            Some(name) => Some(named(name).ok_or_else(|| {
                let (name, known) = (name.to_string_lossy(), COMMANDS.join(", "));
                ConfigError::Invalid(format!("unknown command '{name}' (the commands are {known})"))
            })?),
        };
        arguments.truncate(1);
        arguments.push("--help".into());
    }
    match command {
        Some("generate") => generate::run(arguments).map_err(|error| ConfigError::from(&error)),
        Some("audit") => audit::run(arguments).map_err(|error| ConfigError::from(&error)),
        #[cfg(feature = "check")]
        Some("check") => check::run(arguments).map_err(|error| ConfigError::from(&error)),
        #[cfg(not(feature = "check"))]
        Some("check") => Err(ConfigError::Invalid(
            "check is not in this build, which has no connector to run; install the crate".to_owned(),
        )),
        Some("verdict") => verdict::run(arguments).map_err(|error| ConfigError::from(&error)),
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

/// The names of the commands, in the order of the help.
const COMMANDS: [&str; 7] = ["serve", "check", "audit", "verdict", "generate", "healthcheck", "help"];

/// Whether the error rejects a first argument that is not a flag, such as a misspelt command.
fn is_no_flag(argument: &OsString, line: &str) -> bool {
    let argument = argument.to_string_lossy();
    !argument.starts_with('-') && line == format!("unexpected argument '{argument}' found")
}

/// Prints the help or the error, and returns the exit code.
fn end(stop: ConfigError) -> ExitCode {
    match stop {
        ConfigError::Help(text) => {
            // The reader may have closed the pipe.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        ConfigError::Invalid(line) => {
            print_error(&line);
            ExitCode::from(USAGE)
        }
        ConfigError::Unreadable(line) => {
            print_error(&line);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error in one line on the standard error. Ignores a closed standard error.
fn print_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "opswat-mock: {line}");
}
