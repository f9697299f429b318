//! The state of one account: a world, a clock, tokens, a quota, a profile, faults, injected events and a journal.
//!
//! Accounts are independent of each other. The accounts of a server share an index of token owners, caches of pages and
//! worlds (which derive from settings only), and limits on searches and on the size of journals.
//!
//! The operations of the control surface are methods: [`Account`] has those on one account, [`Accounts`] has those that
//! create and delete accounts.

#[expect(clippy::module_inception, reason = "the module is named after its main type")]
mod account;
pub(crate) mod accounts;
pub(crate) mod actions;
mod config;
mod description;
pub(crate) mod devices;
mod error;
mod events;
mod exemptions;
pub mod fault;
pub mod injected;
pub mod journal;
pub(crate) mod listing;
pub(crate) mod pages;
pub mod profile;
pub mod quota;
pub mod settings;
mod shared;
pub(crate) mod strict;
pub(crate) mod tokens;
mod truth;
#[cfg(feature = "check")]
mod watch;
pub mod webhook;
pub(crate) mod worlds;

#[cfg(feature = "check")]
pub(crate) use self::watch::Moment;
pub use self::{
    account::Account,
    accounts::Accounts,
    description::{Description, MadeToken, QuotaDescription},
    error::{CreateAccountError, MintTokenError},
    truth::TrueEvent,
};
pub(crate) use self::{
    account::InFlightGuard,
    accounts::Sizes,
    config::{AccountConfig, is_signed},
};
