//! `/o/oauth/token`

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::harness::{Answer, CLIENT, Mock, Row, SECRET};

fn client() -> String {
    format!("client_id={CLIENT}&client_secret={SECRET}")
}

async fn code(mock: &Mock) -> String {
    let consent = mock
        .get(&format!("/o/oauth/authorize?client_id={CLIENT}&redirect_uri=http://127.0.0.1:7000/cb&response_type=code"))
        .await;
    let location = consent.headers["location"].to_str().expect("ASCII").to_owned();
    location.split_once("code=").expect("a code").1.to_owned()
}

async fn redeem(mock: &Mock, code: &str) -> Answer {
    let form = format!(
        "{}&grant_type=authorization_code&code={code}&redirect_uri=http%3A%2F%2F127.0.0.1%3A7000%2Fcb",
        client()
    );
    mock.form(&form).await
}

fn access_token(answer: &Value) -> &str {
    answer["access_token"].as_str().expect("a string")
}

/// The status of a v2 request with this token.
async fn status_with(mock: &Mock, token: &str) -> u16 {
    mock.get(&format!("/o/api/v2/logs?access_token={token}")).await.status
}

#[tokio::test]
async fn client_credentials_get_a_token_that_works() {
    let mock = Mock::unlimited();
    let answer = mock.form(&format!("{}&grant_type=client_credentials", client())).await;
    let token = answer.ok();
    let names: Vec<&String> = token.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["access_token", "client_id", "expires_in", "scope", "token_type"], "no refresh token");
    assert_eq!((token["token_type"].as_str(), token["scope"].as_str()), (Some("bearer"), Some("read")));
    assert_eq!((token["expires_in"].as_i64(), token["client_id"].as_str()), (Some(43199), Some(CLIENT)));
    let uuid = access_token(&token);
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
    assert_eq!(
        (&answer.headers["cache-control"], &answer.headers["pragma"]),
        (&"no-store".parse().expect("ASCII"), &"no-cache".parse().expect("ASCII"))
    );
    assert_eq!(status_with(&mock, uuid).await, 200);
}

