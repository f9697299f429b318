//! The effect of each fault as a client sees it, mostly over a socket, and the matching of rules.

use std::time::Duration;

use opswat_mock::{Mock, account::quota::RetryAfter, clock::Instant};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Client, TOKEN, V2, V3, V33, builder};

/// The data that a client read until the end of the response or of the connection.
#[derive(Debug)]
struct Read {
    head: String,
    body: Vec<u8>,
    /// Whether the connection ended before the announced length was complete.
    is_cut: bool,
}

impl Read {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{:?}", self.head))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn length(&self) -> usize {
        self.header("content-length").expect("a length").parse().expect("a number")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

/// Sends one request over a new connection.
async fn ask(mock: &Mock, method: &str, target: &str, token: &str, body: &Value) -> Read {
    let mut stream = TcpStream::connect(mock.address()).await.expect("a connection");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
            let read = Read { head, body: bytes[end..].to_vec(), is_cut: false };
            if read.body.len() >= read.length() {
                assert_eq!(read.body.len(), read.length(), "the body is longer than announced");
                return read;
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => {
                let end = end.unwrap_or(bytes.len());
                let body = bytes.split_off(end);
                return Read { head: String::from_utf8(bytes).expect("UTF-8"), body, is_cut: true };
            }
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

async fn page(mock: &Mock) -> Read {
    ask(mock, "POST", V33, TOKEN, &json!({"event_category":"device","age":86400,"limit":10})).await
}

/// Starts a mock, and reads a page without and then with the fault. Returns the mock and both responses.
async fn broken(fault: Value) -> (Mock, Read, Read) {
    let mock = builder().without_quota().start().await.expect("a mock");
    let whole = page(&mock).await;
    assert_eq!((whole.status(), whole.is_cut, whole.header("x-mock-fault")), (200, false, None));
    let rule = serde_json::from_value(json!({"name":"the-rule","fault":fault,"times":1})).expect("a rule");
    mock.account().add_faults(vec![rule]).expect("a valid rule");
    let broken = page(&mock).await;
    let after = page(&mock).await;
    assert_eq!((after.status(), &after.body), (200, &whole.body), "the next response is not complete");
    assert_eq!(mock.account().faults()[0].applied, 1);
    (mock, whole, broken)
}

#[tokio::test]
async fn a_status_with_and_without_a_body() {
    for (fault, status, body, content_type) in [
        (
            json!({"status":503}),
            503,
            r#"{"error":"service_unavailable","error_description":"Service Unavailable"}"#,
            "application/json;charset=UTF-8",
        ),
        (
            json!({"status":500}),
            500,
            r#"{"error":"server_error","error_description":"Internal Server Error"}"#,
            "application/json;charset=UTF-8",
        ),
        (
            json!({"status":502,"body":"<h1>Bad Gateway</h1>","content_type":"text/html"}),
            502,
            "<h1>Bad Gateway</h1>",
            "text/html",
        ),
        (json!({"status":404,"body":""}), 404, "", "application/json;charset=UTF-8"),
        (json!({"body":"{}"}), 200, "{}", "application/json;charset=UTF-8"),
        // A proxy's page instead of JSON.
        (
            json!({"body":"<html>log in</html>","content_type":"text/html;charset=UTF-8"}),
            200,
            "<html>log in</html>",
            "text/html;charset=UTF-8",
        ),
    ] {
        let (_mock, _, read) = broken(fault.clone()).await;
        assert_eq!((read.status(), read.text(), read.is_cut), (status, body, false), "{fault}");
        assert_eq!(read.header("content-type"), Some(content_type), "{fault}");
        assert_eq!(read.header("x-mock-fault"), Some("the-rule"));
    }
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"fault":{"status":204}}])).await.ok();
    let nothing = mock.v2("").await;
    assert_eq!((nothing.status, nothing.text()), (204, ""));
}

