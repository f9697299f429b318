//! The clock of an account: its modes and changes, and the features that depend on it.

use std::time::Duration;

use opswat_mock::clock::{ClockChange, Mode, Rate};
use serde_json::{Value, json};

use crate::harness::{Client, NOW_SECONDS, TOKEN, builder};

#[tokio::test]
async fn a_clock_can_be_read_set_and_advanced() {
    let mock = Client::new();
    let clock = |now: &str| json!({"mode":"frozen","now":now});
    assert_eq!(mock.get("/accounts/default/clock").await, clock("2026-01-15T12:00:00Z"));
    let set = json!({"now":"2026-01-15T23:59:30Z"});
    assert_eq!(mock.control("PUT", "/clock", set).await.ok(), clock("2026-01-15T23:59:30Z"));
    let advanced = mock.control("POST", "/clock/advance", json!({"seconds":30.25})).await.ok();
    assert_eq!(advanced, clock("2026-01-16T00:00:00.250Z"));
    let scaled = mock.control("PUT", "/clock", json!({"mode":"scaled","rate":60})).await.ok();
    assert_eq!((&scaled["mode"], &scaled["rate"]), (&json!("scaled"), &json!(60.0)));
    assert_eq!(mock.control("PUT", "/clock", json!({"mode":"system"})).await.ok()["mode"], "system");
}

#[tokio::test]
async fn an_invalid_clock_change_gets_an_error_and_changes_nothing() {
    let mock = Client::new();
    let before = mock.get("/accounts/default/clock").await;
    for (body, detail) in [
        (
            json!({"now":"2026-01-15T11:59:59Z"}),
            "now must not be before what the clock shows (2026-01-15T12:00:00Z), got 2026-01-15T11:59:59Z; only a reset goes back",
        ),
        (json!({"mode":"scaled"}), "rate is required with mode scaled: the seconds that pass in one of the machine's"),
        (json!({"mode":"frozen","rate":2}), "rate comes with mode scaled only"),
        (json!({"mode":"scaled","rate":0}), "The body: rate: must be above 0 and at most 1000000, got 0"),
        (
            json!({"mode":"system","now":"2026-01-15T12:00:00Z"}),
            "now cannot come with mode system, whose time is the machine's; mode scaled with rate 1 runs from any instant",
        ),
        (
            json!({"mode":"stopped"}),
            "The body: mode: unknown variant `stopped`, expected one of `system`, `frozen`, `scaled`",
        ),
        (
            // A time without a zone is not read as the day.
            json!({"now":"2026-01-16T12:00:00"}),
            "The body: now: must be an instant such as 2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z, got \"2026-01-16T12:00:00\"",
        ),
        (
            json!({"now":"yesterday"}),
            "The body: now: must be an instant such as 2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z, got \"yesterday\"",
        ),
    ] {
        mock.control("PUT", "/clock", body).await.assert_problem(400, detail);
    }
    for (body, detail) in [
        (json!({"seconds":-1}), "seconds must be from 0, the clock never goes back but by a reset, got -1"),
        (json!({}), "The body: missing field `seconds`"),
        (json!({"seconds":1e12}), "seconds must be at most 5489553600, until 2199-12-31T00:00:00Z, got 1000000000000"),
    ] {
        mock.control("POST", "/clock/advance", body).await.assert_problem(400, detail);
    }
    assert_eq!(mock.get("/accounts/default/clock").await, before);
}

#[tokio::test]
async fn the_clock_stops_at_the_end_of_the_history() {
    let mock = Client::new();
    mock.account().advance(Duration::MAX);
    assert_eq!(mock.get("/accounts/default/clock").await["now"], "2199-12-31T00:00:00Z");
    let beyond = mock.control("POST", "/clock/advance", json!({"seconds":1e300})).await;
    let detail = beyond.json()["detail"].as_str().expect("a text").to_owned();
    assert!(detail.starts_with("seconds must be at most 0, until 2199-12-31T00:00:00Z, got 1000"), "{detail}");
    assert_eq!(mock.v2("").await.status, 200);
}

