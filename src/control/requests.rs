//! `/_mock/accounts/{account}/requests`: the journal, as pages or as a live stream.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    Json,
    http::HeaderMap,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::{body::QueryParams, problem::Problem, state::NamedAccount};
use crate::account::{
    Account,
    journal::{CLOSED, Request, Requests},
};

/// The default number of requests in a response.
const DEFAULT_LIMIT: usize = 100;
/// The maximum number of requests in a response.
const MAX_LIMIT: usize = 1_000;
/// The approximate maximum size of the requests in a response. If they are large, fewer are returned.
const MAX_BYTES: usize = 1024 * 1024;
/// The maximum number of requests that are read ahead for a subscriber.
const READ_AHEAD: usize = 16;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListQuery {
    after: u64,
    limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { after: 0, limit: DEFAULT_LIMIT }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StreamQuery {
    after: Option<u64>,
}

pub(super) async fn list(
    NamedAccount(account): NamedAccount,
    QueryParams(page): QueryParams<ListQuery>,
) -> Result<Json<Requests>, Problem> {
    if !(1..=MAX_LIMIT).contains(&page.limit) {
        return Err(Problem::invalid(format!("limit must be from 1 to {MAX_LIMIT}, got {}", page.limit)));
    }
    Ok(Json(account.journal.after(page.after, page.limit, MAX_BYTES)))
}

/// The state of a live stream of a journal.
struct Subscriber {
    account: Arc<Account>,
    noted: watch::Receiver<u64>,
    after: u64,
    epoch: u64,
    ready: VecDeque<Arc<Request>>,
}

/// An item of the live stream.
enum FeedItem {
    Request(Arc<Request>),
    /// The account was reset; the numbers start at 1 again.
    Reset,
}

/// Streams requests as the journal records them: those after `Last-Event-ID`, or else after `after`, or else only new
/// requests.
pub(super) async fn stream(
    NamedAccount(account): NamedAccount,
    QueryParams(from): QueryParams<StreamQuery>,
    headers: HeaderMap,
) -> impl IntoResponse {
    // Subscribes before the first read of the journal, so that no request is missed.
    let noted = account.subscribe();
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let now = account.requests(0, 0);
    let after = last_seen.or(from.after).filter(|&after| after <= now.noted).unwrap_or_else(|| {
        // If a browser reconnects with a number beyond the journal, the account was reset since, and the browser has
        // none of the current requests. Any other client gets only new requests.
        if last_seen.is_some() { 0 } else { now.noted }
    });
    let subscriber = Subscriber { account, noted, after, epoch: now.epoch, ready: VecDeque::new() };
    let events = stream::unfold(subscriber, |mut subscriber| async move {
        let event = match subscriber.next().await? {
            FeedItem::Reset => Event::default().event("reset").data("{}"),
            FeedItem::Request(request) => {
                let event = Event::default().event("request").id(request.number.to_string());
                // Encoding a request cannot fail.
                event.json_data(&*request).unwrap_or_default()
            }
        };
        Some((Ok::<Event, Infallible>(event), subscriber))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Subscriber {
    /// Waits for the next item. `None` if the account is deleted.
    async fn next(&mut self) -> Option<FeedItem> {
        loop {
            if let Some(request) = self.ready.pop_front() {
                return Some(FeedItem::Request(request));
            }
            if *self.noted.borrow_and_update() == CLOSED {
                return None;
            }
            let Requests { requests, epoch, .. } = self.account.requests(self.after, READ_AHEAD);
            if epoch != self.epoch {
                (self.epoch, self.after) = (epoch, 0);
                return Some(FeedItem::Reset);
            }
            if let Some(last) = requests.last() {
                self.after = last.number;
                self.ready = requests.into();
                continue;
            }
            self.noted.changed().await.ok()?;
        }
    }
}
