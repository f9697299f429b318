//! The binary: runs a command and returns its exit code.

use std::process::ExitCode;

/// A page allocates many small strings. This allocator is about twice as fast for them as the platform's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    opswat_mock::cli::run()
}
