//! `/_mock/accounts/{account}/requests`: the journal, as pages or as a live stream.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};

use super::{body::QueryParams, compute::compute, problem::Problem, state::NamedAccount, wait};
use crate::{
    account::{
        Account,
        journal::{CLOSED, Request, Requests},
    },
    audit::delivered_ids,
};

/// The default number of requests in a response.
const DEFAULT_LIMIT: usize = 100;
/// The maximum number of requests in a response.
const MAX_LIMIT: usize = 1_000;
/// The approximate maximum size of the requests in a response. If they are large, fewer are returned.
const MAX_BYTES: usize = 1024 * 1024;
/// The maximum number of requests that are read ahead for a subscriber.
const READ_AHEAD: usize = 16;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListQuery {
    after: u64,
    limit: Option<usize>,
    /// The maximum time to wait, such as `10s`.
    wait: Option<String>,
    /// The number of requests to wait for.
    count: Option<usize>,
    /// The name of the fault rule to wait for.
    fault: Option<String>,
    with: Option<String>,
}

/// What a client waits for: either of both.
struct Wait {
    time: Duration,
    count: Option<usize>,
    fault: Option<String>,
}

/// A request with the events that its response delivered.
#[derive(Serialize)]
struct WithEvents {
    #[serde(flatten)]
    request: Arc<Request>,
    /// The ids of the events, if the request asked for a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
}

/// A part of a journal, with events.
#[derive(Serialize)]
struct RequestsWithEvents {
    requests: Vec<WithEvents>,
    next_after: u64,
    noted: u64,
    epoch: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StreamQuery {
    after: Option<u64>,
}

pub(super) async fn list(
    NamedAccount(account): NamedAccount,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Response, Problem> {
    let limit = in_range("limit", query.limit.unwrap_or(DEFAULT_LIMIT))?;
    let is_with_events = match query.with.as_deref() {
        None => false,
        Some("events") => true,
        Some(other) => return Err(Problem::invalid(format!("with must be events, got {}", shortened(other)))),
    };
    if let Some(wait) = query.wait(&account)? {
        // The time being over is no error: the client gets what is there.
        let _ = timeout(wait.time, wait.until_it_holds(&account, query.after)).await;
    }
    let requests = account.journal.after(query.after, limit, MAX_BYTES);
    if !is_with_events {
        return Ok(Json(requests).into_response());
    }
    let listed = compute(account, move |account, cancellation| {
        let Requests { requests, next_after, noted, epoch } = requests;
        let requests = requests
            .into_iter()
            .map(|request| WithEvents { events: delivered_ids(account, &request, cancellation), request })
            .collect();
        RequestsWithEvents { requests, next_after, noted, epoch }
    });
    Ok(Json(listed.await).into_response())
}

impl ListQuery {
    fn wait(&self, account: &Account) -> Result<Option<Wait>, Problem> {
        let Some(text) = &self.wait else {
            let is_alone = self.count.is_some() || self.fault.is_some();
            return if is_alone { Err(Problem::invalid("count and fault come with wait only")) } else { Ok(None) };
        };
        let time = wait::read(text)?;
        let count = self.count.map(|count| in_range("count", count)).transpose()?;
        if let Some(name) = &self.fault
            && account.faults().iter().all(|known| known.rule.name.as_ref() != Some(name))
        {
            let got = shortened(name);
            return Err(Problem::invalid(format!("fault must be the name of a rule of the account, got {got}")));
        }
        let count = count.or(self.fault.is_none().then_some(1));
        Ok(Some(Wait { time, count, fault: self.fault.clone() }))
    }
}

impl Wait {
    async fn until_it_holds(&self, account: &Account, after: u64) {
        let mut noted = account.subscribe();
        loop {
            let last = *noted.borrow_and_update();
            if last == CLOSED || self.holds(account, after) || noted.changed().await.is_err() {
                return;
            }
        }
    }

    fn holds(&self, account: &Account, after: u64) -> bool {
        let noted = account.journal.noted();
        let has_applied = |name: &String| {
            account.faults().iter().any(|known| known.rule.name.as_ref() == Some(name) && known.applied > 0)
        };
        self.count.is_some_and(|count| noted.saturating_sub(after) >= count as u64)
            || self.fault.as_ref().is_some_and(has_applied)
    }
}

fn in_range(name: &str, number: usize) -> Result<usize, Problem> {
    let is_in_range = (1..=MAX_LIMIT).contains(&number);
    let problem = || Problem::invalid(format!("{name} must be from 1 to {MAX_LIMIT}, got {number}"));
    is_in_range.then_some(number).ok_or_else(problem)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
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
