//! Events that a test injects into an account's history.
//!
//! Clients read them together with the generated events. Every injection and every deletion increments a counter, and a
//! snapshot is a value of that counter. A page token carries the snapshot of its first page, so that later injections
//! and deletions do not change the pages that follow.

mod builder;
mod event;
mod store;

pub use self::event::{InjectError, Injected, MAX_DETAILS, MAX_INJECTED, MAX_LONG_DETAILS_BYTES, MAX_TEXT, NewEvent};
pub(crate) use self::{event::Snapshot, store::InjectedEvents};
