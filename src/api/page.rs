//! Pages of rows, newest first (A: the vendor documents no order; profile `order`), and their responses.
//!
//! Pages merge generated and injected events by time. In the same millisecond, injected events count as later.

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

/// The number of events per batch while a search skips the events before a page.
const SKIP_AT_ONCE: usize = 4_096;
/// The maximum number of events with a possible lag that an async worker examines, which takes about a millisecond.
/// Pages with more of them are computed on a blocking thread.
const MAX_UNSETTLED: u64 = 2_000;

/// The query of a page.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) category: Category,
    /// The readable window, already limited to retention and to now.
    pub(super) window: Window,
    pub(super) filter: Filter,
    pub(super) order: Order,
    /// The start of the page.
    pub(super) begin: PageStart,
    /// The maximum number of events.
    pub(super) take: usize,
    /// The time of the request for the first page. Events that become visible later are on none of the pages.
    pub(super) seen_at: Millis,
    /// The snapshot of the injected events at that time.
    pub(super) snapshot: Snapshot,
}

/// The start of a page.
#[derive(Clone, Copy, Debug)]
pub(super) enum PageStart {
    /// After this number of entries.
    Skip(u64),
    /// At the end of the previous page.
    At(Position),
}

/// A position in the merged events, in the order of the pages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Position {
    /// The number of generated events before it that pass the filter, without regard to the search text.
    pub(super) generated: u64,
    /// The number of injected events before it that pass the filter.
    pub(super) injected: u64,
}

/// The encoded rows of a page, separated by commas.
pub(super) struct Rows {
    pub(super) count: u64,
    /// The start of the next page.
    pub(super) end: Position,
    pieces: Vec<Bytes>,
}

/// An event of a page.
enum PageEvent {
    Generated(Event),
    Injected(Arc<Injected>),
}

impl PageEvent {
    fn at(&self) -> Millis {
        match self {
            Self::Generated(event) => event.at(),
            Self::Injected(event) => event.at,
        }
    }
}

impl Page {
    /// Finds and encodes the rows of the page. Pages without a filter usually come from the page cache.
    pub(super) async fn rows(self, context: &RequestContext) -> Result<Rows, ApiError> {
        let rows = self.compute(context, Self::find).await?;
        context.recorder.entries(rows.count);
        Ok(rows)
    }

    /// Finds the entries of the page, for an API with another row format.
    pub(super) async fn entries(self, context: &RequestContext) -> Result<Vec<Record>, ApiError> {
        let entries = self.compute(context, Self::find_entries).await?;
        context.recorder.entries(entries.len() as u64);
        Ok(entries)
    }

    /// Computes a page. A search runs on a blocking thread, as one of a few at a time; so does a page with many events that a
    /// lag may hide, without waiting for searches. All other pages are computed directly.
    async fn compute<T, F>(self, context: &RequestContext, find: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &World, &RequestContext, &Cancellation) -> Result<T, ApiError> + Send + 'static,
    {
        let world = context.account.world_of(context.config.settings.world);
        if self.filter.search.is_none() {
            return if self.is_slow(&world, context) {
                let of = context.clone();
                offload(move || find(&self, &world, &of, &Cancellation::default())).await
            } else {
                find(&self, &world, context, &Cancellation::default())
            };
        }
        let of = context.clone();
        // The semaphores are never closed. The search holds its permits until it ends, even if the client disconnects.
        let account_permit =
            context.account.searches.clone().acquire_owned().await.map_err(|_| ApiError::ServerError)?;
        let of_all = context.account.shared.searches.clone();
        let shared = of_all.acquire_owned().await.map_err(|_| ApiError::ServerError)?;
        let cancellation = Cancellation::default();
        // Cancels the search if the client disconnects before the response.
        let _waiting = cancellation.cancel_on_drop();
        offload(move || {
            let found = find(&self, &world, &of, &cancellation);
            drop((account_permit, shared));
            found
        })
        .await
    }

    /// Whether the lag may hide more than [`MAX_UNSETTLED`] events of the window, each of which must be examined.
    fn is_slow(&self, world: &World, context: &RequestContext) -> bool {
        context.config.settings.world.lag != Lag::NONE
            && world.unsettled(self.category, self.window, self.seen_at) > MAX_UNSETTLED
    }

