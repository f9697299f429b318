//! What the TOML file says that no flag can say.

use serde::Deserialize;

use crate::account::{
    accounts::MAX_ACCOUNTS,
    fault::{FaultRule, MAX_FAULTS},
    quota::QuotaChange,
    settings::{MAX_TOKENS, NewAccount, NewToken, ProfileChange},
    strict,
};

/// What a file says that no flag can say: about the account `default`, and about others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Which reading the accounts follow of what is assumed.
    pub profile: ProfileChange,
    /// How requests are counted, where `--rate-limit` says too little.
    pub quota: QuotaChange,
    /// Further tokens of `default`.
    #[serde(deserialize_with = "strict::objects::<MAX_TOKENS, _, _>")]
    pub tokens: Vec<NewToken>,
    /// How `default` breaks requests.
    #[serde(deserialize_with = "strict::objects::<MAX_FAULTS, _, _>")]
    pub faults: Vec<FaultRule>,
    /// Further accounts.
    #[serde(deserialize_with = "strict::objects::<MAX_ACCOUNTS, _, _>")]
    pub accounts: Vec<NewAccount>,
}
