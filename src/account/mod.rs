//! What one account owns: a world, a clock, tokens, a quota, a profile, faults, added events, a journal.
//!
//! Nothing of it is another account's. What accounts of a server share is either theirs by name (which token belongs to
//! whom) or the same for all (ready pages and worlds, which follow from seeds).
//!
//! The verbs of the control surface stand here as methods: [`Account`] has those of one account, [`Accounts`] those that
//! make and drop them.

#[expect(clippy::module_inception, reason = "the account is what this module is about")]
mod account;
pub(crate) mod accounts;
mod config;
mod error;
pub mod fault;
pub mod injected;
pub mod journal;
pub(crate) mod pages;
pub mod profile;
pub mod quota;
pub mod settings;
mod shared;
pub(crate) mod strict;
pub(crate) mod tokens;
mod truth;
pub(crate) mod worlds;

pub(crate) use self::{
    account::InFlightGuard,
    accounts::Sizes,
    config::{AccountConfig, is_signed},
};
pub use self::{
    account::{Account, Description, MadeToken, QuotaDescription},
    accounts::Accounts,
    error::{CreateAccountError, MintTokenError},
    truth::TrueEvent,
};
