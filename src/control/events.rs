//! `/_mock/accounts/{account}/events`: the ground truth of a window, and injected events.

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
        profile::RowFormat,
    },
    api::rows,
    clock::Instant,
    offload::offload,
    world::{Category, Millis, Window},
};

/// The default length of a window.
const DEFAULT_WINDOW_MS: i64 = 86_400_000;
/// The approximate size of a part of the response.
const PART_BYTES: usize = 32 * 1024;

/// The events of a category from one instant to another, both ends included. `to` is now by default, and `from` is one
/// day before `to`.
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

/// Returns the events of a window, oldest first: as JSON, or as NDJSON if the client accepts it.
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
    let truth = account.truth(stream, Window { from, to });
    let renderer = TruthBody { truth, row_format: account.config().row_format, is_lines, stage: Stage::Beginning };
    // A window may span years, so each part is encoded only when the previous one is sent.
    let parts = stream::unfold(renderer, |mut renderer| async move {
        let part = renderer.part()?;
        // Other tasks can run between two parts.
        tokio::task::yield_now().await;
        Some((Ok::<Bytes, std::convert::Infallible>(part), renderer))
    });
    let content_type = if is_lines { "application/x-ndjson" } else { "application/json" };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(parts)).into_response())
}

/// Encodes the ground truth in parts.
struct TruthBody<T> {
    truth: T,
    row_format: RowFormat,
    is_lines: bool,
    stage: Stage,
}

/// The part of the response that comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Beginning,
    Middle,
    End,
}

impl<T: Iterator<Item = TrueEvent>> TruthBody<T> {
    fn part(&mut self) -> Option<Bytes> {
        let mut part = Vec::with_capacity(PART_BYTES + 1024);
        match self.stage {
            Stage::End => return None,
            Stage::Beginning if !self.is_lines => part.extend_from_slice(b"{\"events\":["),
            Stage::Beginning | Stage::Middle => {}
        }
        let mut is_first = self.stage == Stage::Beginning;
        self.stage = Stage::Middle;
        while part.len() < PART_BYTES {
            let Some(true_event) = self.truth.next() else {
                self.stage = Stage::End;
                if !self.is_lines {
                    part.extend_from_slice(b"]}");
                }
                break;
            };
            if !self.is_lines && !is_first {
                part.push(b',');
            }
            is_first = false;
            rows::write_true_event(&true_event, self.row_format, &mut part);
            if self.is_lines {
                part.push(b'\n');
            }
        }
        Some(part.into())
    }
}

pub(super) fn category(text: &str) -> Result<Category, Problem> {
    Category::from_code(text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::invalid(format!(
            "category must be one of {}, got {shown}",
            Category::ALL.map(Category::code).join(", ")
        ))
    })
}

/// Injects events, all or none, and returns them as rows of the ground truth.
pub(super) async fn add(
    NamedAccount(account): NamedAccount,
    JsonList(new): JsonList<NewEvent, MAX_INJECTED>,
) -> Result<Response, Problem> {
    // There can be thousands of events.
    let body = offload(move || {
        let injected_events = account.inject(&new).map_err(|(nth, why)| {
            Problem::invalid(if new.len() == 1 { why.to_string() } else { format!("[{nth}].{why}") })
        })?;
        let truth = injected_events.iter().map(|event| TrueEvent {
            id: event.id(),
            at: event.at,
            visible_at: event.visible_at,
            is_injected: true,
            entry: event.entry.clone(),
        });
        let mut body =
            TruthBody { truth, row_format: account.config().row_format, is_lines: false, stage: Stage::Beginning };
        Ok::<_, Problem>(std::iter::from_fn(|| body.part()).collect::<Vec<_>>().concat())
    })
    .await?;
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub(super) async fn forget(NamedAccount(account): NamedAccount) -> Json<Forgotten> {
    Json(Forgotten { forgotten: offload(move || account.forget_events()).await })
}
