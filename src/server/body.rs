//! Bodies on their way: what a client sends is taken off the line, and what it is sent is watched.

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

/// How much of a body that nobody wanted is read and thrown away before the connection is given up.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// How long a body is read that announces more than that.
const TOO_LARGE_FOR: Duration = Duration::from_secs(1);

/// How much HTTP/2 is given at a time: as much as stands in one frame of it.
const HTTP_2_PIECE: usize = 16 * 1024;

/// A request's body that is taken off the line when nobody reads it to its end: a client that is in the middle of sending
/// would otherwise find its connection reset, and never see why it was refused.
pub(super) struct DrainedBody {
    body: Option<Incoming>,
    /// How long throwing away may take.
    time: Duration,
    line: Arc<ConnectionState>,
}

impl DrainedBody {
    pub(super) fn new(body: Incoming, time: Duration, line: Arc<ConnectionState>) -> Self {
        Self { body: Some(body), time, line }
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
        let draining = self.line.drain();
        // A client that announces more than is read has little time to see why it was refused.
        let time =
            if body.size_hint().lower() > MAX_DRAINED_BYTES as u64 { self.time.min(TOO_LARGE_FOR) } else { self.time };
        tokio::spawn(time::timeout(time, async move {
            let mut left = MAX_DRAINED_BYTES;
            // Where the answer has left already, hyper may look for the next head and never say that this body has ended: its
            // length says so.
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

/// An answer's body. Its request is under way until all of it was taken, or the client has gone.
///
/// HTTP/2 buffers whatever it is given, whether or not the client takes it. It is given little at a time, and announced of the end
/// only when it has room for more: so who takes nothing costs little, and is seen.
pub(super) struct ResponseBody {
    body: AnyBody,
    /// What the body gave that is not given on yet.
    rest: Bytes,
    /// Of HTTP/2, while the client is waited for.
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
        self.in_flight.line().protocol() == Protocol::Http2
    }

    /// From now on the client is waited for. Of HTTP/1, the socket shows that.
    fn wait(&mut self) {
        self.waiting = self.is_http_2().then(|| self.in_flight.line().wait());
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
            // A body that drips has the client wait, and not the other way round.
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
        let piece = if self.is_http_2() { self.rest.len().min(HTTP_2_PIECE) } else { self.rest.len() };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
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
