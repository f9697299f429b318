//! Connectors with exactly one defect: the audit names the right kind, count and cause, and nothing else.

use std::future::Future;

use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, between, builder, findings, window};

/// The time of an entry, in milliseconds.
fn at(entry: &Value) -> i64 {
    let at: opswat_mock::clock::Instant = entry["timestamp"].as_str().expect("a time").parse().expect("an instant");
    at.millis().0
}

#[tokio::test]
async fn a_connector_that_reads_everything_once_is_complete() {
    let mut lab = Lab::new();
    lab.collect(NOW - 6 * HOUR, NOW).await;
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({}), "{report}");
    assert!(report["expected"].as_u64() > Some(20), "{report}");
    assert_eq!(report["matched"], report["expected"]);
    // Without a window, the audit takes that of the journal.
    let report = lab.audit("").await;
    assert_eq!((&report["from"], &report["to"]), (&json!("2026-01-15T06:00:00Z"), &json!("2026-01-15T12:00:00.001Z")));
    assert_eq!(findings(&report), json!({}));
}

#[tokio::test]
async fn greater_instead_of_greater_or_equal_at_the_edge_of_a_window_is_a_gap() {
    let mut lab = Lab::new();
    let edge = NOW - 3 * HOUR;
    lab.inject(json!({"category":"device","event":"noncompliant","timestamp":"2026-01-15T09:00:00Z"})).await;
    lab.collect(NOW - 6 * HOUR, edge - 1).await;
    lab.collect(edge + 1, NOW).await;
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({"missing":{"gap":1}}), "{report}");
    let missing = &report["missing"]["examples"][0];
    assert_eq!(missing["event"]["id"], "injected-1");
    let (_, journal) = lab.control("GET", "/requests", "").await;
    let starts: Vec<&Value> = journal["requests"]
        .as_array()
        .expect("requests")
        .iter()
        .filter(|request| request["parameters"]["start_time"] == json!(edge + 1))
        .map(|request| &request["number"])
        .collect();
    assert_eq!(&missing["before_request"], starts[0], "the first request of the second window");
    assert_eq!(missing["after_request"], json!(starts[0].as_u64().expect("a number") - 1));
}

#[tokio::test]
async fn a_connector_that_compares_with_greater_loses_what_it_was_served() {
    let mut lab = Lab::new();
    for name in ["A", "B"] {
        let event =
            json!({"category":"device","event":"noncompliant","timestamp":"2026-01-15T12:00:00Z","device_name":name});
        lab.inject(event).await;
    }
    lab.collect(NOW - HOUR, NOW).await;
    let cursor = lab.stored.iter().map(at).max().expect("entries");
    lab.inject(
        json!({"category":"device","event":"noncompliant","timestamp":"2026-01-15T12:00:00Z","device_name":"C"}),
    )
    .await;
    lab.advance(60);
    let second = lab.read(window(cursor, lab.now())).await;
    lab.stored.extend(second.into_iter().filter(|entry| at(entry) > cursor));
    let report = lab.audit("examples=1000").await;
    assert_eq!(findings(&report), json!({"missing":{"served":1}}), "{report}");
    assert_eq!(report["missing"]["examples"][0]["event"]["device_name"], "C");
}

#[tokio::test]
async fn windows_without_overlap_miss_late_events() {
    let mut lab = Lab::of(builder().lag("60"));
    for _ in 0..12 {
        let now = lab.now();
        lab.collect(now - 300_000, now - 1).await;
        lab.advance(300);
    }
    let report = lab.audit(&between(NOW - 300_000, NOW + 11 * 300_000)).await;
    let late = report["missing"]["count"].as_u64().expect("a count");
    assert!(late > 0, "{report}");
    assert_eq!(findings(&report), json!({"missing":{"late":late}}), "{report}");
    assert_eq!(report["missing"]["examples"][0]["lag_ms"], 60_000);
}

#[tokio::test]
async fn windows_that_overlap_by_the_lag_miss_nothing() {
    let mut lab = Lab::of(builder().lag("0..60"));
    for _ in 0..12 {
        let entries = lab.read(window(lab.now() - 360_000, lab.now())).await;
        lab.store_new(entries);
        lab.advance(300);
    }
    let report = lab.audit(&between(NOW - 300_000, NOW + 10 * 300_000)).await;
    assert_eq!(findings(&report), json!({}), "{report}");
}

