//! Rows outside of a page: an event as the API tells it, for whoever writes many of them.

use super::wire;
use crate::{
    account::{TrueEvent, profile::Dress},
    clock::Instant,
    world::{Category, Event, Record, Renderer, World},
};

/// Writes events of one category.
#[derive(Debug)]
pub(crate) struct Writer<'w> {
    renderer: Renderer<'w>,
    category: Category,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(world: &'w World, category: Category) -> Self {
        Self { renderer: Renderer::new(world), category }
    }

    /// Appends an event as a JSON object.
    pub(crate) fn json(&mut self, event: &Event, into: &mut Vec<u8>) {
        wire::write_row(&self.renderer.render(event), Dress::default(), into);
    }

    /// The names of the fields, separated by commas, as a line.
    pub(crate) fn csv_header(&self) -> String {
        wire::fields(self.category).join(",") + "\r\n"
    }

    /// Appends an event as a line of comma-separated values (RFC 4180).
    pub(crate) fn csv(&mut self, event: &Event, into: &mut Vec<u8>) {
        let mut line = csv::WriterBuilder::new().has_headers(false).terminator(csv::Terminator::CRLF).from_writer(into);
        // Writing to memory cannot fail.
        wire::with_row(&self.renderer.render(event), Dress::default(), |_, values| line.write_record(values))
            .expect("memory takes all");
        line.flush().expect("memory takes all");
    }
}

/// Appends an event of the truth: its row, and when it happened, when it can be seen, and whether a test added it.
pub(crate) fn told(told: &TrueEvent, into: &mut Vec<u8>) {
    row(&told.entry, into);
    // The row ends with a brace.
    into.pop();
    let (at, visible_at) = (Instant::from(told.at), Instant::from(told.visible_at));
    let rest = format!(r#","at":"{at}","visible_at":"{visible_at}","injected":{}}}"#, told.is_injected);
    into.extend_from_slice(rest.as_bytes());
}

fn row(entry: &Record, into: &mut Vec<u8>) {
    wire::write_row(entry, Dress::default(), into);
}
