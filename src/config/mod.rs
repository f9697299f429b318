//! Flags, environment and file, into one [`Config`].
//!
//! A flag beats the environment, the environment beats the file, the file beats the default. The three have one list:
//! the fields of [`Config`].

mod defaults;
mod error;
mod file;
mod flags;
mod limits;
mod load;

pub(crate) use self::flags::{command, unknown_variables, without_empty};
pub use self::{
    error::ConfigError,
    file::File,
    flags::{Config, ControlAddr, LogFormat, LogLevel, ServerName},
    limits::LimitFlags,
};
