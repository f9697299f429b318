//! `/_mock/accounts/{account}/tokens`: tokens are minted, revoked, and expire.

use axum::{Json, http::StatusCode};
use serde::Serialize;

use super::{Item, Named, body::Input, problem::Problem};
use crate::{
    account::{NotMinted, settings::NewToken},
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
    Named(account): Named,
    Input(new): Input<NewToken>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    let made = account.mint_token(&new).map_err(|why| match why {
        NotMinted::Invalid(why) => Problem::invalid(why),
        NotMinted::Taken => Problem::conflict("token must be unique, another account has it"),
    })?;
    Ok((StatusCode::CREATED, Json(Minted { access_token: made.token, expires_at: made.expires_at.into() })))
}

pub(super) async fn expire(Named(account): Named) -> Json<Expired> {
    Json(Expired { expired: account.expire_tokens() })
}

pub(super) async fn revoke(Named(account): Named, Item(token): Item) -> Result<StatusCode, Problem> {
    if account.revoke_token(&token) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("The account has no such token"))
    }
}
