//! The commands of the binary, one file each. What they print is part of the product.

mod serve;

use std::process::ExitCode;

use crate::config::{Config, Stop};

/// A value is wrong.
const USAGE: u8 = 2;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    match Config::load(std::env::args_os()) {
        Ok(config) => serve::run(&config),
        Err(Stop::Asked(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Wrong(line)) => {
            eprintln!("opswat-mock: {line}");
            ExitCode::from(USAGE)
        }
    }
}