#[tokio::test]
async fn all_request_forms_give_the_same_token() {
    let mock = Mock::unlimited();
    let by_form = mock.form(&format!("{}&grant_type=client_credentials", client())).await.ok();
    let by_query = mock.get(&format!("/o/oauth/token?{}&grant_type=client_credentials", client())).await.ok();
    assert_eq!(by_query, by_form);
    let second = mock.get(&format!("/o/oauth2/token?{}&grant_type=client_credentials", client())).await.ok();
    assert_eq!(second, by_form);
    let request = Request::post("/o/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
    let form = format!("{}&grant_type=client_credentials", client());
    assert_eq!(mock.send(request.body(form.into()).expect("a request")).await.ok(), by_form);
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    let request = Request::post("/o/oauth/token?grant_type=client_credentials").header("authorization", &basic);
    assert_eq!(mock.send(request.body(Bytes::new()).expect("a request")).await.ok(), by_form);
    let request = Request::get("/o/oauth/token?grant_type=client_credentials")
        .header("authorization", basic.replace("Basic", "bASIC"));
    assert_eq!(mock.send(request.body(Bytes::new()).expect("a request")).await.ok(), by_form);
}

#[tokio::test]
async fn a_repeated_request_gives_the_same_token_with_the_remaining_time() {
    let mock = Mock::unlimited();
    let ask = || mock.form_owned(format!("{}&grant_type=client_credentials", client()));
    let first = ask().await.ok();
    mock.advance(3600);
    let second = ask().await.ok();
    assert_eq!(access_token(&first), access_token(&second));
    assert_eq!(second["expires_in"], 43199 - 3600);
    mock.advance(12 * 3600 - 3600);
    let third = ask().await.ok();
    assert_ne!(access_token(&first), access_token(&third));
    assert_eq!(third["expires_in"], 43199);
}

#[tokio::test]
async fn a_token_expires_after_twelve_hours_of_the_account_clock() {
    let mock = Mock::unlimited();
    let answer = mock.form(&format!("{}&grant_type=client_credentials", client())).await.ok();
    let token = access_token(&answer);
    mock.advance(12 * 3600 - 1);
    assert_eq!(status_with(&mock, token).await, 200);
    mock.advance(1);
    let expired = mock.get(&format!("/o/api/v2/logs?access_token={token}")).await;
    expired.assert_refused(401, "invalid_token", &format!("Access token expired: {token}"));
    mock.advance(400 * 86_400);
    assert_eq!(status_with(&mock, crate::harness::TOKEN).await, 200, "the configured token never expires");
}

#[tokio::test]
async fn a_code_can_be_redeemed_once() {
    let mock = Mock::unlimited();
    let code = code(&mock).await;
    let token = redeem(&mock, &code).await.ok();
    assert!(token["refresh_token"].is_string() && token["expires_in"] == 43199, "{token}");
    assert_eq!(status_with(&mock, access_token(&token)).await, 200);
    redeem(&mock, &code).await.assert_refused(400, "invalid_grant", &format!("Invalid authorization code: {code}"));
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri_and_expires() {
    let mock = Mock::unlimited();
    let first = code(&mock).await;
    let form =
        format!("{}&grant_type=authorization_code&code={first}&redirect_uri=http://127.0.0.1:7000/other", client());
    mock.form(&form).await.assert_refused(400, "invalid_grant", "Redirect URI mismatch.");
    let second = code(&mock).await;
    mock.advance(600);
    redeem(&mock, &second).await.assert_refused(400, "invalid_grant", &format!("Invalid authorization code: {second}"));
}

#[tokio::test]
async fn a_refresh_replaces_the_access_token_and_keeps_the_refresh_token() {
    let mock = Mock::unlimited();
    let code = code(&mock).await;
    let first = redeem(&mock, &code).await.ok();
    let refresh = first["refresh_token"].as_str().expect("a string").to_owned();
    let ask = || mock.form_owned(format!("{}&grant_type=refresh_token&refresh_token={refresh}", client()));
    let second = ask().await.ok();
    assert_ne!(access_token(&first), access_token(&second));
    assert_eq!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(status_with(&mock, access_token(&first)).await, 401);
    assert_eq!(status_with(&mock, access_token(&second)).await, 200);
    mock.advance(13 * 3600);
    assert_eq!(status_with(&mock, access_token(&second)).await, 401);
    assert_eq!(status_with(&mock, access_token(&ask().await.ok())).await, 200);
}

#[tokio::test]
async fn invalid_requests_get_an_error() {
    let mock = Mock::unlimited();
    let rows: [Row; 13] = [
        ("", 401, "unauthorized", "Full authentication is required to access this resource"),
        (
            "grant_type=client_credentials",
            401,
            "unauthorized",
            "Full authentication is required to access this resource",
        ),
        ("client_id=nobody&grant_type=client_credentials", 401, "invalid_client", "Bad client credentials"),
        ("CLIENT&client_secret=wrong&grant_type=client_credentials", 401, "invalid_client", "Bad client credentials"),
        ("CLIENT&grant_type=client_credentials", 401, "invalid_client", "Bad client credentials"),
        ("BOTH", 400, "invalid_request", "Missing grant type"),
        ("BOTH&grant_type=", 400, "invalid_request", "Missing grant type"),
        ("BOTH&grant_type=password", 400, "unsupported_grant_type", "Unsupported grant type: password"),
        (
            "BOTH&grant_type=authorization_code",
            400,
            "invalid_request",
            "code is required: the code that /o/oauth/authorize handed out",
        ),
        (
            "BOTH&grant_type=refresh_token",
            400,
            "invalid_request",
            "refresh_token is required: the one that came with the access token",
        ),
        ("BOTH&grant_type=authorization_code&code=abcdef", 400, "invalid_grant", "Invalid authorization code: abcdef"),
        ("BOTH&grant_type=refresh_token&refresh_token=x", 400, "invalid_grant", "Invalid refresh token: x"),
        ("BOTH&grant_type=%", 400, "invalid_request", "A parameter has % where % and two hexadecimal digits belong"),
    ];
    for (form, status, error, description) in rows {
        println!("{form}");
        let form = form.replace("BOTH", &client()).replace("CLIENT", &format!("client_id={CLIENT}"));
        let by_form = mock.form(&form).await;
        by_form.assert_refused(status, error, description);
        assert_eq!(by_form.headers.contains_key("www-authenticate"), status == 401);
        mock.get(&format!("/o/oauth/token?{form}")).await.assert_refused(status, error, description);
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_form_gets_an_error() {
    let mock = Mock::unlimited();
    for (media_type, got) in [(Some("application/json"), "application/json"), (None, "none")] {
        let mut request = Request::post("/o/oauth/token");
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let answer = mock.send(request.body(Bytes::from("{}")).expect("a request")).await;
        let description = format!("Content-Type must be application/x-www-form-urlencoded, got {got}");
        answer.assert_refused(415, "unsupported_media_type", &description);
    }
    let request =
        Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
    let form = format!("{}&grant_type=client_credentials", client());
    assert_eq!(mock.send(request.body(Bytes::from(form)).expect("a request")).await.status, 200);
    let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let answer = mock.send(request.body(Bytes::from(vec![b'a', 0xFF])).expect("a request")).await;
    answer.assert_refused(400, "invalid_request", "The form is not UTF-8");
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let mock = Mock::unlimited();
    let request = Request::put("/o/oauth/token").body(Bytes::new()).expect("a request");
    let answer = mock.send(request).await;
    answer.assert_refused(405, "method_not_allowed", "Request method PUT is not supported here");
    let allow: Vec<&str> = answer.headers["allow"].to_str().expect("ASCII").split(',').collect();
    assert_eq!(allow, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn the_token_endpoint_has_no_quota() {
    let mock = Mock::new("--rate-limit 1");
    for _ in 0..30 {
        let answer = mock.form(&format!("{}&grant_type=client_credentials", client())).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn the_same_account_issues_the_same_tokens_in_every_run() {
    let token = |flags: &'static str| async move {
        let answer = Mock::new(flags).form(&format!("{}&grant_type=client_credentials", client())).await.ok();
        access_token(&answer).to_owned()
    };
    assert_eq!(token("").await, token("").await);
    assert_ne!(token("").await, token("--seed 2").await);
}

impl Mock {
    async fn form_owned(&self, form: String) -> Answer {
        self.form(&form).await
    }
}
