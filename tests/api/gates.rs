//! Authentication, routing, limits and quota of the emulated surface, and the order of these checks.

use bytes::Bytes;
use http::Request;
use opswat_mock::config::Config;

use crate::harness::{CLIENT, Mock, SECRET, TOKEN, V2, V3, V33};

fn request(method: &str, target: &str, authorization: Option<&str>) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(Bytes::new()).expect("a request")
}

#[tokio::test]
async fn a_token_is_in_the_header_or_the_query_and_the_header_has_precedence() {
    let mock = Mock::unlimited();
    let bearer = format!("Bearer {TOKEN}");
    for (authorization, query, status) in [
        (Some(bearer.as_str()), "", 200),
        (Some(&format!("bearer {TOKEN}")), "", 200),
        (Some(&format!("BEARER   {TOKEN} ")), "", 200),
        (None, &*format!("?access_token={TOKEN}"), 200),
        (Some(&bearer), &format!("?access_token={TOKEN}"), 200),
        (Some(&bearer), "?access_token=other", 200),
        (Some("Bearer other"), &format!("?access_token={TOKEN}"), 401),
        (Some("Basic eDp5"), &format!("?access_token={TOKEN}"), 200),
        (Some("Basic eDp5"), "", 401),
        (Some(TOKEN), "", 401),
        (Some("Bearer"), "", 401),
        (Some("Bearer "), "", 401),
        (None, "?access_token=", 401),
        (None, &format!("?ACCESS_TOKEN={TOKEN}"), 401),
        (None, &format!("?access_token=first&access_token={TOKEN}"), 401),
        (None, &format!("?access_token={}", TOKEN.to_lowercase()), 401),
        (None, &format!("?verify=%zz&access_token=%54{}", &TOKEN[1..]), 400),
    ] {
        let answer = mock.send(request("GET", &format!("{V2}{query}"), authorization)).await;
        assert_eq!(answer.status, status, "{authorization:?} {query} {}", answer.text());
    }
}

