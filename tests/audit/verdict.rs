//! Verdicts: a connector with one bad habit fails the rule of it, and a good one fails none.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use opswat_mock::{Builder, Mock};
use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, TOKEN, window};

/// The results of a verdict that are neither `pass` nor `not_seen`, with the numbers of the requests.
pub(crate) async fn violations(lab: &Lab, params: &str) -> Value {
    let (status, verdict) = lab.control("GET", &format!("/verdict?{params}"), "").await;
    assert_eq!(status, 200, "{verdict}");
    let mut found = BTreeMap::new();
    for rule in verdict["rules"].as_array().expect("rules") {
        if rule["result"] == "fail" || rule["result"] == "warn" {
            found.insert(rule["rule"].as_str().expect("a name").to_owned(), rule["requests"].clone());
        }
    }
    let has_failed = verdict["rules"].as_array().expect("rules").iter().any(|rule| rule["result"] == "fail");
    assert_eq!(verdict["is_passed"], json!(!has_failed));
    json!(found)
}

pub(crate) async fn result(lab: &Lab, wanted: &str) -> Value {
    let (_, verdict) = lab.control("GET", "/verdict", "").await;
    let rules = verdict["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["rule"] == wanted).unwrap_or_else(|| panic!("no rule {wanted}")).clone()
}

/// A clock that runs a thousand times slower than the machine's: only the test moves it, but it is not frozen.
pub(crate) fn running() -> Builder {
    let rate = serde_json::from_value(json!(0.001)).expect("a rate");
    Mock::builder().without_quota().clock(opswat_mock::clock::Start::Scaled(opswat_mock::world::Millis(NOW), rate))
}

pub(crate) async fn get_token(lab: &Lab) -> String {
    let account = lab.local.account().describe();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        account.client_id, account.client_secret
    );
    let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let answer = lab.local.answer(request.body(form.into()).expect("a request")).await.expect("an answer");
    let token: Value = serde_json::from_slice(answer.body()).expect("JSON");
    token["access_token"].as_str().unwrap_or_default().to_owned()
}

pub(crate) async fn get(lab: &Lab, path: &str) -> u16 {
    let request = Request::get(path).header("authorization", format!("Bearer {TOKEN}"));
    lab.local.answer(request.body(Bytes::new()).expect("a request")).await.expect("an answer").status().as_u16()
}

/// Polls with windows that overlap, and stays within the quota.
async fn poll_well(lab: &Lab) {
    let mut token = get_token(lab).await;
    for _ in 0..5 {
        let mut query = window(lab.now() - 900_000, lab.now());
        query["limit"] = json!(10);
        let mut attempts = 0;
        loop {
            match lab.ask_as(&token, &query).await {
                (200, Some(page)) if page["data"].is_array() => {
                    if page["token"] == "" {
                        break;
                    }
                    query["token"] = page["token"].clone();
                    attempts = 0;
                }
                (401, _) => token = get_token(lab).await,
                (429, _) => lab.advance(60),
                _ => {
                    attempts += 1;
                    lab.advance(attempts * 2);
                }
            }
        }
        lab.advance(600);
    }
}

#[tokio::test]
async fn a_good_connector_passes_under_every_fault() {
    for fault in [
        Value::Null,
        json!({"status":503}),
        json!({"close":"mid-body"}),
        json!({"close":"before-headers"}),
        json!({"truncate_at":50}),
        json!({"rate_limit":"seconds"}),
        json!({"expire_token":true}),
        json!({"entries":"reorder"}),
        json!({"repeat_page_token":true}),
    ] {
        let lab = Lab::of(running().lag("0..60"));
        if !fault.is_null() {
            lab.fault(json!({"match":{"api":"logs-v3.3","every":3},"fault":fault})).await;
        }
        poll_well(&lab).await;
        assert_eq!(violations(&lab, "").await, json!({}), "{fault}");
        assert_eq!(result(&lab, "pages_to_end").await["result"], "pass", "{fault}");
        assert_eq!(result(&lab, "overlaps_lag").await["result"], "pass", "{fault}");
    }
}

#[tokio::test]
async fn a_connector_that_hammers_a_429_fails() {
    let lab = Lab::of(Mock::builder().now("2026-01-15T12:00:00Z"));
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    for _ in 0..12 {
        if let (200, Some(page)) = lab.ask(&query).await {
            query["token"] = page["token"].clone();
        }
    }
    let found = violations(&lab, "").await;
    assert_eq!(found["within_quota"], json!([11, 12]));
    assert_eq!(found["waits_after_429"], json!([12]));
    assert_eq!(result(&lab, "waits_after_429").await["measured"], 0.0);
    // A fault's 429 says when to come again.
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"rate_limit":"seconds","retry_after_seconds":30},"times":1})).await;
    lab.ask(&window(NOW - HOUR, NOW)).await;
    lab.advance(10);
    lab.read(window(NOW - HOUR, NOW)).await;
    assert_eq!(violations(&lab, "").await, json!({"waits_after_429":[2]}));
}

