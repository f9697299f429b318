//! Findings of an audit, counted, with the first ones as examples.

use std::collections::BTreeMap;

use serde::Serialize;

/// Findings of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings<T> {
    /// The number of findings.
    pub count: u64,
    /// The number of findings by cause, where they have causes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<&'static str, u64>,
    /// The first findings.
    pub examples: Vec<T>,
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self { count: 0, causes: BTreeMap::new(), examples: Vec::new() }
    }
}

impl<T> Findings<T> {
    /// Adds a finding. `example` makes an example, up to `max` of them.
    pub(super) fn add(&mut self, cause: Option<&'static str>, max: usize, example: impl FnOnce() -> Option<T>) {
        self.count += 1;
        if let Some(cause) = cause {
            *self.causes.entry(cause).or_default() += 1;
        }
        if self.examples.len() < max {
            self.examples.extend(example());
        }
    }
}
