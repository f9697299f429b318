//! Encodes events as rows of the API, for the ground truth, for audits and for `generate`.

use super::encode;
pub(crate) use super::encode::{fields, v2_line, with_row, with_v3_row};
#[cfg(feature = "cli")]
use crate::world::{Category, Event, Renderer, World};
use crate::{
    account::{TrueEvent, profile::RowFormat},
    clock::Instant,
};

/// Encodes events of one category.
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

    /// The CSV header: the field names, separated by commas, with a line end.
    pub(crate) fn csv_header(&self) -> String {
        fields(self.category).join(",") + "\r\n"
    }

    /// Appends an event as a CSV line (RFC 4180).
    pub(crate) fn csv(&mut self, event: &Event, into: &mut Vec<u8>) {
        let mut line = csv::WriterBuilder::new()
            .has_headers(false)
            .terminator(csv::Terminator::CRLF)
            .buffer_capacity(1024)
            .from_writer(into);
        // Writing to memory cannot fail.
        with_row(&self.renderer.render(event), RowFormat::default(), |_, values| line.write_record(values))
            .expect("writing to memory does not fail");
        line.flush().expect("writing to memory does not fail");
    }
}

/// Appends an event of the ground truth: its row in a format, with the fields `id`, `at`, `visible_at` and `injected`.
pub(crate) fn write_true_event(true_event: &TrueEvent, row_format: RowFormat, into: &mut Vec<u8>) {
    encode::write_row(&true_event.entry, row_format, into);
    // Removes the closing brace of the row.
    into.pop();
    let (at, visible_at) = (Instant::from(true_event.at), Instant::from(true_event.visible_at));
    let (id, injected) = (true_event.id, true_event.is_injected);
    let rest = format!(r#","id":"{id}","at":"{at}","visible_at":"{visible_at}","injected":{injected}}}"#);
    into.extend_from_slice(rest.as_bytes());
}
