//! Pages of rows, newest first (A: no document gives an order), and the answers that carry them.

use std::{
    convert::Infallible,
    ops::Range,
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

use super::{error::Refusal, gate::Caller, wire};
use crate::{
    account::Account,
    world::{Event, Filter, Found, Millis, Order, Patience, Selection, Stream, Window, World},
};

/// A page as a handler asks for it.
pub(super) struct Page {
    pub(super) stream: Stream,
    /// What can be read: already cut to retention and to now.
    pub(super) window: Window,
    pub(super) filter: Filter,
    /// Where the page begins.
    pub(super) begin: Begin,
    /// How many it may hold.
    pub(super) take: usize,
    /// When the first page was asked for: what was not visible then is not in any of them.
    pub(super) seen_at: Millis,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// After so many entries that pass the filter.
    Entries(u64),
    /// After so many entries that pass the filter without its search.
    Read(u64),
}

/// The rows of a page, with commas between them.
pub(super) struct Rows {
    pub(super) count: u64,
    /// How many entries that pass the filter without its search lie before the next page.
    pub(super) read: u64,
    pieces: Vec<Bytes>,
}

impl Page {
    /// Finds and writes the rows of the page. Without a filter they are ready more often than not; a search, which may
    /// take long, does not hold up those who serve other requests.
    pub(super) async fn rows(self, caller: &Caller) -> Result<Rows, Refusal> {
        if self.filter.search.is_none() {
            return Ok(self.find(&caller.account, Patience::default()));
        }
        let account = caller.account.clone();
        // The semaphore is never closed. The search keeps its place when the client has gone.
        let place = account.searches.clone().acquire_owned().await.map_err(|_| Refusal::ServerError)?;
        let patience = Patience::default();
        // Dropped when the client goes before the answer comes.
        let _waiting = patience.while_waiting();
        let search = tokio::task::spawn_blocking(move || {
            let rows = self.find(&account, patience);
            drop(place);
            rows
        });
        search.await.map_err(|_| Refusal::ServerError)
    }

    fn find(self, account: &Account, patience: Patience) -> Rows {
        let world = account.world();
        let (Begin::Entries(skip) | Begin::Read(skip)) = self.begin;
        let selection = world.select_patiently(self.stream, self.window, self.filter, self.seen_at, patience);
        if let Some(places) = selection.places() {
            return Self::ready(account, self.stream, &selection, &places, skip, self.take);
        }
        let Found { events, read } = match self.begin {
            Begin::Read(read) => selection.after(read, self.take),
            Begin::Entries(skip) => Found { events: selection.page(skip, self.take, Order::NewestFirst), read: 0 },
        };
        Rows { count: events.len() as u64, read, pieces: vec![written(world, &events)] }
    }

    /// The rows of a page without a filter: slices of what is ready, after those that only some can see yet.
    fn ready(
        account: &Account,
        stream: Stream,
        selection: &Selection<'_>,
        places: &Range<u64>,
        skip: u64,
        take: usize,
    ) -> Rows {
        // Two chunks and what stands before, between and after.
        let mut pieces = Vec::with_capacity(6);
        let fresh = selection.fresh();
        let left = fresh.len().saturating_sub(usize::try_from(skip).unwrap_or(usize::MAX));
        let fresh: Vec<Event> = fresh[left.saturating_sub(take)..left].iter().rev().copied().collect();
        if !fresh.is_empty() {
            pieces.push(written(account.world(), &fresh));
        }
        let solid_skip = skip.saturating_sub(selection.fresh().len() as u64);
        let end = places.end.saturating_sub(solid_skip).max(places.start);
        let start = end.saturating_sub((take - fresh.len()) as u64).max(places.start);
        if start < end && !fresh.is_empty() {
            pieces.push(Bytes::from_static(b","));
        }
        account.pages.append(account.world(), stream, start..end, selection.near(), wire::write_row, &mut pieces);
        let count = end - start + fresh.len() as u64;
        Rows { count, read: skip.saturating_add(count), pieces }
    }
}

fn written(world: &World, events: &[Event]) -> Bytes {
    let mut rows = Vec::new();
    for event in events {
        if !rows.is_empty() {
            rows.push(b',');
        }
        wire::write_row(&world.tell(event), &mut rows);
    }
    rows.into()
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
