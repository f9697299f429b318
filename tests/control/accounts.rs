//! Accounts can be created, listed, changed, reset and deleted. Sandbox accounts are created on first use.

use serde_json::{Value, json};

use crate::harness::{Client, NOW, builder};

#[tokio::test]
async fn a_created_account_has_everything_that_a_client_needs() {
    let mock = Client::new();
    let made = mock.call("POST", "/accounts", json!({"name":"acme","seed":7,"devices":10,"lag":"5..9"})).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/_mock/accounts/acme")));
    let acme = made.ok();
    assert_eq!((&acme["seed"], &acme["devices"], &acme["lag"]), (&json!(7), &json!(10), &json!("5..9")));
    assert_eq!(acme["clock"], json!({"mode":"frozen","now":NOW}), "the clock does not start like the server's");
    assert_eq!(mock.get("/accounts/acme").await, acme);
    let (id, secret) = (acme["client_id"].as_str().expect("an id"), acme["client_secret"].as_str().expect("a secret"));
    let issued = mock.token_of(id, secret).await.ok();
    for token in [&acme["access_token"], &issued["access_token"]] {
        let page = mock.v2_as(token.as_str().expect("a token"), "").await.ok();
        assert_ne!(page, mock.v2("").await.ok(), "another company");
    }
}

#[tokio::test]
async fn missing_fields_derive_from_the_name() {
    let (one, other) = (Client::new(), Client::new());
    let make = async |mock: &Client, body: Value| mock.call("POST", "/accounts", body).await.ok();
    assert_eq!(
        make(&one, json!({"name":"a"})).await,
        make(&other, json!({"name":"a"})).await,
        "the defaults differ between runs"
    );
    assert_ne!(make(&one, json!({"name":"b"})).await["seed"], make(&one, json!({"name":"c"})).await["seed"]);
    assert_eq!(make(&one, json!({})).await["name"], "account-1");
    assert_eq!(make(&one, json!({})).await["name"], "account-2");
}

#[tokio::test]
async fn invalid_fields_get_an_error_and_no_account_is_created() {
    let mock = Client::new();
    let before = mock.get("/accounts").await;
    for (body, detail) in [
        (json!({"name":"a b"}), "The body: name: must be 1 to 64 letters, digits or any of - _ ., got \"a b\""),
        (json!({"name":".."}), "The body: name: must be 1 to 64 letters, digits or any of - _ ., got \"..\""),
        (json!({"devices":100_001}), "The body: devices: must be from 0 to 100000, got 100001"),
        (json!({"devices":-1}), "The body: devices: must be from 0 to 100000, got -1"),
        (json!({"seed":-1}), "The body: seed: invalid value: integer `-1`, expected a whole number from 0"),
        (
            json!({"lag":"9..5"}),
            "The body: lag: must be SECONDS such as 30, or FROM..TO such as 5..120, at most 3600, got \"9..5\"",
        ),
        (json!({"retention_days":0}), "The body: retention_days: must be from 1 to 70000, got 0"),
        (json!({"quota":{"requests":0}}), "The body: quota: requests must be from 1 to 1000000000, got 0"),
        (
            json!({"quota":{"reqests":1}}),
            "The body: quota.reqests: unknown field `reqests`, expected one of `requests`, `per_seconds`, `algorithm`, `scope`, `retry_after`, `enabled`",
        ),
        (json!({"profile":{"order":"up"}}), "The body: profile: order must be desc or asc, got \"up\""),
        (json!({"tokens":[{"expires_in":-1}]}), "tokens[0].expires_in must be from 0 to 315360000 seconds, got -1"),
        (
            json!({"faults":[{"fault":{}}]}),
            "faults[0]: fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another",
        ),
        (
            json!({"faults":[{"fault":{"status":503}},{"fault":{"status":99}}]}),
            "faults[1]: fault.status must be from 200 to 599, got 99",
        ),
        (
            json!({"tokens":[{"token":"a"},{"token":"b"},{"token":"a"}]}),
            "tokens[2].token must be unique, another token of this account is a",
        ),
        (
            json!({"access_token":"a","tokens":[{"token":"a"}]}),
            "tokens[0].token must be unique, another token of this account is a",
        ),
        (
            json!({"now":"2013-01-01T00:00:00Z"}),
            "The body: now: must be an instant such as 2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z, got \"2013-01-01T00:00:00Z\"",
        ),
        (json!([]), "The body: must be an object, got an array"),
    ] {
        let answer = mock.call("POST", "/accounts", body).await;
        answer.assert_problem(400, detail);
    }
    for (body, detail) in [
        (json!({"name":"default"}), "name must be unique, there is an account default"),
        (
            json!({"client_id":"LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST"}),
            "client_id must be unique, another account has LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST",
        ),
        (json!({"access_token":crate::harness::TOKEN}), "access_token must be unique, another account has this token"),
        (
            json!({"tokens":[{"token":crate::harness::TOKEN}]}),
            "tokens[0].token must be unique, another account has this token",
        ),
        (
            json!({"tokens":[{},{"token":"free"},{"token":crate::harness::TOKEN}]}),
            "tokens[2].token must be unique, another account has this token",
        ),
    ] {
        mock.call("POST", "/accounts", body).await.assert_problem(409, detail);
    }
    assert_eq!(mock.get("/accounts").await, before);
    assert_eq!(mock.v2("").await.status, 200, "the token has another owner");
}

