//! Tokens can be created, expire, and can be revoked.

use serde_json::{Value, json};

use crate::harness::{Client, TOKEN};

#[tokio::test]
async fn a_created_token_expires_after_the_requested_time() {
    let mock = Client::new();
    let minted = mock.control("POST", "/tokens", json!({"expires_in":10})).await;
    assert_eq!(minted.status, 201);
    let minted = minted.ok();
    assert_eq!(minted["expires_at"], "2026-01-15T12:00:10Z");
    let token = minted["access_token"].as_str().expect("a token");
    assert_eq!(mock.v2_as(token, "").await.status, 200);
    mock.control("POST", "/clock/advance", json!({"seconds":10})).await.ok();
    let refused = mock.v2_as(token, "").await;
    let description = format!("Access token expired: {token}");
    assert_eq!((refused.status, &refused.json()["error_description"]), (401, &json!(description)));
}

#[tokio::test]
async fn a_token_with_a_given_value_is_valid_for_twelve_hours_by_default() {
    let mock = Client::new();
    let minted = mock.control("POST", "/tokens", json!({"token":"in-the-connectors-settings"})).await.ok();
    assert_eq!(minted, json!({"access_token":"in-the-connectors-settings","expires_at":"2026-01-16T00:00:00Z"}));
    assert_eq!(mock.v2_as("in-the-connectors-settings", "").await.status, 200);
    mock.call("POST", "/accounts", json!({"name":"acme"})).await.ok();
    let taken = mock.call("POST", "/accounts/acme/tokens", json!({"token":"in-the-connectors-settings"})).await;
    taken.assert_problem(409, "token must be unique, another account has it");
}

#[tokio::test]
async fn the_lifetime_of_an_existing_token_can_be_changed() {
    let mock = Client::new();
    mock.control("POST", "/tokens", json!({"token":TOKEN,"expires_in":5})).await.ok();
    mock.control("POST", "/clock/advance", json!({"seconds":5})).await.ok();
    assert_eq!(mock.v2("").await.status, 401, "the configured token did not expire");
    mock.control("POST", "/reset", Value::Null).await.ok();
    assert_eq!(mock.v2("").await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_is_unknown() {
    let mock = Client::new();
    let revoke = |token: &'static str| mock.control("DELETE", token, Value::Null);
    mock.control("POST", "/tokens", json!({"token":"mine"})).await.ok();
    assert_eq!(revoke("/tokens/mine").await.status, 204);
    let refused = mock.v2_as("mine", "").await.json();
    assert_eq!(refused["error_description"], "Invalid access token: mine");
    revoke("/tokens/mine").await.assert_problem(404, "The account has no such token");
    revoke("/tokens/nobodys").await.assert_problem(404, "The account has no such token");
    assert_eq!(
        mock.get("/accounts/default/requests").await["requests"][0]["status"],
        401,
        "the journal does not have the request"
    );
}

#[tokio::test]
async fn all_issued_tokens_can_be_expired_but_not_the_configured_one() {
    let mock = Client::new();
    mock.control("POST", "/tokens", json!({"token":"mine"})).await.ok();
    let account = mock.get("/accounts/default").await;
    let ask = || {
        mock.token_of(
            account["client_id"].as_str().expect("an id"),
            account["client_secret"].as_str().expect("a secret"),
        )
    };
    let first = ask().await.ok();
    assert_eq!(mock.control("POST", "/tokens/expire", Value::Null).await.ok(), json!({"expired":2}));
    assert_eq!(mock.control("POST", "/tokens/expire", Value::Null).await.ok(), json!({"expired":0}));
    assert_eq!(mock.v2_as("mine", "").await.status, 401);
    assert_eq!(mock.v2("").await.status, 200);
    let second = ask().await.ok();
    assert_ne!(first["access_token"], second["access_token"], "the client did not get a new token");
    assert_eq!(mock.v2_as(second["access_token"].as_str().expect("a token"), "").await.status, 200);
}

#[tokio::test]
async fn an_invalid_lifetime_gets_an_error() {
    let mock = Client::new();
    for (body, detail) in [
        (json!({"expires_in":-1}), "expires_in must be from 0 to 315360000 seconds, got -1"),
        (json!({"expires_in":315_360_001}), "expires_in must be from 0 to 315360000 seconds, got 315360001"),
        (json!({"token":"a b"}), "The body: token: must be 1 to 256 letters, digits or any of - . _ ~, got \"a b\""),
        (json!({"expires":1}), "The body: expires: unknown field `expires`, expected `token` or `expires_in`"),
    ] {
        mock.control("POST", "/tokens", body).await.assert_problem(400, detail);
    }
    let gone = mock.control("POST", "/tokens", json!({"expires_in":0})).await.ok();
    assert_eq!(mock.v2_as(gone["access_token"].as_str().expect("a token"), "").await.status, 401);
}
