//! `/_mock/accounts/{account}/webhook`: the receiver of an account's notifications, and what was delivered to it.

use std::{pin::pin, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    body::{JsonBody, QueryParams},
    problem::Problem,
    state::{ControlState, NamedAccount},
    wait,
};
use crate::{
    account::{
        Account,
        webhook::{WebhookReport, WebhookSettings},
    },
    webhook,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// The maximum time to wait until all attempts up to the account's now are made.
    wait: Option<String>,
}

pub(super) async fn show(
    NamedAccount(account): NamedAccount,
    QueryParams(query): QueryParams<ShowQuery>,
) -> Result<Json<WebhookReport>, Problem> {
    if let Some(text) = &query.wait {
        // The time being over is no error: the client gets what is there.
        let _ = timeout(wait::read(text)?, until_delivered(&account)).await;
    }
    Ok(Json(account.webhook.report(account.clock().now())))
}

async fn until_delivered(account: &Arc<Account>) {
    let now = account.clock().now();
    loop {
        let mut changed = pin!(account.webhook.changed());
        // From here on, no change is missed.
        changed.as_mut().enable();
        if account.webhook.is_done(now) {
            return;
        }
        changed.await;
    }
}

/// Sets the receiver. From now on, the logs have what it answers.
pub(super) async fn set(
    State(control): State<ControlState>,
    NamedAccount(account): NamedAccount,
    JsonBody(receiver): JsonBody<WebhookSettings>,
) -> Result<Json<WebhookReport>, Problem> {
    receiver.check().map_err(Problem::invalid)?;
    let target = control.targets.target(&receiver.url).map_err(|why| Problem::invalid(why.to_string()))?;
    if !webhook::start(account.clone(), receiver, target) {
        return Err(Problem::not_found("The account is deleted"));
    }
    Ok(Json(account.webhook.report(account.clock().now())))
}

/// Removes the receiver. There are no notifications any more, until a reset.
pub(super) async fn remove(NamedAccount(account): NamedAccount) -> Result<StatusCode, Problem> {
    if account.webhook.remove() {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("The account has no webhook"))
    }
}
