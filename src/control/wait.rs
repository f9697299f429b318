//! `wait`: how long a request waits for something.

use std::time::Duration;

use super::problem::Problem;

/// The maximum time of a wait, of the machine's clock.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// Reads a time such as `10s` or `500ms`.
pub(super) fn read(text: &str) -> Result<Duration, Problem> {
    parse(text).filter(|time| *time <= MAX_WAIT).ok_or_else(|| {
        let (most, got) = (MAX_WAIT.as_secs(), text.chars().take(60).collect::<String>());
        Problem::invalid(format!("wait must be a time such as 10s or 500ms, at most {most}s, got {got}"))
    })
}

fn parse(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}
