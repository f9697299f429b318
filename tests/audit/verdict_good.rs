//! Verdicts of good connectors: what looks like a bad habit, and is none.

use bytes::Bytes;
use http::Request;
use opswat_mock::{Mock, limits::Limits};
use serde_json::{Value, json};

use crate::{
    connector::{HOUR, Lab, NOW, TOKEN, window},
    verdict::{get, get_token, result, running, violations},
};

#[tokio::test]
async fn the_same_window_may_be_read_again_while_the_clock_stands_still() {
    let lab = Lab::new();
    lab.fault(json!({"match":{"nth":9},"fault":{"truncate_at":50}})).await;
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    for _ in 0..3 {
        lab.read(query.clone()).await;
    }
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn a_client_without_windows_may_stop_where_it_knows_the_entries() {
    let lab = Lab::of(running());
    for _ in 0..4 {
        let path = "/o/api/v2/logs?limit=50&page=1";
        assert_eq!(get(&lab, path).await, 200);
        lab.advance(600);
    }
    assert_eq!(violations(&lab, "").await, json!({}));
    // After a week, the first page has only a part of what is new.
    lab.advance(7 * 24 * 3600);
    assert_eq!(get(&lab, "/o/api/v2/logs?limit=50&page=1").await, 200);
    assert_eq!(violations(&lab, "").await, json!({"pages_to_end":[5]}));
}

#[tokio::test]
async fn a_token_may_be_fetched_again_if_its_response_was_broken() {
    for fault in [
        json!({"truncate_at":10}),
        json!({"invalid_utf8":true}),
        json!({"body":"{}"}),
        json!({"status":200}),
        json!({"content_type":"text/html"}),
        json!({"close":"mid-body"}),
    ] {
        let lab = Lab::of(running());
        let old = get_token(&lab).await;
        assert_eq!(lab.ask_as(&old, &window(NOW - HOUR, NOW)).await.0, 200);
        lab.advance(12 * 3600);
        lab.fault(json!({"match":{"api":"token"},"times":1,"fault":fault})).await;
        let now = lab.now();
        assert_eq!(lab.ask_as(&old, &window(now - HOUR, now)).await.0, 401);
        lab.local.answer(token_request(&lab)).await.ok();
        lab.advance(2);
        let token = get_token(&lab).await;
        lab.ask_as(&token, &window(now - HOUR, now)).await;
        let found = violations(&lab, "disable=no_gaps").await;
        assert_eq!(found, json!({}), "{fault}");
    }
}

fn token_request(lab: &Lab) -> Request<Bytes> {
    let account = lab.local.account().describe();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        account.client_id, account.client_secret
    );
    let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    request.body(form.into()).expect("a request")
}

#[tokio::test]
async fn workers_may_get_the_same_401_and_the_same_429_at_the_same_time() {
    // Both requests are under way when the token expires.
    let lab = Lab::of(running());
    let token = get_token(&lab).await;
    lab.ask_as(&token, &window(NOW - HOUR, NOW)).await;
    lab.fault(json!({"match":{"api":"logs-v3.3"},"times":2,"fault":{"status":401,"delay_ms":30}})).await;
    let query = window(NOW - HOUR, NOW);
    let (one, other) = tokio::join!(lab.ask_as(&token, &query), lab.ask_as(&token, &query));
    assert_eq!((one.0, other.0), (401, 401));
    for _ in 0..2 {
        let fresh = get_token(&lab).await;
        assert_eq!(lab.ask_as(&fresh, &query).await.0, 200);
    }
    let found = violations(&lab, "disable=poll_interval").await;
    assert_eq!(found, json!({}));

    // A slow request was sent before the 429 of another one, and ends after it.
    let lab = Lab::of(Mock::builder().now("2026-01-15T12:00:00Z"));
    lab.fault(json!({"match":{"nth":10},"fault":{"delay_ms":30}})).await;
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(1);
    for _ in 0..9 {
        lab.ask(&query).await;
    }
    let (slow, refused) = tokio::join!(lab.ask(&query), lab.ask(&query));
    assert_eq!((slow.0, refused.0), (200, 429));
    let waits = result(&lab, "waits_after_429").await;
    assert_eq!(waits["result"], "not_seen", "{waits}");
}