#[tokio::test]
async fn a_connector_that_stops_at_the_first_short_page_did_not_page() {
    let mut lab = Lab::new();
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    let (_, page) = lab.ask(&query).await;
    // It takes ten entries for a short page, because it asks for a limit that it does not send.
    lab.stored = page.expect("a page")["data"].as_array().expect("data").clone();
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
    let left = report["expected"].as_u64().expect("a count") - 10;
    assert_eq!(findings(&report), json!({"missing":{"not_paged":left}}), "{report}");
    assert_eq!(report["missing"]["examples"][0]["request"], 1);
}

#[tokio::test]
async fn a_connector_that_gives_up_on_a_429_was_refused() {
    let mut lab = Lab::of(opswat_mock::Mock::builder().now("2026-01-15T12:00:00Z"));
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    loop {
        let (200, Some(page)) = lab.ask(&query).await else { break };
        lab.stored.extend(page["data"].as_array().expect("data").clone());
        query["token"] = page["token"].clone();
    }
    assert_eq!(lab.stored.len(), 50);
    let report = lab.audit(&between(NOW - 24 * HOUR, NOW)).await;
    let left = report["expected"].as_u64().expect("a count") - 50;
    assert_eq!(findings(&report), json!({"missing":{"refused":left}}), "{report}");
    let missing = &report["missing"]["examples"][0];
    assert_eq!((&missing["request"], &missing["status"]), (&json!(11), &json!(429)));
}

#[tokio::test]
async fn a_connector_that_gives_up_on_an_expired_token_was_refused() {
    let mut lab = Lab::new();
    let (_, made) = lab.control("POST", "/tokens", r#"{"expires_in":60}"#).await;
    let token = made["access_token"].as_str().expect("a token").to_owned();
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(10);
    let (_, page) = lab.ask_as(&token, &query).await;
    let page = page.expect("a page");
    lab.stored = page["data"].as_array().expect("data").clone();
    lab.advance(60);
    query["token"] = page["token"].clone();
    assert_eq!(lab.ask_as(&token, &query).await.0, 401);
    let report = lab.audit(&between(NOW - 24 * HOUR, NOW)).await;
    let left = report["expected"].as_u64().expect("a count") - 10;
    assert_eq!(findings(&report), json!({"missing":{"refused":left}}), "{report}");
    assert_eq!(report["missing"]["examples"][0]["status"], 401);
}

/// Reads ten entries a page, and ignores a page that is broken.
async fn ignore_broken_pages(lab: &mut Lab) {
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    while let (200, Some(page)) = lab.ask(&query).await {
        let data = page["data"].as_array().expect("data").clone();
        if page["token"] == "" {
            return;
        }
        lab.stored.extend(data);
        query["token"] = page["token"].clone();
    }
}

#[tokio::test]
async fn a_connector_that_ignores_a_broken_answer_is_told_the_fault() {
    for (fault, lost) in [
        (json!({"close":"mid-body"}), None),
        (json!({"close":"before-headers"}), None),
        (json!({"truncate_at":700}), None),
        (json!({"invalid_utf8":true}), None),
        (json!({"status":503}), None),
        (json!({"rate_limit":"seconds"}), None),
        (json!({"entries":"empty"}), Some(10)),
        (json!({"entries":"drop"}), Some(1)),
    ] {
        let mut lab = Lab::new();
        lab.fault(json!({"name":"broken","match":{"nth":2},"fault":fault})).await;
        ignore_broken_pages(&mut lab).await;
        let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
        let lost = lost.unwrap_or_else(|| report["expected"].as_u64().expect("a count") - 10);
        assert_eq!(findings(&report), json!({"missing":{"fault":lost}}), "{fault} {report}");
        let missing = &report["missing"]["examples"][0];
        assert_eq!((&missing["request"], &missing["rule"]), (&json!(2), &json!("broken")), "{fault}");
    }
}

#[tokio::test]
async fn a_connector_whose_cursor_is_ahead_after_a_crash_did_not_page() {
    let mut lab = Lab::new();
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(20);
    // It reads the newest page first, stores its cursor, and crashes before the second page.
    let (_, page) = lab.ask(&query).await;
    lab.stored = page.expect("a page")["data"].as_array().expect("data").clone();
    let cursor = lab.stored.iter().map(at).max().expect("entries");
    lab.advance(600);
    let entries = lab.read(window(cursor, lab.now())).await;
    lab.store_new(entries);
    let report = lab.audit("examples=1000").await;
    let left = report["missing"]["count"].as_u64().expect("a count");
    assert!(left > 0);
    assert_eq!(findings(&report), json!({"missing":{"not_paged":left}}), "{report}");
}

#[tokio::test]
async fn a_connector_that_starts_again_from_the_first_page_doubles() {
    let mut lab = Lab::new();
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    let (_, page) = lab.ask(&query).await;
    lab.stored = page.expect("a page")["data"].as_array().expect("data").clone();
    let again = lab.read(query).await;
    lab.stored.extend(again);
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({"duplicated":{"overlap":10}}), "{report}");
    let doubled = &report["duplicated"]["examples"][0];
    assert_eq!((&doubled["record"], &doubled["requests"]), (&json!(11), &json!([1, 2])));
}

