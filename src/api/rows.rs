//! Rows outside of a page: an event as the API tells it, for whoever writes many of them.

use super::encode;
#[cfg(feature = "cli")]
use crate::world::{Category, Event, Renderer, World};
use crate::{
    account::{TrueEvent, profile::RowFormat},
    clock::Instant,
    world::Record,
};

/// Writes events of one category.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub(crate) struct Writer<'w> {
    renderer: Renderer<'w>,
    category: Category,
}

#[cfg(feature = "cli")]
impl<'w> Writer<'w> {
    pub(crate) fn new(world: &'w World, category: Category) -> Self {
        Self { renderer: Renderer::new(world), category }
    }

    /// Appends an event as a JSON object.
    pub(crate) fn json(&mut self, event: &Event, into: &mut Vec<u8>) {
        encode::write_row(&self.renderer.render(event), RowFormat::default(), into);
    }

    /// The names of the fields, separated by commas, as a line.
    pub(crate) fn csv_header(&self) -> String {
        encode::fields(self.category).join(",") + "\r\n"
    }

    /// Appends an event as a line of comma-separated values (RFC 4180).
    pub(crate) fn csv(&mut self, event: &Event, into: &mut Vec<u8>) {
        let mut line = csv::WriterBuilder::new().has_headers(false).terminator(csv::Terminator::CRLF).from_writer(into);
        // Writing to memory cannot fail.
        encode::with_row(&self.renderer.render(event), RowFormat::default(), |_, values| line.write_record(values))
            .expect("memory takes all");
        line.flush().expect("memory takes all");
    }
}

/// Appends an event of the truth: its row, and when it happened, when it can be seen, and whether a test added it.
pub(crate) fn true_event(told: &TrueEvent, into: &mut Vec<u8>) {
    row(&told.entry, into);
    // The row ends with a brace.
    into.pop();
    let (at, visible_at) = (Instant::from(told.at), Instant::from(told.visible_at));
    let rest = format!(r#","at":"{at}","visible_at":"{visible_at}","injected":{}}}"#, told.is_injected);
    into.extend_from_slice(rest.as_bytes());
}

fn row(entry: &Record, into: &mut Vec<u8>) {
    encode::write_row(entry, RowFormat::default(), into);
}
