//! Audits of connectors, each with one defect. Every test runs without a socket, on a clock that only the test turns.

mod causes;
mod connector;
#[path = "../shared/document.rs"]
mod document;
mod earlier_logs;
mod input;
mod properties;
mod records;
mod served;
mod verdict;
mod verdict_bad;
mod verdict_good;
