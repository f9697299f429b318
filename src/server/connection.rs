//! The state of a connection and its deadlines.
//!
//! The socket, the service and the bodies report reads, writes, and the begin and end of requests to a
//! [`ConnectionState`]. From these reports follow the next deadline and the reason to close at that deadline. [`drive`]
//! drives a connection and checks the deadline after each activity. An idle connection costs one timer.

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

/// The time between the GOAWAY frame of a graceful shutdown and the close of an HTTP/2 connection.
const GOAWAY_GRACE: Duration = Duration::from_millis(250);

/// The HTTP version of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    /// One request at a time.
    Http1,
    /// Concurrent requests, and frames that belong to no request.
    Http2,
}

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloseReason {
    /// The head of a request, or the TLS handshake, was not complete in time.
    Head,
    /// The connection was idle for too long.
    Idle,
    /// The client did not read a response in time.
    Write,
    /// The connection has had its maximum number of requests.
    Requests,
    /// The server shuts down.
    Closing,
}

/// The state of one connection; see the module documentation.
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
    /// When the last request or drain ended, or when the connection began.
    idle_since: Instant,
    /// When the first byte of the current request head arrived. Only for HTTP/1.
    head_since: Option<Instant>,
    /// The number of requests in flight.
    in_flight: u32,
    /// The number of request bodies that are drained.
    draining: u32,
    /// The number of requests so far.
    requests: u32,
    /// The HTTP/2 responses that wait for the client to read, by the number of the wait, each with its start.
    waiting: BTreeMap<u64, Instant>,
    /// The number of waits so far.
    waits: u64,
    /// When the socket first accepted no more data. `None` while it accepts data.
    blocked_since: Option<Instant>,
    /// When the graceful shutdown of the connection started, and why.
    shutdown_started: Option<(Instant, CloseReason)>,
}

/// Guard of a request in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<ConnectionState>);

/// Guard of a request body that is drained.
#[derive(Debug)]
pub(super) struct Draining(Arc<ConnectionState>);

/// Guard of an HTTP/2 response that waits for the client to read.
#[derive(Debug)]
pub(super) struct WriteWait {
    connection_state: Arc<ConnectionState>,
    wait: u64,
}

impl ConnectionState {
    pub(super) fn new(limits: &Limits, protocol: Protocol) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            idle_since: now,
            head_since: None,
            in_flight: 0,
            draining: 0,
            requests: 0,
            waiting: BTreeMap::new(),
            waits: 0,
            blocked_since: None,
            shutdown_started: None,
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

