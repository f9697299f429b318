//! Rows outside of a page: an event as the API tells it, for whoever writes many of them.

use super::wire;
use crate::world::{Event, Stream, World};

/// Writes events of one stream.
#[derive(Debug)]
pub(crate) struct Writer<'w> {
    world: &'w World,
    stream: Stream,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(world: &'w World, stream: Stream) -> Self {
        Self { world, stream }
    }

    /// Appends an event as a JSON object.
    pub(crate) fn json(&mut self, event: &Event, into: &mut Vec<u8>) {
        wire::write_row(&self.world.tell(event), into);
    }

    /// The names of the fields, separated by commas, as a line.
    pub(crate) fn csv_header(&self) -> String {
        wire::fields(self.stream).join(",") + "\r\n"
    }

    /// Appends an event as a line of comma-separated values (RFC 4180).
    pub(crate) fn csv(&mut self, event: &Event, into: &mut Vec<u8>) {
        let mut line = csv::WriterBuilder::new().has_headers(false).terminator(csv::Terminator::CRLF).from_writer(into);
        wire::with_row(&self.world.tell(event), |row| line.serialize(row).expect("a row of texts can be written"));
        // Writing to memory cannot fail.
        line.flush().expect("memory takes all");
    }
}