#[tokio::test]
async fn accounts_are_listed_by_name_and_page() {
    let mock = Client::new();
    for name in ["b", "a", "c"] {
        mock.call("POST", "/accounts", json!({"name":name})).await.ok();
    }
    let names = |list: &Value| -> Vec<String> {
        let accounts = list["accounts"].as_array().expect("a list");
        accounts.iter().map(|account| account["name"].as_str().expect("a name").to_owned()).collect()
    };
    let first = mock.get("/accounts?limit=3").await;
    assert_eq!(
        (names(&first), &first["next_after"], &first["total"]),
        (vec!["a".into(), "b".into(), "c".into()], &json!("c"), &json!(4))
    );
    let rest = mock.get("/accounts?limit=3&after=c").await;
    assert_eq!((names(&rest), &rest["next_after"]), (vec!["default".into()], &Value::Null));
    mock.call("GET", "/accounts?limit=0", Value::Null).await.assert_problem(400, "limit must be from 1 to 1000, got 0");
    mock.call("GET", "/accounts?limt=1", Value::Null)
        .await
        .assert_problem(400, "The query: limt: unknown field `limt`, expected `after` or `limit`");
}

#[tokio::test]
async fn a_change_applies_to_the_next_request() {
    let mock = Client::new();
    let query = json!({"event_category":"device","age":86400});
    let page = mock.v33(query.clone()).await.ok();
    mock.control("PATCH", "", json!({"seed":2,"retention_days":1})).await.ok();
    assert_ne!(mock.v33(query.clone()).await.ok(), page);
    let mut next = query.clone();
    next["token"] = page["token"].clone();
    let refused = mock.v33(next).await;
    assert_eq!(refused.status, 400, "the token points into another history: {}", refused.text());
    assert_eq!(mock.control("PATCH", "", json!({})).await.ok()["seed"], 2, "an omitted field was changed");
    mock.control("PATCH", "", json!({"now":NOW})).await.assert_problem(
        400,
        "The body: now: unknown field `now`, expected one of `seed`, `devices`, `quota`, `profile`, `retention_days`, `lag`, `redirect_uris`",
    );
}

