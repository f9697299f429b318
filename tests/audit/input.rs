//! Bodies that are wrong, or that are not meant as they were sent.

use serde_json::{Value, json};

use crate::{
    connector::{HOUR, Lab, NOW, between, builder, findings, window},
    records::{post, whole},
};

async fn audit(lab: &Lab, params: &str, content_type: &str, body: String) -> Value {
    let params = format!("category=device&{}{params}", between(NOW - 6 * HOUR, NOW + 1));
    let (status, report) = post(lab, &params, content_type, body).await;
    assert_eq!(status, 200, "{report}");
    report
}

#[tokio::test]
async fn a_record_without_an_end_is_refused_before_it_fills_the_memory() {
    let lab = whole().await;
    let large = "x".repeat(3 * 1024 * 1024);
    for (body, detail) in [
        (large.clone(), "The header line must have at most 1048576 bytes, got more; a quote may be open"),
        (
            format!("timestamp,event\n2026-01-15T11:00:00Z,added\n2026-01-15T11:00:00Z,\"{large}"),
            "Record 2 must have at most 1048576 bytes, got more; a quote may be open",
        ),
    ] {
        let params = format!("category=device&{}", between(NOW - 6 * HOUR, NOW + 1));
        let (status, problem) = post(&lab, &params, "text/csv", body).await;
        assert_eq!((status, problem["detail"].as_str()), (400, Some(detail)));
    }
}

