//! The bytes of pages: they do not depend on the order of requests or on threads, and match golden files.

use std::sync::Arc;

use bytes::Bytes;
use expect_test::expect_file;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{Answer, Mock, V3, V33};

const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;

/// Requests with overlapping windows, and with different categories, filters, limits and pages.
fn requests() -> Vec<(&'static str, String)> {
    let mut requests = Vec::new();
    for days in [1, 3, 30] {
        for category in ["device", "admin", "webhook", "device_report"] {
            for (limit, filter) in [(100, json!({})), (7, json!({})), (20, json!({"search":"LT"}))] {
                let start = NOW - days * DAY + limit;
                let query = json!({"event_category":category,"start_time":start,"limit":limit,"filter":filter});
                requests.push((V33, query.to_string()));
            }
        }
        for page in [1, 2, 5] {
            requests.push((V3, json!({"age":24 * days,"page":page,"limit":30}).to_string()));
        }
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn bytes_do_not_depend_on_order_or_threads() {
    let mut expected = Vec::new();
    for (path, body) in requests() {
        expected.push(Mock::unlimited().post(path, body).await.body);
    }
    let shared = Arc::new(Mock::unlimited());
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (mock, expected) = (shared.clone(), expected.clone());
            tokio::spawn(async move {
                let requests = requests();
                for nth in 0..requests.len() {
                    // Each task uses a different stride. No stride above 1 divides the number of requests.
                    let place = (nth * [1, 7, 11, 13, 17, 19, 23, 29][task] + task) % requests.len();
                    let (path, body) = requests[place].clone();
                    assert_eq!(mock.post(path, body).await.body, expected[place], "{path} {}", requests[place].1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task without a difference");
    }
}

/// Two replicas with the same configuration: a client can switch between them at each page.
#[tokio::test]
async fn a_page_token_works_on_another_server_with_the_same_configuration() {
    let (one, other) = (Mock::unlimited(), Mock::unlimited());
    let mut place = String::new();
    let mut pages = 0;
    loop {
        let body = json!({"event_category":"device","start_time":NOW - 3 * DAY,"limit":20,"token":place}).to_string();
        let (here, there) = (one.post(V33, body.clone()).await, other.post(V33, body).await);
        assert_eq!(here.body, there.body);
        let page: serde_json::Value = serde_json::from_slice(&there.body).expect("JSON");
        if page["data"].as_array().expect("entries").is_empty() {
            break;
        }
        place = page["token"].as_str().expect("a token").to_owned();
        pages += 1;
    }
    assert!(pages > 3, "{pages}");
}

/// The body of a page with line breaks between its rows and fields.
fn lines(page: &Answer) -> String {
    page.ok();
    page.text().replace("},{", "},\n{").replace("\",\"", "\",\n\"") + "\n"
}

/// The first pages of the default company.
#[tokio::test]
async fn first_pages_match_their_golden_files() {
    let mock = Mock::new("--now 2018-05-18T12:00:00Z --rate-limit off");
    let golden = |name: &str| expect_file![format!("{}/fixtures/pages/{name}.json", env!("CARGO_MANIFEST_DIR"))];
    golden("logs-v2-device").assert_eq(&lines(&mock.v2("limit=10&event_type=1").await));
    golden("logs-v2-admin").assert_eq(&lines(&mock.v2("limit=10&event_type=2").await));
    let documented =
        json!({"action":["blocked"],"page":1,"limit":20,"start_date":"05/15/2018","end_date":"05/18/2018"});
    golden("activities-v3").assert_eq(&lines(&mock.v3(documented).await));
    for category in ["device", "admin", "webhook", "device_report"] {
        let page = mock.v33(json!({"event_category":category,"age":86400,"limit":10})).await;
        golden(&format!("logs-v3.3-{category}")).assert_eq(&lines(&page));
    }
    golden("logs-v3").assert_eq(&lines(&mock.post("/o/api/v3/logs", r#"{"limit":10}"#).await));
    for version in ["v3.1", "v3.2"] {
        let deleted =
            json!({"event_category":"device","start_time":0,"limit":10,"filter":{"events":["deleted","added"]}});
        let page = mock.post(&format!("/o/api/{version}/logs"), deleted.to_string()).await;
        golden(&format!("logs-{version}-device")).assert_eq(&lines(&page));
    }
}

/// The digests of ten thousand events of each category, for two seeds, detect any change of their bytes.
#[tokio::test]
async fn ten_thousand_events_of_each_category_match_their_digests() {
    let mut digests = String::new();
    for seed in [1, 2] {
        let mock = Mock::new(&format!("--rate-limit off --retention-days 3650 --devices 500 --seed {seed}"));
        for category in ["device", "admin", "webhook", "device_report"] {
            let mut hash = Sha256::new();
            let mut query = json!({"event_category":category,"start_time":0,"limit":100});
            for _ in 0..100 {
                let answer = mock.v33(query.clone()).await;
                let page = answer.ok();
                assert_eq!(page["data"].as_array().map(Vec::len), Some(100), "{category}");
                let (rows, _token) = answer.text().rsplit_once("],\"token\":").expect("rows and a token");
                hash.update(rows);
                query["token"] = page["token"].clone();
            }
            digests += &format!("seed {seed} {category} {:x}\n", Bytes::copy_from_slice(&hash.finalize()));
        }
        let mut hash = Sha256::new();
        for page in 1..=200 {
            let answer = mock.v3(json!({"start_date":"01/01/2025","end_date":"01/01/2026","page":page})).await;
            assert_eq!(answer.ok().as_array().map(Vec::len), Some(50));
            hash.update(&answer.body);
        }
        digests += &format!("seed {seed} activity {:x}\n", Bytes::copy_from_slice(&hash.finalize()));
    }
    expect_file!["../../fixtures/world/digests.txt"].assert_eq(&digests);
}
