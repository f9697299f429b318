//! The forms of records: rows of each version, own shapes with a map, CSV; and records that cannot be read.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, TOKEN, between, findings, window};

pub(crate) async fn whole() -> Lab {
    let mut lab = Lab::new();
    lab.inject(json!({"category":"device","event":"noncompliant","details":"a \"quoted\", text\nof two lines, Zoë"}))
        .await;
    lab.collect(NOW - 6 * HOUR, NOW).await;
    lab
}

pub(crate) async fn post(lab: &Lab, params: &str, content_type: &str, body: impl Into<Bytes>) -> (u16, Value) {
    let params = params.replace('+', "%2B");
    lab.control_as("POST", &format!("/audit?{params}"), content_type, body).await
}

#[tokio::test]
async fn records_come_as_ndjson_array_or_csv() {
    let lab = whole().await;
    let params = format!("category=device&{}", between(NOW - 6 * HOUR, NOW + 1));
    let names = ["timestamp", "event", "details", "device_id", "device_name", "device_username", "device_group"];
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(names.iter().rev()).expect("a header");
    for entry in &lab.stored {
        csv.write_record(names.iter().rev().map(|name| entry[name].as_str().expect("a text"))).expect("a record");
    }
    let csv = csv.into_inner().expect("CSV");
    let lines: Vec<String> = lab.stored.iter().map(Value::to_string).collect();
    let pretty = serde_json::to_string_pretty(&lab.stored).expect("JSON");
    for (content_type, body) in [
        ("application/x-ndjson", lines.join("\n").into_bytes()),
        ("application/x-ndjson", format!("\u{feff}\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()),
        ("application/json", Value::from(lab.stored.clone()).to_string().into_bytes()),
        ("application/json; charset=utf-8", pretty.into_bytes()),
        ("text/csv", csv),
    ] {
        let (status, report) = post(&lab, &params, content_type, body).await;
        assert_eq!((status, findings(&report)), (200, json!({})), "{content_type}: {report}");
        assert_eq!(report["matched"], json!(lab.stored.len()));
    }
}

#[tokio::test]
async fn own_shapes_are_compared_through_a_map() {
    let lab = whole().await;
    let seconds = |entry: &Value| {
        let at: opswat_mock::clock::Instant = entry["timestamp"].as_str().expect("a time").parse().expect("an instant");
        at.millis().0
    };
    let ecs = |entry: &Value| {
        let at = entry["timestamp"].as_str().expect("a time").replace('Z', "+00:00");
        json!({"@timestamp":at,"event":{"action":entry["event"]},"host":{"id":entry["device_id"]},"tags":["x"]})
    };
    let splunk = |entry: &Value| json!({"time":seconds(entry) / 1000,"event":entry["event"],"host":entry["device_id"]});
    let cef = |entry: &Value| json!({"rt":seconds(entry),"act":entry["event"],"dvc":entry["device_id"],"x":1.5});
    let with_fraction = |entry: &Value| json!({"time":format!("{}.{:03}", seconds(entry) / 1000, seconds(entry) % 1000),"event":entry["event"]});
    for (map, records) in [
        (
            "timestamp:/@timestamp,event:/event/action,device_id:/host/id",
            lab.stored.iter().map(ecs).collect::<Vec<_>>(),
        ),
        ("timestamp:/time,event:/event,device_id:/host", lab.stored.iter().map(splunk).collect()),
        ("timestamp:rt,event:act,device_id:dvc", lab.stored.iter().map(cef).collect()),
        ("timestamp:time,event:event", lab.stored.iter().map(with_fraction).collect()),
    ] {
        let params = format!("category=device&{}&map={map}", between(NOW - 6 * HOUR, NOW + 1));
        let (status, report) = post(&lab, &params, "application/json", Value::from(records).to_string()).await;
        assert_eq!((status, findings(&report)), (200, json!({})), "{map}: {report}");
    }
}

#[tokio::test]
async fn equal_records_are_matched_as_a_multiset() {
    let lab = Lab::new();
    for name in ["A", "B", "C"] {
        let event =
            json!({"category":"device","event":"added","timestamp":"2026-01-15T11:59:59.5Z","device_name":name});
        lab.inject(event).await;
    }
    let record = r#"{"t":"2026-01-15T11:59:59.500Z","e":"added"}"#;
    for (count, expected) in
        [(2, json!({"missing":{"gap":1}})), (3, json!({})), (4, json!({"duplicated":{"connector":1}}))]
    {
        let params = format!("category=device&{}&map=timestamp:/t,event:/e", between(NOW - 500, NOW - 499));
        let (_, report) = post(&lab, &params, "application/x-ndjson", vec![record; count].join("\n")).await;
        assert_eq!(findings(&report), expected, "{count} records: {report}");
    }
}

#[tokio::test]
async fn rows_of_the_other_apis_are_records() {
    let lab = Lab::new();
    let get = |path: &str| Request::get(format!("{path}&access_token={TOKEN}")).body(Bytes::new()).expect("a request");
    let mut days = Vec::new();
    let mut single = Vec::new();
    for page in 1.. {
        let answer = lab.local.answer(get(&format!("/o/api/v2/logs?limit=50&page={page}"))).await.expect("an answer");
        if answer.status() != 200 {
            break;
        }
        let logs: Value = serde_json::from_slice(answer.body()).expect("JSON");
        for day in logs["logs"].as_array().expect("days") {
            days.push(day.clone());
            for line in day["eventlog"].as_array().expect("lines") {
                single.push(json!({"date":day["date"],"eventlog":line}));
            }
        }
    }
    let params = format!("category=device&{}", between(NOW - 30 * 24 * HOUR, NOW));
    for records in [days, single] {
        let (status, report) = post(&lab, &params, "application/json", Value::from(records).to_string()).await;
        assert_eq!((status, findings(&report)), (200, json!({})), "{report}");
        assert!(report["matched"].as_u64() > Some(100));
    }

    let mut accesses = Vec::new();
    for page in 1.. {
        let request = Request::post("/o/api/v3/activities")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json");
        let body = json!({"page":page}).to_string();
        let answer = lab.local.answer(request.body(body.into()).expect("a request")).await.expect("an answer");
        if answer.status() != 200 {
            break;
        }
        let rows: Vec<Value> = serde_json::from_slice(answer.body()).expect("rows");
        accesses.extend(rows);
    }
    let params = format!("category=activity&{}", between(NOW - 24 * HOUR, NOW));
    let (status, report) = post(&lab, &params, "application/json", Value::from(accesses.clone()).to_string()).await;
    assert_eq!((status, findings(&report)), (200, json!({})), "{report}");
    accesses.remove(0);
    let (_, report) = post(&lab, &params, "application/json", Value::from(accesses).to_string()).await;
    assert_eq!(findings(&report), json!({"missing":{"served":1}}), "{report}");
}

#[tokio::test]
async fn reports_and_webhook_entries_are_records() {
    let lab = Lab::new();
    for category in ["device_report", "webhook", "admin"] {
        let mut query = window(NOW - 24 * HOUR, NOW);
        query["event_category"] = json!(category);
        let mut records = lab.read(query).await;
        let params = format!("category={category}&{}", between(NOW - 24 * HOUR, NOW));
        let (_, report) = post(&lab, &params, "application/json", Value::from(records.clone()).to_string()).await;
        assert_eq!(findings(&report), json!({}), "{category}: {report}");
        assert!(report["matched"].as_u64() > Some(0), "{category}");
        if category == "device_report" {
            records[0]["last_seen"] = json!("2026-01-15T00:00:00.000Z");
            let (_, report) = post(&lab, &params, "application/json", Value::from(records).to_string()).await;
            assert_eq!(findings(&report), json!({"altered":1}), "{report}");
            assert_eq!(report["altered"]["examples"][0]["differences"][0]["field"], "last_seen");
        }
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_reported_and_the_rest_is_compared() {
    let lab = whole().await;
    let mut lines: Vec<String> = lab.stored.iter().map(Value::to_string).collect();
    lines.insert(1, "not JSON".to_owned());
    lines.insert(3, r#"{"event":"added"}"#.to_owned());
    lines.insert(5, r#"{"timestamp":"yesterday"}"#.to_owned());
    lines.insert(7, "[1]".to_owned());
    lines.insert(9, format!(r#"{{"timestamp":"{}"}}"#, "x".repeat(1024 * 1024)));
    lines.push(r#"{"timestamp":"2026-01"#.to_owned());
    let params = format!("category=device&{}", between(NOW - 6 * HOUR, NOW + 1));
    let (_, report) = post(&lab, &params, "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(findings(&report), json!({"unreadable":6}), "{report}");
    let reasons: Vec<String> = report["unreadable"]["examples"]
        .as_array()
        .expect("examples")
        .iter()
        .map(|example| format!("{} {}", example["record"], example["reason"].as_str().expect("a reason")))
        .collect();
    for (nth, reason) in [
        "2 it is not a JSON object: expected ident",
        "4 timestamp is missing",
        "6 timestamp must be RFC 3339, epoch seconds or milliseconds, or a time of the API, got yesterday",
        "8 it is not a JSON object: invalid type: sequence, expected an object",
        "10 it has more than 1048576 bytes",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(reasons[nth].starts_with(reason), "{}", reasons[nth]);
    }
    assert!(reasons[5].contains("the stream ends in the middle of the record"), "{}", reasons[5]);
}

#[tokio::test]
async fn bad_input_gets_a_problem_that_names_it() {
    let lab = whole().await;
    let window = between(NOW - 6 * HOUR, NOW);
    for (params, content_type, body, detail) in [
        (
            "category=colour",
            "application/json",
            "[]",
            "category must be one of device, admin, webhook, device_report, activity, got colour",
        ),
        ("category=device&from=yesterday", "application/json", "[]", "from must be an instant such as"),
        (
            "category=device&from=2026-01-15&to=2026-01-14",
            "application/json",
            "[]",
            "from must be before to (2026-01-14T00:00:00Z), got 2026-01-15T00:00:00Z",
        ),
        ("category=device&to=2026-01-14", "application/json", "[]", "from must be given with to"),
        (
            "category=admin",
            "application/json",
            "[]",
            "from and to must be given, as the journal has no request for admin events",
        ),
        ("category=device&examples=1001", "application/json", "[]", "examples must be from 0 to 1000, got 1001"),
        ("category=device&colour=red", "application/json", "[]", "The query: colour: unknown field `colour`"),
        ("category=device&events=login", "application/json", "[]", "events must be one or more of access_granted"),
        ("category=device&agent_types=1", "application/json", "[]", "agent_types must be 0, 2 or 0,2, got 1"),
        (
            "category=device&map=timestamp",
            "application/json",
            "[]",
            "map must be pairs such as timestamp:/@timestamp, got timestamp",
        ),
        ("category=device&map=event:/e", "application/json", "[]", "map must have timestamp"),
        ("category=device&map=timestamp:/t,colour:/c", "application/json", "[]", "map must have fields of device"),
        (
            "category=device&map=timestamp:when",
            "text/csv",
            "a,b\n1,2\n",
            "map must have columns of the header line (a, b), got when",
        ),
        ("category=device", "text/csv", "a,b\n1,2\n", "The header line must have columns of timestamp"),
        (
            "category=device",
            "image/png",
            "x",
            "The content type must be application/x-ndjson, application/json or text/csv, got image/png",
        ),
        (
            "category=device",
            "application/json",
            r#"[{"timestamp":"2026-01-15T11:00:00Z"}"#,
            "The body must be a whole JSON array, but it ends inside of it",
        ),
        ("category=device", "application/json", "[] []", "The body must end after the JSON array, but it goes on"),
    ] {
        let params = if params == "category=device" { format!("{params}&{window}") } else { params.to_owned() };
        let (status, problem) = post(&lab, &params, content_type, body).await;
        let got = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && got.starts_with(detail), "{params}: {status} {problem}");
    }
    let (status, problem) = lab.control("GET", "/audit?category=device&map=timestamp:/t", "").await;
    assert_eq!(
        (status, problem["detail"].as_str()),
        (400, Some("map must be left out of GET, which compares no records, got one"))
    );
    // Nothing was stored.
    let (status, report) = post(&lab, &format!("category=device&{window}"), "application/json", "").await;
    assert_eq!((status, findings(&report)), (200, json!({"missing":{"served":report["expected"]}})), "{report}");
    // A binary body is no record.
    let (_, report) =
        post(&lab, &format!("category=device&{window}"), "application/octet-stream", vec![0xFF, 0, 10, 0xFE]).await;
    assert_eq!(report["unreadable"]["count"], 2, "{report}");
}

/// Texts of clients are shown in one line, and XML stays XML.
#[tokio::test]
async fn control_characters_of_records_do_not_break_a_report() {
    let lab = Lab::new();
    let name = "X\u{1}<&]]>\nmissing: 5|";
    lab.inject(json!({"category":"device","event":"added","device_name":name})).await;
    let record = json!({"timestamp":"2026-01-15T11:00:00.001Z","event":"added","device_name":name}).to_string();
    let report = async |format: &str| {
        let noun = format!("/audit?category=device&{}&format={format}", between(NOW - HOUR, NOW + 1));
        let request = Request::post(format!("/_mock/accounts/default{noun}")).header("host", "localhost");
        let answer = lab.local.answer(request.body(record.clone().into()).expect("a request")).await;
        String::from_utf8(answer.expect("an answer").body().to_vec()).expect("UTF-8")
    };
    let text = report("text").await;
    assert_eq!(text.lines().filter(|line| line.starts_with("missing: ")).count(), 1, "{text}");
    let junit = report("junit").await;
    assert!(!junit.contains('\u{1}') && junit.contains("X\u{FFFD}&lt;&amp;]]&gt;\u{FFFD}"), "{junit}");
    let markdown = report("markdown").await;
    assert!(markdown.lines().all(|line| !line.starts_with("missing")), "{markdown}");
}