#[tokio::test]
async fn an_array_that_is_no_json_is_refused() {
    let lab = whole().await;
    for (body, detail) in [
        (r#"[{"a":1}}"#, "The body must be a JSON array, but it has a wrong bracket after record 0"),
        (r#"[{"a":1},]"#, "The body must be a JSON array, but there is no record at a comma after record 1"),
        (r#"[,{"a":1}]"#, "The body must be a JSON array, but there is no record at a comma after record 0"),
        (r#"[{"a":1},,{"a":1}]"#, "The body must be a JSON array, but there is no record at a comma after record 1"),
    ] {
        let params = format!("category=device&{}", between(NOW - 6 * HOUR, NOW + 1));
        let (status, problem) = post(&lab, &params, "application/json", body).await;
        assert_eq!((status, problem["detail"].as_str()), (400, Some(detail)), "{body}");
    }
}

#[tokio::test]
async fn what_is_not_a_record_is_told_by_what_it_is() {
    let lab = whole().await;
    let lines: Vec<String> = lab.stored.iter().map(Value::to_string).collect();
    let page = json!({"data":lab.stored,"token":"abc"}).to_string();
    let v2 = json!({"logs":[{"date":"Jan 15, 2026 ","eventlog":["x"]}]}).to_string();
    for (body, reason) in [
        (page, "it must be one entry, got a whole page; its entries are in data"),
        (v2, "it must be one entry, got a whole page; its entries are in logs"),
        (
            lines.concat(),
            "it must be one JSON object, got several in one line; curl keeps line ends with --data-binary only",
        ),
        (
            "timestamp,event\n2026-01-15T11:00:00Z,added".to_owned(),
            "it must be a JSON object, got what looks like CSV, which needs the content type text/csv",
        ),
        (
            json!({"timestamp":"2026-01-15T11:00:00"}).to_string(),
            "timestamp must have a time zone, such as Z or +02:00, got 2026-01-15T11:00:00",
        ),
    ] {
        let report = audit(&lab, "", "application/x-www-form-urlencoded", body).await;
        assert_eq!(report["unreadable"]["examples"][0]["reason"], reason);
        assert_eq!(report["hints"], json!(["No record could be read. Check the format of the records and map."]));
    }
}

#[tokio::test]
async fn a_hint_says_what_to_check_first() {
    let lab = whole().await;
    let lines = |change: fn(&mut Value)| {
        let mut stored = lab.stored.clone();
        stored.iter_mut().for_each(change);
        stored.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
    };
    let same = |_: &mut Value| {};
    let ndjson = "application/x-ndjson";
    let report = audit(&lab, "&map=timestamp:/timestamp,event:/nope", ndjson, lines(same)).await;
    assert_eq!(report["hints"][0], "No record has event at /nope. Check map.");
    let report = audit(&lab, "", ndjson, String::new()).await;
    assert_eq!(report["hints"], json!(["There was no record."]));
    let other_year = |entry: &mut Value| {
        entry["timestamp"] = json!(entry["timestamp"].as_str().expect("a time").replace("2026", "2025"));
        entry["device_id"] = json!("NOBODY");
    };
    let report = audit(&lab, "", ndjson, lines(other_year)).await;
    let hint = "All records are outside of the window. Check from, to and category.";
    assert_eq!(report["hints"], json!([hint]));
    let stranger = |entry: &mut Value| {
        for (name, value) in entry.as_object_mut().expect("an object") {
            if name != "timestamp" {
                *value = json!("of another company");
            }
        }
    };
    let report = audit(&lab, "", ndjson, lines(stranger)).await;
    let hint = "No record is like an event of this account. Check the account, its seed, category and map.";
    assert_eq!(report["hints"], json!([hint]));
    // A window without events is complete, and tests nothing.
    let lab = Lab::of(builder());
    let nothing = between(NOW - 1, NOW);
    let hint = "No event was expected in this window, so the audit tested nothing. Check category, from and to.";
    for method in ["GET", "POST"] {
        let (_, report) = lab.control(method, &format!("/audit?category=device&{nothing}"), "").await;
        assert_eq!((&report["hints"], &report["is_complete"]), (&json!([hint]), &json!(true)), "{report}");
        assert_eq!(report["expected"], 0);
    }
}

#[tokio::test]
async fn a_stray_record_of_another_form_leaves_the_others_readable() {
    let lab = whole().await;
    let stray = json!({"date":"Jan 15, 2026","eventlog":"10:00 AM|nothing"}).to_string();
    let lines: Vec<String> = std::iter::once(stray).chain(lab.stored.iter().map(Value::to_string)).collect();
    let report = audit(&lab, "", "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(report["matched"], report["expected"], "{report}");
    // A row with an empty field of v2 is a row.
    let mut stored = lab.stored.clone();
    for entry in &mut stored {
        entry["eventlog"] = Value::Null;
    }
    let report = audit(&lab, "", "application/json", Value::from(stored).to_string()).await;
    assert_eq!(findings(&report), json!({}), "{report}");
}

#[tokio::test]
async fn times_in_seconds_at_the_ends_of_the_window_are_outside() {
    let mut lab = Lab::new();
    for (at, id) in [("10:00:00.000", "EARLY"), ("10:30:00.500", "IN"), ("11:00:00.300", "LATE")] {
        lab.inject(json!({"category":"device","event":"added","timestamp":format!("2026-01-15T{at}Z"),"device_id":id}))
            .await;
    }
    lab.collect(NOW - 6 * HOUR, NOW).await;
    let seconds = |entry: &Value| {
        let at: opswat_mock::clock::Instant = entry["timestamp"].as_str().expect("a time").parse().expect("an instant");
        let mut entry = entry.clone();
        entry["timestamp"] = json!(at.millis().0 / 1000);
        entry.to_string()
    };
    let lines: Vec<String> = lab.stored.iter().map(seconds).collect();
    // One event is a millisecond before the window, and one at its end.
    let params = format!("category=device&{}", between(NOW - 2 * HOUR + 1, NOW - HOUR + 300));
    let (_, report) = post(&lab, &params, "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(findings(&report), json!({}), "{report}");
    assert_eq!(report["outside"], json!(lines.len() as u64 - report["expected"].as_u64().expect("a count")));
}

#[tokio::test]
async fn records_of_events_that_are_not_expected_are_not_judged() {
    let lab = whole().await;
    let mut stored = lab.stored.clone();
    let nth = stored.iter().position(|entry| entry["event"] != "compliant").expect("another event");
    stored.push(stored[nth].clone());
    stored[nth]["device_name"] = json!("CHANGED");
    let report = audit(&lab, "&events=compliant", "application/json", Value::from(stored).to_string()).await;
    assert_eq!(findings(&report), json!({}), "{report}");
}

#[tokio::test]
async fn rows_are_compared_in_the_format_in_which_they_were_served() {
    let mut lab = Lab::new();
    lab.collect(NOW - 6 * HOUR, NOW).await;
    let (status, _) = lab.patch(json!({"profile":{"details":"label"}})).await;
    assert_eq!(status, 200);
    let report = lab.audit(&between(NOW - 6 * HOUR, NOW)).await;
    assert_eq!(findings(&report), json!({}), "{report}");
}

#[tokio::test]
async fn many_strangers_among_many_events_of_one_millisecond_are_paired_at_once() {
    let lab = Lab::new();
    let events: Vec<Value> = (0..5_000)
        .map(|nth| json!({"category":"device","event":"added","timestamp":"2026-01-15T11:00:00Z","device_id":format!("D{nth}")}))
        .collect();
    lab.inject(Value::from(events)).await;
    let strangers: Vec<String> = (0..20_000)
        .map(|nth| json!({"timestamp":"2026-01-15T11:00:00Z","event":"none","device_id":format!("S{nth}")}).to_string())
        .collect();
    let report = audit(&lab, "", "application/x-ndjson", strangers.join("\n")).await;
    assert_eq!(report["unknown"]["count"], 20_000, "{}", report["unknown"]["count"]);
}

#[tokio::test]
async fn a_query_for_a_head_reads_no_page() {
    let lab = Lab::new();
    let request = http::Request::head("/o/api/v2/logs?limit=50")
        .header("authorization", format!("Bearer {}", crate::connector::TOKEN));
    lab.local.answer(request.body(bytes::Bytes::new()).expect("a request")).await.expect("an answer");
    let (_, journal) = lab.control("GET", "/requests?with=events", "").await;
    let request = &journal["requests"][0];
    assert_eq!(request["outcome"], "completed", "{request}");
    let report = lab.audit_served(&between(NOW - HOUR, NOW)).await;
    assert_eq!(report["served"], 0, "{report}");
}

#[tokio::test]
async fn a_content_type_and_a_repeated_page_token_are_faults() {
    // The client refuses a page with another content type, and goes on.
    let mut lab = Lab::new();
    lab.fault(json!({"name":"html","match":{"nth":1},"fault":{"content_type":"text/html"}})).await;
    lab.ask(&window(NOW - HOUR, NOW)).await;
    let params = between(NOW - HOUR, NOW);
    let report = lab.audit(&params).await;
    assert_eq!(findings(&report), json!({"missing":{"fault":report["expected"]}}), "{report}");
    // It reads the page again, and stores both.
    let (_, page) = lab.ask(&window(NOW - HOUR, NOW)).await;
    let data = page.expect("a page")["data"].as_array().expect("data").clone();
    lab.stored = [data.clone(), data].concat();
    let report = lab.audit(&params).await;
    assert_eq!(findings(&report), json!({"duplicated":{"overlap":report["expected"]}}), "{report}");

    // The client stops because a page token leads to the same page.
    let mut lab = Lab::new();
    lab.fault(json!({"name":"circle","match":{"nth":2},"fault":{"repeat_page_token":true}})).await;
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(5);
    for _ in 0..2 {
        let (_, page) = lab.ask(&query).await;
        let page = page.expect("a page");
        lab.stored.extend(page["data"].as_array().expect("data").clone());
        query["token"] = page["token"].clone();
    }
    let params = between(NOW - 6 * HOUR, NOW);
    let report = lab.audit(&params).await;
    let left = report["expected"].as_u64().expect("a count") - 10;
    assert_eq!(findings(&report), json!({"missing":{"fault":left}}), "{report}");
    assert_eq!(report["missing"]["examples"][0]["rule"], "circle");
    // It follows the token, and stores the page twice.
    let (_, page) = lab.ask(&query).await;
    lab.stored.extend(page.expect("a page")["data"].as_array().expect("data").clone());
    let report = lab.audit(&params).await;
    assert_eq!(report["duplicated"]["causes"], json!({"fault":5}), "{report}");
}

#[tokio::test]
async fn a_failure_of_another_read_does_not_change_a_cause() {
    let mut lab = Lab::new();
    let mut query = window(NOW - 6 * HOUR, NOW);
    query["limit"] = json!(10);
    let (_, page) = lab.ask(&query).await;
    lab.stored = page.expect("a page")["data"].as_array().expect("data").clone();
    let params = between(NOW - 6 * HOUR, NOW);
    let before = findings(&lab.audit(&params).await);
    lab.fault(json!({"match":{"api":"logs-v3.3"},"fault":{"status":503}})).await;
    assert_eq!(lab.ask(&query).await.0, 503);
    let report = lab.audit(&params).await;
    assert_eq!(findings(&report), before, "{report}");
    assert_eq!(report["missing"]["examples"][0]["cause"], "not_paged");
}

#[tokio::test]
async fn a_store_of_many_days_hides_no_lost_event_of_one_day() {
    let mut lab = Lab::new();
    // The connector has three weeks, and lost all of the last day.
    lab.collect(NOW - 21 * 24 * HOUR, NOW - 2 * 24 * HOUR).await;
    let params = between(NOW - 24 * HOUR, NOW);
    let lines: Vec<String> = lab.stored.iter().map(Value::to_string).collect();
    let map = "map=timestamp:/timestamp,event:/event,device_group:/device_group";
    let (_, report) =
        post(&lab, &format!("category=device&{params}&{map}"), "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(report["outside"], json!(lines.len()), "{}", report["outside"]);
    assert_eq!((&report["altered"]["count"], &report["missing"]["count"]), (&json!(0), &report["expected"]));
    // The farthest time that is a number.
    let far = json!({"timestamp":i64::MAX,"event":"added"}).to_string();
    let (status, report) = post(&lab, &format!("category=device&{params}"), "application/x-ndjson", far).await;
    assert_eq!((status, &report["outside"]), (200, &json!(1)), "{report}");
}

#[tokio::test]
async fn records_with_another_time_that_come_twice_are_doubled() {
    let lab = whole().await;
    let local = |entry: &Value| {
        let at: opswat_mock::clock::Instant = entry["timestamp"].as_str().expect("a time").parse().expect("an instant");
        let mut entry = entry.clone();
        entry["timestamp"] = json!(at.millis().0 - 5 * HOUR);
        entry
    };
    let stored: Vec<Value> = lab.stored.iter().flat_map(|entry| [local(entry), local(entry)]).collect();
    let report = audit(&lab, "", "application/json", Value::from(stored).to_string()).await;
    assert_eq!(report["altered"]["count"], report["expected"], "{report}");
    assert_eq!((&report["duplicated"]["count"], &report["unknown"]["count"]), (&report["expected"], &json!(0)));
}

#[tokio::test]
async fn many_equal_records_of_one_millisecond_are_found_at_once() {
    let lab = Lab::new();
    let event = |nth: usize| json!({"category":"device","event":"added","timestamp":"2026-01-15T11:00:00Z","device_id":format!("D{nth}")});
    lab.inject(Value::Array((0..3_000).map(event).collect())).await;
    let (_, truth) =
        lab.control("GET", "/events?category=device&from=2026-01-15T11:00:00Z&to=2026-01-15T11:00:00Z", "").await;
    let rows: Vec<String> = truth["events"].as_array().expect("events").iter().map(Value::to_string).collect();
    let params = format!("category=device&{}", between(NOW - HOUR, NOW - HOUR + 1));
    let (_, report) = post(&lab, &params, "application/x-ndjson", rows.join("\n")).await;
    assert_eq!(report["matched"], 3_000, "{}", report["matched"]);
    assert_eq!(report["unknown"]["count"], 0);
}

#[tokio::test]
async fn an_abandoned_or_refused_page_is_not_the_fault_of_a_harmless_rule() {
    let mut lab = Lab::of(opswat_mock::Mock::builder().now("2026-01-15T12:00:00Z"));
    lab.fault(json!({"name":"html","fault":{"content_type":"text/html"}})).await;
    let mut query = window(NOW - 24 * HOUR, NOW);
    query["limit"] = json!(5);
    while let (200, Some(page)) = lab.ask(&query).await {
        lab.stored.extend(page["data"].as_array().expect("data").clone());
        query["token"] = page["token"].clone();
    }
    let report = lab.audit(&between(NOW - 24 * HOUR, NOW)).await;
    let left = report["expected"].as_u64().expect("a count") - 50;
    assert_eq!(findings(&report), json!({"missing":{"refused":left}}), "{report}");
}

#[tokio::test]
async fn equal_lines_on_both_sides_of_an_end_are_not_doubled() {
    let lab = Lab::new();
    for at in ["11:00:10", "11:00:40"] {
        let at = format!("2026-01-15T{at}.000Z");
        lab.inject(json!({"category":"device","event":"compliant","timestamp":at,"device_name":"Y","device_id":"y"}))
            .await;
    }
    let mut days = Vec::new();
    for page in 1.. {
        let path = format!("/o/api/v2/logs?limit=50&page={page}");
        let request = http::Request::get(path).header("authorization", format!("Bearer {}", crate::connector::TOKEN));
        let answer = lab.local.answer(request.body(bytes::Bytes::new()).expect("a request")).await.expect("an answer");
        let Ok(body) = serde_json::from_slice::<Value>(answer.body()) else { break };
        let Some(logs) = body["logs"].as_array().filter(|_| page < 4) else { break };
        days.extend(logs.clone());
    }
    let params = format!("category=device&{}", between(NOW - HOUR + 30_000, NOW));
    let (_, report) = post(&lab, &params, "application/json", Value::from(days).to_string()).await;
    assert_eq!(findings(&report), json!({}), "{report}");
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let lab = Lab::new();
    let path = format!("/_mock/accounts/default/audit?category=device&{}", between(NOW - HOUR, NOW));
    let request = http::Request::post(path).header("host", "localhost").header("content-encoding", "gzip");
    let answer = lab.local.answer(request.body(bytes::Bytes::new()).expect("a request")).await.expect("an answer");
    let problem: Value = serde_json::from_slice(answer.body()).expect("JSON");
    let detail = "Content-Encoding must be identity, got gzip";
    assert_eq!((answer.status().as_u16(), problem["detail"].as_str()), (415, Some(detail)));
}
