//! A local server that answers like the OPSWAT MetaDefender IT Access log APIs, with an invented company behind it.
//!
//! # Promises
//!
//! 1. **Pure history.** What is served follows from the account's seed and shape, the query and the account's clock. The
//!    same of these give the same bytes: in any order, from any thread, in any build.
//! 2. **No cost until looked at.** Starting costs the same for ten devices and a hundred thousand, and a page of the
//!    history costs much the same for a month and for ten years, for the first place and the last. Two things are the
//!    exception: a search by text looks at every device that lived in the window, and with a lag the events of so long a
//!    time are looked at one by one.
//! 3. **One clock an account.** Windows, visibility, expiry of tokens, quota, `Date`, the waits of faults and the stamps of
//!    the journal read the account's clock; a request reads it once, when it comes. It goes back only when the account
//!    begins anew.
//! 4. **Isolated accounts.** An account owns its seed, clock, tokens, quota, profile, faults, added events and journal. What
//!    is done to one cannot be seen in another.
//! 5. **Refusals come from one table**, in upstream's shape; no request that is HTTP within the server's limits is
//!    answered with another 4xx or 5xx, but under `/_mock` and where a fault asks for it.
//! 6. **Provenance.** What is emulated is documented (D), seen in a client (C) or assumed (A); `docs/fidelity.md` says
//!    which, what the other reading would be, and which key of the profile switches to it.
//! 7. **Bounded.** Accounts, bodies, header lines, connections, issued tokens, buckets, faults, added events, journals,
//!    worlds and cached pages have limits with names.
//!
//! # Layout
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`world`] | the company and its history: pure, from a seed and a window to events |
//! | [`clock`] | the only reader of the machine's time |
//! | [`account`] | what one account owns: clock, tokens, quota, profile, faults, added events, journal |
//! | `api` | the emulated surface, one file a route, and the gates before it |
//! | `control` | the surface under `/_mock`, one file a noun |
//! | `server` | connections, their limits, TLS, the end |
//! | [`limits`] | what the server bears |
//! | `bodies` | bodies of requests, read within those limits |
//! | `offload` | work that would hold up other requests |
//! | `metrics` | what the server counts |
//! | [`mock`] | the embeddable handle |
//! | [`config`] | flags, environment and file |
//! | [`cli`] | the commands of the binary |
//!
//! Arrows go down only; `tests/layering.rs` holds them.
//!
//! # In a test
//!
//! [`Mock`] is a server on a free port that stops when it is dropped; any number of them run in one process.
//!
//! ```
//! # async fn test() -> Result<(), opswat_mock::StartError> {
//! use opswat_mock::{Mock, account::fault::{Close, Fault, FaultRule}};
//!
//! let mock = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").start().await?;
//! let cut = Fault { close: Some(Close::MidBody), ..Fault::default() };
//! mock.account().add_faults(vec![FaultRule { fault: cut, times: Some(1), ..FaultRule::default() }]).expect("a rule");
//! // … the connector is run against `mock.base_url()`; its first answer ends halfway …
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
mod bodies;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod clock;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod config;
mod control;
pub mod limits;
mod metrics;
pub mod mock;
mod offload;
mod server;
pub mod world;

pub use self::{
    api_name::ApiName,
    mock::{Builder, ConnectionClosedError, Local, Mock, StartError},
};

/// The Rust of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
