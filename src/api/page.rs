//! Pages of rows, newest first (A: no document gives an order; profile `order`), and the answers that carry them.
//!
//! What a test added stands among the generated events in the order of time; of one millisecond, after those.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{context::RequestContext, encode, error::ApiError};
use crate::{
    account::{
        injected::{Injected, Snapshot},
        profile::{MoreThanLimit, RowFormat},
    },
    offload::offload,
    world::{Cancellation, Category, Event, Filter, Found, Lag, Millis, Order, Record, Selection, Window, World},
};

/// How many events are read at once while a page of a search is looked for by its number.
const SKIP_AT_ONCE: usize = 4_096;
/// Up to so many events that a lag may still hide are looked at by the worker that serves the request: about a millisecond.
const MAX_UNSETTLED: u64 = 2_000;

/// A page as a handler asks for it.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) category: Category,
    /// What can be read: already cut to retention and to now.
    pub(super) window: Window,
    pub(super) filter: Filter,
    pub(super) order: Order,
    /// Where the page begins.
    pub(super) begin: Begin,
    /// How many it may hold.
    pub(super) take: usize,
    /// When the first page was asked for: what was not visible then is not in any of them.
    pub(super) seen_at: Millis,
    /// Which added events there were then.
    pub(super) snapshot: Snapshot,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// After so many entries.
    Entries(u64),
    /// Where another page ended.
    At(Place),
}

/// How far a page has read, in the order of the pages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    /// How many generated events lie before, of those that pass the filter without its search.
    pub(super) generated: u64,
    /// How many added events lie before, of those that pass the filter.
    pub(super) injected: u64,
}

/// The rows of a page, with commas between them.
pub(super) struct Rows {
    pub(super) count: u64,
    /// Where the next page begins.
    pub(super) end: Place,
    pieces: Vec<Bytes>,
}

/// An event of a page.
enum Listed {
    Generated(Event),
    Injected(Arc<Injected>),
}

impl Listed {
    fn at(&self) -> Millis {
        match self {
            Self::Generated(event) => event.at(),
            Self::Injected(event) => event.at,
        }
    }
}

impl Page {
    /// Finds and writes the rows of the page. Without a filter they are ready more often than not; a search, which may
    /// take long, does not hold up those who serve other requests.
    pub(super) async fn rows(self, context: &RequestContext) -> Result<Rows, ApiError> {
        let rows = self.compute(context, Self::find).await?;
        context.recorder.entries(rows.count);
        Ok(rows)
    }

    /// Finds the entries of the page, for an API that writes them in another form.
    pub(super) async fn entries(self, context: &RequestContext) -> Result<Vec<Record>, ApiError> {
        let find = |page: &Self, context: &RequestContext, cancellation: &Cancellation| {
            let world = context.account.world_of(context.config.settings.world);
            let Listing { events, .. } = page.list(&world, context, page.added(context), cancellation)?;
            Ok(events.iter().map(|event| event.true_event(&world)).collect::<Vec<_>>())
        };
        let entries = self.compute(context, find).await?;
        context.recorder.entries(entries.len() as u64);
        Ok(entries)
    }

    /// Runs a search, which may take long, beside the workers that serve other requests; anything else at once.
    async fn compute<T, F>(self, context: &RequestContext, find: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &RequestContext, &Cancellation) -> Result<T, ApiError> + Send + 'static,
    {
        if self.filter.search.is_none() && !self.is_slow(context) {
            return find(&self, context, &Cancellation::default());
        }
        let of = context.clone();
        // The semaphores are never closed. The search keeps its permits when the client has gone.
        let own = context.account.searches.clone().acquire_owned().await.map_err(|_| ApiError::ServerError)?;
        let of_all = context.account.shared.searches.clone();
        let shared = of_all.acquire_owned().await.map_err(|_| ApiError::ServerError)?;
        let cancellation = Cancellation::default();
        // Dropped when the client goes before the answer comes.
        let _waiting = cancellation.cancel_on_drop();
        offload(move || {
            let found = find(&self, &of, &cancellation);
            drop((own, shared));
            found
        })
        .await
    }

