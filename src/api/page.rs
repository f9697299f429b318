//! Pages of rows, newest first (A: no document gives an order), and the answers that carry them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

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

/// The rows of a page, with commas between them.
pub(super) struct Rows {
    pub(super) count: u64,
    pieces: Vec<Bytes>,
}

impl Page {
    /// Finds and writes the rows of the page. Without a filter they are ready more often than not.
    pub(super) fn rows(self, caller: &Caller) -> Rows {
        let world = caller.account.world();
        let near = self.window.to;
        let selection = world.select(self.stream, self.window, self.filter);
        if let Some(places) = selection.places() {
            let end = places.end.saturating_sub(self.skip).max(places.start);
            let start = end.saturating_sub(self.take as u64).max(places.start);
            // Two chunks, a comma, and what stands before and after.
            let mut pieces = Vec::with_capacity(5);
            caller.account.pages.append(world, self.stream, start..end, near, wire::write_row, &mut pieces);
            return Rows { count: end - start, pieces };
        }
        let events = selection.page(self.skip, self.take, Order::NewestFirst);
        let mut written = Vec::new();
        for event in &events {
            if !written.is_empty() {
                written.push(b',');
            }
            wire::write_row(&world.tell(event), &mut written);
        }
        Rows { count: events.len() as u64, pieces: vec![written.into()] }
    }
}

impl Rows {
    /// The answer of these rows, with something before and something after them.
    pub(super) fn answer(self, before: &'static str, after: impl Into<Bytes>) -> Response {
        let Self { mut pieces, .. } = self;
        pieces.insert(0, Bytes::from_static(before.as_bytes()));
        pieces.push(after.into());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let body = Body::new(Pieces { left, pieces: pieces.into_iter() });
        ([(header::CONTENT_TYPE, wire::JSON)], body).into_response()
    }
}

/// An answer of ready JSON.
pub(super) fn answer(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, wire::JSON)], body).into_response()
}

/// A body in pieces that are written one after the other without being joined.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    /// How many bytes are still to come: the server takes `Content-Length` from it.
    left: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
