//! `/_mock/accounts/{account}/requests`: the journal, by page or live.

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

/// How many requests are listed at once, unless the query says so.
const DEFAULT_LIMIT: usize = 100;
/// How many can be.
const MAX_LIMIT: usize = 1_000;
/// How many bytes they have together, about: where they are long, fewer are listed.
const MAX_BYTES: usize = 1024 * 1024;
/// How many are ready for whoever follows the journal, and may not take them.
const READ_AHEAD: usize = 16;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Page {
    after: u64,
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: DEFAULT_LIMIT }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct From {
    after: Option<u64>,
}

pub(super) async fn list(
    NamedAccount(account): NamedAccount,
    QueryParams(page): QueryParams<Page>,
) -> Result<Json<Requests>, Problem> {
    if !(1..=MAX_LIMIT).contains(&page.limit) {
        return Err(Problem::invalid(format!("limit must be from 1 to {MAX_LIMIT}, got {}", page.limit)));
    }
    Ok(Json(account.journal.after(page.after, page.limit, MAX_BYTES)))
}

/// Whoever follows a journal.
struct Follower {
    account: Arc<Account>,
    noted: watch::Receiver<u64>,
    after: u64,
    epoch: u64,
    ready: VecDeque<Arc<Request>>,
}

/// What a follower is told.
enum FeedItem {
    Request(Arc<Request>),
    /// The account began anew, and counts from 1 again.
    Reset,
}

/// Sends requests as they are noted: those after `after` or after `Last-Event-ID`, and without either those that are still
/// to come.
pub(super) async fn stream(
    NamedAccount(account): NamedAccount,
    QueryParams(from): QueryParams<From>,
    headers: HeaderMap,
) -> impl IntoResponse {
    // Subscribed before it is looked what there is, so that nothing falls between.
    let noted = account.subscribe();
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let now = account.requests(0, 0);
    let after = last_seen.or(from.after).filter(|&after| after <= now.noted).unwrap_or_else(|| {
        // A browser that connects again and was further than the journal is comes from before a reset: it has seen nothing of
        // what the journal has now. Any other follower gets what is still to come.
        if last_seen.is_some() { 0 } else { now.noted }
    });
    let follower = Follower { account, noted, after, epoch: now.epoch, ready: VecDeque::new() };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = match follower.next().await? {
            FeedItem::Reset => Event::default().event("reset").data("{}"),
            FeedItem::Request(request) => {
                let event = Event::default().event("request").id(request.number.to_string());
                // A request always has a form in JSON.
                event.json_data(&*request).unwrap_or_default()
            }
        };
        Some((Ok::<Event, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Follower {
    /// What is next, when there is something; `None` when the account is gone.
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
