//! Invalid, unusual and too large request bodies, and the content types.

use bytes::Bytes;
use http::Request;

use crate::harness::{Answer, Mock, TOKEN, V3, V33};

async fn send(mock: &Mock, path: &str, media_type: Option<&str>, body: impl Into<Bytes>) -> Answer {
    let mut request = Request::post(path).header("authorization", format!("Bearer {TOKEN}"));
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    mock.send(request.body(body.into()).expect("a request")).await
}

#[tokio::test]
async fn invalid_json_gets_an_error_with_its_position() {
    let mock = Mock::unlimited();
    for (body, why) in [
        ("{", "The body cannot be read as JSON: EOF while parsing an object at line 1 column 1"),
        ("{\"limit\":}", "The body cannot be read as JSON: expected value at line 1 column 10"),
        ("{\"limit\":1}x", "The body cannot be read as JSON: trailing characters at line 1 column 12"),
        ("{'limit':1}", "The body cannot be read as JSON: key must be a string at line 1 column 2"),
        ("{\"limit\":NaN}", "The body cannot be read as JSON: expected value at line 1 column 10"),
        ("{\"limit\":01}", "The body cannot be read as JSON: invalid number at line 1 column 11"),
        ("{\"limit\":1e999}", "The body cannot be read as JSON: number out of range at line 1 column 14"),
        ("{\"a\":\"\\ud800\"}", "The body cannot be read as JSON: unexpected end of hex escape at line 1 column 13"),
        ("limit=1", "The body cannot be read as JSON: expected value at line 1 column 1"),
        (
            "{\"limit\":1,\"limit\":2}",
            "The body cannot be read as JSON: the name \"limit\" is given twice at line 1 column 21",
        ),
        (
            "{\"filter\":{\"a\":1,\"a\":1}}",
            "The body cannot be read as JSON: the name \"a\" is given twice at line 1 column 23",
        ),
        ("[1]", "The body must be a JSON object, got an array"),
        ("\"x\"", "The body must be a JSON object, got \"x\""),
        ("null", "The body must be a JSON object, got null"),
        ("7", "The body must be a JSON object, got 7"),
    ] {
        for path in [V3, V33] {
            println!("{body}");
            mock.post(path, body).await.assert_refused(400, "invalid_request", why);
        }
    }
}

#[tokio::test]
async fn invalid_utf_8_deep_nesting_and_too_many_fields_get_an_error() {
    let mock = Mock::unlimited();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let many = format!("{{{}}}", (0..300).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
    for body in [b"\xff\xfe{}".to_vec(), b"{\"search\":\"\xff\"}".to_vec(), b"\0".to_vec(), deep.into(), many.into()] {
        for path in [V3, V33] {
            let refusal = mock.post(path, body.clone()).await.refusal();
            assert!(refusal.0 == 400 && refusal.2.starts_with("The body cannot be read as JSON: "), "{refusal:?}");
        }
    }
    let shallow = format!("{{\"unknown\":{}{}}}", "[".repeat(50), "]".repeat(50));
    assert_eq!(mock.post(V3, shallow).await.status, 200, "unknown fields are ignored");
}

#[tokio::test]
async fn a_body_may_have_64_kib_at_most() {
    let mock = Mock::unlimited();
    let body = |bytes: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(bytes - 8));
    assert_eq!(mock.post(V3, body(65_536)).await.status, 200);
    for bytes in [65_537, 10_000_000] {
        let refused = mock.post(V3, body(bytes)).await;
        refused.assert_refused(400, "invalid_request", "The body must have at most 65536 bytes, got more");
    }
}

#[tokio::test]
async fn only_json_in_utf_8_is_accepted() {
    let mock = Mock::unlimited();
    for media_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; charset=\"utf-8\"",
        "application/json; version=1",
    ] {
        assert_eq!(send(&mock, V3, Some(media_type), "{}").await.status, 200, "{media_type}");
    }
    for (media_type, got) in [
        (Some("text/plain"), "text/plain"),
        (Some("application/x-www-form-urlencoded"), "application/x-www-form-urlencoded"),
        (Some("application/json; charset=iso-8859-1"), "application/json; charset=iso-8859-1"),
        (Some("application/jsonx"), "application/jsonx"),
        (Some(""), ""),
        (None, "none"),
    ] {
        let answer = send(&mock, V3, media_type, "{}").await;
        answer.assert_refused(
            415,
            "unsupported_media_type",
            &format!("Content-Type must be application/json, got {got}"),
        );
    }
}

#[tokio::test]
async fn a_request_without_a_body_needs_no_content_type() {
    let mock = Mock::unlimited();
    assert_eq!(send(&mock, V3, None, Bytes::new()).await.status, 200);
    let missing = "event_category is required: device, admin, webhook or device_report";
    send(&mock, V33, None, Bytes::new()).await.assert_refused(400, "invalid_request", missing);
}