#[tokio::test]
async fn a_429_for_too_many_requests_at_once_is_no_matter_of_the_quota() {
    let limits = Limits { max_concurrent_requests: 1, ..Limits::default() };
    let lab = Lab::of(Mock::builder().now("2026-01-15T12:00:00Z").limits(limits));
    lab.fault(json!({"times":1,"fault":{"delay_ms":30}})).await;
    let query = window(NOW - HOUR, NOW);
    let (slow, refused) = tokio::join!(lab.ask(&query), lab.ask(&query));
    assert_eq!((slow.0, refused.0), (200, 429));
    lab.read(query).await;
    assert_eq!(violations(&lab, "disable=no_page_twice").await, json!({}));
}

#[tokio::test]
async fn windows_may_be_read_in_any_order() {
    let lab = Lab::of(running());
    for (from, to) in [(3, 2), (1, 0), (2, 1)] {
        lab.read(window(NOW - from * HOUR, NOW - to * HOUR)).await;
    }
    assert_eq!(violations(&lab, "").await, json!({}));
}

async fn activities(lab: &Lab, body: &Value) -> Value {
    let request = Request::post("/o/api/v3/activities")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    let answer = lab.local.answer(request.body(body.to_string().into()).expect("a request")).await.expect("an answer");
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

#[tokio::test]
async fn two_days_may_be_read_side_by_side_by_page_number() {
    let lab = Lab::of(running());
    let days = [("01/10/2026", "01/11/2026"), ("01/12/2026", "01/13/2026")];
    let mut is_open = [true, true];
    for page in 1..100 {
        for ((start, end), is_open) in days.iter().zip(&mut is_open) {
            if *is_open {
                let body = json!({"page":page,"limit":50,"start_date":start,"end_date":end});
                *is_open = activities(&lab, &body).await.as_array().is_some_and(|page| page.len() == 50);
            }
        }
    }
    assert_eq!(is_open, [false, false]);
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn a_failed_page_may_be_repeated_with_another_limit_or_from_the_start() {
    // By page number, with half the entries on a page.
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"nth":2},"fault":{"status":503}})).await;
    activities(&lab, &json!({"page":1,"limit":50,"age":24})).await;
    activities(&lab, &json!({"page":2,"limit":50,"age":24})).await;
    for page in 3.. {
        lab.advance(6);
        if activities(&lab, &json!({"page":page,"limit":25,"age":24}))
            .await
            .as_array()
            .is_none_or(|page| page.len() < 25)
        {
            break;
        }
    }
    assert_eq!(result(&lab, "retries").await["result"], "pass");

    // The whole query again, a little later.
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"nth":2},"fault":{"status":503}})).await;
    let mut query = json!({"event_category":"device","age":86_400,"limit":10});
    let (_, page) = lab.ask(&query).await;
    query["token"] = page.expect("a page")["token"].clone();
    assert_eq!(lab.ask(&query).await.0, 503);
    lab.advance(8);
    query["token"] = json!("");
    lab.read(query).await;
    let found = violations(&lab, "").await;
    assert_eq!(found, json!({}));
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_was_issued_for() {
    let lab = Lab::of(running());
    lab.patch(json!({"profile":{"token_life_seconds":600}})).await;
    get_token(&lab).await;
    lab.advance(600);
    get_token(&lab).await;
    lab.patch(json!({"profile":{"token_life_seconds":43_200}})).await;
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn a_client_that_a_fault_sends_in_a_circle_may_stop() {
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"repeat_page_token":true}})).await;
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    let (_, page) = lab.ask(&query).await;
    query["token"] = page.expect("a page")["token"].clone();
    lab.ask(&query).await;
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn clients_with_their_own_failures_are_judged_one_by_one() {
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"api":"token"},"times":12,"fault":{"status":503}})).await;
    let ask = async |client: usize| {
        let form = format!("grant_type=client_credentials&client_id=client-{client}&client_secret=x");
        let request = Request::post("/o/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        lab.local.answer(request.body(form.into()).expect("a request")).await.expect("an answer");
    };
    for client in 0..12 {
        ask(client).await;
    }
    assert_ne!(result(&lab, "bounded_attempts").await["result"], "fail");
}

