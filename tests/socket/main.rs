//! What only a socket shows: broken requests, slow clients, limits, TLS, and a server that goes on after them and stops when
//! it is told.

mod harness;
mod limits;
mod requests;
mod stop;
mod tls;
