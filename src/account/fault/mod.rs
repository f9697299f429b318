//! Faults: rules that change or replace the responses of an account.
//!
//! A rule selects requests and defines what happens to them. Rules are checked in order, and the first one that applies
//! affects the request. Random decisions derive from the account's seed, the rule and the number of the request among
//! those that the rule matches, so they are the same in every run.

mod check;
mod engine;
mod rule;

pub(crate) use self::engine::{Applied, Faults};
pub use self::{
    check::{FaultError, MAX_DELAY_MS, MAX_FAULT_BODY_BYTES},
    engine::{FaultStatus, MAX_FAULTS},
    rule::{Close, Entries, Fault, FaultMatch, FaultRule, WaitClock},
};
