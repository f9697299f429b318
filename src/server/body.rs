//! Bodies on their way: what a client sends is taken off the line, and what it is sent is watched.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body as AnyBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::time;

use super::line::{Ready, UnderWay};

/// How much of a body that nobody wanted is read and thrown away before the connection is given up.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// A request's body that is taken off the line when nobody reads it to its end: a client that is in the middle of sending
/// would otherwise find its connection reset, and never see why it was refused.
pub(super) struct Drained {
    body: Option<Incoming>,
    /// How long throwing away may take.
    time: Duration,
    under_way: UnderWay,
}

impl Drained {
    pub(super) fn new(body: Incoming, time: Duration, under_way: UnderWay) -> Self {
        Self { body: Some(body), time, under_way }
    }
}

impl Body for Drained {
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

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let under_way = self.under_way.another();
        tokio::spawn(time::timeout(self.time, async move {
            let mut left = MAX_DRAINED_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
            drop(under_way);
        }));
    }
}

/// An answer's body. Its request is under way until all of it was taken, or the client has gone.
pub(super) struct Answer {
    body: AnyBody,
    /// There while the next bytes need not be waited for.
    ready: Option<Ready>,
    under_way: UnderWay,
}

impl Answer {
    pub(super) fn new(body: AnyBody, under_way: UnderWay) -> Self {
        let ready = (!body.is_end_stream()).then(|| under_way.line().offer());
        Self { body, ready, under_way }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // A body that drips has the client wait, and not the other way round.
        self.ready = match polled {
            Poll::Pending => None,
            Poll::Ready(_) => Some(self.under_way.line().offer()),
        };
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
