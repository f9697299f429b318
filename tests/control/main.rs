//! The control surface and its effects on the emulated surface. One file per resource.

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
mod stubs;
mod tokens;
mod visibility;
