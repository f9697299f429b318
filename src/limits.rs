//! What the server bears: its limits that can be set, each with a unit and the reason for its default.
//!
//! Whoever meets one is refused clearly and cheaply, and alone. Limits that nobody needs to set are constants where they hold.

use std::{fmt, str::FromStr, time::Duration};

use clap::{Args, Command, FromArgMatches};

/// The longest time that can be set: a day.
const MAX_SECONDS: f64 = 86_400.0;
/// The shortest time, where none at all would end everything.
const MIN_SECONDS: f64 = 0.01;

/// The least that a head may have: what is read at once.
pub(crate) const MIN_HEADER_BYTES: u32 = 8192;

/// See the module.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    // An idle one costs some kilobytes, one in the middle of a head or a body as many bytes as that may have, twice.
    /// Connections that are held at a time; one more is told 503, or with HTTPS nothing, and closed
    #[arg(long, env = "OPSWAT_MOCK_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "10000",
        value_parser = number::<1, 1_000_000>)]
    pub max_connections: u32,
    // Whoever loads the mock for an hour on one connection still does; a balancer sees connections end now and then.
    /// Requests on one connection; the last one is answered with Connection: close, in HTTP/2 with GOAWAY
    #[arg(long, env = "OPSWAT_MOCK_MAX_REQUESTS_PER_CONNECTION", value_name = "NUMBER", default_value = "100000",
        value_parser = number::<1, 1_000_000_000>)]
    pub max_requests_per_connection: u32,
    // An answer takes microseconds: so many are under way only where faults delay them, or where somebody wants harm.
    /// Requests of one account that wait for their answer at a time; one more is told 429, which takes nothing from the quota
    #[arg(long, env = "OPSWAT_MOCK_MAX_CONCURRENT_REQUESTS", value_name = "NUMBER", default_value = "1000",
        value_parser = number::<1, 1_000_000_000>)]
    pub max_concurrent_requests: u32,
    // Four lines of the longest kind that the API reads.
    /// Bytes that the head of a request may have, from 8192; a longer one, or one of more than 256 lines, is told 431
    #[arg(long, env = "OPSWAT_MOCK_MAX_HEADER_BYTES", value_name = "BYTES", default_value = "32768",
        value_parser = number::<MIN_HEADER_BYTES, 1_048_576>)]
    pub max_header_bytes: u32,
    // The largest request that the API knows has some hundred bytes.
    /// Bytes that a body may have under /o; a larger one is told 400. Under /_mock it is 16 MiB
    #[arg(long, env = "OPSWAT_MOCK_MAX_BODY_BYTES", value_name = "BYTES", default_value = "65536",
        value_parser = number::<1, 67_108_864>)]
    pub max_body_bytes: u32,
    // A head comes in one packet or a few.
    /// Seconds for the head of a request, from its first byte, of the first one from the connection, and for the TLS handshake; then the connection is closed
    #[arg(long, env = "OPSWAT_MOCK_HEADER_SECONDS", value_name = "SECONDS", default_value = "10", value_parser = some)]
    pub header_seconds: Seconds,
    /// Seconds for a body; a slower one is told 400
    #[arg(long, env = "OPSWAT_MOCK_BODY_SECONDS", value_name = "SECONDS", default_value = "30", value_parser = some)]
    pub body_seconds: Seconds,
    // Longer than the minute after which most connectors poll again.
    /// Seconds that a connection may be idle between two requests; then it is closed
    #[arg(long, env = "OPSWAT_MOCK_IDLE_SECONDS", value_name = "SECONDS", default_value = "90", value_parser = some)]
    pub idle_seconds: Seconds,
    /// Seconds in which a client must take some part of its answer; then the connection is closed
    #[arg(long, env = "OPSWAT_MOCK_WRITE_SECONDS", value_name = "SECONDS", default_value = "30", value_parser = some)]
    pub write_seconds: Seconds,
    // Less than the ten that Docker waits.
    /// Seconds that requests under way have to finish when the server stops, from 0
    #[arg(long, env = "OPSWAT_MOCK_GRACE_SECONDS", value_name = "SECONDS", default_value = "5")]
    pub grace_seconds: Seconds,
}

/// A time in seconds, with a point where it must be: `30`, `0.5`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seconds(Duration);

/// Those of a server that was told nothing, whatever the environment says.
impl Default for Limits {
    fn default() -> Self {
        let alone = Self::augment_args(Command::new("limits")).mut_args(|flag| flag.env(None::<&'static str>));
        let defaults = alone.try_get_matches_from(["limits"]).and_then(|found| Self::from_arg_matches(&found));
        defaults.expect("every limit has a default within its range")
    }
}

impl Seconds {
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

/// A day where it is longer.
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

/// A whole number of a range.
fn number<const MIN: u32, const MAX: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
}

fn some(text: &str) -> Result<Seconds, String> {
    let seconds: Option<Seconds> = text.parse().ok().filter(|seconds: &Seconds| seconds.0.as_secs_f64() >= MIN_SECONDS);
    seconds.ok_or_else(|| format!("must be a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_of_seconds() {
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
        assert_eq!(some("0"), Err("must be a number of seconds from 0.01 to 86400".to_owned()));
    }
}