#[tokio::test]
async fn a_record_that_was_served_once_is_doubled_by_the_connector_or_by_a_fault() {
    let mut lab = Lab::new();
    lab.collect(NOW - HOUR, NOW).await;
    lab.stored.push(lab.stored[0].clone());
    let report = lab.audit("examples=1000").await;
    assert_eq!(findings(&report), json!({"duplicated":{"connector":1}}), "{report}");
    assert_eq!(report["duplicated"]["examples"][0]["request"], 1);

    let mut lab = Lab::new();
    lab.fault(json!({"name":"twice","match":{"nth":1},"fault":{"entries":"duplicate"}})).await;
    lab.collect(NOW - HOUR, NOW).await;
    let report = lab.audit("examples=1000").await;
    assert_eq!(findings(&report), json!({"duplicated":{"fault":1}}), "{report}");
    assert_eq!(report["duplicated"]["examples"][0]["rule"], "twice");
}

#[tokio::test]
async fn changed_values_are_named_field_by_field() {
    let whole = async || {
        let mut lab = Lab::new();
        lab.inject(json!({"category":"device","event":"noncompliant","details":"Gerät von Zoë 検査","device_name":"LAPTOP-ZOË","device_id":"ZOE"}))
            .await;
        lab.collect(NOW - 6 * HOUR, NOW).await;
        lab
    };
    // Swaps two fields.
    let mut lab = whole().await;
    for entry in &mut lab.stored {
        let (id, name) = (entry["device_id"].clone(), entry["device_name"].clone());
        (entry["device_id"], entry["device_name"]) = (name, id);
    }
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW + 1)).await;
    assert_eq!(findings(&report), json!({"altered":report["expected"]}), "{report}");
    let differences = report["altered"]["examples"][0]["differences"].as_array().expect("differences");
    let fields: Vec<&Value> = differences.iter().map(|difference| &difference["field"]).collect();
    assert_eq!(fields, ["device_id", "device_name"]);
    assert_eq!(differences[0]["received"], differences[1]["expected"]);

    // Stores local time as UTC.
    let mut lab = whole().await;
    for entry in &mut lab.stored {
        let local = opswat_mock::world::Millis(at(entry) - 5 * HOUR);
        entry["timestamp"] = json!(opswat_mock::clock::Instant::from(local).to_string());
    }
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW + 1)).await;
    assert_eq!(findings(&report), json!({"altered":report["expected"]}), "{report}");
    assert_eq!(report["altered"]["examples"][0]["differences"][0]["field"], "timestamp");

    // Drops what is not ASCII.
    let mut lab = whole().await;
    for entry in &mut lab.stored {
        for (_, value) in entry.as_object_mut().expect("an object") {
            *value = value.as_str().expect("a text").replace(|c: char| !c.is_ascii(), "").into();
        }
    }
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW + 1)).await;
    assert_eq!(findings(&report), json!({"altered":1}), "{report}");
    let differences = &report["altered"]["examples"][0]["differences"];
    assert_eq!(
        *differences,
        json!([
            {"field":"details","expected":"Gerät von Zoë 検査","received":"Gert von Zo "},
            {"field":"device_name","expected":"LAPTOP-ZOË","received":"LAPTOP-ZO"},
        ])
    );

    // Loses a field.
    let mut lab = whole().await;
    lab.stored[0].as_object_mut().expect("an object").remove("device_group");
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW + 1)).await;
    assert_eq!(findings(&report), json!({"altered":1}), "{report}");
    assert_eq!(report["altered"]["examples"][0]["differences"][0]["received"], Value::Null);
}

