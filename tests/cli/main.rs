//! Tests of the binary: flags, environment, configuration file, exit codes, banner, signals, log.

mod audit;
mod check;
mod config;
mod generate;
mod harness;
mod serve;
