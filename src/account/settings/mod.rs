//! The settings of an account, and the requests to create and change one.
//!
//! The control surface, the TOML file and the Rust API use the same field names.

mod account;
mod changes;
mod values;

pub use self::{
    account::{
        AccountChange, DEFAULT_CLIENT_SECRET, DOCUMENTED_CLIENT_ID, DOCUMENTED_TOKEN, MAX_REDIRECT_URIS, MAX_TOKENS,
        NewAccount, NewToken, SANDBOX, SANDBOX_SECRET, Settings,
    },
    changes::ProfileChange,
    values::{
        Credential, DEFAULT_JOURNAL, Dense, Devices, JournalSize, LagSeconds, MAX_DENSE, MAX_JOURNAL,
        MAX_RETENTION_DAYS, Name, RedirectUri, RetentionDays,
    },
};
