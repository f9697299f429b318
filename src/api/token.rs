//! `/o/oauth/token` and `/o/oauth2/token`: access tokens for clients, codes and refresh tokens.
//!
//! `POST` with a form (D) and `GET` with a query (C) are equivalent. The client may also authenticate with HTTP Basic
//! (A: Spring Security OAuth2 accepts it). This endpoint has no quota.

use axum::{
    Extension,
    extract::RawQuery,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{body, client::FormBytes, context::RequestContext, error::ApiError, page, params::Params};
use crate::{
    account::{
        journal::TokenLife,
        tokens::{Grant, Issued},
    },
    clock::after,
};

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    expires_in: i64,
    scope: &'static str,
    client_id: &'a str,
}

pub(super) async fn by_query(
    context: RequestContext,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let repeated = context.config.profile().repeated_parameter;
    grant(&context, &headers, &Params::parse(query.as_deref().unwrap_or_default(), repeated)?)
}

pub(super) async fn by_form(
    context: RequestContext,
    RawQuery(query): RawQuery,
    Extension(FormBytes(form)): Extension<FormBytes>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !form.is_empty() {
        body::check_media_type(&headers, "application/x-www-form-urlencoded")?;
    }
    let form = std::str::from_utf8(&form).map_err(|_| ApiError::Unreadable("The form is not UTF-8".to_owned()))?;
    // Servlets put the parameters of the query before those of the form.
    let repeated = context.config.profile().repeated_parameter;
    let params =
        Params::parse(query.as_deref().unwrap_or_default(), repeated)?.followed_by(Params::parse(form, repeated)?);
    grant(&context, &headers, &params)
}

/// Checks the client, then the grant (A: the order of Spring's filters), and issues a token.
fn grant(context: &RequestContext, headers: &HeaderMap, params: &Params<'_>) -> Result<Response, ApiError> {
    let (settings, profile) = (&context.config.settings, context.config.profile());
    let (id, secret) = RequestContext::client(headers, params).ok_or(ApiError::NoToken)?;
    if id != settings.client_id.as_str() || secret != settings.client_secret.as_str() {
        return Err(ApiError::BadClient);
    }
    let tokens = &context.account.tokens;
    let issued = match params.get("grant_type").filter(|grant| !grant.is_empty()) {
        None => return Err(ApiError::MissingGrantType),
        // By default there is no refresh token, and a valid token is returned again (A: Spring's defaults).
        Some("client_credentials") => tokens.issue(Grant::Client, profile, context.now),
        Some("authorization_code") => {
            redeem(context, params)?;
            tokens.issue(Grant::Person, profile, context.now)
        }
        Some("refresh_token") => {
            let refresh = required(params, "refresh_token", "the one that came with the access token")?;
            let invalid = || ApiError::InvalidGrant(format!("Invalid refresh token: {}", shortened(refresh)));
            tokens.refresh(refresh, profile, context.now).ok_or_else(invalid)?
        }
        Some(other) => return Err(ApiError::UnsupportedGrantType(other.to_owned())),
    };
    context.recorder.token_life(TokenLife {
        expires_at: after(context.now, issued.expires_in_seconds.unsigned_abs() * 1000),
        life_ms: i64::from(profile.token_life_seconds.get()) * 1000,
    });
    Ok(response(&issued, settings.client_id.as_str()))
}

/// Redeems the code. The `redirect_uri` must be the one that received the code.
fn redeem(context: &RequestContext, params: &Params<'_>) -> Result<(), ApiError> {
    let code = required(params, "code", "the code that /o/oauth/authorize handed out")?;
    let invalid = || ApiError::InvalidGrant(format!("Invalid authorization code: {}", shortened(code)));
    let sent_to = context.account.tokens.redeem(code, context.now).ok_or_else(invalid)?;
    if params.get("redirect_uri") != Some(&sent_to) {
        return Err(ApiError::InvalidGrant("Redirect URI mismatch.".to_owned()));
    }
    Ok(())
}

fn response(issued: &Issued, client_id: &str) -> Response {
    let response = TokenResponse {
        access_token: &issued.access,
        token_type: "bearer",
        refresh_token: issued.refresh.as_deref(),
        expires_in: issued.expires_in_seconds,
        scope: "read",
        client_id,
    };
    // Encoding strings and numbers cannot fail.
    let response = page::response(serde_json::to_vec(&response).unwrap_or_default());
    let no_store = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
    ];
    (no_store, response).into_response()
}

fn required<'a>(params: &'a Params<'_>, parameter: &'static str, wanted: &'static str) -> Result<&'a str, ApiError> {
    params.get(parameter).filter(|text| !text.is_empty()).ok_or(ApiError::Missing { parameter, wanted })
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}
