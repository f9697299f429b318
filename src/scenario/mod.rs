//! Scenarios: situations that a connector must cope with, each one a TOML file that a person can read and copy.
//!
//! `docs/scenarios.md` describes the format and lists those that are compiled in.

mod error;
mod format;
mod pack;
mod read_api;
mod span;
mod step;

pub use self::{
    error::ScenarioError,
    format::Scenario,
    pack::{all, find, text},
    read_api::ReadApi,
    span::Span,
    step::{ClockError, Meanwhile, Polls, Step, TokenChange},
};
use crate::account::settings::NewAccount;

/// The settings of an account, with those of the scenario that it names.
///
/// # Errors
///
/// If there is no such scenario.
pub(crate) fn resolved(mut new: NewAccount) -> Result<NewAccount, String> {
    let Some(name) = new.scenario.take() else { return Ok(new) };
    let Some(scenario) = find(&name) else {
        let names: Vec<&str> = all().iter().map(|scenario| scenario.name.as_str()).collect();
        let shown: String = name.chars().take(60).collect();
        return Err(format!("scenario must be one of {}, got {shown:?}", names.join(", ")));
    };
    Ok(scenario.account(new))
}
