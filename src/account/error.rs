//! Errors of creating and deleting accounts, and of minting tokens.

use std::fmt;

/// Why an account was not created or not deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CreateAccountError {
    /// Another account has this name.
    NameTaken(String),
    /// Another account has this client id.
    ClientTaken(String),
    /// Another account has one of the tokens; contains the name of the field.
    TokenTaken(String),
    /// The server already has the maximum number of accounts; contains the maximum.
    TooMany(usize),
    /// A value is invalid; contains the message.
    Invalid(String),
    /// The account `default` cannot be deleted.
    Default,
}

/// Why a token was not minted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MintTokenError {
    /// `expires_in` is out of range; contains the message.
    Invalid(String),
    /// Another account has this token.
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
