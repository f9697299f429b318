//! Accounts are isolated, also under concurrent load.

use serde_json::{Value, json};

use crate::harness::{Client, V33, builder};

/// Two accounts with different seeds, clocks, quotas and faults. Four tasks use each account concurrently.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_accounts_under_concurrent_load_stay_isolated() {
    let mock = Client::new();
    let each = 200;
    for (name, seed, now, requests) in
        [("one", 7, "2026-01-15T12:00:00Z", 300), ("two", 8, "2025-06-01T09:00:00Z", 500)]
    {
        let account = json!({"name":name,"seed":seed,"now":now,"quota":{"requests":requests,"per_seconds":60},"access_token":format!("token-of-{name}"),
            "faults":[{"name":format!("fault-of-{name}"),"match":{"every":requests / 100},"fault":{"content_type":"application/json"}}]});
        mock.call("POST", "/accounts", account).await.ok();
    }
    let query = json!({"event_category":"device","age":86400,"limit":20});
    let body = async |name: &str| {
        let alone = Client::of(builder());
        let settings = mock.get(&format!("/accounts/{name}")).await;
        let same = json!({"name":name,"seed":settings["seed"],"now":settings["clock"]["now"],"client_secret":settings["client_secret"],"access_token":"t"});
        alone.call("POST", "/accounts", same).await.ok();
        alone.post_as("t", V33, query.clone()).await.body
    };
    let expected = [body("one").await, body("two").await];
    assert_ne!(expected[0], expected[1]);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (mock, query, expected) = (mock.clone(), query.clone(), expected.clone());
            tokio::spawn(async move {
                let (mine, name, other) = if task % 2 == 0 { (0, "one", "two") } else { (1, "two", "one") };
                let mut passed = 0;
                for _ in 0..each {
                    let answer = mock.post_as(&format!("token-of-{name}"), V33, query.clone()).await;
                    match answer.status {
                        200 => {
                            assert_eq!(answer.body, expected[mine]);
                            passed += 1;
                        }
                        status => assert_eq!(status, 429),
                    }
                    let fault = answer.header("x-mock-fault").unwrap_or_default();
                    assert!(!fault.ends_with(other), "{fault} broke a request of {name}");
                }
                (mine, passed)
            })
        })
        .collect();
    let mut passed = [0, 0];
    for task in tasks {
        let (mine, count) = task.await.expect("a task without a panic");
        passed[mine] += count;
    }
    // The clocks are frozen, so exactly the requests of the quota succeed.
    assert_eq!(passed, [300, 500]);
    for (name, now) in [("one", "2026-01-15T12:00:00Z"), ("two", "2025-06-01T09:00:00Z")] {
        let journal = mock.get(&format!("/accounts/{name}/requests?limit=1000")).await;
        let requests = journal["requests"].as_array().expect("requests");
        assert_eq!((requests.len(), &journal["noted"]), (4 * each, &json!(4 * each)));
        for (nth, request) in requests.iter().enumerate() {
            assert_eq!((&request["number"], &request["at"]), (&json!(nth + 1), &json!(now)), "{name}");
            assert!(request["fault"].as_str().is_none_or(|fault| fault.ends_with(name)));
        }
    }
    assert_eq!(mock.get("/accounts/default/requests").await["noted"], 0);
}

#[tokio::test]
async fn a_change_of_one_account_does_not_affect_another() {
    let mock = Client::new();
    mock.call("POST", "/accounts", json!({"name":"other","access_token":"other-token"})).await.ok();
    let query = json!({"event_category":"device","age":86400});
    let before = mock.post_as("other-token", V33, query.clone()).await.ok();
    let other = mock.get("/accounts/other").await;
    mock.control("PUT", "/quota", json!({"requests":1})).await.ok();
    mock.control("PUT", "/faults", json!([{"fault":{"status":503}}])).await.ok();
    mock.control("POST", "/events", json!({"category":"device","event":"unseen"})).await.ok();
    mock.control("POST", "/clock/advance", json!({"seconds":3600})).await.ok();
    mock.control("PATCH", "", json!({"seed":9,"profile":{"order":"asc"}})).await.ok();
    mock.control("POST", "/tokens/expire", Value::Null).await.ok();
    mock.control("POST", "/reset", Value::Null).await.ok();
    assert_eq!(mock.get("/accounts/other").await, other);
    assert_eq!(mock.post_as("other-token", V33, query.clone()).await.ok(), before);
    // A page token is valid only for its account.
    let mut next = query;
    next["token"] = before["token"].clone();
    assert_eq!(mock.v33(next.clone()).await.status, 400);
    assert_eq!(mock.post_as("other-token", V33, next).await.status, 200);
}

/// Unused accounts are cheap.
#[tokio::test]
async fn ten_thousand_accounts_can_be_created_and_used() {
    let mock = Client::of(builder().without_quota());
    for nth in 0..10_000_u32 {
        let new = serde_json::from_value(json!({"name":format!("a{nth}"),"access_token":format!("token-{nth}")}))
            .expect("an account");
        mock.local.accounts().make(new).expect("an account");
    }
    for nth in (0..10_000).step_by(997) {
        assert_eq!(mock.v2_as(&format!("token-{nth}"), "").await.status, 200);
    }
    assert_eq!(mock.get("/accounts?limit=1").await["total"], 10_001);
}

/// While other accounts are created, changed, reset and deleted, the responses of `default` stay the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_other_accounts_do_not_affect_responses() {
    let mock = Client::new();
    let page = mock.v2("").await.body;
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let churn: Vec<_> = (0..3)
        .map(|task| {
            let mock = mock.clone();
            tokio::spawn(async move {
                for nth in 0..100 {
                    let name = format!("shaky-{}", (nth + task) % 4);
                    let path = format!("/accounts/{name}");
                    let answers = [
                        mock.call("POST", "/accounts", json!({"name":name,"access_token":format!("token-of-{name}")}))
                            .await
                            .status,
                        mock.v2_as(&format!("token-of-{name}"), "").await.status,
                        mock.call("PATCH", &path, json!({"seed":nth})).await.status,
                        mock.call("POST", &format!("{path}/reset"), Value::Null).await.status,
                        mock.call("POST", &format!("{path}/events"), json!({"category":"admin","event":"login"}))
                            .await
                            .status,
                        mock.call("DELETE", &path, Value::Null).await.status,
                    ];
                    // What each call may find: the account is there, or another task has it or has dropped it.
                    let allowed: [&[u16]; 6] =
                        [&[201, 409], &[200, 401, 429], &[200, 404], &[200, 404], &[201, 404], &[204, 404]];
                    for (nth, (status, allowed)) in answers.iter().zip(allowed).enumerate() {
                        assert!(allowed.contains(status), "call {nth}: {answers:?}");
                    }
                }
            })
        })
        .collect();
    for _ in 0..300 {
        assert_eq!(mock.v2("").await.body, page);
    }
    for task in churn {
        task.await.expect("a task without a panic");
    }
}
