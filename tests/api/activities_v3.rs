//! `POST /o/api/v3/activities`

use serde_json::{Value, json};

use crate::harness::{Mock, Row, V3};

fn rows(page: &Value) -> Vec<Value> {
    page.as_array().expect("a bare array").clone()
}

/// Reads all pages of a query.
async fn walk(mock: &Mock, query: &Value) -> Vec<Value> {
    let mut query = query.clone();
    let mut found = Vec::new();
    for page in 1.. {
        query["page"] = page.into();
        let answer = mock.v3(query.clone()).await;
        if answer.status == 413 {
            break;
        }
        found.extend(rows(&answer.ok()));
    }
    found
}

#[tokio::test]
async fn the_documented_request_finds_the_blocked_accesses_of_its_days() {
    let query = json!({"action":["blocked"],"page":1,"limit":20,"start_date":"05/15/2018","end_date":"05/18/2018"});
    let then = Mock::new("--now 2018-05-18T12:00:00Z");
    let page = rows(&then.v3(query.clone()).await.ok());
    assert_eq!(page.len(), 20);
    for row in &page {
        assert_eq!((row["action"].as_str(), row["device_status"].as_str()), (Some("blocked"), Some("Non-compliant")));
        let timestamp = row["timestamp"].as_str().expect("a string");
        assert!(["May 15", "May 16", "May 17", "May 18"].iter().any(|day| timestamp.starts_with(day)), "{timestamp}");
    }
    assert_eq!(
        Mock::new("").v3(query).await.status,
        413,
        "with the later clock these days are older than the retention"
    );
}

#[tokio::test]
async fn an_empty_body_uses_all_defaults() {
    let mock = Mock::unlimited();
    let page = mock.v3(json!({})).await.ok();
    assert_eq!(rows(&page).len(), 50);
    for body in ["", "[]", " \r\n", "{\"limit\":null,\"age\":null,\"search\":null,\"action\":null}", "{\"age\":24}"] {
        assert_eq!(mock.post(V3, body).await.ok(), page, "{body}");
    }
    assert_eq!(mock.v3(json!({"limit":50,"page":1,"age":24,"action":[],"search":"","verify":true})).await.ok(), page);
}

#[tokio::test]
async fn rows_have_the_documented_fields_in_order() {
    let mock = Mock::unlimited();
    let fields = [
        "app_name",
        "device_status",
        "device_name",
        "device_id",
        "access_rule",
        "app_user",
        "device_group",
        "action",
        "timestamp",
    ];
    let body = mock.v3(json!({"limit":50})).await;
    for row in rows(&body.ok()) {
        let row = row.as_object().expect("an object");
        assert!(row.len() == 9 && fields.iter().all(|name| row[*name].is_string()), "{row:?}");
    }
    let first = body.text().split("},").next().expect("a row").to_owned();
    let positions: Vec<_> = fields.iter().map(|name| first.find(&format!("\"{name}\"")).expect("the field")).collect();
    assert!(positions.is_sorted(), "the fields are not in the documented order");
}

#[tokio::test]
async fn all_page_sizes_give_the_same_rows() {
    let mock = Mock::unlimited();
    let whole = walk(&mock, &json!({"age":12,"limit":50})).await;
    assert!(whole.len() > 100, "{}", whole.len());
    for limit in [7, 20, 49] {
        assert_eq!(walk(&mock, &json!({"age":12,"limit":limit})).await, whole, "limit {limit}");
    }
}

#[tokio::test]
async fn the_action_filters_partition_the_rows() {
    let mock = Mock::unlimited();
    let whole = walk(&mock, &json!({"age":48})).await;
    let mut parts = 0;
    for action in ["allowed", "blocked", "monitored_block", "monitored_allow"] {
        let part = walk(&mock, &json!({"age":48,"action":[action]})).await;
        let expected: Vec<Value> = whole.iter().filter(|row| row["action"] == action).cloned().collect();
        assert_eq!(part, expected, "{action}");
        assert!(!part.is_empty(), "{action}");
        parts += part.len();
    }
    assert_eq!(parts, whole.len());
    let both = walk(&mock, &json!({"age":48,"action":["blocked","monitored_block"]})).await;
    let expected: Vec<Value> = whole
        .iter()
        .filter(|row| row["device_status"] == "Non-compliant" && row["access_rule"] != "ALL DEVICES")
        .cloned()
        .collect();
    assert_eq!(both, expected);
}

#[tokio::test]
async fn a_search_matches_each_searchable_field() {
    let mock = Mock::unlimited();
    let whole = walk(&mock, &json!({"age":24})).await;
    let fields = ["device_name", "device_id", "device_group", "app_user", "app_name", "access_rule", "device_status"];
    for field in fields {
        let text = whole[3][field].as_str().expect("a string").to_uppercase();
        let has = |row: &Value| {
            fields.iter().any(|name| row[*name].as_str().expect("a string").to_uppercase().contains(&text))
        };
        let expected: Vec<Value> = whole.iter().filter(|row| has(row)).cloned().collect();
        assert_eq!(walk(&mock, &json!({"age":24,"search":text})).await, expected, "{field}: {text}");
        assert!(!expected.is_empty());
    }
    assert_eq!(mock.v3(json!({"search":"no such thing anywhere"})).await.status, 413);
}

