//! Why an account was not created or deleted, and why a token was not minted.

use std::fmt;

/// Why an account was not made, or not dropped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CreateAccountError {
    /// There is one of this name.
    NameTaken(String),
    /// Another account has the client id.
    ClientTaken(String),
    /// Another account has the token: which one of those that were asked for.
    TokenTaken(String),
    /// So many are there already.
    TooMany(usize),
    /// Something asked for is wrong, in a sentence.
    Invalid(String),
    /// `default` is always there.
    Default,
}

/// Why a token was not made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MintTokenError {
    /// The time until it expires is out of range.
    Invalid(String),
    /// Another account has it.
    Taken,
}

impl fmt::Display for CreateAccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => write!(f, "name must be unique, there is an account {name}"),
            Self::ClientTaken(id) => write!(f, "client_id must be unique, another account has {id}"),
            Self::TokenTaken(which) => write!(f, "{which} must be unique, another account has this token"),
            Self::TooMany(most) => write!(f, "a server keeps {most} accounts; DELETE some first"),
            Self::Invalid(why) => f.write_str(why),
            Self::Default => f.write_str("the account default is always there; it can be reset"),
        }
    }
}

impl std::error::Error for CreateAccountError {}

impl fmt::Display for MintTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Taken => f.write_str("token must be unique, another account has it"),
        }
    }
}

impl std::error::Error for MintTokenError {}