#[tokio::test]
async fn a_connector_that_fetches_tokens_too_often_fails() {
    let lab = Lab::of(running());
    get_token(&lab).await;
    lab.advance(60);
    get_token(&lab).await;
    assert_eq!(violations(&lab, "").await, json!({"keeps_token":[2]}));
    lab.advance(12 * 3600);
    get_token(&lab).await;
    assert_eq!(violations(&lab, "").await, json!({"keeps_token":[2]}), "an expired token is fetched again");
}

#[tokio::test]
async fn a_connector_that_repeats_an_expired_token_fails() {
    let lab = Lab::of(running());
    let token = get_token(&lab).await;
    lab.advance(12 * 3600);
    let query = window(lab.now() - HOUR, lab.now());
    for _ in 0..3 {
        assert_eq!(lab.ask_as(&token, &query).await.0, 401);
    }
    let token = get_token(&lab).await;
    lab.advance(60);
    let token = if token.is_empty() { token } else { get_token(&lab).await };
    lab.ask_as(&token, &query).await;
    let found = violations(&lab, "").await;
    assert_eq!(found["one_token_after_expiry"], json!([3, 4, 6]), "{found}");
}

#[tokio::test]
async fn each_bad_habit_fails_its_rule() {
    // Sends the token in the URL.
    let lab = Lab::of(running());
    let request = Request::get(format!("/o/api/v2/logs?limit=50&page=99999&access_token={TOKEN}"));
    lab.local.answer(request.body(Bytes::new()).expect("a request")).await.expect("an answer");
    assert_eq!(violations(&lab, "").await, json!({"token_in_header":[1]}));

    // Stops before the end, and then starts again from the first page.
    let lab = Lab::of(running());
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    lab.ask(&query).await;
    assert_eq!(violations(&lab, "").await, json!({"pages_to_end":[1]}));
    lab.advance(60);
    lab.read(query.clone()).await;
    assert_eq!(violations(&lab, "").await, json!({}), "it reads the same window again, now to the end");

    // Reads a page twice.
    let lab = Lab::new();
    let (_, page) = lab.ask(&query).await;
    let mut second = query.clone();
    second["token"] = page.expect("a page")["token"].clone();
    lab.ask(&second).await;
    lab.read(second).await;
    assert_eq!(violations(&lab, "").await, json!({"no_page_twice":[3]}));

    // Asks for pages after the end.
    let lab = Lab::of(running());
    for page in [1, 2, 3, 4] {
        let body = json!({"page":page,"age":1}).to_string();
        let request = Request::post("/o/api/v3/activities")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json");
        lab.local.answer(request.body(body.into()).expect("a request")).await.expect("an answer");
    }
    let found = violations(&lab, "").await;
    assert!(found["stops_at_end"].as_array().is_some_and(|numbers| numbers.contains(&json!(4))), "{found}");

    // Sends another filter beside a page token.
    let lab = Lab::of(running());
    let (_, page) = lab.ask(&query).await;
    let mut second = query.clone();
    second["token"] = page.expect("a page")["token"].clone();
    second["filter"] = json!({"events":"added"});
    lab.read(second).await;
    let found = violations(&lab, "").await;
    assert_eq!(found["same_query_with_token"][0], 2, "{found}");

    // Reads older windows in between, and leaves no gap.
    let lab = Lab::of(running());
    lab.read(window(NOW - HOUR, NOW)).await;
    lab.read(window(NOW - 3 * HOUR, NOW - 2 * HOUR)).await;
    lab.advance(60);
    lab.read(window(NOW, NOW + 60_000)).await;
    assert_eq!(result(&lab, "no_gaps").await["measured"], 3599.999, "an hour between the older windows is missing");
    lab.read(window(NOW - 2 * HOUR, NOW - HOUR)).await;
    assert_eq!(violations(&lab, "").await, json!({}), "the last window closes the gap");

    // Leaves a gap.
    let lab = Lab::of(running());
    lab.read(window(NOW - HOUR, NOW - 60_000)).await;
    lab.read(window(NOW - 30_000, NOW)).await;
    let gap = result(&lab, "no_gaps").await;
    assert_eq!((&gap["result"], &gap["measured"]), (&json!("fail"), &json!(29.999)), "{gap}");

    // Does not overlap by the lag.
    let lab = Lab::of(running().lag("60"));
    lab.read(window(NOW - HOUR, NOW)).await;
    lab.advance(600);
    lab.read(window(NOW, NOW + 600_000)).await;
    let found = violations(&lab, "").await;
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(1), "{found}");
    assert!(found["overlaps_lag"].is_array(), "{found}");

    // Asks for the future.
    let lab = Lab::of(running());
    lab.read(window(NOW - HOUR, NOW + HOUR)).await;
    assert_eq!(violations(&lab, "").await, json!({"no_future":[1]}));
    assert_eq!(violations(&lab, "future_seconds=3600").await, json!({}));

    // Gives up after a 503.
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"status":503},"match":{"nth":2}})).await;
    let (_, page) = lab.ask(&query).await;
    query["token"] = page.expect("a page")["token"].clone();
    lab.ask(&query).await;
    let found = violations(&lab, "").await;
    assert_eq!(found["retries"], json!([2]), "{found}");

    // Repeats at once, and for ever.
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"status":503}})).await;
    for _ in 0..12 {
        lab.ask(&window(NOW - HOUR, NOW)).await;
    }
    let found = violations(&lab, "").await;
    assert_eq!(found["bounded_attempts"], json!([11, 12]), "{found}");
    assert!(found["growing_waits"].is_array(), "{found}");
    assert!(violations(&lab, "max_attempts=20").await["bounded_attempts"].is_null());

    // Sends what is refused, and to what does not exist.
    let lab = Lab::of(running());
    lab.ask(&json!({"event_category":"colour"})).await;
    lab.ask(&json!({"event_category":"device","limit":101})).await;
    assert_eq!(get(&lab, "/o/api/v9/logs").await, 404);
    // A known API answers 404 for a device that is not in the account.
    assert_eq!(lab.post(TOKEN, "/o/api/v3/get_cves", &json!({"id":"NOSUCHONE1"})).await.0, 404);
    assert_eq!(violations(&lab, "").await, json!({"known_paths":[3],"valid_requests":[1,2]}));

    // Polls all the time.
    let lab = Lab::of(running());
    for _ in 0..3 {
        lab.read(json!({"event_category":"device","age":3600,"limit":100})).await;
        lab.advance(2);
    }
    let polls = result(&lab, "poll_interval").await;
    assert_eq!(polls["result"], "warn", "{polls}");
    assert_eq!(violations(&lab, "min_poll_seconds=2").await, json!({}));

    // Was never tested with a fault.
    let lab = Lab::of(running());
    lab.fault(json!({"name":"never","match":{"nth":5},"fault":{"status":503}})).await;
    let never = result(&lab, "faults_applied").await;
    assert_eq!(never["result"], "fail");
    assert_eq!(never["sentence"], "Fault rules were never applied, so the test did not test them: never.");
}

