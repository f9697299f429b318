//! A mock that responds without a socket.

use std::{fmt, sync::Arc};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::BodyExt;
use tower::ServiceExt;

#[cfg(feature = "scenarios")]
use crate::scenario;
use crate::{
    abort::ConnectionAbortedError,
    account::{
        Account, Accounts, CreateAccountError,
        settings::{NewAccount, Settings},
    },
    app::App,
    control::Access,
    limits::Limits,
    server::{ServeOptions, tls::Tls},
};

/// A mock without a socket. [`Local::answer`] responds to a request.
#[derive(Clone, Debug)]
pub struct Local {
    app: App,
    router: Router,
}

/// A fault closed the connection before the response was complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionClosedError;

impl Local {
    pub(crate) fn new(
        default: Settings,
        accounts: Vec<NewAccount>,
        access: Access,
        limits: Limits,
    ) -> Result<Self, CreateAccountError> {
        let all = Arc::new(Accounts::new(default)?);
        for (nth, account) in accounts.into_iter().enumerate() {
            let wrong = |why: String| CreateAccountError::Invalid(format!("accounts[{nth}]: {why}"));
            #[cfg(feature = "scenarios")]
            let account = scenario::resolved(account).map_err(wrong)?;
            all.make(account).map_err(|why| wrong(why.to_string()))?;
        }
        let app = App::new(all, limits);
        Ok(Self { router: app.router(access), app })
    }

    /// The account `default`.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        self.app.accounts.default_account()
    }

    /// All accounts, and the operations that create and delete accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.app.accounts
    }

    /// Responds to a request as the server would.
    ///
    /// # Errors
    ///
    /// When a fault closes the connection before the response is complete.
    pub async fn answer(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ConnectionClosedError> {
        let Ok(response) = self.router.clone().oneshot(request.map(Body::from)).await;
        if ConnectionAbortedError::ends(&response) {
            return Err(ConnectionClosedError);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| ConnectionClosedError)?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }

    #[cfg(test)]
    pub(crate) fn shared_accounts(&self) -> Arc<Accounts> {
        self.app.accounts.clone()
    }

    /// The router of both surfaces.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// The emulated surface, with only the health check of the control surface.
    #[cfg(feature = "cli")]
    pub(crate) fn emulated_only(&self) -> Router {
        self.app.emulated_only()
    }

    /// Only the control surface.
    #[cfg(feature = "cli")]
    pub(crate) fn control_only(&self, access: Access) -> Router {
        self.app.control_only(access)
    }

    /// The options of a listener for this mock.
    pub(crate) fn serve_options(&self, tls: Option<Tls>) -> ServeOptions {
        ServeOptions::new(self.app.limits.clone(), tls, self.app.metrics.clone())
    }
}

impl fmt::Display for ConnectionClosedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection closed before the response was complete")
    }
}

impl std::error::Error for ConnectionClosedError {}
