//! Whether this build has the history that the binary has.
//!
//! Everything in the history follows from this crate, but for the names of people: `fake` supplies their tables. The crate pins
//! its version; an embedder that overrides it finds out here.

use std::fmt;

use super::{
    company::{World, WorldConfig},
    lag::Lag,
    random::mix,
};

/// How many people are compared.
const PEOPLE: u64 = 256;
/// The digest of their names with the pinned version of `fake`.
const DIGEST: u64 = 0xb8ec_7b83_878c_7307;

/// The names of this build differ from those of the binary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReproducibilityError {
    digest: u64,
}

/// Checks that this build has the same history as the binary of this version.
///
/// # Errors
///
/// When the names of people differ, because another version of the `fake` crate is compiled in.
pub fn check_reproducibility() -> Result<(), ReproducibilityError> {
    let world = World::new(WorldConfig { seed: 1, devices: 100, lag: Lag::NONE, webhook_since: None });
    let people = (0..PEOPLE).map(|slot| world.roster.person(slot).name);
    let bytes = people.flat_map(String::into_bytes).chain(world.company().bytes());
    match bytes.fold(0, |digest, byte| mix(digest ^ u64::from(byte))) {
        DIGEST => Ok(()),
        digest => Err(ReproducibilityError { digest }),
    }
}

impl fmt::Display for ReproducibilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the names of people differ from those of the binary (digest {:016x}, expected {DIGEST:016x}): \
             another version of the crate fake is compiled in",
            self.digest
        )
    }
}

impl std::error::Error for ReproducibilityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_has_the_history_of_the_binary() {
        assert_eq!(check_reproducibility().map_err(|error| error.to_string()), Ok(()));
    }
}