#[tokio::test]
async fn a_wrong_content_type_on_the_right_body() {
    let (_mock, whole, read) = broken(json!({"content_type":"text/html"})).await;
    assert_eq!((read.status(), &read.body, read.header("content-type")), (200, &whole.body, Some("text/html")));
}

#[tokio::test]
async fn a_connection_that_closes_before_the_headers() {
    let (_mock, _, read) = broken(json!({"close":"before-headers"})).await;
    assert_eq!((read.head.as_str(), read.body.len(), read.is_cut), ("", 0, true));
}

#[tokio::test]
async fn a_connection_that_closes_in_the_body() {
    for (fault, wanted) in [
        (json!({"close":"mid-body"}), None),
        (json!({"close":"mid-body","truncate_at":0}), Some(0)),
        (json!({"close":"mid-body","truncate_at":100}), Some(100)),
        // At least one byte is missing.
        (json!({"close":"mid-body","truncate_at":1_000_000}), Some(usize::MAX)),
    ] {
        let (_mock, whole, read) = broken(fault.clone()).await;
        let expected = wanted.unwrap_or(whole.body.len() / 2).min(whole.body.len() - 1);
        assert_eq!((read.status(), read.length(), read.is_cut), (200, whole.body.len(), true), "{fault}");
        assert_eq!(read.body, whole.body[..expected], "{fault}");
    }
}

#[tokio::test]
async fn truncated_json_with_a_matching_length() {
    let (_mock, whole, read) = broken(json!({"truncate_at":77})).await;
    assert_eq!((read.status(), read.length(), read.is_cut), (200, 77, false));
    assert_eq!(read.body, whole.body[..77]);
    assert!(serde_json::from_slice::<Value>(&read.body).is_err());
}

#[tokio::test]
async fn a_byte_that_is_invalid_in_utf_8() {
    let (_mock, whole, read) = broken(json!({"invalid_utf8":true})).await;
    assert!(std::str::from_utf8(&read.body).is_err());
    assert_eq!(read.body.len(), whole.body.len());
    let wrong: Vec<u8> =
        read.body.iter().zip(&whole.body).filter(|(now, then)| now != then).map(|(now, _)| *now).collect();
    assert_eq!(wrong, [0xFF]);
    assert!(
        serde_json::from_str::<Value>(&String::from_utf8_lossy(&read.body)).is_ok(),
        "more than one byte is invalid"
    );
}

#[tokio::test]
async fn entries_that_are_duplicated_reordered_or_dropped() {
    let rows = |read: &Read| {
        serde_json::from_slice::<Value>(&read.body).expect("JSON")["data"].as_array().expect("data").clone()
    };
    let (_mock, whole, read) = broken(json!({"entries":"duplicate"})).await;
    let mut expected = rows(&whole);
    expected.push(expected[9].clone());
    assert_eq!(rows(&read), expected);

    let (_mock, whole, read) = broken(json!({"entries":"reorder"})).await;
    assert_ne!(rows(&read), rows(&whole));
    let sorted = |mut rows: Vec<Value>| {
        rows.sort_by_key(Value::to_string);
        rows
    };
    assert_eq!(sorted(rows(&read)), sorted(rows(&whole)));
    assert_eq!(read.body.len(), whole.body.len(), "the length of the body changed");

    let (_mock, whole, read) = broken(json!({"entries":"drop"})).await;
    assert_eq!(rows(&read), rows(&whole)[1..]);
}

#[tokio::test]
async fn an_empty_page_keeps_the_page_token() {
    let (_mock, whole, read) = broken(json!({"entries":"empty"})).await;
    let token = |read: &Read| serde_json::from_slice::<Value>(&read.body).expect("JSON")["token"].clone();
    assert_eq!(serde_json::from_slice::<Value>(&read.body).expect("JSON"), json!({"data":[],"token":token(&whole)}));
}

