//! The marker by which a fault aborts a connection, as an extension of a response and as the error of its body.

use std::fmt;

use axum::response::Response;

/// A fault aborts the connection, before the response or in its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionAbortedError;

impl ConnectionAbortedError {
    /// Whether the connection is aborted instead of sending this response.
    pub(crate) fn ends(response: &Response) -> bool {
        response.extensions().get::<Self>().is_some()
    }
}

impl fmt::Display for ConnectionAbortedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault ends the connection")
    }
}

impl std::error::Error for ConnectionAbortedError {}

impl From<std::convert::Infallible> for ConnectionAbortedError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
