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

use super::{
    body::{JsonList, QueryParams},
    problem::Problem,
    state::NamedAccount,
};
use crate::{
    account::{
        TrueEvent,
        injected::{MAX_INJECTED, NewEvent},
    },
    api::rows,
    clock::Instant,
    offload::offload,
    world::{Category, Millis, Window},
};

/// How far back a window reaches that says nothing else.
const DEFAULT_WINDOW_MS: i64 = 86_400_000;
/// How many bytes of an answer are made at a time.
const PART_BYTES: usize = 32 * 1024;

/// Which events: of a category, from one instant to another, both included; by default, of the last day.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TruthQuery {
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
    NamedAccount(account): NamedAccount,
    headers: HeaderMap,
    QueryParams(wanted): QueryParams<TruthQuery>,
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
    let renderer = TruthBody { truth: account.truth(stream, Window { from, to }), is_lines, place: Place::Beginning };
    // The history of years is told as fast as it is read: a part is made when the one before it was taken.
    let parts = stream::unfold(renderer, |mut renderer| async move {
        let part = renderer.part()?;
        // Others are served between two parts.
        tokio::task::yield_now().await;
        Some((Ok::<Bytes, std::convert::Infallible>(part), renderer))
    });
    let content_type = if is_lines { "application/x-ndjson" } else { "application/json" };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(parts)).into_response())
}

/// Tells the truth part by part.
struct TruthBody<T> {
    truth: T,
    is_lines: bool,
    place: Place,
}

/// How far it has told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Beginning,
    Middle,
    End,
}

impl<T: Iterator<Item = TrueEvent>> TruthBody<T> {
    fn part(&mut self) -> Option<Bytes> {
        let mut part = Vec::with_capacity(PART_BYTES + 1024);
        match self.place {
            Place::End => return None,
            Place::Beginning if !self.is_lines => part.extend_from_slice(b"{\"events\":["),
            Place::Beginning | Place::Middle => {}
        }
        let mut is_first = self.place == Place::Beginning;
        self.place = Place::Middle;
        while part.len() < PART_BYTES {
            let Some(told) = self.truth.next() else {
                self.place = Place::End;
                if !self.is_lines {
                    part.extend_from_slice(b"]}");
                }
                break;
            };
            if !self.is_lines && !is_first {
                part.push(b',');
            }
            is_first = false;
            rows::true_event(&told, &mut part);
            if self.is_lines {
                part.push(b'\n');
            }
        }
        Some(part.into())
    }
}

fn category(text: &str) -> Result<Category, Problem> {
    let known = Category::ALL.into_iter().find(|stream| stream.code() == text);
    known.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::invalid(format!(
            "category must be one of {}, got {shown}",
            Category::ALL.map(Category::code).join(", ")
        ))
    })
}

/// Adds events, all or none, and answers with what they tell.
pub(super) async fn add(
    NamedAccount(account): NamedAccount,
    JsonList(new): JsonList<NewEvent, MAX_INJECTED>,
) -> Result<Response, Problem> {
    // Finding devices by their ids looks at the whole fleet.
    let added = offload(move || account.inject(&new).map_err(|(nth, why)| (nth, new.len(), why))).await;
    let added = added.map_err(|(nth, count, why)| {
        Problem::invalid(if count == 1 { why.to_string() } else { format!("[{nth}].{why}") })
    })?;
    let mut body = b"{\"events\":[".to_vec();
    for (nth, event) in added.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        let (at, visible_at, entry) = (event.at, event.visible_at, event.entry.clone());
        rows::true_event(&TrueEvent { at, visible_at, is_injected: true, entry }, &mut body);
    }
    body.extend_from_slice(b"]}");
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub(super) async fn forget(NamedAccount(account): NamedAccount) -> Json<Forgotten> {
    Json(Forgotten { forgotten: account.forget_events() })
}
