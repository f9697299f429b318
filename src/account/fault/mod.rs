//! Faults: rules that change or replace the responses of an account.
//!
//! A rule selects requests and defines what happens to them. Rules are checked in order, and the first one that applies
//! affects the request. Random decisions derive from the account's seed, the rule and the number of the request among
//! those that the rule matches, so they are the same in every run.
//!
//! A rule with a path and a response is a *stub*: it answers also where there would be 404.

mod check;
mod engine;
mod rule;
mod template;

pub use self::{
    check::{FaultError, MAX_DELAY_MS, MAX_FAULT_BODY_BYTES, MAX_FAULT_HEADERS},
    engine::{FaultStatus, MAX_FAULTS},
    rule::{Close, Entries, Fault, FaultMatch, FaultRule, WaitClock},
};
pub(crate) use self::{
    engine::{Applied, Faults},
    rule::{Gate, MatchedRequest},
    template::{RequestParts, render},
};
