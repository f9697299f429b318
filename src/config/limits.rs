//! The flags of the server's limits.

use clap::Args;

use crate::limits::{Limits, MAX_SECONDS, MIN_HEADER_BYTES, Seconds};

/// The minimum of a time limit that must not be zero.
const MIN_SECONDS: f64 = 0.01;

/// [`Limits`] as flags, with the same defaults.
#[derive(Args, Clone, Debug)]
pub struct LimitFlags {
    /// Maximum number of open connections; a further one gets 503, or with HTTPS no response, and is closed
    #[arg(long, env = "OPSWAT_MOCK_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "10000",
        value_parser = number::<1, 1_000_000>)]
    pub max_connections: u32,
    /// Maximum number of requests on one connection; after the last one the server sends Connection: close, or GOAWAY with HTTP/2
    #[arg(long, env = "OPSWAT_MOCK_MAX_REQUESTS_PER_CONNECTION", value_name = "NUMBER", default_value = "100000",
        value_parser = number::<1, 1_000_000_000>)]
    pub max_requests_per_connection: u32,
    /// Maximum number of requests of one account in flight; a further one gets 429 and does not count against the quota
    #[arg(long, env = "OPSWAT_MOCK_MAX_CONCURRENT_REQUESTS", value_name = "NUMBER", default_value = "1000",
        value_parser = number::<1, 1_000_000_000>)]
    pub max_concurrent_requests: u32,
    /// Maximum size of a request head in bytes, from 8192; a longer head, or one with more than 256 lines, gets 431
    #[arg(long, env = "OPSWAT_MOCK_MAX_HEADER_BYTES", value_name = "BYTES", default_value = "32768",
        value_parser = number::<MIN_HEADER_BYTES, 1_048_576>)]
    pub max_header_bytes: u32,
    /// Maximum size of a request body under /o in bytes; a larger one gets 400. Under /_mock the limit is 16 MiB, and 1 GiB for an audit
    #[arg(long, env = "OPSWAT_MOCK_MAX_BODY_BYTES", value_name = "BYTES", default_value = "65536",
        value_parser = number::<1, 67_108_864>)]
    pub max_body_bytes: u32,
    /// Time limit in seconds for a request head (from its first byte, for the first request from the connect) and for the TLS handshake; then the server closes the connection
    #[arg(long, env = "OPSWAT_MOCK_HEADER_SECONDS", value_name = "SECONDS", default_value = "10", value_parser = some)]
    pub header_seconds: Seconds,
    /// Time limit in seconds for a request body; a slower one gets 400
    #[arg(long, env = "OPSWAT_MOCK_BODY_SECONDS", value_name = "SECONDS", default_value = "30", value_parser = some)]
    pub body_seconds: Seconds,
    /// Time limit in seconds for an idle connection; then the server closes it
    #[arg(long, env = "OPSWAT_MOCK_IDLE_SECONDS", value_name = "SECONDS", default_value = "90", value_parser = some)]
    pub idle_seconds: Seconds,
    /// Time limit in seconds in which a client must read some part of a response; then the server closes the connection
    #[arg(long, env = "OPSWAT_MOCK_WRITE_SECONDS", value_name = "SECONDS", default_value = "30", value_parser = some)]
    pub write_seconds: Seconds,
    /// Time limit in seconds for requests in flight when the server stops, from 0
    #[arg(long, env = "OPSWAT_MOCK_GRACE_SECONDS", value_name = "SECONDS", default_value = "5")]
    pub grace_seconds: Seconds,
}

impl LimitFlags {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            max_requests_per_connection: self.max_requests_per_connection,
            max_concurrent_requests: self.max_concurrent_requests,
            max_header_bytes: self.max_header_bytes,
            max_body_bytes: self.max_body_bytes,
            header_seconds: self.header_seconds,
            body_seconds: self.body_seconds,
            idle_seconds: self.idle_seconds,
            write_seconds: self.write_seconds,
            grace_seconds: self.grace_seconds,
        }
    }
}

/// Parses an integer in a range.
fn number<const MIN: u32, const MAX: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
}

fn some(text: &str) -> Result<Seconds, String> {
    let seconds: Option<Seconds> =
        text.parse().ok().filter(|seconds: &Seconds| seconds.get().as_secs_f64() >= MIN_SECONDS);
    seconds.ok_or_else(|| format!("must be a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}"))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn the_flags_and_the_library_have_the_same_defaults() {
        let flags = LimitFlags::augment_args(Command::new("limits")).mut_args(|flag| flag.env(None::<&'static str>));
        let found = flags.try_get_matches_from(["limits"]).expect("defaults within their ranges");
        assert_eq!(LimitFlags::from_arg_matches(&found).expect("flags").limits(), Limits::default());
    }

    #[test]
    fn rejects_a_time_limit_of_zero() {
        assert_eq!(some("0"), Err("must be a number of seconds from 0.01 to 86400".to_owned()));
    }
}
