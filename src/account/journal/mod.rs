//! The journal: the requests of an account and their results.
//!
//! The journal keeps the most recent requests. Secrets are masked before a request is stored. Timestamps use the
//! account's clock, and durations use the machine's clock. A request is stored when its response has ended, so the order
//! is that of the ends of the responses.

mod request;
mod store;

pub use self::{
    request::{Outcome, Parameters, Request},
    store::Requests,
};
pub(crate) use self::{
    request::{RequestedPage, ResponseChange, TokenLife},
    store::{CLOSED, Journal, Total},
};
pub use super::settings::{DEFAULT_JOURNAL, MAX_JOURNAL};

/// The maximum number of bytes of a request's parameters that the journal stores.
pub(crate) const MAX_PARAMETER_BYTES: usize = 4_096;

/// A masked secret: its first and last four characters, or none if it has fewer than 16 characters.
pub(crate) fn masked(secret: &str) -> String {
    if secret.is_ascii() && secret.len() >= 16 {
        return [&secret[..4], "…", &secret[secret.len() - 4..]].concat();
    }
    let count = secret.chars().count();
    if count < 16 {
        return "…".to_owned();
    }
    let first: String = secret.chars().take(4).collect();
    let last: String = secret.chars().skip(count - 4).collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_secrets_show_only_their_ends() {
        assert_eq!(masked("TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234"), "TEST…1234");
        assert_eq!(masked("sandbox-short"), "…");
        assert_eq!(masked("üüüüüüüüüüüüüüüü"), "üüüü…üüüü");
    }
}
