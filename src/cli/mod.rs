//! The commands of the binary, one file each. What they print is part of the product.

mod generate;
mod healthcheck;
mod logs;
mod serve;
mod trusting;

use std::{io::Write, process::ExitCode};

use crate::config::{Config, Stop};

/// A value is wrong.
const USAGE: u8 = 2;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let mut arguments = arguments.peekable();
    let stop = if arguments.next_if(|first| first == "generate").is_some() {
        match generate::run(std::iter::once(program).chain(arguments)) {
            Ok(code) => return code,
            Err(error) => Stop::from(&error),
        }
    } else {
        let is_check = arguments.next_if(|first| first == "healthcheck").is_some();
        match Config::load(std::iter::once(program).chain(arguments)) {
            Ok(config) if is_check => return healthcheck::run(&config),
            Ok(config) => return serve::run(&config),
            Err(stop) => stop,
        }
    };
    match stop {
        Stop::Asked(text) => {
            // Whoever reads it may have read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Stop::Wrong(line) => {
            complain(&line);
            ExitCode::from(USAGE)
        }
    }
}

/// Says in one line why the command ends, to whoever listens.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "opswat-mock: {line}");
}
