//! One connection: what it is doing, and how long it may go on doing so.
//!
//! A [`ConnectionState`] is announced what happens: bytes come or leave, a request begins or ends. From that follows what the client is
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

/// Which HTTP a connection protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    /// One request after the other.
    Http1,
    /// Many at a time, and between them bytes that belong to none.
    Http2,
}

/// Why a connection was ended by the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloseReason {
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
pub(super) struct ConnectionState {
    protocol: Protocol,
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
    /// When the first byte of a request's head received, if no request is under way.
    head_since: Option<Instant>,
    /// How many requests are under way.
    in_flight: u32,
    /// How many bodies are thrown away.
    draining: u32,
    /// How many requests received.
    requests: u32,
    /// Since when answers of HTTP/2 wait until their client takes more of them, in the order in which they began to.
    waiting: BTreeMap<u64, Instant>,
    /// How many times one began to wait.
    waits: u64,
    /// Since when the socket takes no more, if it does not.
    blocked_since: Option<Instant>,
    /// When the client was announced that the connection ends, and why.
    announced: Option<(Instant, CloseReason)>,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<ConnectionState>);

/// A body that is thrown away, until it is dropped.
#[derive(Debug)]
pub(super) struct Draining(Arc<ConnectionState>);

/// An answer of HTTP/2 that waits for its client, until it is dropped.
#[derive(Debug)]
pub(super) struct WriteWait {
    line: Arc<ConnectionState>,
    wait: u64,
}

impl ConnectionState {
    pub(super) fn new(limits: &Limits, protocol: Protocol) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            free_since: now,
            head_since: None,
            in_flight: 0,
            draining: 0,
            requests: 0,
            waiting: BTreeMap::new(),
            waits: 0,
            blocked_since: None,
            announced: None,
        };
        Arc::new(Self {
            protocol,
            header_seconds: limits.header_seconds,
            idle_seconds: limits.idle_seconds,
            write_seconds: limits.write_seconds,
            max_requests: limits.max_requests_per_connection,
            state: Mutex::new(state),
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A request begins. Tells whether the connection has room for another one after it.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, bool) {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(1);
        state.in_flight += 1;
        state.head_since = None;
        (InFlight(self.clone()), state.requests < self.max_requests)
    }

    /// A body is thrown away.
    pub(super) fn drain(self: &Arc<Self>) -> Draining {
        let mut state = self.state();
        state.draining += 1;
        state.head_since = None;
        Draining(self.clone())
    }

    /// An answer of HTTP/2 has more, and waits until its client takes it.
    pub(super) fn wait(self: &Arc<Self>) -> WriteWait {
        let mut state = self.state();
        state.waits += 1;
        let wait = state.waits;
        state.waiting.insert(wait, Instant::now());
        WriteWait { line: self.clone(), wait }
    }

    /// What the client is waited for, and until when.
    fn due(&self) -> Option<(CloseReason, Instant)> {
        let state = self.state();
        if self.protocol == Protocol::Http2 && state.requests >= self.max_requests && state.announced.is_none() {
            return Some((CloseReason::Requests, state.free_since));
        }
        let waiting = state.waiting.first_key_value().map(|(_, since)| *since);
        if let Some(since) = state.blocked_since.into_iter().chain(waiting).min() {
            return Some((CloseReason::Write, since + self.write_seconds.get()));
        }
        // When the server ends, whoever is still sending what was refused is not waited for.
        let is_closing = matches!(state.announced, Some((_, CloseReason::Closing)));
        if state.in_flight > 0 || state.draining > 0 && !is_closing {
            return None;
        }
        let (cut, since, time) = match (state.announced, state.head_since) {
            // Nor is who has only begun to ask. A client of HTTP/2 has some time to say that it has heard.
            (Some((announced, CloseReason::Closing)), _) => {
                let time = if self.protocol == Protocol::Http1 { Duration::ZERO } else { FAREWELL };
                (CloseReason::Closing, announced.max(state.free_since), time)
            }
            (Some((announced, cut)), _) => (cut, announced.max(state.free_since), self.header_seconds.get()),
            (None, _) if state.requests == 0 => (CloseReason::Head, state.free_since, self.header_seconds.get()),
            (None, Some(first)) => (CloseReason::Head, first, self.header_seconds.get()),
            (None, None) => (CloseReason::Idle, state.free_since, self.idle_seconds.get()),
        };
        Some((cut, since + time))
    }

    /// Comes when the client has let a time pass.
    fn overdue(&self, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<CloseReason> {
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
        self.state().in_flight > 0
    }

    /// Something received from the client.
    pub(super) fn received(&self) {
        let mut state = self.state();
        // What comes between the requests of HTTP/2 is no head.
        if self.protocol == Protocol::Http1 && state.in_flight + state.draining == 0 && state.head_since.is_none() {
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

    /// The client is announced that the connection ends.
    fn announced(&self, why: CloseReason) {
        let mut state = self.state();
        if state.announced.is_none() || why == CloseReason::Closing {
            state.announced = Some((Instant::now(), why));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl InFlight {
    pub(super) fn line(&self) -> &Arc<ConnectionState> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
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

impl Drop for WriteWait {
    fn drop(&mut self) {
        self.line.state().waiting.remove(&self.wait);
    }
}

/// Drives a connection to its end, which comes early when the client lets a time pass, and soon when the server is closing.
pub(super) async fn hold<C>(
    connection: C,
    line: &ConnectionState,
    mut closing: watch::Receiver<bool>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(Instant::now() + line.header_seconds.get()));
    let mut is_closing = false;
    loop {
        let announced = line.state().announced.map(|(_, why)| why);
        let why = tokio::select! {
            biased;
            ended = &mut connection => return match announced {
                Some(why) => Err(ConnectionError::CloseReason(why)),
                None => ended.map_err(ConnectionError::Broken),
            },
            () = closed(&mut closing), if !is_closing => CloseReason::Closing,
            overdue = poll_fn(|context| line.overdue(alarm.as_mut(), context)) => match overdue {
                CloseReason::Idle | CloseReason::Requests if announced.is_none() => overdue,
                _ => return Err(ConnectionError::CloseReason(overdue)),
            },
        };
        is_closing |= why == CloseReason::Closing;
        line.announced(why);
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
pub(super) enum ConnectionError {
    CloseReason(CloseReason),
    Broken(hyper::Error),
}