#[tokio::test]
async fn dates_are_whole_days_and_override_age() {
    let mock = Mock::unlimited();
    let days = walk(&mock, &json!({"start_date":"01/12/2026","end_date":"01/13/2026","age":1})).await;
    let on =
        |day: &str| days.iter().filter(|row| row["timestamp"].as_str().expect("a string").starts_with(day)).count();
    assert!(on("Jan 12, 2026") > 0 && on("Jan 13, 2026") > 0, "both days");
    assert_eq!(on("Jan 12, 2026") + on("Jan 13, 2026"), days.len(), "and no other");
    // The window includes the last second of the end day, and nothing after it.
    let longer = walk(&mock, &json!({"start_date":"01/12/2026","end_date":"01/14/2026"})).await;
    assert_eq!(
        longer.iter().filter(|row| !row["timestamp"].as_str().expect("a string").starts_with("Jan 14")).count(),
        days.len()
    );
    // A single date is ignored.
    assert_eq!(mock.v3(json!({"start_date":"01/12/2026"})).await.ok(), mock.v3(json!({})).await.ok());
    assert_eq!(mock.v3(json!({"end_date":"01/12/2026"})).await.ok(), mock.v3(json!({})).await.ok());
    // The end of a window is limited to now.
    assert_eq!(mock.v3(json!({"start_date":"01/15/2026","end_date":"12/31/9999"})).await.status, 200);
}

#[tokio::test]
async fn age_is_in_hours() {
    let mock = Mock::unlimited();
    let all = walk(&mock, &json!({"age":i64::MAX})).await.len();
    assert_eq!(walk(&mock, &json!({"age":30 * 24})).await.len(), all, "there are no events before the retention");
    assert!(walk(&mock, &json!({"age":1})).await.len() < walk(&mock, &json!({"age":3})).await.len());
}

#[tokio::test]
async fn invalid_values_get_an_error_with_the_parameter_name() {
    let mock = Mock::unlimited();
    let rows: [Row; 23] = [
        (r#"{"limit":51}"#, 406, "not_acceptable", "limit must be at most 50, got 51"),
        (r#"{"limit":0}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got 0"),
        (r#"{"limit":"20"}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got \"20\""),
        (r#"{"limit":1.5}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got 1.5"),
        (r#"{"limit":[]}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got an empty array"),
        (r#"{"limit":true}"#, 400, "invalid_request", "limit must be an integer from 1 to 50, got true"),
        (
            r#"{"limit":99999999999999999999}"#,
            400,
            "invalid_request",
            "limit must be an integer from 1 to 50, got 1e20",
        ),
        (r#"{"page":0}"#, 400, "invalid_request", "page must be an integer from 1, got 0"),
        (r#"{"page":{}}"#, 400, "invalid_request", "page must be an integer from 1, got an object"),
        (
            r#"{"page":1000000}"#,
            413,
            "page_out_of_range",
            "There is nothing on page 1000000: it is beyond the last page, or there is no data to return",
        ),
        (r#"{"age":0}"#, 400, "invalid_request", "age must be an integer of hours from 1, got 0"),
        (r#"{"age":-3}"#, 400, "invalid_request", "age must be an integer of hours from 1, got -3"),
        (r#"{"age":"1"}"#, 400, "invalid_request", "age must be an integer of hours from 1, got \"1\""),
        (
            r#"{"start_date":"01/12/2026","end_date":"01/12/2026"}"#,
            400,
            "invalid_request",
            "end_date must be later than start_date, got 01/12/2026",
        ),
        (
            r#"{"start_date":"01/12/2026","end_date":"01/11/2026"}"#,
            400,
            "invalid_request",
            "end_date must be later than start_date, got 01/11/2026",
        ),
        (
            r#"{"start_date":"2026-01-12","end_date":"01/13/2026"}"#,
            400,
            "invalid_request",
            "start_date must be a day as MM/DD/YYYY, got \"2026-01-12\"",
        ),
        (
            r#"{"start_date":"01/12/2026","end_date":"02/30/2026"}"#,
            400,
            "invalid_request",
            "end_date must be a day as MM/DD/YYYY, got \"02/30/2026\"",
        ),
        (
            r#"{"start_date":"1/2/2026","end_date":"01/13/2026"}"#,
            400,
            "invalid_request",
            "start_date must be a day as MM/DD/YYYY, got \"1/2/2026\"",
        ),
        (
            r#"{"start_date":1768435200000,"end_date":"01/13/2026"}"#,
            400,
            "invalid_request",
            "start_date must be a day as MM/DD/YYYY, got 1768435200000",
        ),
        (
            r#"{"action":"blocked"}"#,
            400,
            "invalid_request",
            "action must be an array of allowed, blocked, monitored_block, monitored_allow, got \"blocked\"",
        ),
        (
            r#"{"action":["Blocked"]}"#,
            400,
            "invalid_request",
            "action must be an array of allowed, blocked, monitored_block, monitored_allow, got \"Blocked\"",
        ),
        (
            r#"{"action":[1]}"#,
            400,
            "invalid_request",
            "action must be an array of allowed, blocked, monitored_block, monitored_allow, got 1",
        ),
        (r#"{"search":7}"#, 400, "invalid_request", "search must be a string of at most 256 characters, got 7"),
    ];
    for (body, status, error, description) in rows {
        println!("{body}");
        mock.post(V3, body).await.assert_refused(status, error, description);
    }
    let long = mock.v3(json!({"search":"x".repeat(257)})).await.refusal();
    assert_eq!(long.0, 400);
    assert!(long.2.starts_with("search must be a string of at most 256 characters, got \"xxx"), "{}", long.2);
}
