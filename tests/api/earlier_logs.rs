//! `POST /o/api/v3/logs`, `/o/api/v3.1/logs` and `/o/api/v3.2/logs`: the same events as v3.3, in other forms.

use serde_json::{Value, json};

use crate::harness::{Mock, Row};

const LOGS_V3: &str = "/o/api/v3/logs";
const LOGS_V3_1: &str = "/o/api/v3.1/logs";
const LOGS_V3_2: &str = "/o/api/v3.2/logs";
const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;

fn texts(rows: &Value) -> Vec<Value> {
    rows.as_array().expect("rows").clone()
}

/// The rows of v3.3, with the codes of the versions before it.
fn with_earlier_codes(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        if row["event"] == "deleted_api" {
            row["event"] = "deleted".into();
        }
    }
    rows
}

/// All pages by number, until the API says that there are no more.
async fn numbered(mock: &Mock, path: &str, query: &Value, field: &str) -> Vec<Value> {
    let (mut query, mut all) = (query.clone(), Vec::new());
    for page in 1.. {
        query["page"] = page.into();
        let answer = mock.post(path, query.to_string()).await;
        if answer.status == 413 {
            break;
        }
        all.extend(texts(&answer.ok()[field]));
    }
    all
}

#[tokio::test]
async fn v3_2_returns_the_events_of_v3_3_and_deleted_api_as_deleted() {
    let mock = Mock::unlimited();
    for category in ["device", "admin", "webhook", "device_report"] {
        let query = json!({"event_category":category,"start_time":NOW - 20 * DAY,"limit":100});
        let expected = with_earlier_codes(mock.walk_v33(&query).await);
        let (mut query, mut all) = (query, Vec::new());
        loop {
            let page = mock.post(LOGS_V3_2, query.to_string()).await.ok();
            all.extend(texts(&page["data"]));
            query["token"] = page["token"].clone();
            if page["token"] == "" {
                break;
            }
        }
        assert_eq!(all, expected, "{category}");
        assert!(category != "device" || all.iter().any(|row| row["details"].to_string().contains("OAuth API")));
    }
}

#[tokio::test]
async fn v3_1_returns_the_same_by_page_number() {
    let mock = Mock::unlimited();
    for category in ["device", "admin", "webhook"] {
        for limit in [7, 50] {
            let query = json!({"event_category":category,"start_time":NOW - 3 * DAY,"limit":limit});
            let expected = with_earlier_codes(mock.walk_v33(&query).await);
            assert_eq!(numbered(&mock, LOGS_V3_1, &query, "data").await, expected, "{category} {limit}");
        }
    }
}

/// Also with injected events, which the pages of both categories share.
#[tokio::test]
async fn v3_returns_device_and_administrator_events_in_one_order() {
    let mock = Mock::unlimited();
    let at = |minutes: i64| format!("2026-01-15T{:02}:{:02}:00Z", 11 - minutes / 60, 59 - minutes % 60);
    let injected: Vec<_> = (0..40)
        .map(|nth| {
            let (category, event) = if nth % 3 == 0 { ("admin", "login") } else { ("device", "deleted_api") };
            json!({"category":category,"event":event,"timestamp":at(7 * nth)})
        })
        .collect();
    mock.account.inject(&serde_json::from_value::<Vec<_>>(injected.into()).expect("events")).expect("injected");
    let mut expected = Vec::new();
    for category in ["device", "admin"] {
        let query = json!({"event_category":category,"age":86400,"limit":100});
        expected.extend(with_earlier_codes(mock.walk_v33(&query).await));
    }
    expected.sort_by(|one, other| other["timestamp"].as_str().cmp(&one["timestamp"].as_str()));
    for limit in [1, 13, 50] {
        let all = numbered(&mock, LOGS_V3, &json!({"limit":limit}), "logs").await;
        let shown = |row: &Value| (row["timestamp"].clone(), row["event"].clone(), row["details"].clone());
        assert_eq!(
            all.iter().map(shown).collect::<Vec<_>>(),
            expected.iter().map(shown).collect::<Vec<_>>(),
            "{limit}"
        );
        for (row, of_v33) in all.iter().zip(&expected) {
            let is_admin = of_v33["admin_email"].is_string();
            let device = if is_admin {
                ["", ""].map(Value::from)
            } else {
                ["device_id", "device_name"].map(|name| of_v33[name].clone())
            };
            assert_eq!([row["device_id"].clone(), row["device_name"].clone()], device);
            let is_of_fleet = !row["device_name"].as_str().expect("a name").is_empty();
            assert_eq!(!texts(&row["mac_addresses"]).is_empty(), is_of_fleet && !is_admin, "{row}");
        }
    }
}

