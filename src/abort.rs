//! How a fault ends a connection: the marker that an answer carries through the layers, and the error of its body.

use std::fmt;

use axum::response::Response;

/// The connection ends here, without an answer or in the middle of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionAbortedError;

impl ConnectionAbortedError {
    /// Whether the connection ends in the place of an answer.
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
