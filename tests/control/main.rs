//! The control surface, and what it does to the emulated one; one file a noun.

mod accounts;
mod clock;
#[path = "../shared/document.rs"]
mod document;
mod events;
mod faults;
mod guard;
mod harness;
mod isolation;
mod journal;
mod openapi;
mod profile;
mod quota;
mod tokens;
