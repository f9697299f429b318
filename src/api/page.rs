//! Pages of rows, newest first (A: the vendor documents no order; profile `order`), and their responses.

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
        injected::Injected,
        listing::{Listing, PageQuery, PageStart, Position},
        profile::{MoreThanLimit, RowFormat},
    },
    offload::offload,
    world::{Cancellation, Filter, Lag, Order, Record, World},
};

/// The maximum number of events with a possible lag that an async worker examines, which takes about a millisecond.
/// Pages with more of them are computed on a blocking thread.
const MAX_UNSETTLED: u64 = 2_000;

/// The encoded rows of a page, separated by commas.
pub(super) struct Rows {
    pub(super) count: u64,
    /// The start of the next page.
    pub(super) end: Position,
    pieces: Vec<Bytes>,
}

/// Finds and encodes the rows of a page. Pages without a filter usually come from the page cache.
pub(super) async fn rows(query: &PageQuery, row_format: RowFormat, context: &RequestContext) -> Result<Rows, ApiError> {
    context.recorder.page(query.clone());
    let find = move |query: &PageQuery, world: &World, context: &RequestContext, cancellation: &Cancellation| {
        find(query, row_format, world, context, cancellation)
    };
    let rows = compute(query, context, find).await?;
    context.recorder.entries(rows.count);
    Ok(rows)
}

/// Finds the entries of a page, for an API with another row format.
pub(super) async fn entries(query: &PageQuery, context: &RequestContext) -> Result<Vec<Record>, ApiError> {
    context.recorder.page(query.clone());
    let entries = compute(query, context, find_entries).await?;
    context.recorder.entries(entries.len() as u64);
    Ok(entries)
}

/// Like [`entries`], for an API whose responses are no pages of events for an audit.
pub(super) async fn unrecorded(query: &PageQuery, context: &RequestContext) -> Result<Vec<Record>, ApiError> {
    compute(query, context, find_entries).await
}

/// Computes a page. A search runs on a blocking thread, as one of a few at a time; so does a page with many events that a
/// lag may hide, without waiting for searches. All other pages are computed directly.
async fn compute<T, F>(query: &PageQuery, context: &RequestContext, find: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&PageQuery, &World, &RequestContext, &Cancellation) -> Result<T, ApiError> + Send + 'static,
{
    let world = context.account.world_of(context.config.settings.world);
    if query.filter.search.is_none() {
        return if is_slow(query, &world, context) {
            let (of, query) = (context.clone(), query.clone());
            offload(move || find(&query, &world, &of, &Cancellation::default())).await
        } else {
            find(query, &world, context, &Cancellation::default())
        };
    }
    let (of, query) = (context.clone(), query.clone());
    // The semaphores are never closed. The search holds its permits until it ends, even if the client disconnects.
    let account_permit = context.account.searches.clone().acquire_owned().await.map_err(|_| ApiError::ServerError)?;
    let of_all = context.account.shared.searches.clone();
    let shared = of_all.acquire_owned().await.map_err(|_| ApiError::ServerError)?;
    let cancellation = Cancellation::default();
    // Cancels the search if the client disconnects before the response.
    let _waiting = cancellation.cancel_on_drop();
    offload(move || {
        let found = find(&query, &world, &of, &cancellation);
        drop((account_permit, shared));
        found
    })
    .await
}

/// Whether the lag may hide more than [`MAX_UNSETTLED`] events of the window, each of which must be examined.
fn is_slow(query: &PageQuery, world: &World, context: &RequestContext) -> bool {
    context.config.settings.world.lag != Lag::NONE
        && world.unsettled(query.categories, query.window, query.seen_at) > MAX_UNSETTLED
}

fn find_entries(
    query: &PageQuery,
    world: &World,
    context: &RequestContext,
    cancellation: &Cancellation,
) -> Result<Vec<Record>, ApiError> {
    let injected_events = query.injected_events(&context.account.injected);
    let Listing { events, .. } = list(query, world, context, injected_events, cancellation)?;
    Ok(events.iter().map(|event| event.to_record(world)).collect())
}

fn find(
    query: &PageQuery,
    row_format: RowFormat,
    world: &World,
    context: &RequestContext,
    cancellation: &Cancellation,
) -> Result<Rows, ApiError> {
    let injected_events = query.injected_events(&context.account.injected);
    if injected_events.is_empty()
        && let Some(rows) = cached(query, row_format, world, context)
    {
        return Ok(rows);
    }
    let Listing { events, end } = list(query, world, context, injected_events, cancellation)?;
    let entries = events.iter().map(|event| event.to_record(world));
    Ok(Rows { count: events.len() as u64, end, pieces: vec![encode_rows(entries, row_format)] })
}

/// The rows of a page of generated events without a filter, newest first: the events that the lag may affect are
/// encoded here, and all others come from the page cache. `None` for any other page.
fn cached(query: &PageQuery, row_format: RowFormat, world: &World, context: &RequestContext) -> Option<Rows> {
    let PageQuery { categories, window, order, begin, take, seen_at, .. } = *query;
    let category = categories.single()?;
    let is_cacheable = query.filter == Filter::default()
        && order == Order::NewestFirst
        && context.config.profile().more_than_limit == MoreThanLimit::Paged;
    if !is_cacheable {
        return None;
    }
    let selection = world.select_seen(category, window, Filter::default(), seen_at);
    let places = selection.places()?;
    let (PageStart::Skip(skip) | PageStart::At(Position { generated: skip, .. })) = begin;
    // Usually at most two chunks, and the pieces around them.
    let mut pieces = Vec::with_capacity(6);
    let fresh = selection.fresh();
    let left = fresh.len().saturating_sub(usize::try_from(skip).unwrap_or(usize::MAX));
    let fresh = &fresh[left.saturating_sub(take)..left];
    if !fresh.is_empty() {
        pieces.push(encode_rows(fresh.iter().rev().map(|event| world.render(event)), row_format));
    }
    let settled_skip = skip.saturating_sub(selection.fresh().len() as u64);
    let end = places.end.saturating_sub(settled_skip).max(places.start);
    let start = end.saturating_sub((take - fresh.len()) as u64).max(places.start);
    if start < end && !fresh.is_empty() {
        pieces.push(Bytes::from_static(b","));
    }
    let cached = &context.account.shared.pages;
    cached.append(world, (category, start..end), selection.hint(), (row_format, encode::write_row), &mut pieces);
    let count = end - start + fresh.len() as u64;
    Some(Rows { count, end: Position { generated: skip.saturating_add(count), injected: 0 }, pieces })
}

/// The events of the page, not encoded.
fn list(
    query: &PageQuery,
    world: &World,
    context: &RequestContext,
    injected_events: Vec<Arc<Injected>>,
    cancellation: &Cancellation,
) -> Result<Listing, ApiError> {
    let merged = query.merged(world, injected_events, cancellation);
    if context.config.profile().more_than_limit == MoreThanLimit::Refused
        && merged.after(Position::default(), query.take + 1).events.len() > query.take
    {
        context.recorder.unforeseeable();
        return Err(ApiError::MoreThanLimit { limit: query.take });
    }
    Ok(merged.page(query.begin, query.take))
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
