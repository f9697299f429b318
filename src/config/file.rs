//! The tables of the configuration file that have no flag.

use serde::Deserialize;

use crate::account::{
    accounts::MAX_ACCOUNTS,
    fault::{FaultRule, MAX_FAULTS},
    quota::QuotaChange,
    settings::{MAX_TOKENS, NewAccount, NewToken, ProfileChange},
    strict,
};

/// The tables of the configuration file that have no flag, for the account `default` and for further accounts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// The profile: the alternatives of assumed behaviour.
    pub profile: ProfileChange,
    /// Quota settings that `--rate-limit` does not have.
    pub quota: QuotaChange,
    /// Further tokens of `default`.
    #[serde(deserialize_with = "strict::objects::<MAX_TOKENS, _, _>")]
    pub tokens: Vec<NewToken>,
    /// Fault rules of `default`.
    #[serde(deserialize_with = "strict::objects::<MAX_FAULTS, _, _>")]
    pub faults: Vec<FaultRule>,
    /// Further accounts.
    #[serde(deserialize_with = "strict::objects::<MAX_ACCOUNTS, _, _>")]
    pub accounts: Vec<NewAccount>,
}