#[tokio::test]
async fn v3_filters_by_codes_of_both_categories() {
    let mock = Mock::unlimited();
    let dates = json!({"start_date":"2025/12/20","end_date":"2026/01/15","limit":50});
    let all = numbered(&mock, LOGS_V3, &dates, "logs").await;
    for codes in [json!(["deleted"]), json!(["login", "added"]), json!(["noncompliant", "config", "unseen"])] {
        let mut query = dates.clone();
        query["filter"] = codes.clone();
        let wanted: Vec<_> = all.iter().filter(|row| texts(&codes).contains(&row["event"])).cloned().collect();
        assert!(!wanted.is_empty(), "{codes}");
        assert_eq!(numbered(&mock, LOGS_V3, &query, "logs").await, wanted, "{codes}");
    }
    // An empty filter, and none.
    for filter in [json!([]), Value::Null] {
        let mut query = dates.clone();
        query["filter"] = filter;
        assert_eq!(texts(&mock.post(LOGS_V3, query.to_string()).await.ok()["logs"]), all[..50]);
    }
}

#[tokio::test]
async fn v3_reads_whole_days_and_seconds() {
    let mock = Mock::unlimited();
    let days = |query: Value| {
        let mock = &mock;
        async move {
            let rows = numbered(mock, LOGS_V3, &query, "logs").await;
            let mut days: Vec<String> =
                rows.iter().map(|row| row["timestamp"].as_str().expect("a time")[..10].to_owned()).collect();
            days.dedup();
            days
        }
    };
    let one = json!({"start_date":"2026/01/13","end_date":"2026/01/13","limit":50,"age":60});
    assert_eq!(days(one).await, ["2026-01-13"], "age is ignored beside dates");
    let two = json!({"start_date":"2026/01/13","end_date":"2026/01/14","limit":50});
    assert_eq!(days(two).await, ["2026-01-14", "2026-01-13"]);
    assert_eq!(days(json!({"limit":50})).await, ["2026-01-15", "2026-01-14"], "a day by default");
    let hour = numbered(&mock, LOGS_V3, &json!({"age":3600,"limit":50}), "logs").await;
    assert!(hour.iter().all(|row| row["timestamp"].as_str() >= Some("2026-01-15T11:00:00.000Z")), "{hour:?}");
}

#[tokio::test]
async fn a_filter_of_v3_2_for_deleted_finds_deletions_by_api() {
    let mock = Mock::unlimited();
    let window = json!({"event_category":"device","start_time":NOW - 30 * DAY,"limit":100});
    let of = |codes: Value| {
        let mut query = window.clone();
        query["filter"] = json!({"events":codes});
        query
    };
    let by_api = mock.walk_v33(&of(json!("deleted_api"))).await;
    assert!(!by_api.is_empty());
    let expected = mock.walk_v33(&of(json!("deleted,deleted_api"))).await.len();
    for (path, limit) in [(LOGS_V3_2, 100), (LOGS_V3_1, 50)] {
        let mut query = of(json!(["deleted"]));
        query["limit"] = limit.into();
        assert_eq!(texts(&mock.post(path, query.to_string()).await.ok()["data"]).len(), expected, "{path}");
    }
}

/// The vendor's add-on sends a body of v3.2 to v3.
#[tokio::test]
async fn v3_answers_a_body_of_v3_2_as_v3_2() {
    let mock = Mock::unlimited();
    let query = json!({"event_category":"device","age":86400,"limit":100});
    let page = mock.post(LOGS_V3, query.to_string()).await;
    assert_eq!(page.body, mock.post(LOGS_V3_2, query.to_string()).await.body);
    let mut next = query.clone();
    next["token"] = page.ok()["token"].clone();
    assert_eq!(
        mock.post(LOGS_V3, next.to_string()).await.body,
        mock.v33(next).await.body,
        "a token of v3.2 works in all"
    );
}

#[tokio::test]
async fn the_profile_decides_the_shape_of_v3() {
    for (shape, query, keys) in [
        ("by-request", json!({}), "logs"),
        ("by-request", json!({"event_category":null}), "logs"),
        ("by-request", json!({"event_category":"admin"}), "data"),
        ("object", json!({"event_category":"admin","limit":5}), "logs"),
        ("list", json!({"event_category":"admin","limit":5}), "list"),
    ] {
        let mock = Mock::unlimited();
        let change = json!({"profile":{"v3_logs_shape":shape}});
        mock.account.change(serde_json::from_value(change).expect("a change"));
        let mut query = query;
        if keys == "data" {
            query["age"] = 86_400.into();
        }
        let page = mock.post(LOGS_V3, query.to_string()).await.ok();
        let rows = match keys {
            "list" => &page[0]["logs"],
            field => &page[field],
        };
        assert!(!texts(rows).is_empty(), "{shape} {query}: {page}");
    }
}

