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
//! 3. **One clock.** Windows, expiry of tokens, quota and `Date` read the account's clock, once a request.
//! 4. **Refusals come from one table**, in upstream's shape; no request that is HTTP within the server's limits is
//!    answered with another 4xx or 5xx, but under `/_mock`.
//! 5. **Provenance.** What is emulated is documented (D), seen in a client (C) or assumed (A); `docs/fidelity.md` says
//!    which, and what the other reading would be.
//! 6. **Bounded.** Bodies, header lines, connections, issued tokens, buckets and cached pages have limits with names.
//!
//! # Layout
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`world`] | the company and its history: pure, from a seed and a window to events |
//! | [`clock`] | the only reader of the machine's time |
//! | [`account`] | what one account owns: world, clock, tokens, quota, cached pages |
//! | `api` | the emulated surface, one file a route, and the gates before it |
//! | `control` | the surface under `/_mock` |
//! | [`server`] | connections, their limits, the end |
//! | [`config`] | flags, environment and file |
//! | [`cli`] | the commands of the binary |
//!
//! Arrows go down only; `tests/layering.rs` holds them.
//!
//! # In a test
//!
//! [`router`] is a value: nothing is bound and nothing runs until somebody serves it.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use opswat_mock::{account::Account, config::Config, router};
//!
//! let flags = ["opswat-mock", "--now", "2026-01-15T12:00:00Z", "--seed", "7"];
//! let config = Config::load(flags.map(Into::into)).expect("flags that are right");
//! let account = Arc::new(Account::new(config.settings(), config.clock()));
//! let router = router(account.clone());
//! account.clock().advance(Duration::from_secs(60)); // the quota is whole again, tokens are a minute older
//! # drop(router);
//! ```

pub mod account;
mod api;
pub mod cli;
pub mod clock;
pub mod config;
mod control;
pub mod server;
pub mod world;

use std::sync::Arc;

use axum::Router;

use self::account::Account;

/// Everything that an account's server answers.
pub fn router(account: Arc<Account>) -> Router {
    control::router().merge(api::router(account))
}