    /// Whether so many events may still be invisible to this client that looking at each of them takes long.
    fn is_slow(&self, context: &RequestContext) -> bool {
        let world = context.config.settings.world;
        world.lag != Lag::NONE
            && context.account.world_of(world).unsettled(self.category, self.window, self.seen_at) > MAX_UNSETTLED
    }

    fn find(&self, context: &RequestContext, cancellation: &Cancellation) -> Result<Rows, ApiError> {
        let world = context.account.world_of(context.config.settings.world);
        let added = self.added(context);
        if added.is_empty()
            && let Some(rows) = self.ready(&world, context)
        {
            return Ok(rows);
        }
        let Listing { events, end } = self.list(&world, context, added, cancellation)?;
        let entries = events.iter().map(|event| event.true_event(&world));
        Ok(Rows { count: events.len() as u64, end, pieces: vec![written(entries, context.config.row_format)] })
    }

    /// The rows of a page of generated events without a filter: slices of what is ready, after those that only some can
    /// see yet. `None` for any other page.
    fn ready(&self, world: &World, context: &RequestContext) -> Option<Rows> {
        let is_usual = self.filter == Filter::default()
            && self.order == Order::NewestFirst
            && context.config.profile().more_than_limit == MoreThanLimit::Paged;
        if !is_usual {
            return None;
        }
        let selection = world.select_seen(self.category, self.window, Filter::default(), self.seen_at);
        let places = selection.places()?;
        let (Begin::Entries(skip) | Begin::At(Place { generated: skip, .. })) = self.begin;
        let row_format = context.config.row_format;
        // Two chunks and what stands before, between and after.
        let mut pieces = Vec::with_capacity(6);
        let fresh = selection.fresh();
        let left = fresh.len().saturating_sub(usize::try_from(skip).unwrap_or(usize::MAX));
        let fresh = &fresh[left.saturating_sub(self.take)..left];
        if !fresh.is_empty() {
            pieces.push(written(fresh.iter().rev().map(|event| world.render(event)), row_format));
        }
        let solid_skip = skip.saturating_sub(selection.fresh().len() as u64);
        let end = places.end.saturating_sub(solid_skip).max(places.start);
        let start = end.saturating_sub((self.take - fresh.len()) as u64).max(places.start);
        if start < end && !fresh.is_empty() {
            pieces.push(Bytes::from_static(b","));
        }
        let ready = &context.account.shared.pages;
        ready.append(
            world,
            (self.category, start..end),
            selection.hint(),
            (row_format, encode::write_row),
            &mut pieces,
        );
        let count = end - start + fresh.len() as u64;
        Some(Rows { count, end: Place { generated: skip.saturating_add(count), injected: 0 }, pieces })
    }

    /// The added events that belong to the pages, oldest first.
    fn added(&self, context: &RequestContext) -> Vec<Arc<Injected>> {
        let Self { category, window, filter, seen_at, snapshot, .. } = self;
        context.account.injected.select(*category, *window, filter, *seen_at, Some(*snapshot))
    }

    /// The events of the page, one by one.
    fn list(
        &self,
        world: &World,
        context: &RequestContext,
        mut added: Vec<Arc<Injected>>,
        cancellation: &Cancellation,
    ) -> Result<Listing, ApiError> {
        if self.order == Order::NewestFirst {
            added.reverse();
        }
        let Self { category, window, filter, seen_at, .. } = self;
        let selection = world.select_cancellable(*category, *window, filter.clone(), *seen_at, cancellation.clone());
        let merging = Merging { selection, added, order: self.order };
        if context.config.profile().more_than_limit == MoreThanLimit::Refused
            && merging.after(Place::default(), self.take + 1).events.len() > self.take
        {
            return Err(ApiError::MoreThanLimit { limit: self.take });
        }
        let begin = match self.begin {
            Begin::At(place) => place,
            Begin::Entries(skip) => merging.place_of(skip),
        };
        Ok(merging.after(begin, self.take))
    }
}

