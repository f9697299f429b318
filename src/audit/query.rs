//! What an audit compares.

use std::ops::Range;

use super::fields::FieldMap;
use crate::{
    clock::Instant,
    world::{Category, Filter},
};

/// The default number of examples of each finding.
pub const DEFAULT_EXAMPLES: usize = 20;
/// The maximum number of examples of each finding.
pub const MAX_EXAMPLES: usize = 1_000;

/// The question of an audit: which events a connector should have.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditQuery {
    /// The category.
    pub category: Category,
    /// The window, its end excluded. By default from the earliest start to the latest end of all windows that the requests
    /// of the journal asked for.
    pub window: Option<Range<Instant>>,
    /// The events that are expected; all events of the category by default. A record of another event is no finding.
    pub filter: Filter,
    /// Where the records have the fields; by default they are rows of the API.
    pub map: Option<FieldMap>,
    /// The maximum number of examples of each finding. The control surface takes at most [`MAX_EXAMPLES`].
    pub examples: usize,
}

impl AuditQuery {
    /// An audit of all events of a category, with all defaults.
    #[must_use]
    pub fn new(category: Category) -> Self {
        Self { category, window: None, filter: Filter::default(), map: None, examples: DEFAULT_EXAMPLES }
    }

    /// The same for a window, its end excluded.
    #[must_use]
    pub fn window(self, window: Range<Instant>) -> Self {
        Self { window: Some(window), ..self }
    }

    /// The same for records that are not rows of the API.
    #[must_use]
    pub fn map(self, map: FieldMap) -> Self {
        Self { map: Some(map), ..self }
    }
}
