//! One connection: what it is doing, and how long it may go on doing so.
//!
//! A [`Line`] is told what happens: bytes come or leave, a request begins or ends. From that follows what the client is
//! waited for, and until when. [`hold`] drives a connection and looks at that whenever something happened on it, so that a
//! connection on which nothing happens costs one timer.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper_util::server::graceful::GracefulConnection;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};

use crate::limits::{Limits, Seconds};

/// How long a client of HTTP/2 has to hear that the server ends.
const FAREWELL: Duration = Duration::from_millis(250);

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    /// One request after the other.
    Http1,
    /// Many at a time, and between them bytes that belong to none.
    Http2,
}

/// Why a connection was ended by the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    /// The head of a request did not come.
    Head,
    /// Nothing was asked for.
    Idle,
    /// Nothing of an answer was taken.
    Write,
    /// It has had its requests.
    Requests,
    /// The server ends.
    Closing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    speaks: Speaks,
    header_seconds: Seconds,
    idle_seconds: Seconds,
    write_seconds: Seconds,
    max_requests: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Since when no request is under way, if none is.
    free_since: Instant,
    /// When the first byte of a request's head came, if no request is under way.
    head_since: Option<Instant>,
    /// How many requests are under way.
    under_way: u32,
    /// How many bodies are thrown away.
    draining: u32,
    /// How many requests came.
    requests: u32,
    /// Since when answers of HTTP/2 wait until their client takes more of them, in the order in which they began to.
    waiting: BTreeMap<u64, Instant>,
    /// How many times one began to wait.
    waits: u64,
    /// Since when the socket takes no more, if it does not.
    blocked_since: Option<Instant>,
    /// When the client was told that the connection ends, and why.
    told: Option<(Instant, Cut)>,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Line>);

/// A body that is thrown away, until it is dropped.
#[derive(Debug)]
pub(super) struct Draining(Arc<Line>);

/// An answer of HTTP/2 that waits for its client, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    line: Arc<Line>,
    wait: u64,
}