/// Tests all features that depend on the time, with each way to advance the clock by two hours.
#[tokio::test]
async fn all_features_of_an_account_follow_a_clock_change_at_once() {
    for (way, turn) in [
        ("advance", ("POST", "/clock/advance", json!({"seconds":7_200}))),
        ("set", ("PUT", "/clock", json!({"now":"2026-01-15T14:00:00Z"}))),
    ] {
        let mock = Client::of(
            builder().quota("2/7200".parse::<opswat_mock::account::quota::QuotaLimit>().expect("a limit").into()),
        );
        mock.control("POST", "/tokens", json!({"token":"lives-long-enough","expires_in":7_200})).await.ok();
        mock.control(
            "POST",
            "/events",
            json!({"category":"admin","event":"login","visible_at":"2026-01-15T14:00:00Z","admin_name":"Late"}),
        )
        .await
        .ok();
        mock.control(
            "PUT",
            "/faults",
            json!([{"match":{"api":"activities-v3","from":"2026-01-15T14:00:00Z"},"fault":{"status":503}}]),
        )
        .await
        .ok();
        let query = json!({"event_category":"admin","age":3600,"limit":100});
        let early = mock.v33(query.clone()).await;
        assert_eq!(early.header("date"), Some("Thu, 15 Jan 2026 12:00:00 GMT"));
        assert_eq!((mock.v33(query.clone()).await.status, mock.v33(query.clone()).await.status), (200, 429));
        assert_eq!(mock.v2_as("lives-long-enough", "").await.status, 200);
        assert_eq!(mock.v3(json!({})).await.status, 200);

        let (method, noun, body) = turn;
        mock.control(method, noun, body).await.ok();
        let late = mock.v33(query.clone()).await;
        assert_eq!(late.header("date"), Some("Thu, 15 Jan 2026 14:00:00 GMT"), "{way}: the header");
        assert_eq!(late.number("x-ratelimit-remaining"), 1, "{way}: the quota is whole again");
        assert_eq!(late.number("x-ratelimit-reset-time"), NOW_SECONDS + 7_200 + 3_600, "{way}: its reset");
        assert_ne!(late.ok()["data"], early.ok()["data"], "{way}: the window");
        assert_eq!(mock.v2_as("lives-long-enough", "").await.status, 401, "{way}: the token's end");
        assert_eq!(mock.v3(json!({})).await.status, 503, "{way}: the fault's time");
        let all = mock.v33(json!({"event_category":"admin","age":7200,"limit":100})).await.ok();
        assert!(
            all["data"].as_array().expect("data").iter().any(|row| row["admin_name"] == "Late"),
            "{way}: visibility"
        );
        let last = mock.get("/accounts/default/requests?after=0&limit=1000").await;
        let last = last["requests"].as_array().expect("requests").last().expect("one").clone();
        assert_eq!(last["at"], "2026-01-15T14:00:00Z", "{way}: the journal's stamp");
    }
}

#[tokio::test]
async fn a_fixed_window_quota_follows_a_clock_change() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!({"requests":1,"per_seconds":60,"algorithm":"fixed-window"})).await.ok();
    mock.control("POST", "/clock/advance", json!({"seconds":59})).await.ok();
    assert_eq!((mock.v2("").await.status, mock.v2("").await.status), (200, 429));
    mock.control("POST", "/clock/advance", json!({"seconds":1})).await.ok();
    assert_eq!((mock.v2("").await.status, mock.v2("").await.status), (200, 429));
}

#[tokio::test]
async fn a_scaled_clock_runs_at_its_rate() {
    let mock = Client::new();
    let clock = mock.account().clock();
    let turn = ClockChange { mode: Some(Mode::Scaled), rate: Rate::try_from(1e6).ok(), ..ClockChange::default() };
    clock.set(turn).expect("a turn that fits");
    // A thousand seconds of the clock take one millisecond of the machine's time.
    let from = clock.now();
    while clock.now().0 < from.0 + 1_000_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(mock.v2("").await.status, 200);
}

