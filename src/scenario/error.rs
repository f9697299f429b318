//! What is wrong with a scenario file.

use std::fmt;

/// Why a text is no scenario: the place in it, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScenarioError(pub(super) String);

pub(super) fn wrong<T>(why: String) -> Result<T, ScenarioError> {
    Err(ScenarioError(why))
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}
