//! From when on an injected event is in the logs.

use serde_json::{Value, json};

use crate::{
    events::{NAME, add, device},
    harness::{Client, TOKEN},
};

/// Whether a window that ends now has the device.
async fn shows(mock: &Client) -> bool {
    mock.walk(json!({"event_category":"device","age":86400})).await.iter().any(|row| row["device_name"] == NAME)
}

#[tokio::test]
async fn an_injected_event_is_hidden_until_visible_at() {
    let mock = Client::new();
    let mut late = device("unseen", "2026-01-15T11:00:00Z");
    late["visible_at"] = json!("2026-01-15T12:05:00Z");
    let added = add(&mock, late).await;
    assert_eq!(
        (&added[0]["at"], &added[0]["visible_at"]),
        (&json!("2026-01-15T11:00:00Z"), &json!("2026-01-15T12:05:00Z"))
    );
    mock.control("PUT", "/quota", json!("off")).await.ok();
    assert!(!shows(&mock).await);
    mock.control("POST", "/clock/advance", json!({"seconds":299.999})).await.ok();
    assert!(!shows(&mock).await);
    mock.control("POST", "/clock/advance", json!({"seconds":0.001})).await.ok();
    assert!(shows(&mock).await);
}

#[tokio::test]
async fn an_event_dated_ahead_is_in_what_reads_the_whole_day_and_later_in_windows_until_now() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let mut ahead = device("unseen", "2026-01-15T15:00:00Z");
    ahead["visible_at"] = json!("2026-01-15T12:00:00Z");
    add(&mock, ahead).await;
    let mut hidden = device("added", "2026-01-15T16:00:00Z");
    (hidden["visible_at"], hidden["device_name"]) = (json!("2026-01-15T12:00:01Z"), json!("HIDDEN"));
    add(&mock, hidden).await;
    let whole_day = async || {
        let query = json!({"start_date":"2026/01/15","end_date":"2026/01/15","limit":1});
        let page = mock.post_as(TOKEN, "/o/api/v3/logs", query).await.ok();
        page["logs"][0]["device_name"].as_str().is_some_and(|name| name == NAME)
    };
    assert!(!shows(&mock).await);
    assert!(whole_day().await, "the newest entry is the one that is dated ahead");
    mock.control("POST", "/clock/advance", json!({"seconds":10800})).await.ok();
    assert!(shows(&mock).await);
}

#[tokio::test]
async fn a_window_does_not_cover_what_is_dated_ahead_of_its_request() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let mut ahead = device("unseen", "2026-01-15T23:00:00Z");
    ahead["visible_at"] = json!("2026-01-15T12:00:00Z");
    add(&mock, json!([ahead, device("added", "2026-01-15T15:00:00Z")])).await;
    let days = |page: u32| json!({"start_date":"2026/01/15","end_date":"2026/01/15","limit":50,"page":page});
    for page in 1.. {
        if mock.post_as(TOKEN, "/o/api/v3/logs", days(page)).await.status != 200 {
            break;
        }
    }
    mock.control("POST", "/clock/advance", json!({"seconds":36_000})).await.ok();
    mock.post_as(TOKEN, "/o/api/v3/logs", json!({"age":7_200,"limit":50})).await.ok();
    // Between 12:00 and 20:00 nothing was read, whatever the first window had at its end.
    let verdict = mock.get("/accounts/default/verdict").await;
    let rule = |name: &str| {
        let rules = verdict["rules"].as_array().expect("rules");
        rules.iter().find(|rule| rule["rule"] == name).expect("a rule").clone()
    };
    assert_eq!(rule("no_gaps")["result"], "fail", "{verdict}");
    let audit =
        "/accounts/default/audit?category=device&from=2026-01-15T12:00:01Z&to=2026-01-15T19:00:00Z&events=added";
    let report = mock.get(audit).await;
    assert!(report["missed"]["causes"]["gap"].as_u64().is_some_and(|count| count > 0), "{report}");
    assert_eq!(report["missed"]["causes"]["late"], Value::Null, "{report}");
}