#[tokio::test]
async fn invented_records_are_unknown_and_records_outside_are_not_judged() {
    let mut lab = Lab::new();
    lab.collect(NOW - 6 * HOUR, NOW).await;
    lab.stored.push(json!({"timestamp":"2026-01-15T10:00:00.001Z","event":"added","device_name":"NOBODY"}));
    let report = lab.audit(&between(NOW - 3 * HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({"unknown":1}), "{report}");
    assert!(report["outside"].as_u64() > Some(0), "{report}");
    assert_eq!(report["unknown"]["examples"][0]["fields"]["device_name"], "NOBODY");
}

#[tokio::test]
async fn filters_and_retention_are_told_apart() {
    let mut lab = Lab::new();
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["filter"] = json!({"events":["compliant","noncompliant"]});
    lab.stored = lab.read(query).await;
    let params = between(NOW - 6 * HOUR, NOW);
    let report = lab.audit(&params).await;
    let others = report["expected"].as_u64().expect("a count") - lab.stored.len() as u64;
    assert_eq!(findings(&report), json!({"missing":{"filtered":others}}), "{report}");
    let report = lab.audit(&format!("{params}&events=compliant,noncompliant")).await;
    assert_eq!(findings(&report), json!({}), "{report}");

    let mut lab = Lab::of(builder().retention_days(1));
    lab.collect(NOW - 48 * HOUR, NOW).await;
    let report = lab.audit(&between(NOW - 30 * HOUR, NOW)).await;
    let expired = report["missing"]["count"].as_u64().expect("a count");
    assert!(expired > 0);
    assert_eq!(findings(&report), json!({"missing":{"expired":expired}}), "{report}");
}

#[tokio::test]
async fn a_client_that_hangs_up_abandons_its_page() {
    let lab = Lab::new();
    lab.fault(json!({"fault":{"delay_ms":1000,"waits_on":"account"},"times":1})).await;
    let query = window(NOW - HOUR, NOW);
    let mut asking = Box::pin(lab.ask(&query));
    let waker = std::task::Waker::noop();
    assert!(asking.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    drop(asking);
    let (_, journal) = lab.control("GET", "/requests", "").await;
    let request = &journal["requests"][0];
    assert_eq!((&request["status"], &request["outcome"]), (&Value::Null, &json!("abandoned")), "{request}");
    let report = lab.audit(&between(NOW - HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({"missing":{"abandoned":report["expected"]}}), "{report}");
}

#[tokio::test]
async fn what_the_journal_has_dropped_is_unknown_and_never_guessed() {
    let account = serde_json::from_value(json!({"name":"short","seed":1,"journal":2,"now":"2026-01-15T12:00:00Z"}));
    let mock = opswat_mock::Mock::builder().account(account.expect("an account")).local().expect("a mock");
    let short = mock.accounts().get("short").expect("an account");
    let token = short.describe().access_token;
    let lab = Lab { local: mock, stored: Vec::new() };
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    for _ in 0..4 {
        let (_, page) = lab.ask_as(&token, &query).await;
        query["token"] = page.expect("a page")["token"].clone();
    }
    let window = "2026-01-15T06:00:00Z".parse().expect("a time")..short.clock().now().into();
    let report = short.audit(opswat_mock::world::Category::Device, window, Vec::<Value>::new()).expect("an audit");
    // Twenty events are in the two pages that the journal has; what became of the others is unknown.
    assert_eq!(report.missing.causes["served"], 20, "{report}");
    assert_eq!(report.missing.causes["unknown"], report.expected - 20, "{report}");
}

#[tokio::test]
async fn injected_events_that_were_deleted_again_are_no_finding() {
    let mut lab = Lab::new();
    lab.inject(json!({"category":"device","event":"added","device_name":"NEW"})).await;
    lab.collect(NOW - HOUR, NOW).await;
    lab.control("DELETE", "/events", "").await;
    assert_eq!(findings(&lab.audit("").await), json!({}));
    // A reset forgets the requests, and the audit with them.
    lab.local.account().reset();
    let (status, problem) = lab.control("POST", "/audit?category=device", "").await;
    assert_eq!(status, 400);
    assert_eq!(problem["detail"], "from and to must be given, as the journal has no request for device events");
}

#[tokio::test]
async fn the_correct_connector_is_complete_under_every_fault_and_lag() {
    for lag in ["0", "30", "0..120"] {
        for fault in [
            json!({"close":"mid-body"}),
            json!({"close":"before-headers"}),
            json!({"truncate_at":300}),
            json!({"invalid_utf8":true}),
            json!({"status":503}),
            json!({"rate_limit":"seconds"}),
            json!({"repeat_page_token":true}),
            json!({"entries":"reorder"}),
            json!({"entries":"duplicate"}),
            json!({"expire_token":true}),
        ] {
            let mut lab = Lab::of(builder().lag(lag));
            lab.fault(json!({"match":{"every":3},"fault":fault})).await;
            for _ in 0..6 {
                let mut query = window(lab.now() - 1_200_000, lab.now());
                query["limit"] = json!(7);
                let entries = lab.read(query).await;
                lab.store_new(entries);
                lab.advance(600);
            }
            let report = lab.audit(&between(NOW - 600_000, NOW + 4 * 600_000)).await;
            assert_eq!(findings(&report), json!({}), "lag {lag} {fault}: {report}");
        }
    }
}