#[tokio::test]
async fn entries_faults_apply_to_v2_and_v3() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    for (path, change, count) in [
        (V3, "duplicate", 6),
        (V3, "empty", 0),
        (V3, "drop", 4),
        (V2, "duplicate", 6),
        (V2, "empty", 0),
        (V2, "drop", 4),
    ] {
        mock.control("PUT", "/faults", json!([{"fault":{"entries":change}}])).await.ok();
        let page = if path == V2 { mock.v2("limit=5").await.ok() } else { mock.v3(json!({"limit":5})).await.ok() };
        let counted = match page.as_array() {
            Some(rows) => rows.len(),
            None => page["logs"]
                .as_array()
                .expect("days")
                .iter()
                .map(|day| day["eventlog"].as_array().expect("lines").len())
                .sum(),
        };
        assert_eq!(counted, count, "{path} {change}");
        let noted = mock.get("/accounts/default/requests?limit=1000").await;
        assert_eq!(
            noted["requests"].as_array().expect("requests").last().expect("one")["entries"],
            count,
            "the journal does not have the number of served entries"
        );
    }
}

#[tokio::test]
async fn a_page_token_that_repeats_the_page() {
    let mock = Client::new();
    let query = json!({"event_category":"device","age":86400,"limit":10});
    let first = mock.v33(query.clone()).await.ok();
    mock.control("PUT", "/faults", json!([{"match":{"api":"logs-v3.3"},"fault":{"repeat_page_token":true},"times":2}]))
        .await
        .ok();
    let mut next = query;
    next["token"] = first["token"].clone();
    let second = mock.v33(next.clone()).await.ok();
    assert_eq!(second["token"], first["token"]);
    assert_eq!(mock.v33(next.clone()).await.ok(), second, "the page is not repeated");
    let fourth = mock.v33(next).await.ok();
    assert_eq!(fourth["data"], second["data"]);
    assert_ne!(fourth["token"], second["token"]);
}

#[tokio::test]
async fn a_token_that_expires_between_two_pages() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"match":{"api":"logs-v3.3","nth":2},"fault":{"expire_token":true}}]))
        .await
        .ok();
    let ask = || mock.v33(json!({"event_category":"device"}));
    assert_eq!((ask().await.status, ask().await.status, ask().await.status), (200, 200, 401));
    assert_eq!(mock.v33(json!({})).await.json()["error_description"], format!("Access token expired: {TOKEN}"));
}

