//! What was served, by `GET` of an audit and in the journal.

use std::time::Duration;

use opswat_mock::world::Category;
use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, between, builder, findings, window};

#[tokio::test]
async fn what_was_served_is_compared_without_records() {
    let lab = Lab::new();
    lab.fault(json!({"name":"half","match":{"nth":3},"fault":{"close":"mid-body"}})).await;
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    for _ in 0..3 {
        if let (_, Some(page)) = lab.ask(&query).await {
            query["token"] = page["token"].clone();
        }
    }
    let report = lab.audit_served(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(report["served"], 20);
    let missed = report["expected"].as_u64().expect("a count") - 20;
    assert_eq!(findings(&report), json!({"missed":{"fault":missed}}), "{report}");
    assert_eq!(report["repeated"]["count"], 0);
    // The same again: now each of the first ten is repeated.
    query.as_object_mut().expect("an object").remove("token");
    lab.ask(&query).await;
    let report = lab.audit_served(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(report["repeated"]["count"], 10);
    assert_eq!(report["repeated"]["examples"][0]["requests"], json!([1, 4]));
}

#[tokio::test]
async fn the_journal_names_the_events_that_a_page_delivered() {
    let lab = Lab::of(builder());
    lab.inject(json!({"category":"device","event":"added","device_name":"NEW"})).await;
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(3);
    let faults = [
        (Value::Null, vec![0, 1, 2]),
        (json!({"entries":"drop"}), vec![1, 2]),
        (json!({"entries":"duplicate"}), vec![0, 1, 2, 2]),
        (json!({"entries":"empty"}), vec![]),
        (json!({"close":"mid-body"}), vec![]),
        (json!({"status":503}), vec![]),
    ];
    for (fault, _) in &faults {
        lab.local.account().forget_faults(None);
        if !fault.is_null() {
            lab.fault(json!({"fault":fault})).await;
        }
        lab.ask(&query).await;
    }
    let (_, truth) = lab.control("GET", "/events?category=device&from=2026-01-15T06:00:00Z", "").await;
    let newest: Vec<&Value> =
        truth["events"].as_array().expect("events").iter().rev().map(|event| &event["id"]).collect();
    assert_eq!(newest[0], "injected-1");
    let (_, journal) = lab.control("GET", "/requests?with=events", "").await;
    let requests = journal["requests"].as_array().expect("requests");
    assert_eq!(requests.len(), faults.len());
    for (request, (fault, places)) in requests.iter().zip(&faults) {
        let expected: Vec<&Value> = places.iter().map(|&place: &usize| newest[place]).collect();
        assert_eq!(request["events"], json!(expected), "{fault}");
    }
    let outcomes: Vec<&Value> = requests.iter().map(|request| &request["outcome"]).collect();
    assert_eq!(outcomes, ["completed", "completed", "completed", "completed", "cut", "refused"]);
    assert!(
        requests[4]["bytes_sent"].as_u64() > Some(0)
            && requests[4]["bytes_sent"].as_u64() < requests[0]["bytes_sent"].as_u64()
    );
    let (status, problem) = lab.control("GET", "/requests?with=colours", "").await;
    assert_eq!((status, problem["detail"].as_str()), (400, Some("with must be events, got colours")));
}

#[tokio::test]
async fn ids_are_the_same_in_every_run() {
    let ids = async || {
        let lab = Lab::new();
        let (_, truth) = lab.control("GET", "/events?category=device", "").await;
        let ids: Vec<String> =
            truth["events"].as_array().expect("events").iter().map(|event| event["id"].to_string()).collect();
        ids
    };
    let (first, second) = (ids().await, ids().await);
    assert_eq!(first, second);
    let distinct: std::collections::HashSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
}

#[tokio::test]
async fn a_test_waits_for_requests_and_for_rules() {
    for (noun, count) in [("/requests?wait=60s&count=3", 3), ("/requests?wait=60s&fault=once", 2)] {
        let lab = std::sync::Arc::new(Lab::new());
        lab.fault(json!({"name":"once","match":{"nth":2},"fault":{"status":503}})).await;
        let mut waiting = tokio::spawn({
            let lab = lab.clone();
            async move { lab.control("GET", noun, "").await }
        });
        for _ in 1..count {
            lab.ask(&window(NOW - HOUR, NOW)).await;
            let early = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
            assert!(early.is_err(), "{noun} must wait for {count}");
        }
        lab.ask(&window(NOW - HOUR, NOW)).await;
        let answered = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("an answer before the time");
        let (status, journal) = answered.expect("no panic");
        assert_eq!((status, journal["requests"].as_array().map(Vec::len)), (200, Some(count)), "{journal}");
    }
    let lab = Lab::new();
    for _ in 0..6 {
        lab.ask(&window(NOW - HOUR, NOW)).await;
    }
    // The time is over: the requests so far.
    let (status, journal) = lab.control("GET", "/requests?wait=1ms&count=100", "").await;
    assert_eq!((status, journal["requests"].as_array().map(Vec::len)), (200, Some(6)));
    for (params, detail) in [
        ("wait=10", "wait must be a time such as 10s or 500ms, at most 60s, got 10"),
        ("wait=2m", "wait must be a time such as 10s or 500ms, at most 60s, got 2m"),
        ("wait=61s", "wait must be a time such as 10s or 500ms, at most 60s, got 61s"),
        ("wait=1s&fault=nothing", "fault must be the name of a rule of the account, got nothing"),
        ("count=3", "count and fault come with wait only"),
        ("wait=1s&count=0", "count must be from 1 to 1000, got 0"),
    ] {
        let (status, problem) = lab.control("GET", &format!("/requests?{params}"), "").await;
        assert_eq!((status, problem["detail"].as_str()), (400, Some(detail)));
    }
}

#[tokio::test]
async fn a_rust_test_is_told_the_first_cause() {
    let lab = Lab::new();
    let account = lab.local.account();
    let entries = lab.read(window(NOW - HOUR, NOW)).await;
    let window = "2026-01-15T11:00:00Z".parse().expect("a time").."2026-01-15T12:00:00Z".parse().expect("a time");
    account.assert_complete(Category::Device, window.clone(), &entries);
    let report = account.audit(Category::Device, window.clone(), &entries[1..]).expect("an audit");
    let text = report.to_string();
    assert!(text.contains("missing: 1 (served 1)"), "{text}");
    assert!(text.contains("it was in the response to request 1, which was sent to its end"), "{text}");
    let account = account.clone();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        account.assert_complete(Category::Device, window, &entries[1..]);
    }));
    let message = panic.expect_err("a panic").downcast::<String>().expect("a message");
    assert!(
        message.starts_with("The device records from 2026-01-15T11:00:00Z to 2026-01-15T12:00:00Z are not complete"),
        "{message}"
    );
}

#[tokio::test]
async fn waits_of_faults_follow_the_machine_by_default() {
    let lab = Lab::new();
    lab.fault(json!({"fault":{"delay_ms":10}})).await;
    let asked = tokio::time::timeout(Duration::from_secs(60), async { lab.ask(&window(NOW - HOUR, NOW)).await }).await;
    assert_eq!(asked.expect("an answer in time").0, 200);
}
