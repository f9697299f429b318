//! The configuration: flags, environment variables and the configuration file, read into one [`Config`].
//!
//! Flags override environment variables, these override the file, and the file overrides the defaults. All three have
//! the same settings: the fields of [`Config`].

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
