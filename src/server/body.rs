//! Request and response bodies on a connection: unread request bodies are drained, response bodies are tracked.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body as AnyBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::time;

use super::connection::{ConnectionState, InFlight, Protocol, WriteWait};

/// The maximum number of bytes of an unread request body that are read and discarded.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// How long a body is drained whose announced length is above [`MAX_DRAINED_BYTES`].
const OVERSIZED_DRAIN_TIME: Duration = Duration::from_secs(1);

/// The maximum chunk that is passed to HTTP/2 at once: the default maximum frame size.
const HTTP_2_CHUNK_BYTES: usize = 16 * 1024;

/// A request body that is drained when the handler does not read it to its end.
///
/// Without this, a client that is still sending gets a connection reset, and cannot read the error response.
pub(super) struct DrainedBody {
    body: Option<Incoming>,
    /// The maximum time for draining.
    time: Duration,
    connection_state: Arc<ConnectionState>,
}

impl DrainedBody {
    pub(super) fn new(body: Incoming, time: Duration, connection_state: Arc<ConnectionState>) -> Self {
        Self { body: Some(body), time, connection_state }
    }
}

impl Body for DrainedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let draining = self.connection_state.drain();
        // A client that announces more than the limit has less time to read the error response.
        let time = if body.size_hint().lower() > MAX_DRAINED_BYTES as u64 {
            self.time.min(OVERSIZED_DRAIN_TIME)
        } else {
            self.time
        };
        tokio::spawn(time::timeout(time, async move {
            let mut left = MAX_DRAINED_BYTES;
            // After the response is sent, hyper may wait for the next head without reporting the end of this body.
            // `is_end_stream` detects the end from the announced length.
            while !body.is_end_stream()
                && let Some(Ok(frame)) = body.frame().await
            {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
            drop(draining);
        }));
    }
}

/// A response body. Its request is in flight until the client has read the whole body or has disconnected.
///
/// hyper's HTTP/2 buffers all data that it gets, even when the client does not read. This body passes small chunks, and
/// reports its end only when hyper polls again. A client that does not read costs little memory, and is detected.
pub(super) struct ResponseBody {
    body: AnyBody,
    /// Data of the inner body that is not passed on yet.
    rest: Bytes,
    /// For HTTP/2, set while the server waits for the client to read.
    waiting: Option<WriteWait>,
    has_ended: bool,
    in_flight: InFlight,
}

impl ResponseBody {
    pub(super) fn new(body: AnyBody, in_flight: InFlight) -> Self {
        let has_ended = body.is_end_stream();
        let mut answer = Self { body, rest: Bytes::new(), waiting: None, has_ended, in_flight };
        if !has_ended {
            answer.wait();
        }
        answer
    }

    fn is_http_2(&self) -> bool {
        self.in_flight.connection_state().protocol() == Protocol::Http2
    }

    /// Starts to wait for the client to read. For HTTP/1, the socket tracks this.
    fn wait(&mut self) {
        self.waiting = self.is_http_2().then(|| self.in_flight.connection_state().wait());
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            // While the inner body produces data, the client waits for the server.
            self.waiting = None;
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => {
                    self.has_ended = true;
                    return Poll::Ready(None);
                }
            }
        }
        self.wait();
        let chunk = if self.is_http_2() { self.rest.len().min(HTTP_2_CHUNK_BYTES) } else { self.rest.len() };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || !self.is_http_2() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