/// A reset restores everything that a test can change.
#[tokio::test]
async fn a_reset_restores_the_initial_state() {
    let mock = Client::new();
    let made = json!({"name":"acme","seed":7,"quota":"3/60","tokens":[{"token":"short-lived","expires_in":10}],
        "faults":[{"name":"first","match":{"nth":99},"fault":{"status":503}}],"profile":{"order":"asc"}});
    let before = mock.call("POST", "/accounts", made).await.ok();
    let token = before["access_token"].as_str().expect("a token").to_owned();
    let query = json!({"event_category":"device","age":86400,"limit":5});
    let page = mock.post_as(&token, crate::harness::V33, query.clone()).await.ok();
    let id = before["client_id"].as_str().expect("an id");
    let secret = before["client_secret"].as_str().expect("a secret");
    let issued = mock.token_of(id, secret).await.ok();
    let acme = |noun: &str| format!("/accounts/acme{noun}");
    mock.call("PATCH", &acme(""), json!({"seed":8,"devices":5,"quota":"off","profile":{"order":"desc"}})).await.ok();
    mock.call("POST", &acme("/clock/advance"), json!({"seconds":86_400})).await.ok();
    mock.call("POST", &acme("/events"), json!({"category":"device","event":"unseen"})).await.ok();
    mock.call("PUT", &acme("/faults"), json!([{"fault":{"status":500}}])).await.ok();
    let revoked = mock.call("DELETE", &acme(&format!("/tokens/{token}")), Value::Null).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(mock.v2_as(&token, "").await.status, 401);

    assert_eq!(mock.call("POST", &acme("/reset"), Value::Null).await.ok(), before);
    assert_eq!(mock.get(&acme("/requests")).await["noted"], 0);
    assert_eq!(mock.get(&acme("/faults")).await["faults"][0]["name"], "first");
    assert_eq!(mock.get(&acme("/quota")).await["buckets"], json!([]));
    assert_eq!(
        mock.v2_as(issued["access_token"].as_str().expect("a token"), "").await.status,
        401,
        "an issued token is still valid"
    );
    assert_eq!(mock.post_as(&token, crate::harness::V33, query).await.ok()["data"], page["data"]);
    assert_eq!(mock.v2_as("short-lived", "").await.status, 200);
    assert_eq!(mock.token_of(id, secret).await.ok(), issued, "the same token as the first time");
}

#[tokio::test]
async fn a_deleted_account_is_unknown_and_its_name_is_free() {
    let mock = Client::new();
    let make = || mock.call("POST", "/accounts", json!({"name":"acme","tokens":[{"token":"own-token"}]}));
    let acme = make().await.ok();
    assert_eq!(mock.v2_as("own-token", "").await.status, 200);
    assert_eq!(mock.call("DELETE", "/accounts/acme", Value::Null).await.status, 204);
    assert_eq!(mock.v2_as("own-token", "").await.status, 401);
    assert_eq!(mock.token_of("acme", acme["client_secret"].as_str().expect("a secret")).await.status, 401);
    mock.call("GET", "/accounts/acme", Value::Null).await.assert_problem(404, "There is no account acme");
    mock.call("DELETE", "/accounts/acme", Value::Null).await.assert_problem(404, "There is no account acme");
    assert_eq!(make().await.ok(), acme);
    mock.call("DELETE", "/accounts/default", Value::Null)
        .await
        .assert_problem(409, "the account default is always there; it can be reset");
}

#[tokio::test]
async fn a_sandbox_is_created_by_its_token_or_its_client() {
    let mock = Client::new();
    let page = mock.v2_as("sandbox-joe", "").await.ok();
    let joe = mock.get("/accounts/sandbox-joe").await;
    assert_eq!((&joe["access_token"], &joe["client_secret"]), (&json!("sandbox-joe"), &json!("sandbox")));
    let issued = mock.token_of("sandbox-joe", "sandbox").await.ok();
    assert_eq!(mock.v2_as(issued["access_token"].as_str().expect("a token"), "").await.ok(), page, "the same account");
    assert_eq!(mock.token_of("sandbox-ann", "sandbox").await.status, 200);
    assert_ne!(mock.v2_as("sandbox-ann", "").await.ok(), page, "another company");
    assert_eq!(mock.token_of("sandbox-ann", "wrong").await.status, 401);
    for token in ["sandbox-a%20b", "sandbox-%C3%BC", "sandboxer", &format!("sandbox-{}", "x".repeat(57))] {
        assert_eq!(mock.v2_as(token, "").await.status, 401, "{token}");
    }
    assert_eq!(mock.get("/accounts").await["total"], 3);
}

