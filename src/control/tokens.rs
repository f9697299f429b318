//! `/_mock/accounts/{account}/tokens`: creates, revokes and expires access tokens.

use axum::{Json, http::StatusCode};
use serde::Serialize;

use super::{
    body::JsonBody,
    problem::Problem,
    state::{NamedAccount, PathItem},
};
use crate::{
    account::{MintTokenError, settings::NewToken},
    clock::Instant,
};

#[derive(Serialize)]
pub(super) struct Minted {
    access_token: String,
    expires_at: Instant,
}

#[derive(Serialize)]
pub(super) struct Expired {
    expired: usize,
}

pub(super) async fn mint(
    NamedAccount(account): NamedAccount,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    let made = account.mint_token(&new).map_err(|why| match why {
        MintTokenError::Invalid(why) => Problem::invalid(why),
        MintTokenError::Taken => Problem::conflict("token must be unique, another account has it"),
    })?;
    Ok((StatusCode::CREATED, Json(Minted { access_token: made.token, expires_at: made.expires_at.into() })))
}

pub(super) async fn expire(NamedAccount(account): NamedAccount) -> Json<Expired> {
    Json(Expired { expired: account.expire_tokens() })
}

pub(super) async fn revoke(
    NamedAccount(account): NamedAccount,
    PathItem(token): PathItem,
) -> Result<StatusCode, Problem> {
    if account.revoke_token(&token) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("The account has no such token"))
    }
}
