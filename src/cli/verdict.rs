//! `opswat-mock verdict`: how a connector behaved as a client of a running server.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser};

use super::ask::{Question, Target};
use crate::config;

/// Judges how a connector behaved as a client of a running server, by the rules of docs/verdict.md.
#[derive(Debug, Parser)]
#[command(
    name = "opswat-mock",
    bin_name = "opswat-mock verdict",
    version,
    max_term_width = 100,
    next_line_help = true,
    after_help = "Exit code 0 if no rule failed, 1 if one did, 2 if the server cannot be asked"
)]
struct VerdictCommand {
    #[command(flatten)]
    target: Target,
    /// Names of rules that are switched off, separated by commas
    #[arg(long, value_name = "RULES")]
    disable: Option<String>,
    /// How far a window may end after the time of the account, in seconds [default: 1]
    #[arg(long, value_name = "SECONDS")]
    future_seconds: Option<u32>,
    /// Maximum number of attempts of one request in a row [default: 10]
    #[arg(long, value_name = "NUMBER")]
    max_attempts: Option<u32>,
    /// Minimum time between two polls of the same query, in seconds [default: 6]
    #[arg(long, value_name = "SECONDS")]
    min_poll_seconds: Option<u32>,
}

/// Runs the command.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, clap::Error> {
    let found = config::without_empty(VerdictCommand::command()).try_get_matches_from(arguments)?;
    let command = VerdictCommand::from_arg_matches(&found)?;
    let question = Question::new("verdict")
        .with("disable", command.disable.as_ref())
        .with("future_seconds", command.future_seconds)
        .with("max_attempts", command.max_attempts)
        .with("min_poll_seconds", command.min_poll_seconds);
    Ok(command.target.get(question))
}