#[tokio::test]
async fn a_429_of_a_fault_in_each_form_does_not_count() {
    for (form, header) in [("off", None), ("seconds", Some("30")), ("http-date", Some("Thu, 15 Jan 2026 12:00:30 GMT"))]
    {
        let mock = Client::new();
        mock.control("PUT", "/faults", json!([{"fault":{"rate_limit":form},"times":1}])).await.ok();
        let refused = mock.v2("").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, header), "{form}");
        assert_eq!((refused.number("x-ratelimit-remaining"), refused.number("x-ratelimit-limit")), (0, 10));
        assert_eq!(refused.number("x-ratelimit-reset-time"), crate::harness::NOW_SECONDS + 30);
        assert_eq!(mock.v2("").await.number("x-ratelimit-remaining"), 9);
    }
    let rule = |form: RetryAfter| json!({"fault":{"rate_limit":form,"retry_after_seconds":7}});
    let mock = Client::new();
    mock.control("PUT", "/faults", rule(RetryAfter::Seconds)).await.ok();
    assert_eq!(mock.v2("").await.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_slow_body_follows_the_account_clock() {
    let mock = builder().without_quota().start().await.expect("a mock");
    let whole = page(&mock).await;
    let rule = json!({"fault":{"drip_bytes_per_second":100,"waits_on":"account"},"times":1});
    mock.account().add_faults(vec![serde_json::from_value(rule).expect("a rule")]).expect("a rule");
    let mut stream = TcpStream::connect(mock.address()).await.expect("a connection");
    let body = r#"{"event_category":"device","age":86400,"limit":10}"#;
    let head = format!(
        "POST {V33} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut read = Vec::new();
    let end_of_head = |read: &[u8]| read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    // The head arrives at once, and no byte of the body while the clock is frozen.
    while end_of_head(&read).is_none() {
        let mut part = [0; 1024];
        let count = stream.read(&mut part).await.expect("a head");
        read.extend_from_slice(&part[..count]);
    }
    let start = end_of_head(&read).expect("a head");
    assert_eq!(read.len(), start);
    for seconds in [1, 2] {
        mock.account().advance(Duration::from_secs(1));
        let mut part = [0; 100];
        stream.read_exact(&mut part).await.expect("a second's worth");
        read.extend_from_slice(&part);
        assert_eq!(read.len(), start + seconds * 100);
    }
    mock.account().advance(Duration::from_secs(3600));
    while read.len() < start + whole.body.len() {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.expect("the rest");
        assert!(count > 0);
        read.extend_from_slice(&part[..count]);
    }
    assert_eq!(read[start..], whole.body);
}

#[tokio::test]
async fn faults_apply_to_the_token_endpoint() {
    let mock = Client::new();
    mock.call("POST", "/accounts", json!({"name":"acme","client_secret":"secret","faults":[{"match":{"api":"token","nth":1},"fault":{"status":503}}]})).await.ok();
    assert_eq!(mock.token_of("acme", "secret").await.status, 503);
    assert_eq!(mock.token_of("acme", "secret").await.status, 200);
    let default = mock.get("/accounts/default").await;
    let secret = default["client_secret"].as_str().expect("a secret");
    assert_eq!(mock.token_of(default["client_id"].as_str().expect("an id"), secret).await.status, 200);
}

#[tokio::test]
async fn a_hidden_fault_is_only_in_the_journal() {
    let mock = Client::new();
    mock.control(
        "PUT",
        "/faults",
        json!([{"name":"secret-rule","hidden":true,"fault":{"content_type":"application/json"}}]),
    )
    .await
    .ok();
    let answer = mock.v2("").await;
    assert_eq!((answer.status, answer.header("x-mock-fault")), (200, None));
    assert_eq!(mock.get("/accounts/default/requests").await["requests"][0]["fault"], "secret-rule");
}

#[tokio::test]
async fn a_closed_connection_is_recorded_without_a_status() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"name":"gone","fault":{"close":"before-headers"}}])).await.ok();
    let request =
        http::Request::get(format!("{V2}?access_token={TOKEN}")).body(bytes::Bytes::new()).expect("a request");
    assert!(mock.try_send(request).await.is_err());
    let noted = mock.get("/accounts/default/requests").await["requests"][0].clone();
    assert_eq!((&noted["status"], &noted["fault"]), (&Value::Null, &json!("gone")));
}

/// The first matching rule affects the request. The other rules only count it.
#[tokio::test]
async fn the_first_matching_rule_applies() {
    let mock = Client::new();
    let rules = json!([
        {"name":"a","match":{"every":2},"fault":{"status":500}},
        {"name":"b","match":{"api":"logs-v2"},"fault":{"status":501},"times":1},
        {"name":"c","match":{"api":"activities-v3"},"fault":{"status":502}},
    ]);
    mock.control("PUT", "/faults", rules).await.ok();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(mock.v2("").await.status);
    }
    assert_eq!(seen, [501, 500, 200, 500]);
    let listed = mock.get("/accounts/default/faults").await;
    let counts: Vec<(u64, u64)> = listed["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|rule| (rule["seen"].as_u64().expect("a count"), rule["applied"].as_u64().expect("a count")))
        .collect();
    assert_eq!(counts, [(4, 2), (4, 1), (0, 0)]);
}

