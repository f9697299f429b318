//! `/_mock/accounts/{account}/clock`: shows, changes and advances the clock of an account.

use std::time::Duration;

use axum::Json;
use serde::Deserialize;

use super::{body::JsonBody, problem::Problem, state::NamedAccount};
use crate::clock::{ClockChange, ClockReading, Instant, LAST};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    seconds: f64,
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
    JsonBody(by): JsonBody<Advance>,
) -> Result<Json<ClockReading>, Problem> {
    let wanted = || format!("seconds must be from 0, the clock never goes back but by a reset, got {}", by.seconds);
    let left = Duration::from_millis((LAST.0 - account.clock().now().0).max(0).unsigned_abs());
    if by.seconds > left.as_secs_f64() {
        let (left, last) = (left.as_secs(), Instant::from(LAST));
        return Err(Problem::invalid(format!("seconds must be at most {left}, until {last}, got {}", by.seconds)));
    }
    let by = Duration::try_from_secs_f64(by.seconds).map_err(|_| Problem::invalid(wanted()))?;
    // Clocks count whole milliseconds. The duration is rounded up, so that a positive one always advances the clock.
    account.advance(by.saturating_add(Duration::from_micros(999)));
    Ok(Json(account.clock().reading()))
}
