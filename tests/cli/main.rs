//! Tests of the binary: flags, environment, configuration file, exit codes, banner, signals, log.

mod config;
mod generate;
mod harness;
mod serve;