/// An explicitly created account keeps its credentials, also if its name is a sandbox name.
#[tokio::test]
async fn an_explicitly_created_sandbox_keeps_its_credentials() {
    let mock = Client::new();
    mock.call("POST", "/accounts", json!({"name":"sandbox-x","access_token":"other"})).await.ok();
    assert_eq!(mock.v2_as("sandbox-x", "").await.status, 401);
    assert_eq!(mock.v2_as("other", "").await.status, 200);
}

#[tokio::test]
async fn too_many_sandboxes_evict_the_least_recently_used() {
    let mock = Client::of(builder().devices(1));
    for nth in 0..10_000 {
        assert_eq!(mock.token_of(&format!("sandbox-{nth}"), "sandbox").await.status, 200);
    }
    // After another use of the first sandbox, the second one is the least recently used.
    assert_eq!(mock.token_of("sandbox-0", "sandbox").await.status, 200);
    assert_eq!(mock.token_of("sandbox-new", "sandbox").await.status, 200);
    assert_eq!(mock.get("/accounts?limit=1").await["total"], 10_001);
    assert!(mock.local.accounts().get("sandbox-0").is_some());
    assert!(mock.local.accounts().get("sandbox-1").is_none());
    assert!(mock.local.accounts().get("sandbox-2").is_some());
}

/// Concurrent requests with the same new sandbox name all succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_can_create_one_sandbox() {
    let mock = Client::of(builder().without_quota());
    for nth in 0..50 {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let mock = mock.clone();
                tokio::spawn(async move {
                    if task % 2 == 0 {
                        mock.v2_as(&format!("sandbox-r{nth}"), "").await.status
                    } else {
                        mock.token_of(&format!("sandbox-r{nth}"), "sandbox").await.status
                    }
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("an answer"), 200);
        }
    }
}

/// The account's own token is valid at every moment of a reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_succeed_during_a_reset() {
    let mock = Client::of(builder().without_quota());
    let resetting = {
        let account = mock.account().clone();
        tokio::spawn(async move {
            for _ in 0..2_000 {
                account.reset();
                tokio::task::yield_now().await;
            }
        })
    };
    while !resetting.is_finished() {
        assert_eq!(mock.v2("").await.status, 200);
    }
}

/// A reset of a deleted account does not register its tokens again.
#[tokio::test]
async fn a_deleted_account_cannot_come_back() {
    let mock = Client::new();
    let make = || mock.call("POST", "/accounts", json!({"name":"acme","access_token":"acme-token"}));
    make().await.ok();
    let old = mock.local.accounts().get("acme").expect("an account");
    assert_eq!(mock.call("DELETE", "/accounts/acme", Value::Null).await.status, 204);
    old.reset();
    assert_eq!(mock.v2_as("acme-token", "").await.status, 401);
    make().await.ok();
    old.reset();
    assert_eq!(mock.v2_as("acme-token", "").await.status, 200);
}

/// Two accounts whose name and client id have the same concatenation issue different tokens.
#[tokio::test]
async fn no_two_accounts_issue_the_same_token() {
    let mock = Client::new();
    let mut issued = Vec::new();
    for (name, client) in [("a", "bc"), ("ab", "c")] {
        let account = json!({"name":name,"client_id":client,"client_secret":"s","seed":7});
        mock.call("POST", "/accounts", account).await.ok();
        issued.push(mock.token_of(client, "s").await.ok()["access_token"].clone());
    }
    assert_ne!(issued[0], issued[1]);
}

#[tokio::test]
async fn lists_are_limited_and_arrays_are_not_accepted_as_objects() {
    let mock = Client::new();
    let many = |what: Value| vec![what; 101];
    for (noun, body, detail) in [
        (
            "",
            json!({"redirect_uris":many(json!("http://x.example/"))}),
            "The body: redirect_uris: must be at most 100, got more",
        ),
        ("", json!({"tokens":many(json!({}))}), "The body: tokens: must be at most 100, got more"),
        ("", json!({"tokens":[["t",5]]}), "The body: tokens[0]: invalid type: an array, expected an object"),
        ("/default/faults", json!(many(json!({}))), "The body: must be at most 100, got more"),
        (
            "/default/faults",
            json!({"match":["logs-v3.3"],"fault":{"status":503}}),
            "The body: match: invalid type: an array, expected an object",
        ),
        ("/default/faults", json!({"fault":[503]}), "The body: fault: invalid type: an array, expected an object"),
        ("/default/faults", json!([[{}]]), "The body: [0]: invalid type: an array, expected an object"),
        ("/default/events", json!(vec![json!({}); 10_001]), "The body: must be at most 10000, got more"),
    ] {
        let answer = mock.call("POST", &format!("/accounts{noun}"), body).await;
        let got = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert_eq!((answer.status, got.as_str()), (400, detail));
    }
}

