//! No TLS: the crate was built without the feature `tls`. There is no value of [`Tls`], so nothing here is ever called.

use std::io;

use super::{connection::Protocol, socket::Socket};

/// What HTTPS would be served with.
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