#[tokio::test]
async fn a_verdict_comes_as_json_junit_and_markdown() {
    let lab = Lab::of(running());
    lab.ask(&json!({"event_category":"<&\"|>"})).await;
    let ask = async |params: &str, accept: &str| {
        let request = Request::get(format!("/_mock/accounts/default/verdict{params}")).header("host", "localhost");
        let request = request.header("accept", accept).body(Bytes::new()).expect("a request");
        let answer = lab.local.answer(request).await.expect("an answer");
        let content_type = answer.headers()["content-type"].to_str().expect("ASCII").to_owned();
        (content_type, String::from_utf8(answer.body().to_vec()).expect("UTF-8"))
    };
    let (content_type, junit) = ask("", "application/xml").await;
    assert_eq!(content_type, "application/xml");
    assert_eq!(ask("?format=junit", "*/*").await.1.lines().count(), junit.lines().count());
    assert!(junit.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{junit}");
    assert!(
        junit.contains(r#"<testsuite name="opswat-mock.default" tests="20" failures="1" errors="0" skipped=""#),
        "{junit}"
    );
    assert!(
        junit.contains(
            r#"<failure message="Requests were refused with 400, 406 or 415: number 1." type="valid_requests">"#
        ),
        "{junit}"
    );
    let (content_type, markdown) = ask("?format=markdown", "*/*").await;
    assert_eq!(content_type, "text/markdown; charset=utf-8");
    assert_eq!(ask("", "text/markdown").await.1.lines().count(), markdown.lines().count());
    assert!(
        markdown.contains(
            "| ❌ fail | `valid_requests` | Requests were refused with 400, 406 or 415: number 1. | 1 refused requests |"
        ),
        "{markdown}"
    );
    for (params, detail) in [
        ("?format=xml", "format must be json, text, junit or markdown, got xml"),
        ("?disable=colours", "disable must be names of rules (within_quota,"),
        ("?max_attempts=-1", "The query: max_attempts"),
    ] {
        let (_, problem) = ask(params, "*/*").await;
        let problem: Value = serde_json::from_str(&problem).expect("JSON");
        assert!(
            problem["status"] == 400 && problem["detail"].as_str().is_some_and(|got| got.starts_with(detail)),
            "{problem}"
        );
    }
    assert_eq!(violations(&lab, "disable=valid_requests,no_gaps").await, json!({}));
    let text = lab.local.account().verdict().to_string();
    assert!(text.starts_with("The connector of default failed (1 request)\nfail     valid_requests: "), "{text}");
    assert!(
        text.contains("\nfail     valid_requests: Requests were refused with 400, 406 or 415: number 1."),
        "{text}"
    );
}