#[tokio::test]
async fn mistakes_name_the_parameter() {
    let codes = "added, ";
    let mock = Mock::unlimited();
    let tables: [(&str, &[Row<'_>]); 3] = [
        (
            LOGS_V3,
            &[
                (r#"{"limit":51}"#, 406, "not_acceptable", "limit must be at most 50, got 51"),
                (r#"{"limit":0}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got 0"),
                (r#"{"page":"2"}"#, 400, "invalid_request", "page must be an integer from 1, got \"2\""),
                (
                    r#"{"page":1000}"#,
                    413,
                    "page_out_of_range",
                    "There is nothing on page 1000: it is beyond the last page, or there is no data to return",
                ),
                (
                    r#"{"age":86401}"#,
                    400,
                    "invalid_request",
                    "age must be an integer of seconds from 1 to 86400, got 86401",
                ),
                (r#"{"start_date":"2026/01/01"}"#, 400, "invalid_request", "end_date is required: a day as YYYY/MM/DD"),
                (r#"{"end_date":"2026/01/01"}"#, 400, "invalid_request", "start_date is required: a day as YYYY/MM/DD"),
                (
                    r#"{"start_date":"01/01/2026","end_date":"2026/01/02"}"#,
                    400,
                    "invalid_request",
                    "start_date must be a day as YYYY/MM/DD, got \"01/01/2026\"",
                ),
                (
                    r#"{"start_date":"2026/01/03","end_date":"2026/01/02"}"#,
                    400,
                    "invalid_request",
                    "end_date must be start_date (2026/01/03) or later, got 2026/01/02",
                ),
                (
                    r#"{"event_category":"colour"}"#,
                    400,
                    "invalid_request",
                    "event_category must be device, admin, webhook or device_report, got \"colour\"",
                ),
            ],
        ),
        (
            LOGS_V3_1,
            &[
                ("{}", 400, "invalid_request", "event_category is required: device, admin or webhook"),
                (
                    r#"{"event_category":"device_report"}"#,
                    400,
                    "invalid_request",
                    "event_category must be device, admin or webhook, got \"device_report\"",
                ),
                (
                    r#"{"event_category":"device","limit":51}"#,
                    406,
                    "not_acceptable",
                    "limit must be at most 50, got 51",
                ),
                (
                    r#"{"event_category":"device","page":0}"#,
                    400,
                    "invalid_request",
                    "page must be an integer from 1, got 0",
                ),
            ],
        ),
        (
            LOGS_V3_2,
            &[
                (
                    r#"{"event_category":"device","limit":101}"#,
                    406,
                    "not_acceptable",
                    "limit must be at most 100, got 101",
                ),
                (
                    r#"{"event_category":"device","token":"x"}"#,
                    400,
                    "invalid_request",
                    "token must be the token of the page before, as it was answered, of the same account and configuration, got \"x\"",
                ),
            ],
        ),
    ];
    for (path, rows) in tables {
        for (body, status, error, description) in rows {
            mock.post(path, *body).await.assert_refused(*status, error, description);
        }
    }
    for (path, body) in [
        (LOGS_V3, r#"{"filter":["deleted_api"]}"#),
        (LOGS_V3, r#"{"filter":"added"}"#),
        (LOGS_V3_1, r#"{"event_category":"device","filter":{"events":"deleted_api"}}"#),
        (LOGS_V3_2, r#"{"event_category":"device","filter":{"events":["deleted_api"]}}"#),
    ] {
        let (status, _, description) = mock.post(path, body).await.refusal();
        assert!(status == 400 && description.contains(codes) && !description.contains("deleted_api,"), "{description}");
    }
}

/// Each version has a quota of its own, and its own name for faults and in the journal.
#[tokio::test]
async fn versions_have_names_for_the_quota_faults_and_the_journal() {
    let mock = Mock::new("--rate-limit 1/60");
    for (path, name) in [(LOGS_V3, "logs-v3"), (LOGS_V3_1, "logs-v3.1"), (LOGS_V3_2, "logs-v3.2")] {
        let body = r#"{"event_category":"device","age":86400}"#;
        mock.post(path, body).await.ok();
        assert_eq!(mock.post(path, body).await.status, 429, "{path}");
        let requests = mock.account.requests(0, 100).requests;
        let last = serde_json::to_value(&**requests.last().expect("a request")).expect("JSON");
        assert_eq!((&last["api"], &last["status"]), (&name.into(), &429.into()));
        let rule = json!({"match":{"api":name},"fault":{"delay_ms":1},"hidden":true});
        mock.account.add_faults(vec![serde_json::from_value(rule).expect("a rule")]).expect("a rule");
        mock.post(path, body).await;
        assert_eq!(mock.account.faults().last().map(|rule| rule.applied), Some(1), "{path}");
    }
    let rule = json!({"match":{"api":"logs-v3.1"},"fault":{"repeat_page_token":true}});
    let error =
        mock.account.add_faults(vec![serde_json::from_value(rule).expect("a rule")]).expect_err("no page tokens");
    assert_eq!(
        error.to_string(),
        "fault.repeat_page_token is for APIs with page tokens: logs-v3, logs-v3.2, logs-v3.3"
    );
}
