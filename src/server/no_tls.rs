//! The replacement of `tls` in builds without the feature `tls`. [`Tls`] has no values, so none of this code runs.

use std::io;

use super::{connection::Protocol, socket::Socket};

/// Never exists: the listener serves plain HTTP.
#[derive(Clone)]
pub(crate) enum Tls {}

impl Tls {
    #[expect(clippy::unused_async, reason = "as with TLS")]
    pub(super) async fn accept(&self, _: Socket) -> io::Result<TlsStream> {
        match *self {}
    }
}

pub(super) type TlsStream = Socket;

pub(super) fn protocol(_: &TlsStream) -> Protocol {
    Protocol::Http1
}

pub(super) fn socket(stream: &mut TlsStream) -> &mut Socket {
    stream
}
