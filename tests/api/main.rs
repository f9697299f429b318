//! The contract of the emulated surface, tested through the router with a frozen clock.

mod activities_v3;
mod authorize;
mod bodies;
#[path = "../shared/document.rs"]
mod document;
mod earlier_logs;
mod gates;
mod harness;
mod inventory;
mod inventory_actions;
mod inventory_input;
mod logs_v2;
mod logs_v3_3;
mod look_up;
mod pages;
mod quota;
mod refusals;
mod token;