    fn find_entries(
        &self,
        world: &World,
        context: &RequestContext,
        cancellation: &Cancellation,
    ) -> Result<Vec<Record>, ApiError> {
        let Listing { events, .. } = self.list(world, context, self.injected_events(context), cancellation)?;
        Ok(events.iter().map(|event| event.to_record(world)).collect())
    }

    fn find(&self, world: &World, context: &RequestContext, cancellation: &Cancellation) -> Result<Rows, ApiError> {
        let injected_events = self.injected_events(context);
        if injected_events.is_empty()
            && let Some(rows) = self.cached(world, context)
        {
            return Ok(rows);
        }
        let Listing { events, end } = self.list(world, context, injected_events, cancellation)?;
        let entries = events.iter().map(|event| event.to_record(world));
        Ok(Rows { count: events.len() as u64, end, pieces: vec![encode_rows(entries, context.config.row_format)] })
    }

    /// The rows of a page of generated events without a filter, newest first: the events that the lag may affect are
    /// encoded here, and all others come from the page cache. `None` for any other page.
    fn cached(&self, world: &World, context: &RequestContext) -> Option<Rows> {
        let is_cacheable = self.filter == Filter::default()
            && self.order == Order::NewestFirst
            && context.config.profile().more_than_limit == MoreThanLimit::Paged;
        if !is_cacheable {
            return None;
        }
        let selection = world.select_seen(self.category, self.window, Filter::default(), self.seen_at);
        let places = selection.places()?;
        let (PageStart::Skip(skip) | PageStart::At(Position { generated: skip, .. })) = self.begin;
        let row_format = context.config.row_format;
        // Usually at most two chunks, and the pieces around them.
        let mut pieces = Vec::with_capacity(6);
        let fresh = selection.fresh();
        let left = fresh.len().saturating_sub(usize::try_from(skip).unwrap_or(usize::MAX));
        let fresh = &fresh[left.saturating_sub(self.take)..left];
        if !fresh.is_empty() {
            pieces.push(encode_rows(fresh.iter().rev().map(|event| world.render(event)), row_format));
        }
        let settled_skip = skip.saturating_sub(selection.fresh().len() as u64);
        let end = places.end.saturating_sub(settled_skip).max(places.start);
        let start = end.saturating_sub((self.take - fresh.len()) as u64).max(places.start);
        if start < end && !fresh.is_empty() {
            pieces.push(Bytes::from_static(b","));
        }
        let cached = &context.account.shared.pages;
        cached.append(
            world,
            (self.category, start..end),
            selection.hint(),
            (row_format, encode::write_row),
            &mut pieces,
        );
        let count = end - start + fresh.len() as u64;
        Some(Rows { count, end: Position { generated: skip.saturating_add(count), injected: 0 }, pieces })
    }

    /// The injected events of the query, oldest first.
    fn injected_events(&self, context: &RequestContext) -> Vec<Arc<Injected>> {
        let Self { category, window, filter, seen_at, snapshot, .. } = self;
        context.account.injected.select(*category, *window, filter, *seen_at, Some(*snapshot))
    }

    /// The events of the page, not encoded.
    fn list(
        &self,
        world: &World,
        context: &RequestContext,
        mut injected_events: Vec<Arc<Injected>>,
        cancellation: &Cancellation,
    ) -> Result<Listing, ApiError> {
        if self.order == Order::NewestFirst {
            injected_events.reverse();
        }
        let Self { category, window, filter, seen_at, .. } = self;
        let selection = world.select_cancellable(*category, *window, filter.clone(), *seen_at, cancellation.clone());
        let merged = MergedEvents { selection, injected_events, order: self.order };
        if context.config.profile().more_than_limit == MoreThanLimit::Refused
            && merged.after(Position::default(), self.take + 1).events.len() > self.take
        {
            return Err(ApiError::MoreThanLimit { limit: self.take });
        }
        let begin = match self.begin {
            PageStart::At(position) => position,
            PageStart::Skip(skip) => merged.position_after(skip),
        };
        Ok(merged.after(begin, self.take))
    }
}

