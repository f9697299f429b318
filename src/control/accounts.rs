//! `/_mock/accounts`: lists, creates, shows, changes, resets and deletes accounts.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    body::{JsonBody, QueryParams},
    problem::Problem,
    state::{NamedAccount, PathItem},
};
#[cfg(feature = "scenarios")]
use crate::scenario;
use crate::{
    account::{
        Accounts, Description,
        settings::{AccountChange, NewAccount},
    },
    offload::offload,
};

/// The default number of accounts in a response.
const DEFAULT_LIMIT: usize = 100;
/// The maximum number of accounts in a response.
const MAX_LIMIT: usize = 1_000;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListQuery {
    after: String,
    limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { after: String::new(), limit: DEFAULT_LIMIT }
    }
}

#[derive(Serialize)]
pub(super) struct List {
    accounts: Vec<Description>,
    /// The number of all accounts.
    total: usize,
    /// The value of `after` for the next page, if there are more accounts.
    next_after: Option<String>,
}

pub(super) async fn list(
    State(accounts): State<Arc<Accounts>>,
    QueryParams(page): QueryParams<ListQuery>,
) -> Result<Json<List>, Problem> {
    if !(1..=MAX_LIMIT).contains(&page.limit) {
        return Err(Problem::invalid(format!("limit must be from 1 to {MAX_LIMIT}, got {}", page.limit)));
    }
    let mut found = accounts.list(&page.after, page.limit + 1);
    let has_more = found.len() > page.limit;
    found.truncate(page.limit);
    let next_after = found.last().filter(|_| has_more).map(|account| account.name().to_owned());
    let accounts_found = found.iter().map(|account| account.describe()).collect();
    Ok(Json(List { accounts: accounts_found, total: accounts.count(), next_after }))
}

pub(super) async fn make(
    State(accounts): State<Arc<Accounts>>,
    JsonBody(new): JsonBody<NewAccount>,
) -> Result<Response, Problem> {
    #[cfg(feature = "scenarios")]
    let new = scenario::resolved(new).map_err(Problem::invalid)?;
    let account = accounts.make(new)?;
    let location = format!("/_mock/accounts/{}", account.name());
    // A name has only ASCII letters, digits and a few punctuation characters.
    let location = HeaderValue::try_from(location).map_err(|_| Problem::invalid("name cannot stand in a header"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(account.describe())).into_response())
}

pub(super) async fn show(NamedAccount(account): NamedAccount) -> Json<Description> {
    Json(account.describe())
}

pub(super) async fn change(
    NamedAccount(account): NamedAccount,
    JsonBody(change): JsonBody<AccountChange>,
) -> Json<Description> {
    account.change(change);
    Json(account.describe())
}

pub(super) async fn reset(NamedAccount(account): NamedAccount) -> Json<Description> {
    // It waits for an injection that is in progress.
    offload(move || {
        account.reset();
        Json(account.describe())
    })
    .await
}

pub(super) async fn drop_account(
    State(accounts): State<Arc<Accounts>>,
    PathItem(name): PathItem,
) -> Result<StatusCode, Problem> {
    if accounts.drop_account(&name)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!("There is no account {name}")))
    }
}
