//! The routers of both surfaces of a server. This module starts nothing.

use std::sync::Arc;

use axum::Router;

use crate::{
    account::Accounts,
    api,
    control::{self, Access},
    limits::Limits,
    metrics::Metrics,
};

/// The state that the surfaces of one server share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
}

impl App {
    pub(crate) fn new(accounts: Arc<Accounts>, limits: Limits) -> Self {
        Self { accounts, limits, metrics: Arc::new(Metrics::new()) }
    }

    /// The emulated surface and the control surface.
    pub(crate) fn router(&self, access: Access) -> Router {
        control::router(self.control(access)).merge(self.emulated())
    }

    /// The emulated surface, with only the health check of the control surface.
    #[cfg(feature = "cli")]
    pub(crate) fn emulated_only(&self) -> Router {
        control::health_only(&self.metrics).merge(self.emulated())
    }

    /// Only the control surface.
    #[cfg(feature = "cli")]
    pub(crate) fn control_only(&self, access: Access) -> Router {
        control::standalone(self.control(access))
    }

    fn emulated(&self) -> Router {
        let Self { accounts, limits, metrics } = self;
        api::router(accounts.clone(), limits, metrics.clone())
    }

    fn control(&self, access: Access) -> control::ControlState {
        let Self { accounts, limits, metrics } = self;
        control::ControlState::new(accounts.clone(), access, limits, metrics.clone())
    }
}
