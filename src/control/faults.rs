//! `/_mock/accounts/{account}/faults`: the fault rules of an account.

use axum::{Json, http::StatusCode};
use serde::Serialize;

use super::{
    body::JsonList,
    problem::Problem,
    state::{NamedAccount, PathItem},
};
use crate::account::fault::{FaultError, FaultRule, FaultStatus, MAX_FAULTS};

#[derive(Serialize)]
pub(super) struct List {
    faults: Vec<FaultStatus>,
}

impl From<FaultError> for Problem {
    fn from(why: FaultError) -> Self {
        Self::invalid(why.to_string())
    }
}

pub(super) async fn list(NamedAccount(account): NamedAccount) -> Json<List> {
    Json(List { faults: account.faults() })
}

pub(super) async fn replace(
    NamedAccount(account): NamedAccount,
    JsonList(rules): JsonList<FaultRule, MAX_FAULTS>,
) -> Result<Json<List>, Problem> {
    Ok(Json(List { faults: account.replace_faults(rules)? }))
}

/// Adds rules, and returns the added ones.
pub(super) async fn add(
    NamedAccount(account): NamedAccount,
    JsonList(rules): JsonList<FaultRule, MAX_FAULTS>,
) -> Result<(StatusCode, Json<List>), Problem> {
    Ok((StatusCode::CREATED, Json(List { faults: account.add_faults(rules)? })))
}

pub(super) async fn forget_all(NamedAccount(account): NamedAccount) -> StatusCode {
    account.forget_faults(None);
    StatusCode::NO_CONTENT
}

pub(super) async fn forget(
    NamedAccount(account): NamedAccount,
    PathItem(name): PathItem,
) -> Result<StatusCode, Problem> {
    if account.forget_faults(Some(&name)) > 0 {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!("The account has no fault {name}")))
    }
}
