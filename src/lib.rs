//! A synthetic event generator behind a mock of the OPSWAT MetaDefender IT Access log APIs.
//!
//! The generator simulates a company and computes its event history on demand. The server serves this history with the
//! requests, responses, errors and quotas of the log APIs. A control surface under `/_mock` changes clocks, quotas,
//! tokens, events and faults during a test.
//!
//! # Invariants
//!
//! 1. **The history is pure.** The response body of a log query depends only on the account's settings, injected events
//!    and clock, and on the request. Equal inputs give equal bytes, in any order of requests, on any thread and in any
//!    run of the same version. Faults and the quota can replace or change a response.
//! 2. **The history costs nothing until it is read.** The start takes the same time for any number of devices. A page
//!    takes about the same time for any length of the history and any page number. There are two exceptions: a text
//!    search examines every device of the window, and with a lag the server examines the events of the maximum lag one
//!    by one.
//! 3. **Each account has one clock.** Query windows, event visibility, token expiry, the quota, the `Date` header,
//!    fault delays and journal timestamps use it. The clock goes back only when the account is reset.
//! 4. **Accounts are isolated.** An account owns its seed, clock, tokens, quota, profile, faults, injected events and
//!    journal. No change to these is visible in another account. Accounts share only the index that keeps names, client
//!    ids and tokens unique, caches, and resource limits.
//! 5. **One table defines the errors of the emulated surface.** A valid HTTP request within the server's limits gets no
//!    4xx or 5xx response that is not in this table, except under `/_mock` and from a fault.
//! 6. **Every emulated behaviour has a source.** It is documented (D), seen in a client (C) or assumed (A).
//!    `docs/explanation/fidelity.md` lists the source, the alternative of each assumption, and the profile key that
//!    selects the alternative.
//! 7. **Memory is bounded.** Accounts, bodies, header lines, connections, issued tokens, quota buckets, faults,
//!    injected events, journals, worlds and cached pages each have a named limit.
//!
//! # Modules
//!
//! | module | content |
//! | --- | --- |
//! | [`world`] | the synthetic event generator: a pure function from a seed and a window to events |
//! | [`clock`] | the clock of an account; the only code that reads the machine's time of day |
//! | `api_name` | the names of the emulated APIs |
//! | [`account`] | the state of one account: clock, tokens, quota, profile, faults, injected events, journal |
//! | `abort` | the marker of a response whose connection a fault aborts |
//! | [`limits`] | the configurable limits of the server |
//! | `bodies` | reads request bodies within these limits |
//! | `offload` | runs long computations outside the runtime's worker threads |
//! | `metrics` | the metrics of the server |
//! | `api` | the emulated surface: one file per route, and the middleware |
//! | [`audit`] | compares a connector's records, or what was served, with the events, and finds the causes |
//! | [`verdict`] | judges a connector's requests by rules |
//! | `junit` | JUnit XML of audits and verdicts |
//! | `markdown` | texts in Markdown |
//! | `control` | the control surface under `/_mock`: one file per resource |
//! | `app` | the routers of both surfaces |
//! | `server` | accept loop, connection deadlines, TLS, graceful shutdown |
//! | [`mock`] | the embeddable handle |
//! | `config` | flags, environment variables and the configuration file |
//! | `cli` | the commands of the binary |
//!
//! `tests/layering.rs` lists the imports that each module may have, and enforces that they have no cycle.
//!
//! # Features
//!
//! - `cli` (default): the binary with its flags, configuration file, log and commands. It includes `tls`.
//! - `tls`: HTTPS and HTTP/2, with a certificate that the server generates at its start.
//!
//! # Example
//!
//! A [`Mock`] is a server on a free port. It stops when it is dropped. One process can run many of them.
//!
//! ```
//! # async fn test() -> Result<(), opswat_mock::StartError> {
//! use opswat_mock::{Mock, account::fault::{Close, Fault, FaultRule}};
//!
//! let mock = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").start().await?;
//! let cut = Fault { close: Some(Close::MidBody), ..Fault::default() };
//! mock.account().add_faults(vec![FaultRule { fault: cut, times: Some(1), ..FaultRule::default() }]).expect("a rule");
//! // … run the connector against `mock.base_url()`: its first response ends in the middle of the body …
//! assert_eq!(mock.account().faults()[0].applied, 0);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(test()).expect("a mock");
//! ```

mod abort;
pub mod account;
mod api;
mod api_name;
mod app;
pub mod audit;
mod bodies;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod clock;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod config;
mod control;
mod junit;
pub mod limits;
mod markdown;
mod metrics;
pub mod mock;
mod offload;
mod path_pattern;
#[cfg(feature = "scenarios")]
pub mod scenario;
mod server;
#[cfg(feature = "scenarios")]
mod toml_values;
pub mod verdict;
mod webhook;
pub mod world;

pub use self::{
    api_name::ApiName,
    mock::{Builder, ConnectionClosedError, Local, Mock, StartError},
};

/// The Rust examples of the README, as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
