//! `/_mock/accounts`: accounts are listed, made, looked at, changed, reset, dropped.

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
use crate::account::{
    Accounts, Description,
    settings::{AccountChange, NewAccount},
};

/// How many accounts are listed at once, unless the query says so.
const DEFAULT_LIMIT: usize = 100;
/// How many can be.
const MAX_LIMIT: usize = 1_000;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Page {
    after: String,
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: String::new(), limit: DEFAULT_LIMIT }
    }
}

#[derive(Serialize)]
pub(super) struct List {
    accounts: Vec<Description>,
    /// How many there are.
    total: usize,
    /// What to ask for to go on from here, if there is more.
    next_after: Option<String>,
}

pub(super) async fn list(
    State(accounts): State<Arc<Accounts>>,
    QueryParams(page): QueryParams<Page>,
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
    let account = accounts.make(new)?;
    let location = format!("/_mock/accounts/{}", account.name());
    // A name is made of letters, digits and a few signs.
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
    account.reset();
    Json(account.describe())
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