impl Line {
    pub(super) fn new(limits: &Limits, speaks: Speaks) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            free_since: now,
            head_since: None,
            under_way: 0,
            draining: 0,
            requests: 0,
            waiting: BTreeMap::new(),
            waits: 0,
            blocked_since: None,
            told: None,
        };
        Arc::new(Self {
            speaks,
            header_seconds: limits.header_seconds,
            idle_seconds: limits.idle_seconds,
            write_seconds: limits.write_seconds,
            max_requests: limits.max_requests_per_connection,
            state: Mutex::new(state),
        })
    }

    pub(super) fn speaks(&self) -> Speaks {
        self.speaks
    }

    /// A request begins. Tells whether the connection has room for another one after it.
    pub(super) fn begin(self: &Arc<Self>) -> (UnderWay, bool) {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(1);
        state.under_way += 1;
        state.head_since = None;
        (UnderWay(self.clone()), state.requests < self.max_requests)
    }

    /// A body is thrown away.
    pub(super) fn drain(self: &Arc<Self>) -> Draining {
        let mut state = self.state();
        state.draining += 1;
        state.head_since = None;
        Draining(self.clone())
    }

    /// An answer of HTTP/2 has more, and waits until its client takes it.
    pub(super) fn wait(self: &Arc<Self>) -> Waiting {
        let mut state = self.state();
        state.waits += 1;
        let wait = state.waits;
        state.waiting.insert(wait, Instant::now());
        Waiting { line: self.clone(), wait }
    }

    /// What the client is waited for, and until when.
    fn due(&self) -> Option<(Cut, Instant)> {
        let state = self.state();
        if self.speaks == Speaks::Http2 && state.requests >= self.max_requests && state.told.is_none() {
            return Some((Cut::Requests, state.free_since));
        }
        let waiting = state.waiting.first_key_value().map(|(_, since)| *since);
        if let Some(since) = state.blocked_since.into_iter().chain(waiting).min() {
            return Some((Cut::Write, since + self.write_seconds.get()));
        }
        // When the server ends, whoever is still sending what was refused is not waited for.
        let is_closing = matches!(state.told, Some((_, Cut::Closing)));
        if state.under_way > 0 || state.draining > 0 && !is_closing {
            return None;
        }
        let (cut, since, time) = match (state.told, state.head_since) {
            // Nor is who has only begun to ask. A client of HTTP/2 has some time to say that it has heard.
            (Some((told, Cut::Closing)), _) => {
                let time = if self.speaks == Speaks::Http1 { Duration::ZERO } else { FAREWELL };
                (Cut::Closing, told.max(state.free_since), time)
            }
            (Some((told, cut)), _) => (cut, told.max(state.free_since), self.header_seconds.get()),
            (None, _) if state.requests == 0 => (Cut::Head, state.free_since, self.header_seconds.get()),
            (None, Some(first)) => (Cut::Head, first, self.header_seconds.get()),
            (None, None) => (Cut::Idle, state.free_since, self.idle_seconds.get()),
        };
        Some((cut, since + time))
    }

    /// Comes when the client has let a time pass.
    fn overdue(&self, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<Cut> {
        loop {
            let now = Instant::now();
            let due = match self.due() {
                Some((cut, due)) if due <= now => return Poll::Ready(cut),
                Some((_, due)) => due,
                // What is under way may end in another task, which tells nobody.
                None => now + self.header_seconds.get(),
            };
            // An alarm that rings too early costs less than one that is set anew for each request.
            if alarm.is_elapsed() || due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
            ready!(alarm.as_mut().poll(context));
        }
    }

    /// Whether nothing was asked for yet.
    pub(super) fn is_new(&self) -> bool {
        self.state().requests == 0
    }

    /// Whether a request is in flight.
    pub(super) fn is_answering(&self) -> bool {
        self.state().under_way > 0
    }

    /// Something came from the client.
    pub(super) fn came(&self) {
        let mut state = self.state();
        // What comes between the requests of HTTP/2 is no head.
        if self.speaks == Speaks::Http1 && state.under_way + state.draining == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Something was given to the socket, or it takes no more.
    pub(super) fn left(&self, is_blocked: bool) {
        let mut state = self.state();
        if !is_blocked {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            // It waits from the moment at which it first had to.
            state.blocked_since = Some(Instant::now());
        }
    }

    /// The client is told that the connection ends.
    fn told(&self, why: Cut) {
        let mut state = self.state();
        if state.told.is_none() || why == Cut::Closing {
            state.told = Some((Instant::now(), why));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl UnderWay {
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.free_since = Instant::now();
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.draining -= 1;
        state.free_since = Instant::now();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.state().waiting.remove(&self.wait);
    }
}

/// Drives a connection to its end, which comes early when the client lets a time pass, and soon when the server is closing.
pub(super) async fn hold<C>(connection: C, line: &Line, mut closing: watch::Receiver<bool>) -> Result<(), Ended>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(Instant::now() + line.header_seconds.get()));
    let mut is_closing = false;
    loop {
        let told = line.state().told.map(|(_, why)| why);
        let why = tokio::select! {
            biased;
            ended = &mut connection => return match told {
                Some(why) => Err(Ended::Cut(why)),
                None => ended.map_err(Ended::Broken),
            },
            () = closed(&mut closing), if !is_closing => Cut::Closing,
            overdue = poll_fn(|context| line.overdue(alarm.as_mut(), context)) => match overdue {
                Cut::Idle | Cut::Requests if told.is_none() => overdue,
                _ => return Err(Ended::Cut(overdue)),
            },
        };
        is_closing |= why == Cut::Closing;
        line.told(why);
        connection.as_mut().graceful_shutdown();
    }
}

/// Comes when the server ends.
pub(super) async fn closed(closing: &mut watch::Receiver<bool>) {
    // Whoever would say so is gone, or has said so.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// How a connection ended that did not end well.
#[derive(Debug)]
pub(super) enum Ended {
    Cut(Cut),
    Broken(hyper::Error),
}
