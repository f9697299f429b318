//! `/_mock/accounts/{account}/clock`: shows, changes and advances the clock of an account.

use std::time::Duration;

use axum::Json;
use serde::Deserialize;

use super::{body::JsonBody, problem::Problem, state::NamedAccount};
use crate::{
    clock::{ClockChange, ClockReading, Instant, LAST},
    world::Millis,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seconds {
    seconds: f64,
}

impl Seconds {
    /// A duration that ends before the clock does.
    fn checked(&self, now: i64) -> Result<Duration, Problem> {
        let wanted =
            || format!("seconds must be from 0, the clock never goes back but by a reset, got {}", self.seconds);
        let left = Duration::from_millis((LAST.0 - now).max(0).unsigned_abs());
        if self.seconds > left.as_secs_f64() {
            let (left, last) = (left.as_secs(), Instant::from(LAST));
            return Err(Problem::invalid(format!(
                "seconds must be at most {left}, until {last}, got {}",
                self.seconds
            )));
        }
        let by = Duration::try_from_secs_f64(self.seconds).map_err(|_| Problem::invalid(wanted()))?;
        // Clocks count whole milliseconds. The duration is rounded up, so that a positive one is never none.
        Ok(by.saturating_add(Duration::from_micros(999)))
    }
}

pub(super) async fn show(NamedAccount(account): NamedAccount) -> Json<ClockReading> {
    Json(account.clock().reading())
}

pub(super) async fn change(
    NamedAccount(account): NamedAccount,
    JsonBody(change): JsonBody<ClockChange>,
) -> Result<Json<ClockReading>, Problem> {
    account.clock().set(change).map(Json).map_err(|why| Problem::invalid(why.to_string()))
}

pub(super) async fn advance(
    NamedAccount(account): NamedAccount,
    JsonBody(by): JsonBody<Seconds>,
) -> Result<Json<ClockReading>, Problem> {
    let by = by.checked(account.clock().now().0)?;
    account.advance(by);
    Ok(Json(account.clock().reading()))
}

pub(super) async fn sleep(
    NamedAccount(account): NamedAccount,
    JsonBody(by): JsonBody<Seconds>,
) -> Result<Json<ClockReading>, Problem> {
    let now = account.clock().now();
    let by = i64::try_from(by.checked(now.0)?.as_millis()).unwrap_or(i64::MAX);
    account.clock().sleep_until(Millis(now.0.saturating_add(by)), account.epoch()).await;
    Ok(Json(account.clock().reading()))
}
