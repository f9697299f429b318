//! The binary: parse, run, exit code.

use std::process::ExitCode;

/// Pages are made of many small texts; this allocator is about twice as fast with them as the platform's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    opswat_mock::cli::run()
}
