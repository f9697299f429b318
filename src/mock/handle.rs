//! The handle of a running mock.

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
    pub(super) server_task: JoinHandle<()>,
}

impl Mock {
    /// The base URL of the server, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate of the generated authority as PEM, which clients must trust. `None` where
    /// the mock serves plain HTTP.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account `default`, with its credentials and all operations of the control surface.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        self.local.account()
    }

    /// All accounts, and the operations that create and delete accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        self.local.accounts()
    }

    /// The same mock without the socket.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Stops listening, and waits until the requests in flight have finished or the grace time is over.
    pub async fn stop(mut self) {
        self.local.accounts().close_streams();
        if let Some(stop) = self.stop.take() {
            // An error means that the server has stopped already.
            let _ = stop.send(());
        }
        let _ = (&mut self.server_task).await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}
