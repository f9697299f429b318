//! Tests that need a socket: invalid requests, slow clients, limits, TLS, and graceful shutdown.

mod audit;
mod harness;
mod limits;
mod requests;
mod stop;
mod tls;
mod webhook;
