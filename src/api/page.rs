//! Pages of rows, newest first (A: no document gives an order).

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::{gate::Caller, wire};
use crate::world::{Filter, Order, Stream, Window};

/// A page as a handler asks for it.
pub(super) struct Page {
    pub(super) stream: Stream,
    /// What can be read: already cut to retention and to now.
    pub(super) window: Window,
    pub(super) filter: Filter,
    /// How many entries lie before the page.
    pub(super) skip: u64,
    /// How many it may hold.
    pub(super) take: usize,
}

impl Page {
    /// Appends the rows of the page, with commas between them, and tells how many they are.
    pub(super) fn write(self, caller: &Caller, into: &mut Vec<u8>) -> u64 {
        let world = caller.account.world();
        let near = self.window.to;
        let selection = world.select(self.stream, self.window, self.filter);
        if let Some(places) = selection.places() {
            let end = places.end.saturating_sub(self.skip).max(places.start);
            let start = end.saturating_sub(self.take as u64).max(places.start);
            caller.account.pages.append(world, self.stream, start..end, near, wire::write_row, into);
            return end - start;
        }
        let events = selection.page(self.skip, self.take, Order::NewestFirst);
        for (nth, event) in events.iter().enumerate() {
            if nth > 0 {
                into.push(b',');
            }
            wire::write_row(&world.tell(event), into);
        }
        events.len() as u64
    }
}

/// An answer of ready JSON.
pub(super) fn answer(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, wire::JSON)], body).into_response()
}
