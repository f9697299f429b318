//! `/_mock/accounts/{account}/events`: the truth of a window, and events that a test adds to it.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    Named,
    body::{Asked, Inputs},
    problem::Problem,
};
use crate::{
    account::{Told, injected::NewEvent},
    api::rows,
    clock::Instant,
    world::{Millis, Stream, Window},
};

/// How far back a window reaches that says nothing else.
const DEFAULT_WINDOW_MS: i64 = 86_400_000;
/// How many bytes of an answer are made at a time.
const PART_BYTES: usize = 64 * 1024;
/// How many such parts wait for a client that reads slowly.
const PARTS: usize = 4;

/// Which events: of a category, from one instant to another, both included; by default, of the last day.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    category: String,
    from: Option<Instant>,
    to: Option<Instant>,
}

#[derive(Serialize)]
pub(super) struct Forgotten {
    forgotten: usize,
}

/// Tells a window, oldest first: as JSON, or a line each for whoever accepts NDJSON.
pub(super) async fn list(
    Named(account): Named,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let stream = category(&wanted.category)?;
    let to = wanted.to.map_or_else(|| account.clock().now(), Instant::millis);
    let from = wanted.from.map_or(Millis(to.0 - DEFAULT_WINDOW_MS), Instant::millis);
    if from > to {
        let (from, to) = (Instant::from(from), Instant::from(to));
        return Err(Problem::invalid(format!("from must be at most to ({to}), got {from}")));
    }
    let is_lines =
        headers.get(header::ACCEPT).is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("ndjson")));
    let truth = account.truth(stream, Window { from, to });
    let (sender, receiver) = mpsc::channel(PARTS);
    // The history of years takes a while to tell; it is told as fast as it is read, and no further when nobody reads on.
    tokio::task::spawn_blocking(move || tell(truth, is_lines, &sender));
    let parts = stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(part), receiver))
    });
    let content_type = if is_lines { "application/x-ndjson" } else { "application/json" };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(parts)).into_response())
}

fn tell(truth: impl Iterator<Item = Told>, is_lines: bool, sender: &mpsc::Sender<Bytes>) {
    let mut part = Vec::with_capacity(PART_BYTES + 1024);
    if !is_lines {
        part.extend_from_slice(b"{\"events\":[");
    }
    for (nth, told) in truth.enumerate() {
        if !is_lines && nth > 0 {
            part.push(b',');
        }
        rows::told(&told, &mut part);
        if is_lines {
            part.push(b'\n');
        }
        if part.len() >= PART_BYTES && sender.blocking_send(std::mem::take(&mut part).into()).is_err() {
            return;
        }
    }
    if !is_lines {
        part.extend_from_slice(b"]}");
    }
    // Nobody is told when nobody waits.
    let _ = sender.blocking_send(part.into());
}

fn category(text: &str) -> Result<Stream, Problem> {
    let known = Stream::ALL.into_iter().find(|stream| stream.code() == text);
    known.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::invalid(format!("category must be one of {}, got {shown}", Stream::ALL.map(Stream::code).join(", ")))
    })
}

/// Adds events, all or none, and answers with what they tell.
pub(super) async fn add(Named(account): Named, Inputs(new): Inputs<NewEvent>) -> Result<Response, Problem> {
    // Finding devices by their ids looks at the whole fleet.
    let added = tokio::task::spawn_blocking(move || account.inject(&new).map_err(|(nth, why)| (nth, new.len(), why)));
    let added = added.await.map_err(|_| Problem::invalid("The events cannot be added"))?;
    let added = added.map_err(|(nth, count, why)| {
        Problem::invalid(if count == 1 { why.to_string() } else { format!("[{nth}].{why}") })
    })?;
    let mut body = b"{\"events\":[".to_vec();
    for (nth, event) in added.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        let (at, visible_at, entry) = (event.at, event.visible_at, event.entry.clone());
        rows::told(&Told { at, visible_at, is_injected: true, entry }, &mut body);
    }
    body.extend_from_slice(b"]}");
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub(super) async fn forget(Named(account): Named) -> Json<Forgotten> {
    Json(Forgotten { forgotten: account.forget_events() })
}