/// Generated and added events in one order.
struct Merging<'w> {
    selection: Selection<'w>,
    /// In the order of the pages.
    added: Vec<Arc<Injected>>,
    order: Order,
}

/// Events of a page, and where the next one begins.
struct Listing {
    events: Vec<Listed>,
    end: Place,
}

impl Merging<'_> {
    /// Up to `take` events after a place.
    fn after(&self, begin: Place, take: usize) -> Listing {
        let Found { events: found, read } = self.selection.after(begin.generated, take, self.order);
        let generated = found.len();
        let mut found = found.into_iter().map(Listed::Generated).peekable();
        let skip = usize::try_from(begin.injected).unwrap_or(usize::MAX);
        let mut added = self.added.iter().skip(skip).cloned().map(Listed::Injected).peekable();
        let mut events = Vec::with_capacity(generated);
        let mut end = begin;
        while events.len() < take {
            let added_first = match (found.peek(), added.peek()) {
                (Some(generated), Some(added)) => match self.order {
                    Order::NewestFirst => added.at() >= generated.at(),
                    Order::OldestFirst => added.at() < generated.at(),
                },
                (_, added) => added.is_some(),
            };
            let next = if added_first { added.next() } else { found.next() };
            let Some(next) = next else { break };
            end.injected += u64::from(added_first);
            events.push(next);
        }
        let left = found.count();
        end.generated = match generated - left {
            _ if left == 0 => read,
            0 => begin.generated,
            // A search has read on; where the last of these stands, it finds again.
            taken => self.selection.after(begin.generated, taken, self.order).read,
        };
        Listing { events, end }
    }

    /// The place after so many events.
    fn place_of(&self, skip: u64) -> Place {
        if self.selection.is_searched() {
            return self.place_by_reading(skip);
        }
        if self.added.is_empty() {
            return Place { generated: skip, injected: 0 };
        }
        // How many added events stand before the place: an added one has as many before it as there are added and generated
        // events that come first.
        let before = |nth: usize| nth as u64 + self.generated_before(self.added[nth].at);
        let (mut low, mut high) = (0, self.added.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) < skip { low = middle + 1 } else { high = middle }
        }
        let injected = low as u64;
        Place { generated: skip - injected, injected }
    }

    /// How many generated events come before an added one of an instant.
    fn generated_before(&self, at: Millis) -> u64 {
        match self.order {
            Order::OldestFirst => self.selection.until(at),
            Order::NewestFirst => self.selection.unsearched() - self.selection.until(at),
        }
    }

    /// The same where only a look shows what is found.
    fn place_by_reading(&self, skip: u64) -> Place {
        let (mut place, mut left) = (Place::default(), skip);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_AT_ONCE);
            let Listing { events, end } = self.after(place, part);
            place = end;
            if events.len() < part {
                break;
            }
            left -= part as u64;
        }
        place
    }
}

impl Listed {
    fn true_event(&self, world: &World) -> Record {
        match self {
            Self::Generated(event) => world.render(event),
            Self::Injected(event) => event.entry.clone(),
        }
    }
}

fn written(entries: impl Iterator<Item = Record>, row_format: RowFormat) -> Bytes {
    let mut rows = Vec::new();
    for entry in entries {
        if !rows.is_empty() {
            rows.push(b',');
        }
        encode::write_row(&entry, row_format, &mut rows);
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
        ([(header::CONTENT_TYPE, encode::JSON)], body).into_response()
    }
}

/// An answer of ready JSON.
pub(super) fn answer(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, encode::JSON)], body).into_response()
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