/// The generated and the injected events of a query.
struct MergedEvents<'w> {
    selection: Selection<'w>,
    /// In the order of the pages.
    injected_events: Vec<Arc<Injected>>,
    order: Order,
}

/// The events of a page, and the start of the next page.
struct Listing {
    events: Vec<PageEvent>,
    end: Position,
}

impl MergedEvents<'_> {
    /// Up to `take` events from a position.
    fn after(&self, begin: Position, take: usize) -> Listing {
        let Found { events: found, read } = self.selection.after(begin.generated, take, self.order);
        let generated = found.len();
        let mut found = found.into_iter().map(PageEvent::Generated).peekable();
        let skip = usize::try_from(begin.injected).unwrap_or(usize::MAX);
        let mut injected_events = self.injected_events.iter().skip(skip).cloned().map(PageEvent::Injected).peekable();
        let mut events = Vec::with_capacity(generated);
        let mut end = begin;
        while events.len() < take {
            let injected_first = match (found.peek(), injected_events.peek()) {
                (Some(generated), Some(injected)) => match self.order {
                    Order::NewestFirst => injected.at() >= generated.at(),
                    Order::OldestFirst => injected.at() < generated.at(),
                },
                (_, injected) => injected.is_some(),
            };
            let next = if injected_first { injected_events.next() } else { found.next() };
            let Some(next) = next else { break };
            end.injected += u64::from(injected_first);
            events.push(next);
        }
        let left = found.count();
        end.generated = match generated - left {
            _ if left == 0 => read,
            0 => begin.generated,
            // The search has read past the last event of the page, so it runs again to find the position of that event.
            taken => self.selection.after(begin.generated, taken, self.order).read,
        };
        Listing { events, end }
    }

    /// The position after `skip` events.
    fn position_after(&self, skip: u64) -> Position {
        if self.selection.is_searched() {
            return self.position_by_reading(skip);
        }
        if self.injected_events.is_empty() {
            return Position { generated: skip, injected: 0 };
        }
        // Bisects for the number of injected events before the position. The number of events before the n-th injected
        // event is n plus the number of generated events before it.
        let before = |nth: usize| nth as u64 + self.generated_before(self.injected_events[nth].at);
        let (mut low, mut high) = (0, self.injected_events.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) < skip { low = middle + 1 } else { high = middle }
        }
        let injected = low as u64;
        Position { generated: skip - injected, injected }
    }

    /// The number of generated events before an injected event at an instant.
    fn generated_before(&self, at: Millis) -> u64 {
        match self.order {
            Order::OldestFirst => self.selection.until(at),
            Order::NewestFirst => self.selection.unsearched() - self.selection.until(at),
        }
    }

    /// The position after `skip` events of a search, which must read the events to count them.
    fn position_by_reading(&self, skip: u64) -> Position {
        let (mut position, mut left) = (Position::default(), skip);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_AT_ONCE);
            let Listing { events, end } = self.after(position, part);
            position = end;
            if events.len() < part {
                break;
            }
            left -= part as u64;
        }
        position
    }
}

impl PageEvent {
    fn to_record(&self, world: &World) -> Record {
        match self {
            Self::Generated(event) => world.render(event),
            Self::Injected(event) => event.entry.clone(),
        }
    }
}

fn encode_rows(entries: impl Iterator<Item = Record>, row_format: RowFormat) -> Bytes {
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
    /// Creates the response from these rows, with `before` and `after` around them.
    pub(super) fn response(self, before: &'static str, after: impl Into<Bytes>) -> Response {
        let Self { mut pieces, .. } = self;
        pieces.insert(0, Bytes::from_static(before.as_bytes()));
        pieces.push(after.into());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let body = Body::new(Pieces { left, pieces: pieces.into_iter() });
        ([(header::CONTENT_TYPE, encode::JSON)], body).into_response()
    }
}

/// Creates a response from encoded JSON.
pub(super) fn response(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, encode::JSON)], body).into_response()
}

/// A body that sends its pieces in order, without copying them together.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    /// The number of bytes that are not sent yet; the server derives `Content-Length` from it.
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
