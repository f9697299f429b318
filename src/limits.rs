//! The configurable limits of the server, each with its unit and the reason for its default.
//!
//! The server rejects a client that exceeds a limit, clearly and at low cost, and without effect on other clients.
//! Limits that need no configuration are constants in the code that enforces them.

use std::{fmt, str::FromStr, time::Duration};

/// The maximum configurable time, in seconds: one day.
pub(crate) const MAX_SECONDS: f64 = 86_400.0;

/// The minimum of `max_header_bytes`: the size of the read buffer.
pub(crate) const MIN_HEADER_BYTES: u32 = 8192;

/// The limits, see the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Open connections; a further one gets 503, or with HTTPS no response, and is closed. 10 000 by default: an idle
    /// connection takes some kilobytes of memory, and one in the middle of a head or a body takes up to twice the limit
    /// of that head or body.
    pub max_connections: u32,
    /// Requests on one connection. 100 000 by default: a load test of one hour on one connection still passes, and a
    /// load balancer sees connections end occasionally.
    pub max_requests_per_connection: u32,
    /// Requests of one account in flight; a further one gets 429, which does not count against the quota. 1 000 by
    /// default: a response takes microseconds, so many requests are in flight only when faults delay them.
    pub max_concurrent_requests: u32,
    /// Bytes of a request's head, from 8 192. 32 768 by default: four lines of the maximum length that the API accepts.
    pub max_header_bytes: u32,
    /// Bytes of a body under `/o`. 65 536 by default: the largest request of the API has some hundred bytes.
    pub max_body_bytes: u32,
    /// Seconds for the head of a request, from its first byte, and for the TLS handshake. 10 by default.
    pub header_seconds: Seconds,
    /// Seconds for a body. 30 by default.
    pub body_seconds: Seconds,
    /// Seconds that a connection may be idle between two requests. 90 by default: longer than the minute after which
    /// most connectors poll again.
    pub idle_seconds: Seconds,
    /// Seconds in which a client must read some part of the response. 30 by default.
    pub write_seconds: Seconds,
    /// Seconds that requests in flight have to finish when the server stops. 5 by default: less than the 10 that Docker
    /// waits.
    pub grace_seconds: Seconds,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |seconds| Seconds(Duration::from_secs(seconds));
        Self {
            max_connections: 10_000,
            max_requests_per_connection: 100_000,
            max_concurrent_requests: 1_000,
            max_header_bytes: 32_768,
            max_body_bytes: 65_536,
            header_seconds: seconds(10),
            body_seconds: seconds(30),
            idle_seconds: seconds(90),
            write_seconds: seconds(30),
            grace_seconds: seconds(5),
        }
    }
}

/// A time in seconds, with decimals if needed: `30`, `0.5`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seconds(Duration);

impl Seconds {
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

/// Clamps the time to one day.
impl From<Duration> for Seconds {
    fn from(time: Duration) -> Self {
        Self(time.min(Duration::from_secs_f64(MAX_SECONDS)))
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.parse().ok().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds));
        let seconds = seconds.ok_or_else(|| format!("must be a number of seconds from 0 to {MAX_SECONDS}"))?;
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_parse_from_numbers() {
        for (text, milliseconds) in [("0", 0), ("0.5", 500), ("30", 30_000), ("86400", 86_400_000), ("1e1", 10_000)] {
            assert_eq!(text.parse(), Ok(Seconds(Duration::from_millis(milliseconds))), "{text}");
        }
        for text in ["", "-1", "NaN", "inf", "86400.1", "5s", "1,5"] {
            assert_eq!(
                text.parse::<Seconds>(),
                Err("must be a number of seconds from 0 to 86400".to_owned()),
                "{text}"
            );
        }
        assert_eq!(Seconds::from(Duration::MAX), Seconds(Duration::from_secs(86_400)));
    }
}
