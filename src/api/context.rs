//! The request context: the account, its effective configuration, the time, and the access token.

use std::{ops::Deref, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{
    error::ApiError,
    record::{Recorder, RequestTarget},
};
use crate::{
    account::{Account, fault::Fault},
    bodies::Bodies,
    clock::Mode,
    world::Window,
};

/// The context of a request, an extractor. It dereferences to [`RequestTarget`]: the account, its effective
/// configuration, its epoch, and its time when the context was created.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) target: RequestTarget,
    pub(super) recorder: Recorder,
    pub(super) bodies: Arc<Bodies>,
}

impl Deref for RequestContext {
    type Target = RequestTarget;

    fn deref(&self) -> &RequestTarget {
        &self.target
    }
}

/// The context of a request with a valid access token, an extractor.
#[derive(Clone, Debug)]
pub(super) struct Authenticated {
    pub(super) context: RequestContext,
    pub(super) token: Arc<str>,
    /// The fault that applies to the request.
    pub(super) fault: Option<Arc<Fault>>,
}

impl RequestContext {
    /// The part of a window that can be read: not older than the retention, and not later than now, unless an event is dated
    /// ahead.
    pub(super) fn readable(&self, asked: Window) -> Window {
        self.config.readable(asked, self.now, self.account.injected.readable_until(self.now))
    }

    /// Creates the context of a request that arrives now.
    pub(super) fn new(account: &Arc<Account>, recorder: Recorder, bodies: Arc<Bodies>) -> Self {
        // The epoch is read first. If a reset happens in between, the request belongs to the old epoch.
        let epoch = account.epoch();
        let reading = account.clock().reading();
        let target = RequestTarget {
            epoch,
            arrived_after: account.journal.noted(),
            arrival: account.journal.arrive(),
            now: reading.now.millis(),
            is_frozen: reading.mode == Mode::Frozen,
            config: account.config(),
            account: account.clone(),
        };
        Self { target, recorder, bodies }
    }
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = ApiError;

    /// The authentication layer inserts the value for every path that needs a token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::NoToken)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    /// The authentication layer inserts the value for every path that does not need a token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::ServerError)
    }
}
