//! The thresholds of a verdict.

/// The thresholds of a verdict, and the rules that are switched off.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictSettings {
    /// The names of the rules that are switched off.
    pub disabled: Vec<String>,
    /// How far a window may end after the time of the account, in seconds; 1 by default, for clocks that differ.
    pub future_seconds: u32,
    /// The maximum number of attempts of one request in a row; 10 by default.
    pub max_attempts: u32,
    /// The minimum time between two polls of the same query, in seconds; 6 by default, which is what the documented quota
    /// allows for ever.
    pub min_poll_seconds: u32,
}

impl Default for VerdictSettings {
    fn default() -> Self {
        Self { disabled: Vec::new(), future_seconds: 1, max_attempts: 10, min_poll_seconds: 6 }
    }
}
