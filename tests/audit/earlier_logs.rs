//! Connectors that read the versions of the logs before v3.3.

use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, TOKEN, between, findings};

const DAY: i64 = 24 * HOUR;

/// All entries of a query, page by page.
async fn read(lab: &Lab, path: &str, query: Value, field: &str) -> Vec<Value> {
    let (mut query, mut entries) = (query, Vec::new());
    for page in 1.. {
        if query["token"].is_null() {
            query["page"] = page.into();
        }
        let (status, answer) = lab.post(TOKEN, path, &query).await;
        if status == 413 {
            break;
        }
        let answer = answer.expect("a page");
        entries.extend(answer[field].as_array().expect("entries").iter().cloned());
        match answer.get("token").and_then(Value::as_str) {
            Some("") => break,
            Some(token) => query["token"] = token.into(),
            None => {}
        }
    }
    entries
}

fn lines(records: &[Value]) -> String {
    records.iter().fold(String::new(), |lines, record| lines + &record.to_string() + "\n")
}

async fn audit(lab: &Lab, category: &str, records: &[Value]) -> Value {
    let (status, report) = lab
        .control("POST", &format!("/audit?category={category}&{}", between(NOW - 20 * DAY, NOW)), lines(records))
        .await;
    assert_eq!(status, 200, "{report}");
    report
}

#[tokio::test]
async fn a_connector_of_v3_1_or_v3_2_is_complete_with_the_code_deleted() {
    for (path, limit) in [("/o/api/v3.1/logs", 50), ("/o/api/v3.2/logs", 100)] {
        let lab = Lab::new();
        let query = json!({"event_category":"device","start_time":NOW - 20 * DAY,"end_time":NOW,"limit":limit});
        let mut records = read(&lab, path, query, "data").await;
        assert!(records.iter().any(|row| row["details"].to_string().contains("by OAuth API")), "{path}");
        let report = audit(&lab, "device", &records).await;
        assert_eq!((&report["is_complete"], &report["matched"]), (&true.into(), &records.len().into()), "{report}");
        let (_, verdict) = lab.control("GET", "/verdict", "").await;
        assert_eq!(verdict["is_passed"], true, "{verdict}");
        // A changed and a lost record.
        records[3]["event"] = "access_granted".into();
        records[3]["details"] = "changed".into();
        records.remove(7);
        let report = audit(&lab, "device", &records).await;
        assert_eq!(findings(&report)["missing"], json!({"served":1}), "{report}");
        assert_eq!(report["altered"]["count"], 1, "{report}");
    }
}

/// The same records are the device events and the administrator events.
#[tokio::test]
async fn entries_of_v3_are_audited_for_each_of_their_categories() {
    let lab = Lab::new();
    let query = json!({"start_date":"2025/12/26","end_date":"2026/01/15","limit":50});
    let mut records = read(&lab, "/o/api/v3/logs", query, "logs").await;
    let is_admin = |row: &Value| row["device_id"] == "";
    let admins = records.iter().filter(|row| is_admin(row)).count();
    assert!(admins > 20 && records.len() > admins + 20);
    for category in ["device", "admin"] {
        let report = audit(&lab, category, &records).await;
        assert_eq!(report["is_complete"], true, "{category}: {report}");
    }
    let (_, verdict) = lab.control("GET", "/verdict", "").await;
    assert_eq!(verdict["is_passed"], true, "{verdict}");
    // A lost administrator event is missing in one audit only, and a changed address is an altered record.
    let place = records.iter().position(is_admin).expect("an administrator event");
    records.remove(place);
    let device = records.iter().position(|row| !is_admin(row)).expect("a device event");
    records[device]["mac_addresses"] = json!(["02:00:00:00:00:00"]);
    let of_admins = audit(&lab, "admin", &records).await;
    assert_eq!((&of_admins["missing"]["count"], &of_admins["altered"]["count"]), (&1.into(), &0.into()), "{of_admins}");
    let of_devices = audit(&lab, "device", &records).await;
    assert_eq!(
        (&of_devices["missing"]["count"], &of_devices["altered"]["count"]),
        (&0.into(), &1.into()),
        "{of_devices}"
    );
}

/// The causes of missing events come from pages of both categories.
#[tokio::test]
async fn what_v3_did_not_serve_has_a_cause() {
    let lab = Lab::new();
    lab.fault(json!({"name":"half","match":{"api":"logs-v3","nth":2},"fault":{"close":"mid-body"}})).await;
    let mut records = Vec::new();
    for page in 1..=3 {
        let query = json!({"start_date":"2026/01/14","end_date":"2026/01/15","limit":20,"page":page});
        if let (200, Some(answer)) = lab.post(TOKEN, "/o/api/v3/logs", &query).await {
            records.extend(answer["logs"].as_array().expect("entries").iter().cloned());
        }
    }
    assert_eq!(records.len(), 40);
    let mut lost = 0;
    for category in ["device", "admin"] {
        let path = format!("/audit?category={category}&{}", between(NOW - 30 * HOUR, NOW));
        let (_, report) = lab.control("POST", &path, lines(&records)).await;
        lost += report["missing"]["causes"]["fault"].as_u64().unwrap_or_default();
    }
    assert_eq!(lost, 20, "the entries of the page that was cut");
}
