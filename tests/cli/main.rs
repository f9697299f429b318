//! The binary from outside: flags, environment, file, exit codes, the banner, signals, the log.

mod config;
mod generate;
mod harness;
mod serve;
