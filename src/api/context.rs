//! What a handler knows of its request: the account, its configuration, the time, and who is authenticated.

use std::{ops::Deref, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{
    error::ApiError,
    record::{Recorder, RequestTarget},
};
use crate::{
    account::{Account, fault::Fault},
    bodies::Bodies,
};

/// What every handler knows of its request. It dereferences to the account that the request is about. The clock is read here,
/// once a request.
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

/// A request with a valid access token.
#[derive(Clone, Debug)]
pub(super) struct Authenticated {
    pub(super) context: RequestContext,
    pub(super) token: Arc<str>,
    /// The fault that applies to the request.
    pub(super) fault: Option<Arc<Fault>>,
}

impl RequestContext {
    /// The context of a request that comes now.
    pub(super) fn new(account: &Arc<Account>, recorder: Recorder, bodies: Arc<Bodies>) -> Self {
        // The epoch is read first: if the account is reset meanwhile, what follows is of the new epoch, and the request of the
        // old one.
        let epoch = account.epoch();
        let target =
            RequestTarget { epoch, now: account.clock().now(), config: account.config(), account: account.clone() };
        Self { target, recorder, bodies }
    }
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = ApiError;

    /// Present behind the authentication, on every path that needs a token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::NoToken)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    /// Present behind the authentication, on every path that needs no token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::ServerError)
    }
}
