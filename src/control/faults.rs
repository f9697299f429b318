//! `/_mock/accounts/{account}/faults`: the rules by which an account breaks its answers.

use axum::{Json, http::StatusCode};
use serde::Serialize;

use super::{Item, Named, body::Inputs, problem::Problem};
use crate::account::fault::{BadFault, FaultRule, FaultStanding, MAX_FAULTS};

#[derive(Serialize)]
pub(super) struct List {
    faults: Vec<FaultStanding>,
}

impl From<BadFault> for Problem {
    fn from(why: BadFault) -> Self {
        Self::invalid(why.to_string())
    }
}

pub(super) async fn list(Named(account): Named) -> Json<List> {
    Json(List { faults: account.faults() })
}

pub(super) async fn replace(
    Named(account): Named,
    Inputs(rules): Inputs<FaultRule, MAX_FAULTS>,
) -> Result<Json<List>, Problem> {
    Ok(Json(List { faults: account.replace_faults(rules)? }))
}

/// Answers with the rules that were added.
pub(super) async fn add(
    Named(account): Named,
    Inputs(rules): Inputs<FaultRule, MAX_FAULTS>,
) -> Result<(StatusCode, Json<List>), Problem> {
    Ok((StatusCode::CREATED, Json(List { faults: account.add_faults(rules)? })))
}

pub(super) async fn forget_all(Named(account): Named) -> StatusCode {
    account.forget_faults(None);
    StatusCode::NO_CONTENT
}

pub(super) async fn forget(Named(account): Named, Item(name): Item) -> Result<StatusCode, Problem> {
    if account.forget_faults(Some(&name)) > 0 {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!("The account has no fault {name}")))
    }
}
