//! A running mock.

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::oneshot, task::JoinHandle};

use super::local::Local;
use crate::account::{Account, Accounts};

/// A running mock on a free port of 127.0.0.1. It stops when it is dropped.
#[derive(Debug)]
#[must_use = "the mock stops when it is dropped"]
pub struct Mock {
    pub(super) local: Local,
    pub(super) address: SocketAddr,
    pub(super) ca_pem: Option<String>,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) serving: JoinHandle<()>,
}

impl Mock {
    /// Where it listens, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate, as PEM, of the authority that a client must trust where [`Builder::tls`](super::Builder::tls) was asked for.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account that is there from the start, with its credentials and all verbs of the control surface.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        self.local.account()
    }

    /// All accounts, and how more are made.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        self.local.accounts()
    }

    /// The same mock without the socket.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Stops listening, lets requests that are under way finish, and waits until all is over.
    pub async fn stop(mut self) {
        self.local.accounts().close_streams();
        if let Some(stop) = self.stop.take() {
            // When nobody listens, it has stopped already.
            let _ = stop.send(());
        }
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
