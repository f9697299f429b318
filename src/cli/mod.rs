//! The commands of the binary, one file each. What they print is part of the product.

mod serve;

use std::{io::Write, process::ExitCode};

use crate::config::{Config, Stop};

/// A value is wrong.
const USAGE: u8 = 2;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    match Config::load(std::env::args_os()) {
        Ok(config) => serve::run(&config),
        Err(Stop::Asked(text)) => {
            // Whoever reads it may have read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Stop::Wrong(line)) => {
            complain(&line);
            ExitCode::from(USAGE)
        }
    }
}

/// Says in one line why the command ends, to whoever listens.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "opswat-mock: {line}");
}
