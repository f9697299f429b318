//! The quota: by default ten requests per minute for each token and each API.

use serde_json::json;

use crate::harness::{CLIENT, Mock, SECRET, TOKEN, V2, V3, V33};

const NOW: i64 = 1_768_478_400;

#[tokio::test]
async fn the_eleventh_request_in_a_minute_gets_429_for_that_token_and_api_only() {
    let mock = Mock::new("");
    for nth in 1..=10 {
        let answer = mock.v2("").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, 10));
        assert_eq!(answer.header("x-ratelimit-remaining"), 10 - nth);
        assert_eq!(answer.header("x-ratelimit-reset-time"), NOW + 6 * nth, "the time at which the quota is full again");
    }
    let refused = mock.v2("").await;
    refused.assert_refused(
        429,
        "too_many_requests",
        "The request exceeds the API rate limit; the next one is let through in 6 s",
    );
    assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), (10, 0));
    assert_eq!(refused.header("x-ratelimit-reset-time"), NOW + 60);
    assert!(!refused.headers.contains_key("retry-after"));
    assert_eq!(mock.v3(json!({})).await.status, 200, "another API");
    assert_eq!(mock.v33(json!({"event_category":"device"})).await.status, 200, "another API");
    let form = format!("client_id={CLIENT}&client_secret={SECRET}&grant_type=client_credentials");
    let token = mock.form(&form).await.ok()["access_token"].as_str().expect("a string").to_owned();
    assert_eq!(mock.get(&format!("{V2}?access_token={token}")).await.status, 200, "another token");
    assert_eq!(mock.v2("").await.status, 429);
}

#[tokio::test]
async fn the_quota_is_full_at_the_reset_time() {
    let mock = Mock::new("");
    let mut reset = 0;
    for _ in 0..11 {
        reset = mock.v2("").await.header("x-ratelimit-reset-time");
    }
    mock.advance(u64::try_from(reset - NOW).expect("later"));
    for nth in 1..=10 {
        assert_eq!(mock.v2("").await.status, 200, "request {nth} after the reset");
    }
    assert_eq!(mock.v2("").await.status, 429);
}

#[tokio::test]
async fn a_client_that_waits_thirty_seconds_is_served() {
    let mock = Mock::new("");
    for _ in 0..10 {
        mock.v2("").await.ok();
    }
    for _ in 0..5 {
        assert_eq!(mock.v2("").await.status, 429);
    }
    mock.advance(30);
    mock.v2("").await.ok();
}

#[tokio::test]
async fn invalid_values_count_and_invalid_tokens_and_methods_do_not() {
    let mock = Mock::new("");
    let left = |answer: &crate::harness::Answer| answer.header("x-ratelimit-remaining");
    assert_eq!(left(&mock.v2("limit=0").await), 9);
    assert_eq!(left(&mock.v2("limit=51").await), 8);
    assert_eq!(left(&mock.v2("page=999999").await), 7);
    assert_eq!(mock.get(&format!("{V2}?access_token=nobody")).await.status, 401);
    let wrong_method = mock.post(V2, "{}").await;
    assert_eq!((wrong_method.status, left(&wrong_method)), (405, 7));
    assert_eq!(left(&mock.v2("").await), 6);
}

#[tokio::test]
async fn other_limits_match_their_headers() {
    for (flag, requests, seconds) in [("1", 1, 60), ("3/1", 3, 1), ("7/60", 7, 60), ("100/3600", 100, 3600)] {
        let mock = Mock::new(&format!("--rate-limit {flag}"));
        for nth in 1..=requests {
            let answer = mock.v3(json!({"limit":1})).await;
            assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, requests - nth), "{flag}");
        }
        let refused = mock.v3(json!({"limit":1})).await;
        assert_eq!((refused.status, refused.header("x-ratelimit-reset-time")), (429, NOW + seconds), "{flag}");
    }
}

#[tokio::test]
async fn a_disabled_quota_has_no_headers() {
    let mock = Mock::unlimited();
    for _ in 0..100 {
        let answer = mock.v2("").await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_do_not_exceed_the_quota() {
    let mock = std::sync::Arc::new(Mock::new("--rate-limit 10"));
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let mock = mock.clone();
            tokio::spawn(async move {
                let answer = mock.post_as(TOKEN, V33, r#"{"event_category":"device"}"#).await;
                (answer.status, answer.header("x-ratelimit-remaining"))
            })
        })
        .collect();
    let mut passed = Vec::new();
    for task in tasks {
        match task.await.expect("a task that ends") {
            (200, left) => passed.push(left),
            refused => assert_eq!(refused, (429, 0)),
        }
    }
    passed.sort_unstable();
    assert_eq!(passed, (0..10).collect::<Vec<i64>>(), "each response has a different remaining count");
    assert_eq!(mock.post(V3, "{}").await.status, 200);
}
