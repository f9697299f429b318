//! Verdicts of connectors whose bad habit is easy to miss.

use opswat_mock::Mock;
use serde_json::json;

use crate::{
    connector::{HOUR, Lab, NOW, window},
    verdict::{get, get_token, result, running, violations},
};

#[tokio::test]
async fn a_first_page_that_is_repeated_for_ever_is_found_while_its_window_moves() {
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"status":503}})).await;
    for _ in 0..500 {
        lab.ask(&window(lab.now() - HOUR, lab.now())).await;
        lab.local.account().advance(std::time::Duration::from_millis(5));
    }
    let attempts = result(&lab, "bounded_attempts").await;
    assert_eq!((&attempts["result"], &attempts["measured"]), (&json!("fail"), &json!(500.0)), "{attempts}");
    assert_eq!(result(&lab, "growing_waits").await["result"], "warn");
}

#[tokio::test]
async fn a_tight_poll_is_found_by_a_client_whose_clock_is_a_little_behind() {
    let lab = Lab::of(running());
    for _ in 0..5 {
        lab.read(window(lab.now() - HOUR - 7, lab.now() - 7)).await;
        lab.advance(1);
    }
    let polls = result(&lab, "poll_interval").await;
    assert_eq!((&polls["result"], &polls["measured"]), (&json!("warn"), &json!(1.0)), "{polls}");
}

#[tokio::test]
async fn a_client_that_gives_up_for_ever_fails() {
    // After a 401.
    let lab = Lab::of(running());
    let token = get_token(&lab).await;
    assert_eq!(lab.ask_as(&token, &window(NOW - HOUR, NOW)).await.0, 200);
    lab.advance(12 * 3600);
    assert_eq!(lab.ask_as(&token, &window(lab.now() - 12 * HOUR, lab.now())).await.0, 401);
    assert_eq!(violations(&lab, "").await, json!({"one_token_after_expiry":[3],"retries":[3]}));

    // After a 401, with a new token that it never uses.
    get_token(&lab).await;
    assert_eq!(violations(&lab, "").await, json!({"retries":[3]}));

    // After a 429 of a fault.
    let lab = Lab::of(running());
    lab.fault(json!({"fault":{"rate_limit":"seconds"},"times":1})).await;
    lab.ask(&window(NOW - HOUR, NOW)).await;
    assert_eq!(violations(&lab, "").await, json!({"retries":[1]}));

    // After a 429 of the quota.
    let lab = Lab::of(Mock::builder().now("2026-01-15T12:00:00Z"));
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    while let (200, Some(page)) = lab.ask(&query).await {
        query["token"] = page["token"].clone();
    }
    let found = violations(&lab, "").await;
    assert_eq!(found, json!({"pages_to_end":[11],"retries":[11],"within_quota":[11]}));
}

#[tokio::test]
async fn a_dead_token_beside_a_healthy_worker_is_found() {
    let lab = Lab::of(running());
    let dead = get_token(&lab).await;
    assert_eq!(lab.ask_as(&dead, &window(NOW - HOUR, NOW)).await.0, 200);
    lab.advance(12 * 3600);
    let now = lab.now();
    let alive = get_token(&lab).await;
    for nth in 0..5 {
        assert_eq!(lab.ask_as(&dead, &window(now - HOUR, now)).await.0, 401);
        assert_eq!(lab.ask_as(&alive, &window(NOW, now)).await.0, 200, "{nth}");
    }
    let tokens = result(&lab, "one_token_after_expiry").await;
    assert_eq!((&tokens["result"], &tokens["violations"]), (&json!("fail"), &json!(4)), "{tokens}");
}

#[tokio::test]
async fn a_hole_in_a_backfill_that_goes_backwards_is_found() {
    let lab = Lab::of(running());
    for day in [0, 1, 2, 5, 6] {
        let to = NOW - day * 24 * HOUR;
        lab.read(window(to - 24 * HOUR, to)).await;
    }
    let gaps = result(&lab, "no_gaps").await;
    assert_eq!((&gaps["result"], &gaps["measured"]), (&json!("fail"), &json!(172_799.999)), "{gaps}");
}

#[tokio::test]
async fn pages_that_are_skipped_by_number_are_found() {
    let lab = Lab::of(running());
    // Every second page, up to one beyond the end.
    let mut page: u64 = 1;
    while get(&lab, &format!("/o/api/v2/logs?limit=50&page={page}")).await == 200 {
        page += 2;
    }
    assert_eq!(violations(&lab, "").await, json!({"pages_to_end":[page.div_ceil(2)]}));
}

#[tokio::test]
async fn another_window_or_filter_is_no_repetition_of_a_failure() {
    // The next window.
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"nth":1},"fault":{"status":503}})).await;
    lab.ask(&window(NOW - 2 * HOUR, NOW - HOUR)).await;
    lab.read(window(NOW - HOUR, NOW)).await;
    assert_eq!(violations(&lab, "").await, json!({"retries":[1]}));

    // Another filter.
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"nth":1},"fault":{"status":503}})).await;
    for code in ["added", "compliant"] {
        let mut query = window(NOW - HOUR, NOW);
        query["filter"] = json!({"events":code});
        lab.ask(&query).await;
        lab.advance(30);
    }
    assert_eq!(result(&lab, "retries").await["requests"], json!([1]));
}

#[tokio::test]
async fn a_client_that_starts_again_for_ever_is_found() {
    let lab = Lab::of(running());
    lab.fault(json!({"match":{"every":2},"fault":{"status":503}})).await;
    for _ in 0..15 {
        let mut query = window(NOW - 6 * HOUR, NOW);
        query["limit"] = json!(10);
        let (_, page) = lab.ask(&query).await;
        query["token"] = page.expect("a page")["token"].clone();
        assert_eq!(lab.ask(&query).await.0, 503);
        lab.advance(1);
    }
    let attempts = result(&lab, "bounded_attempts").await;
    assert_eq!((&attempts["result"], &attempts["measured"]), (&json!("fail"), &json!(15.0)), "{attempts}");
}