/// Each category of a dense account has at least so many events in its last hour, whatever the time of day, and after a
/// reset again.
#[tokio::test]
async fn a_dense_account_has_events_of_each_category() {
    let mock = Client::new();
    let made =
        mock.call("POST", "/accounts", json!({"name":"dense","dense":500,"now":"2026-01-18T03:00:00Z"})).await.ok();
    let token = made["access_token"].as_str().expect("a token");
    mock.call("PUT", "/accounts/dense/quota", json!("off")).await.ok();
    for round in 0..2 {
        for category in ["device", "admin", "webhook", "device_report"] {
            let entries = mock.walk_as(token, json!({"event_category":category,"limit":100})).await;
            assert!(entries.len() >= 500 && entries.len() < 600, "{category}: {} in round {round}", entries.len());
        }
        let params = "category=activity&from=2026-01-18T02:00:00Z&to=2026-01-18T03:00:00Z";
        let truth = mock.get(&format!("/accounts/dense/events?{params}")).await;
        assert!(truth["events"].as_array().map(Vec::len) >= Some(500));
        mock.call("POST", "/accounts/dense/reset", Value::Null).await.ok();
        mock.call("PUT", "/accounts/dense/quota", json!("off")).await.ok();
    }
    let refused = mock.call("POST", "/accounts", json!({"dense":1001})).await;
    refused.assert_problem(400, "The body: dense: must be from 0 to 1000, got 1001");
}

/// Initial events are there from the start, and again after a reset.
#[tokio::test]
async fn an_account_can_be_created_with_events() {
    let mock = Client::new();
    let event = |code: &str| json!({"category":"admin","event":code,"timestamp":"2026-01-18T02:59:59Z"});
    let new = json!({"name":"acme","now":"2026-01-18T03:00:00Z","devices":0,"quota":"off","events":[event("login"), event("config")]});
    let made = mock.call("POST", "/accounts", new).await.ok();
    let token = made["access_token"].as_str().expect("a token");
    for _ in 0..2 {
        let entries = mock.walk_as(token, json!({"event_category":"admin","start_time":1_768_705_199_000_i64})).await;
        let codes: Vec<&Value> = entries.iter().map(|entry| &entry["event"]).collect();
        assert_eq!(codes, [&json!("config"), &json!("login")]);
        mock.call("DELETE", "/accounts/acme/events", Value::Null).await.ok();
        mock.call("POST", "/accounts/acme/reset", Value::Null).await.ok();
    }
    let wrong = mock.call("POST", "/accounts", json!({"events":[event("login"), event("jump")]})).await;
    assert!(wrong.json()["detail"].as_str().is_some_and(|text| text.starts_with("events[1].event must be one of ")));
}

#[tokio::test]
async fn the_scenarios_are_listed_and_prepare_accounts() {
    let mock = Client::new();
    let listed = mock.call("GET", "/scenarios", Value::Null).await.ok();
    let scenarios = listed["scenarios"].as_array().expect("scenarios");
    assert!(scenarios.len() >= 36, "{}", scenarios.len());
    let late = scenarios.iter().find(|one| one["name"] == "late-by-three-hours").expect("a scenario");
    assert_eq!((&late["tags"], &late["apis"]), (&json!(["time"]), &json!(["v2", "v3", "v3.3"])));
    for scenario in scenarios {
        let made =
            mock.call("POST", "/accounts", json!({"scenario": scenario["name"], "name": scenario["name"]})).await;
        assert_eq!(made.status, 201, "{}: {}", scenario["name"], made.text());
    }
}
