//! The contract of the emulated surface, one file a route, through the router with a stopped clock.

mod activities_v3;
mod authorize;
mod bodies;
#[path = "../shared/document.rs"]
mod document;
mod gates;
mod harness;
mod logs_v2;
mod logs_v3_3;
mod pages;
mod quota;
mod refusals;
mod token;