    /// Records the begin of a request. The flag is whether the connection may have another request after it.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, bool) {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(1);
        state.in_flight += 1;
        state.head_since = None;
        (InFlight(self.clone()), state.requests < self.max_requests)
    }

    /// Records the begin of a drain.
    pub(super) fn drain(self: &Arc<Self>) -> Draining {
        let mut state = self.state();
        state.draining += 1;
        state.head_since = None;
        Draining(self.clone())
    }

    /// Records that an HTTP/2 response has data and waits for the client to read.
    pub(super) fn wait(self: &Arc<Self>) -> WriteWait {
        let mut state = self.state();
        state.waits += 1;
        let wait = state.waits;
        state.waiting.insert(wait, Instant::now());
        WriteWait { connection_state: self.clone(), wait }
    }

    /// The next deadline, and the reason to close the connection at that time. `None` if no deadline applies.
    fn due(&self) -> Option<(CloseReason, Instant)> {
        let state = self.state();
        if self.protocol == Protocol::Http2 && state.requests >= self.max_requests && state.shutdown_started.is_none() {
            return Some((CloseReason::Requests, state.idle_since));
        }
        let waiting = state.waiting.first_key_value().map(|(_, since)| *since);
        if let Some(since) = state.blocked_since.into_iter().chain(waiting).min() {
            return Some((CloseReason::Write, since + self.write_seconds.get()));
        }
        // A drain does not delay the shutdown of the server.
        let is_closing = matches!(state.shutdown_started, Some((_, CloseReason::Closing)));
        if state.in_flight > 0 || state.draining > 0 && !is_closing {
            return None;
        }
        let (reason, since, time) = match (state.shutdown_started, state.head_since) {
            // An incomplete head does not delay the shutdown either. An HTTP/2 client gets time to process the GOAWAY.
            (Some((shutdown_started, CloseReason::Closing)), _) => {
                let time = if self.protocol == Protocol::Http1 { Duration::ZERO } else { GOAWAY_GRACE };
                (CloseReason::Closing, shutdown_started.max(state.idle_since), time)
            }
            (Some((shutdown_started, reason)), _) => {
                (reason, shutdown_started.max(state.idle_since), self.header_seconds.get())
            }
            (None, _) if state.requests == 0 => (CloseReason::Head, state.idle_since, self.header_seconds.get()),
            (None, Some(first)) => (CloseReason::Head, first, self.header_seconds.get()),
            (None, None) => (CloseReason::Idle, state.idle_since, self.idle_seconds.get()),
        };
        Some((reason, since + time))
    }

    /// Ready when a deadline has passed, with its reason.
    fn overdue(&self, mut timer: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            let now = Instant::now();
            let due = match self.due() {
                Some((reason, due)) if due <= now => return Poll::Ready(reason),
                Some((_, due)) => due,
                // A request or a drain may end in another task, which does not wake this one: check again later.
                None => now + self.header_seconds.get(),
            };
            // An early wake-up costs less than a reset of the timer for each request.
            if timer.is_elapsed() || due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
        }
    }

    /// Whether the connection has had no request yet.
    pub(super) fn is_new(&self) -> bool {
        self.state().requests == 0
    }

    /// Whether a request is in flight.
    pub(super) fn is_answering(&self) -> bool {
        self.state().in_flight > 0
    }

    /// Records that bytes from the client arrived.
    pub(super) fn on_read(&self) {
        let mut state = self.state();
        // On HTTP/2, bytes between requests need not belong to a head.
        if self.protocol == Protocol::Http1 && state.in_flight + state.draining == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Records a write to the socket, or that the socket accepts no more data.
    pub(super) fn on_write(&self, is_blocked: bool) {
        let mut state = self.state();
        if !is_blocked {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            // The wait counts from the first blocked write.
            state.blocked_since = Some(Instant::now());
        }
    }

    /// Records the start of the graceful shutdown. The shutdown of the server overrides an earlier reason.
    fn shutdown_started(&self, why: CloseReason) {
        let mut state = self.state();
        if state.shutdown_started.is_none() || why == CloseReason::Closing {
            state.shutdown_started = Some((Instant::now(), why));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl InFlight {
    pub(super) fn connection_state(&self) -> &Arc<ConnectionState> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        state.idle_since = Instant::now();
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.draining -= 1;
        state.idle_since = Instant::now();
    }
}

impl Drop for WriteWait {
    fn drop(&mut self) {
        self.connection_state.state().waiting.remove(&self.wait);
    }
}

/// Drives a connection to its end. Closes it when a deadline passes, and gracefully when the server shuts down.
pub(super) async fn drive<C>(
    connection: C,
    connection_state: &ConnectionState,
    mut closing: watch::Receiver<bool>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(Instant::now() + connection_state.header_seconds.get()));
    let mut is_closing = false;
    loop {
        let shutdown_started = connection_state.state().shutdown_started.map(|(_, why)| why);
        let why = tokio::select! {
            biased;
            ended = &mut connection => return match shutdown_started {
                Some(why) => Err(ConnectionError::CloseReason(why)),
                None => ended.map_err(ConnectionError::Broken),
            },
            () = closed(&mut closing), if !is_closing => CloseReason::Closing,
            overdue = poll_fn(|context| connection_state.overdue(timer.as_mut(), context)) => match overdue {
                CloseReason::Idle | CloseReason::Requests if shutdown_started.is_none() => overdue,
                _ => return Err(ConnectionError::CloseReason(overdue)),
            },
        };
        is_closing |= why == CloseReason::Closing;
        connection_state.shutdown_started(why);
        connection.as_mut().graceful_shutdown();
    }
}

/// Completes when the server shuts down.
pub(super) async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the sender was dropped, which is a shutdown, too.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Why a connection did not end normally.
#[derive(Debug)]
pub(super) enum ConnectionError {
    CloseReason(CloseReason),
    Broken(hyper::Error),
}
