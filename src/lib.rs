//! opswat-mock
pub mod account;
mod api;
pub mod cli;
pub mod clock;
pub mod config;
mod control;
pub mod server;
pub mod world;

use std::sync::Arc;

use axum::Router;

use self::account::Account;

/// Everything that an account's server answers.
pub fn router(account: Arc<Account>) -> Router {
    control::router().merge(api::router(account))
}