#[tokio::test]
async fn without_a_valid_token_everything_is_401() {
    let mock = Mock::unlimited();
    for (method, path) in
        [("GET", V2), ("POST", V3), ("GET", V33), ("DELETE", "/o/api/nothing"), ("GET", "/o/api"), ("GET", "/o/api/")]
    {
        let none = mock.send(request(method, path, None)).await;
        none.assert_refused(401, "unauthorized", "Full authentication is required to access this resource");
        let unknown = mock.send(request(method, path, Some("Bearer nobody"))).await;
        unknown.assert_refused(401, "invalid_token", "Invalid access token: nobody");
        assert_eq!(
            unknown.headers["www-authenticate"],
            r#"Bearer realm="oauth", error="invalid_token", error_description="Invalid access token: nobody""#
        );
        assert!(!unknown.headers.contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn special_characters_in_a_token_cannot_corrupt_the_response() {
    let mock = Mock::unlimited();
    for (token, shown) in [
        ("%22%5C%0D%0AX-Evil%3A1".to_owned(), "\"\\\r\nX-Evil:1".to_owned()),
        ("%C3%BC%00".to_owned(), "ü\0".to_owned()),
        ("%zz".to_owned(), "%zz".to_owned()),
        ("x".repeat(4000), format!("{}… (4000 characters)", "x".repeat(100))),
    ] {
        let answer = mock.get(&format!("{V2}?access_token={token}")).await;
        answer.assert_refused(401, "invalid_token", &format!("Invalid access token: {shown}"));
        assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 1);
        assert!(!answer.headers.contains_key("x-evil"));
    }
    let mut invalid = request("GET", V2, None);
    let bytes = http::HeaderValue::from_bytes(b"Bearer \xff\xfe").expect("bytes of a header");
    invalid.headers_mut().insert("authorization", bytes);
    assert_eq!(mock.send(invalid).await.refusal().0, 401);
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let mock = Mock::new("");
    let bearer = format!("Bearer {TOKEN}");
    for path in [
        "/o/api/v1/logs",
        "/o/api",
        "/o/api/",
        "/o/api/v2/logs/",
        "/o/api/v2//logs",
        "/o/api/v3.4/logs",
        "/o/api/V2/logs",
    ] {
        let answer = mock.send(request("GET", path, Some(&bearer))).await;
        answer.assert_refused(404, "not_found", &format!("There is nothing at {path}"));
        assert_eq!(answer.header("x-ratelimit-remaining"), 10, "a 404 was counted");
    }
    for path in ["/", "/o", "/o/oauth", "/favicon.ico", "/o/apix"] {
        mock.get(path).await.assert_refused(404, "not_found", &format!("There is nothing at {path}"));
    }
    for (method, path, allow) in [
        ("POST", V2, "GET,HEAD"),
        ("GET", V3, "POST"),
        ("PUT", V33, "POST"),
        ("OPTIONS", V33, "POST"),
        ("PURGE", V2, "GET,HEAD"),
    ] {
        let answer = mock.send(request(method, path, Some(&bearer))).await;
        answer.assert_refused(405, "method_not_allowed", &format!("Request method {method} is not supported here"));
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_request_to_v2_gets_headers_and_no_body() {
    let mock = Mock::new("");
    let bearer = format!("Bearer {TOKEN}");
    let head = mock.send(request("HEAD", V2, Some(&bearer))).await;
    assert_eq!((head.status, head.text()), (200, ""));
    assert_eq!(head.header("x-ratelimit-remaining"), 9);
}

#[tokio::test]
async fn the_checks_run_in_the_documented_order() {
    let mock = Mock::new("--rate-limit 1");
    let spend = |path: &'static str| mock.post_as(TOKEN, path, "{}");
    // Requests with one or more errors: content type, JSON syntax, values.
    let wrong = |token: &str, media_type: &str, body: &str| {
        let request =
            Request::post(V33).header("authorization", format!("Bearer {token}")).header("content-type", media_type);
        request.body(Bytes::from(body.to_owned())).expect("a request")
    };
    assert_eq!(mock.send(wrong("nobody", "text/plain", "{")).await.status, 401);
    assert_eq!(mock.send(wrong(TOKEN, "text/plain", "{")).await.status, 415);
    assert_eq!(mock.send(wrong(TOKEN, "text/plain", "{")).await.status, 429, "the 415 was not counted");
    mock.advance(60);
    assert_eq!(mock.send(wrong(TOKEN, "application/json", "{")).await.status, 400);
    mock.advance(60);
    let both = r#"{"event_category":"device","limit":1000,"age":-1}"#;
    assert_eq!(mock.send(wrong(TOKEN, "application/json", both)).await.status, 400);
    mock.advance(60);
    let large = r#"{"event_category":"device","limit":1000}"#;
    assert_eq!(mock.send(wrong(TOKEN, "application/json", large)).await.status, 406);
    spend(V3).await;
    // The quota does not apply to wrong methods and unknown paths.
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(mock.send(request("GET", V3, Some(&bearer))).await.status, 405);
    assert_eq!(mock.send(request("GET", "/o/api/nothing", Some(&bearer))).await.status, 404);
    assert_eq!(spend(V3).await.status, 429);
}

#[tokio::test]
async fn long_lines_get_400_if_the_token_is_valid() {
    let mock = Mock::new("");
    let long = "x".repeat(16 * 1024);
    let unknown = mock.send(request("GET", V2, Some(&format!("Bearer {long}")))).await;
    assert_eq!(unknown.refusal().0, 401);
    let mut known = request("GET", V2, Some(&format!("Bearer {TOKEN}")));
    known.headers_mut().insert("x-long", long.parse().expect("a value"));
    let answer = mock.send(known).await;
    let description = "A header line must have at most 8192 bytes, got 16394 in x-long";
    answer.assert_refused(400, "invalid_request", description);
    assert_eq!(answer.header("x-ratelimit-remaining"), 9, "the 400 was not counted");
    for path in [
        &*format!("{V2}?access_token={TOKEN}&x={long}"),
        &format!("/o/oauth/token?{long}"),
        &format!("/o/oauth/authorize?{long}"),
    ] {
        let refusal = mock.get(path).await.refusal();
        assert_eq!(refusal.0, 400);
        assert!(refusal.2.starts_with("The path and the query must have at most 8192 bytes, got 16"), "{}", refusal.2);
    }
}

#[tokio::test]
async fn the_date_header_uses_the_account_clock() {
    let mock = Mock::new("--now 2018-05-18T12:00:00Z");
    for path in [V2, "/nothing", "/o/oauth/token"] {
        assert_eq!(mock.get(path).await.headers["date"], "Fri, 18 May 2018 12:00:00 GMT", "{path}");
    }
    mock.advance(3661);
    assert_eq!(mock.v2("").await.headers["date"], "Fri, 18 May 2018 13:01:01 GMT");
}

#[tokio::test]
async fn the_control_surface_has_no_quota_and_its_own_error_format() {
    let mock = Mock::new("--rate-limit 1");
    for _ in 0..3 {
        let health = mock.get("/_mock/health").await;
        assert_eq!((health.status, health.headers["content-type"].to_str().expect("ASCII")), (200, "application/json"));
        assert_eq!(health.json(), serde_json::json!({"status":"ok","version":env!("CARGO_PKG_VERSION")}));
    }
    let nothing = mock.get("/_mock/nothing").await;
    assert_eq!(
        (nothing.status, nothing.headers["content-type"].to_str().expect("ASCII")),
        (404, "application/problem+json")
    );
    assert_eq!(
        nothing.json()["detail"],
        "The control surface has nothing at /_mock/nothing: an account's verbs are under /_mock/accounts/{account}/, and \
         /_mock/openapi.json lists all of them"
    );
}

/// The limit applies only to requests of an account. A wrong token or client still gets 401, and an unknown path 404.
#[tokio::test]
async fn too_many_concurrent_requests_get_429_on_every_route_of_an_account() {
    let mut config = Config::load(["opswat-mock".into()]).expect("no flags");
    // With a limit of 0, which no flag allows, every request exceeds the limit.
    config.limits.max_concurrent_requests = 0;
    let mock = Mock::of(config);
    let client = format!("client_id={CLIENT}&client_secret={SECRET}");
    for (answer, status) in [
        (mock.v2("").await, 429),
        (mock.post(V3, "{}").await, 429),
        (mock.post(V33, r#"{"event_category":"device"}"#).await, 429),
        (mock.get(&format!("/o/oauth/token?grant_type=client_credentials&{client}")).await, 429),
        (mock.form(&format!("grant_type=client_credentials&{client}")).await, 429),
        (
            mock.get(&format!("/o/oauth/authorize?response_type=code&{client}&redirect_uri=http://127.0.0.1/")).await,
            429,
        ),
        (mock.post_as("nobody", V3, "{}").await, 401),
        (mock.get("/o/oauth/token?client_id=nobody").await, 401),
        (mock.get("/o/nothing").await, 404),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 429 {
            answer.assert_refused(
                429,
                "too_many_requests",
                "0 requests of this account are under way, as many as the server takes at once",
            );
        }
    }
}