/// A delay uses the account's clock: with a frozen clock, the response arrives after the clock is advanced.
#[tokio::test]
async fn a_delay_ends_when_the_clock_passes_its_end() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"fault":{"delay_ms":30_000,"waits_on":"account"},"times":1}])).await.ok();
    let asking = {
        let mock = mock.clone();
        tokio::spawn(async move { mock.v2("").await })
    };
    while mock.account().faults()[0].applied == 0 {
        tokio::task::yield_now().await;
    }
    mock.account().advance(Duration::from_millis(29_999));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    mock.account().advance(Duration::from_millis(1));
    assert_eq!(asking.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_delay_ends_when_the_account_is_reset() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"fault":{"delay_ms":30_000,"waits_on":"account"}}])).await.ok();
    let asking = {
        let mock = mock.clone();
        tokio::spawn(async move { mock.v2("").await })
    };
    while mock.account().faults()[0].applied == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(mock.control("POST", "/reset", Value::Null).await.status, 200);
    assert_eq!(asking.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_reset_sets_the_clock_back() {
    let mock = Client::new();
    mock.account().advance(Duration::from_secs(86_400));
    mock.control("POST", "/reset", Value::Null).await.ok();
    assert_eq!(mock.v2_as(TOKEN, "").await.header("date"), Some("Thu, 15 Jan 2026 12:00:00 GMT"));
}

/// A delete and a reset of an account end the delays of its requests.
#[tokio::test]
async fn no_delay_outlives_its_account() {
    for fault in
        [json!({"delay_ms":30_000,"waits_on":"account"}), json!({"drip_bytes_per_second":10,"waits_on":"account"})]
    {
        for end in ["DELETE", "reset"] {
            let mock = Client::new();
            mock.call(
                "POST",
                "/accounts",
                json!({"name":"acme","access_token":"acme-token","now":"2026-01-15T12:00:00Z"}),
            )
            .await
            .ok();
            mock.call("POST", "/accounts/acme/clock/advance", json!({"seconds":3600})).await.ok();
            mock.call("PUT", "/accounts/acme/faults", json!([{"fault":fault}])).await.ok();
            let acme = mock.local.accounts().get("acme").expect("an account");
            let asking = {
                let mock = mock.clone();
                tokio::spawn(async move { mock.v2_as("acme-token", "limit=10").await })
            };
            while acme.faults()[0].applied == 0 {
                tokio::task::yield_now().await;
            }
            let ended = match end {
                "DELETE" => mock.call("DELETE", "/accounts/acme", Value::Null).await.status,
                _ => mock.call("POST", "/accounts/acme/reset", Value::Null).await.status,
            };
            assert!(ended < 300);
            let answer =
                tokio::time::timeout(Duration::from_secs(30), asking).await.expect("an end").expect("an answer");
            assert_eq!(answer.status, 200, "{fault} {end}");
        }
    }
}

/// A request from before a reset does not change the account after the reset.
#[tokio::test]
async fn a_request_from_before_a_reset_has_no_effect_after_it() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"fault":{"delay_ms":1000,"waits_on":"account","expire_token":true}}]))
        .await
        .ok();
    let asking = {
        let mock = mock.clone();
        tokio::spawn(async move { mock.v2("").await })
    };
    while mock.account().faults()[0].applied == 0 {
        tokio::task::yield_now().await;
    }
    mock.control("POST", "/reset", Value::Null).await.ok();
    assert_eq!(asking.await.expect("an answer").status, 200);
    assert_eq!(mock.get("/accounts/default/requests").await["noted"], 0);
    assert_eq!(mock.v2("").await.status, 200, "the earlier request expired the token");
}

#[tokio::test]
async fn a_delay_beyond_the_end_of_the_history_ends_at_once() {
    let mock = Client::new();
    mock.account().advance(Duration::MAX);
    mock.control("PUT", "/faults", json!([{"fault":{"delay_ms":100,"drip_bytes_per_second":1,"waits_on":"account"}}]))
        .await
        .ok();
    assert_eq!(mock.v2("").await.status, 200);
}

#[tokio::test]
async fn the_smallest_advance_is_one_millisecond() {
    let mock = Client::new();
    let turned = mock.control("POST", "/clock/advance", json!({"seconds":0.0001})).await.ok();
    assert_eq!(turned["now"], "2026-01-15T12:00:00.001Z");
    assert_eq!(mock.control("POST", "/clock/advance", json!({"seconds":0})).await.ok()["now"], turned["now"]);
    assert_eq!(
        mock.control("POST", "/clock/advance", json!({"seconds":1})).await.ok()["now"],
        "2026-01-15T12:00:01.001Z"
    );
}

/// A client that sleeps by the account's clock is answered when the clock has gone so far, or is reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_ends_when_the_clock_has_gone_so_far() {
    let mock = Client::new();
    for end in ["/clock/advance", "/reset"] {
        let sleeper = mock.clone();
        let sleep =
            tokio::spawn(async move { sleeper.control("POST", "/clock/sleep", json!({"seconds":30})).await.ok() });
        let account = mock.local.account().clone();
        while account.clock().next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(account.clock().next_wake().map(|at| at.0 - account.clock().now().0), Some(30_000));
        mock.control("POST", "/clock/advance", json!({"seconds":29})).await.ok();
        assert!(!sleep.is_finished(), "a second is left");
        mock.control("POST", end, if end == "/reset" { Value::Null } else { json!({"seconds":1}) }).await.ok();
        sleep.await.expect("an answer");
        assert_eq!(account.clock().next_wake(), None);
    }
    let wrong = mock.control("POST", "/clock/sleep", json!({"seconds":-1})).await;
    wrong.assert_problem(400, "seconds must be from 0, the clock never goes back but by a reset, got -1");
}