#[tokio::test]
async fn a_frozen_time_is_not_judged_after_the_clock_runs() {
    let lab = Lab::new();
    for _ in 0..3 {
        lab.read(json!({"event_category":"device","age":3600,"limit":100})).await;
    }
    let (status, _) = lab.control("PUT", "/clock", r#"{"mode":"scaled","rate":0.001}"#).await;
    assert_eq!(status, 200);
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn a_wait_on_a_frozen_clock_is_not_seen() {
    let lab = Lab::new();
    lab.fault(json!({"fault":{"rate_limit":"seconds","retry_after_seconds":30},"times":1})).await;
    for _ in 0..2 {
        lab.ask(&window(NOW - HOUR, NOW)).await;
    }
    assert_eq!(result(&lab, "waits_after_429").await["result"], "not_seen");
}

/// Names of fields come from clients.
#[tokio::test]
async fn a_verdict_keeps_texts_of_clients_in_one_line() {
    let lab = Lab::new();
    lab.patch(json!({"profile":{"ignored_input":"flag"}})).await;
    lab.ask(&json!({"event_category":"device","x\nfail     retries: forged":1})).await;
    let text = lab.local.account().verdict().to_string();
    assert!(
        text.contains("forged") && text.lines().all(|line| !line.starts_with("fail     retries: forged")),
        "{text}"
    );
}

#[tokio::test]
async fn workers_may_read_the_pages_of_a_poll_side_by_side() {
    let lab = Lab::of(running().dense(100));
    let page = async |nth: u32| get(&lab, &format!("/o/api/v2/logs?limit=20&page={nth}")).await;
    for nth in 1..=5 {
        assert_eq!(page(nth).await, 200);
    }
    lab.advance(60);
    // The first page is sent first, and ends last.
    lab.fault(json!({"match":{"nth":1},"fault":{"delay_ms":50}})).await;
    tokio::join!(page(1), page(2), page(3), page(4), page(5));
    let found = violations(&lab, "").await;
    assert_eq!(found, json!({}));
}

#[tokio::test]
async fn a_token_that_is_issued_again_is_as_old_as_it_is() {
    let lab = Lab::of(running());
    lab.patch(json!({"profile":{"token_life_seconds":3600}})).await;
    get_token(&lab).await;
    lab.advance(3550);
    for _ in 0..4 {
        get_token(&lab).await;
        lab.advance(10);
    }
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn workers_of_two_apis_may_each_get_a_401() {
    let lab = Lab::of(running());
    let token = get_token(&lab).await;
    let query = window(NOW - HOUR, NOW);
    lab.ask_as(&token, &query).await;
    lab.advance(12 * 3600);
    assert_eq!(lab.ask_as(&token, &query).await.0, 401);
    let request = Request::get("/o/api/v2/logs").header("authorization", format!("Bearer {token}"));
    lab.local.answer(request.body(Bytes::new()).expect("a request")).await.expect("an answer");
    let token = get_token(&lab).await;
    lab.ask_as(&token, &query).await;
    assert_eq!(result(&lab, "one_token_after_expiry").await["result"], "pass");
}

#[tokio::test]
async fn what_a_client_learns_from_a_refusal_is_no_wrong_request() {
    let lab = Lab::of(running());
    lab.patch(json!({"profile":{"more_than_limit":"406","page_token_life_seconds":60}})).await;
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    assert_eq!(lab.ask(&query).await.0, 406);
    lab.patch(json!({"profile":{"more_than_limit":"page"}})).await;
    let (_, page) = lab.ask(&query).await;
    query["token"] = page.map_or(Value::Null, |page| page["token"].clone());
    lab.advance(90);
    assert_eq!(lab.ask(&query).await.0, 400);
    let found = violations(&lab, "").await;
    assert!(found["valid_requests"].is_null(), "{found}");
}

#[tokio::test]
async fn an_equal_filter_beside_a_page_token_is_the_same_query() {
    let lab = Lab::of(running());
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    query["filter"] = json!({"events":["added","compliant"]});
    let (_, page) = lab.ask(&query).await;
    query["token"] = page.expect("a page")["token"].clone();
    query["filter"] = json!({"events":["compliant","added"],"search":""});
    lab.read(query).await;
    assert_eq!(violations(&lab, "").await, json!({}));
}

#[tokio::test]
async fn windows_of_a_client_that_catches_up_are_no_polls() {
    let lab = Lab::of(running().lag("3600"));
    for ten in 0..5 {
        let from = NOW - HOUR + ten * 600_000;
        lab.read(window(from, from + 600_000)).await;
    }
    let found = violations(&lab, "disable=overlaps_lag").await;
    assert_eq!(found, json!({}));
}
