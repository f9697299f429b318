//! The shared state of the emulated API.

use std::sync::Arc;

use super::error::ApiError;
use crate::{
    account::{Account, Accounts, InFlightGuard},
    bodies::{Bodies, EMULATED_KIB},
    limits::Limits,
    metrics::Metrics,
};

/// The state that all requests to the emulated API share.
#[derive(Debug)]
pub(super) struct ApiState {
    pub(super) accounts: Arc<Accounts>,
    pub(super) bodies: Arc<Bodies>,
    /// The maximum number of requests in flight of one account.
    max_in_flight: u32,
    pub(super) metrics: Arc<Metrics>,
}

impl ApiState {
    pub(super) fn new(accounts: Arc<Accounts>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let bodies = Arc::new(Bodies::new(limits.max_body_bytes, limits.body_seconds, EMULATED_KIB));
        Self { accounts, bodies, max_in_flight: limits.max_concurrent_requests, metrics }
    }

    /// Counts a request of an account as in flight, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// 429 if the account has the maximum number of requests in flight.
    pub(super) fn begin_request(&self, account: &Arc<Account>) -> Result<InFlightGuard, ApiError> {
        account.begin_request(self.max_in_flight).ok_or_else(|| {
            self.metrics.limited("max-concurrent-requests");
            ApiError::TooManyAtOnce { most: self.max_in_flight }
        })
    }
}
