//! The quota can be changed at run time.

use serde_json::{Value, json};

use crate::harness::{Client, NOW_SECONDS, TOKEN};

#[tokio::test]
async fn the_quota_is_shown_with_each_bucket() {
    let mock = Client::new();
    mock.v2("").await.ok();
    mock.v2("").await.ok();
    mock.v33(json!({"event_category":"device"})).await.ok();
    let expected = json!({
        "requests":10,"per_seconds":60,"algorithm":"gcra","scope":"token-api","enabled":true,"retry_after":"off",
        "buckets":[
            {"token":"TEST…1234","api":"logs-v2","remaining":8,"reset_at":"2026-01-15T12:00:12Z"},
            {"token":"TEST…1234","api":"logs-v3.3","remaining":9,"reset_at":"2026-01-15T12:00:06Z"},
        ],
    });
    assert_eq!(mock.get("/accounts/default/quota").await, expected);
}

#[tokio::test]
async fn a_new_size_applies_at_once_with_full_buckets() {
    let mock = Client::new();
    for _ in 0..10 {
        mock.v2("").await.ok();
    }
    assert_eq!(mock.v2("").await.status, 429);
    let changed = mock.control("PUT", "/quota", json!({"requests":2})).await.ok();
    assert_eq!(
        (&changed["requests"], &changed["per_seconds"], &changed["buckets"]),
        (&json!(2), &json!(60), &json!([]))
    );
    let first = mock.v2("").await;
    assert_eq!((first.number("x-ratelimit-limit"), first.number("x-ratelimit-remaining")), (2, 1));
    // A change to the same settings does not reset the buckets.
    mock.control("PUT", "/quota", json!({"requests":2})).await.ok();
    assert_eq!((mock.v2("").await.status, mock.v2("").await.status), (200, 429));
}

#[tokio::test]
async fn a_switched_off_quota_has_no_headers() {
    let mock = Client::new();
    for off in [json!({"enabled":false}), json!("off")] {
        mock.control("PUT", "/quota", off).await.ok();
        for _ in 0..20 {
            let answer = mock.v2("").await;
            assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, None));
        }
        mock.control("PUT", "/quota", json!({"enabled":true})).await.ok();
        assert_eq!(mock.v2("").await.number("x-ratelimit-remaining"), 9);
    }
}

#[tokio::test]
async fn a_change_of_the_size_enables_the_quota() {
    let mock = Client::of(crate::harness::builder().without_quota());
    let changed = mock.control("PUT", "/quota", json!({"requests":2,"per_seconds":60})).await.ok();
    assert_eq!(changed["enabled"], true);
    let off = mock.control("PUT", "/quota", json!({"requests":3,"enabled":false})).await.ok();
    assert_eq!((&off["requests"], &off["enabled"]), (&json!(3), &json!(false)));
}

#[tokio::test]
async fn the_scope_selects_which_requests_share_a_bucket() {
    for (scope, other_api, other_token) in
        [("token-api", 200, 200), ("token", 429, 200), ("account-api", 200, 429), ("account", 429, 429)]
    {
        let mock = Client::new();
        mock.control("POST", "/tokens", json!({"token":"another"})).await.ok();
        mock.control("PUT", "/quota", json!({"requests":1,"scope":scope})).await.ok();
        assert_eq!((mock.v2("").await.status, mock.v2("").await.status), (200, 429), "{scope}");
        assert_eq!(mock.v2_as("another", "").await.status, other_token, "{scope}: another token");
        assert_eq!(mock.v3(json!({})).await.status, other_api, "{scope}: another API");
    }
}

#[tokio::test]
async fn a_429_has_retry_after_in_the_configured_form() {
    for (form, header) in [
        ("off", None),
        ("seconds", Some("60")),
        // The time is rounded up to a whole second.
        ("http-date", Some("Thu, 15 Jan 2026 12:01:00 GMT")),
    ] {
        for (method, noun, body) in [
            ("PUT", "/quota", json!({"requests":1,"retry_after":form})),
            ("PATCH", "", json!({"quota":{"requests":1},"profile":{"retry_after":form}})),
        ] {
            let mock = Client::new();
            mock.control(method, noun, body).await.ok();
            assert_eq!(mock.get("/accounts/default/quota").await["retry_after"], form);
            assert_eq!(mock.get("/accounts/default").await["profile"]["retry_after"], form);
            assert_eq!((mock.v2("").await.status, mock.v2("").await.header("retry-after")), (200, header), "{form}");
        }
    }
}

/// The server accepts a request after the time in `Retry-After`.
#[tokio::test]
async fn a_request_after_retry_after_succeeds() {
    for algorithm in ["gcra", "fixed-window"] {
        let mock = Client::new();
        let quota = json!({"requests":7,"per_seconds":60,"algorithm":algorithm,"retry_after":"seconds"});
        mock.control("PUT", "/quota", quota).await.ok();
        mock.control("POST", "/clock/advance", json!({"seconds":12.345})).await.ok();
        for _ in 0..7 {
            mock.v2("").await.ok();
        }
        let wait = mock.v2("").await.number("retry-after");
        mock.control("POST", "/clock/advance", json!({"seconds":wait})).await.ok();
        assert_eq!(mock.v2("").await.status, 200, "{algorithm} after {wait} s");
    }
}

#[tokio::test]
async fn an_invalid_quota_gets_an_error_and_changes_nothing() {
    let mock = Client::new();
    let before = mock.get("/accounts/default/quota").await;
    for (body, detail) in [
        (json!({"requests":0}), "The body: requests must be from 1 to 1000000000, got 0"),
        (json!({"per_seconds":86_401}), "The body: per_seconds must be from 1 to 86400, got 86401"),
        (
            json!({"algorithm":"leaky"}),
            "The body: algorithm: unknown variant `leaky`, expected `gcra` or `fixed-window`",
        ),
        (
            json!({"scope":"ip"}),
            "The body: scope: unknown variant `ip`, expected one of `token-api`, `token`, `account-api`, `account`",
        ),
        (json!({"requests":"10"}), "The body: requests: invalid type: string \"10\", expected a whole number"),
        (
            json!("ten"),
            "The body: must be REQUESTS/SECONDS such as 10/60, REQUESTS a minute such as 10, or off; up to 1000000000 requests in 86400 seconds, got \"ten\"",
        ),
    ] {
        mock.control("PUT", "/quota", body).await.assert_problem(400, detail);
    }
    assert_eq!(mock.get("/accounts/default/quota").await, before);
}

/// While the quota switches between two sizes, each response is consistent with one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn headers_and_enforcement_change_together() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!({"requests":5})).await.ok();
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let mock = mock.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let answer = mock.v2_as(TOKEN, "").await;
                    let (limit, left) = (answer.number("x-ratelimit-limit"), answer.number("x-ratelimit-remaining"));
                    assert!(limit == 5 || limit == 50, "{limit}");
                    assert!(left < limit, "{left} of {limit} are left after a request");
                    assert!(answer.status == 200 || left == 0, "refused while {left} were left");
                    let reset = answer.number("x-ratelimit-reset-time");
                    assert!((NOW_SECONDS..=NOW_SECONDS + 60).contains(&reset), "{reset}");
                }
            })
        })
        .collect();
    for nth in 0..200 {
        let size = if nth % 2 == 0 { 5 } else { 50 };
        mock.control("PUT", "/quota", json!({"requests":size})).await.ok();
    }
    for task in asking {
        task.await.expect("a task without a panic");
    }
    assert_eq!(mock.control("GET", "/quota", Value::Null).await.status, 200);
}