#[tokio::test]
async fn rules_can_be_added_replaced_and_deleted() {
    let mock = Client::new();
    let names = async || -> Vec<String> {
        let listed = mock.get("/accounts/default/faults").await;
        listed["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|rule| rule["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let rule = json!({"fault":{"status":503}});
    let added = mock.control("POST", "/faults", json!([rule, rule])).await;
    assert_eq!((added.status, added.ok()["faults"][1]["name"].clone()), (201, json!("fault-2")));
    mock.control("POST", "/faults", json!({"name":"mine","fault":{"status":503}})).await.ok();
    assert_eq!(names().await, ["fault-1", "fault-2", "mine"]);
    assert_eq!(mock.control("DELETE", "/faults/fault-1", Value::Null).await.status, 204);
    mock.control("DELETE", "/faults/fault-1", Value::Null)
        .await
        .assert_problem(404, "The account has no fault fault-1");
    assert_eq!(names().await, ["fault-2", "mine"]);
    mock.control("POST", "/faults", json!([{"fault":{"status":503}}, {"fault":{}}])).await.assert_problem(
        400,
        "[1]: fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another",
    );
    assert_eq!(names().await, ["fault-2", "mine"], "a rule of a rejected list was added");
    assert_eq!(mock.control("PUT", "/faults", json!([])).await.ok(), json!({"faults":[]}));
    mock.control("POST", "/faults", rule).await.ok();
    assert_eq!(mock.control("DELETE", "/faults", Value::Null).await.status, 204);
    assert_eq!(names().await, Vec::<String>::new());
    assert_eq!(mock.v2("").await.status, 200);
    mock.control("POST", "/faults", json!({"match":{"nth":"3"},"fault":{"status":503}}))
        .await
        .assert_problem(400, "The body: match.nth: invalid type: string \"3\", expected a whole number from 0");
}

#[tokio::test]
async fn a_rule_applies_only_between_from_and_to() {
    let mock = Client::new();
    let outage = json!([{"match":{"from":"2026-01-15T12:01:00Z","to":"2026-01-15T12:02:00Z"},"fault":{"status":503}}]);
    mock.control("PUT", "/faults", outage).await.ok();
    for (now, status) in [("12:00:59.999", 200), ("12:01:00", 503), ("12:01:59.999", 503), ("12:02:00", 200)] {
        let now: Instant = format!("2026-01-15T{now}Z").parse().expect("an instant");
        mock.control("PUT", "/clock", json!({"now":now})).await.ok();
        assert_eq!(mock.v2("").await.status, status, "{now}");
    }
}

/// Equal seeds affect the same requests, different seeds affect different ones.
#[tokio::test]
async fn probability_is_deterministic_per_seed() {
    let run = async |seed: u64| {
        let mock = Client::of(builder().without_quota().seed(seed));
        mock.control("PUT", "/faults", json!([{"match":{"probability":0.3},"fault":{"status":503}}])).await.ok();
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(mock.v2("").await.status);
        }
        seen
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
    assert!((4..=20).contains(&run(1).await.iter().filter(|status| **status == 503).count()));
}

/// A rule ignores requests that its effect cannot change, and does not count them.
#[tokio::test]
async fn a_rule_counts_only_requests_that_it_can_affect() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"match":{"nth":1},"fault":{"expire_token":true}}])).await.ok();
    let account = mock.get("/accounts/default").await;
    let text = |name: &str| account[name].as_str().expect("a text").to_owned();
    let token = mock.token_of(&text("client_id"), &text("client_secret")).await.ok()["access_token"].clone();
    let token = token.as_str().expect("a token");
    let ask = || mock.post_as(token, V33, json!({"event_category":"device"}));
    assert_eq!((ask().await.status, ask().await.status), (200, 401));
    mock.control("PUT", "/faults", json!([{"match":{"nth":1},"fault":{"repeat_page_token":true}}])).await.ok();
    mock.v2("").await.ok();
    assert_eq!(mock.account().faults()[0].seen, 0);
}

/// A response with an empty body can be truncated, too.
#[tokio::test]
async fn a_truncated_empty_body_announces_one_byte() {
    let (_mock, _, read) = broken(json!({"body":"","close":"mid-body"})).await;
    assert_eq!((read.status(), read.length(), read.body.len(), read.is_cut), (200, 1, 0, true));
}
