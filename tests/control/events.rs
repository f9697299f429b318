//! Injected events: every API returns them among the generated events.

use http::Request;
use serde_json::{Value, json};

use crate::harness::{Client, NOW, V3, V33};

pub(crate) const NAME: &str = "INVENTED-DEVICE";

pub(crate) async fn add(mock: &Client, event: Value) -> Vec<Value> {
    let answer = mock.control("POST", "/events", event).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.ok()["events"].as_array().expect("events").clone()
}

pub(crate) fn device(event: &str, timestamp: &str) -> Value {
    json!({"category":"device","event":event,"timestamp":timestamp,"device_name":NAME,"device_group":"Lab"})
}

#[tokio::test]
async fn an_injected_event_is_in_every_api_of_its_category() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    for (event, expected) in [
        (
            device("noncompliant", "2026-01-15T11:00:00Z"),
            json!({"event":"noncompliant","device_name":NAME,"device_group":"Lab"}),
        ),
        (
            json!({"category":"admin","event":"login","timestamp":"2026-01-15T11:00:00Z","admin_name":"Eve","admin_email":"eve@x.example","details":"Eve came"}),
            json!({"event":"login","admin_name":"Eve","admin_email":"eve@x.example","details":"Eve came"}),
        ),
        (
            json!({"category":"webhook","event":"added","timestamp":"2026-01-15T11:00:00Z","device_name":NAME,"response_code":503,"response_body":"no"}),
            json!({"event":"added","device_name":NAME,"response_code":"503","response_body":"no"}),
        ),
        (
            json!({"category":"device_report","timestamp":"2026-01-15T11:00:00Z","device_name":NAME,"status":"exempted","severity":"critical","public_ip":"192.0.2.7"}),
            json!({"event":"device_report","device_name":NAME,"status":"exempted","severity":"critical","public_ip":"192.0.2.7"}),
        ),
    ] {
        let query = json!({"event_category":event["category"],"age":86400,"limit":100});
        let before = mock.walk(query.clone()).await;
        let added = add(&mock, event.clone()).await;
        let after = mock.walk(query.clone()).await;
        assert_eq!(after.len(), before.len() + 1);
        let new: Vec<&Value> = after.iter().filter(|row| !before.contains(row)).collect();
        let [row] = new[..] else { panic!("one new row, got {new:?}") };
        assert_eq!(row["timestamp"], "2026-01-15T11:00:00.000Z");
        for (name, value) in expected.as_object().expect("fields") {
            assert_eq!(&row[name], value, "{name}");
            assert_eq!(&added[0][name], value, "{name} of the record");
        }
        let times: Vec<&str> = after.iter().map(|row| row["timestamp"].as_str().expect("a time")).collect();
        assert!(times.is_sorted_by(|newer, older| newer >= older), "the rows are not newest first");
    }
    let lines = mock.v2("limit=50").await.text().to_owned();
    assert!(lines.contains(&format!("|{NAME}|Changed status to non-compliant")), "{lines}");
    assert!(mock.v2("limit=50&event_type=2").await.text().contains("|Administrator|eve@x.example|Admin Logged On"));
    let activity = json!({"category":"activity","event":"blocked","timestamp":"2026-01-15T11:30:05Z","device_name":NAME,
        "app_name":"Figma","access_rule":"Own","app_user":"u@x.example","status":"non-compliant"});
    add(&mock, activity).await;
    let found = mock.v3(json!({"search":"figma"})).await.ok();
    let expected = json!([{"app_name":"Figma","device_status":"Non-compliant","device_name":NAME,"device_id":NAME,"access_rule":"Own",
        "app_user":"u@x.example","device_group":"Default","action":"blocked","timestamp":"Jan 15, 2026 11:30:05 AM"}]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn filters_and_searches_find_injected_events() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    add(&mock, json!([device("unseen", NOW), device("fetch_log", "2026-01-15T10:00:00Z")])).await;
    let count = async |filter: Value| {
        let rows = mock.walk(json!({"event_category":"device","age":86400,"limit":100,"filter":filter})).await;
        rows.iter().filter(|row| row["device_name"] == NAME).count()
    };
    assert_eq!(count(json!({})).await, 2);
    assert_eq!(count(json!({"search":"invented-dev"})).await, 2);
    assert_eq!(count(json!({"search":"invented-dev","events":"unseen"})).await, 1);
    assert_eq!(count(json!({"events":["unseen","fetch_log"]})).await, 2);
    assert_eq!(count(json!({"events":"added"})).await, 0);
    assert_eq!(count(json!({"agent_types":[0]})).await, 2);
    assert_eq!(count(json!({"agent_types":[2]})).await, 0);
    let early = json!({"event_category":"device","end_time":1_768_478_400_000_i64 - 1,"start_time":0,"limit":100});
    let seen = mock.walk(early).await.iter().filter(|row| row["device_name"] == NAME).count();
    assert_eq!(seen, 1, "the event at the current time is not in the window");
}

/// Every page size and order gives the same rows, each once.
#[tokio::test]
async fn all_page_sizes_and_orders_give_the_same_rows() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let events: Vec<Value> = (0..40)
        .map(|nth| {
            device(
                ["unseen", "added", "deleted"][nth % 3],
                &format!("2026-01-15T{:02}:{:02}:00Z", nth / 4, nth % 4 * 15),
            )
        })
        .collect();
    add(&mock, events.into()).await;
    for filter in [json!({}), json!({"search":"E"}), json!({"events":["unseen","noncompliant"]})] {
        let query = |limit: usize| json!({"event_category":"device","age":86400,"limit":limit,"filter":filter});
        let whole = mock.walk(query(100)).await;
        assert!(whole.iter().filter(|row| row["device_name"] == NAME).count() >= 14, "{filter}");
        for limit in [1, 7, 20] {
            assert_eq!(mock.walk(query(limit)).await, whole, "limit {limit} {filter}");
        }
        mock.control("PATCH", "", json!({"profile":{"order":"asc"}})).await.ok();
        for limit in [3, 100] {
            let mut ascending = mock.walk(query(limit)).await;
            let times: Vec<&str> = ascending.iter().map(|row| row["timestamp"].as_str().expect("a time")).collect();
            assert!(times.is_sorted(), "oldest first");
            let mut descending = whole.clone();
            ascending.sort_by_key(Value::to_string);
            descending.sort_by_key(Value::to_string);
            assert_eq!(ascending, descending, "limit {limit} {filter}");
        }
        mock.control("PATCH", "", json!({"profile":{"order":"desc"}})).await.ok();
    }
}

/// Numbered pages of v3 contain each generated and injected event once.
#[tokio::test]
async fn numbered_pages_contain_each_row_once() {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let events: Vec<Value> = (0..24)
        .map(|nth| json!({"category":"activity","event":"allowed","timestamp":format!("2026-01-15T{nth:02}:30:00Z").replace("T1", "T0").replace("T2", "T0"),
            "device_name":format!("{NAME}-{nth}")}))
        .collect();
    add(&mock, events.into()).await;
    for (search, order) in [("", "desc"), ("", "asc"), ("e", "desc"), ("e", "asc")] {
        mock.control("PATCH", "", json!({"profile":{"order":order,"empty_page":"200"}})).await.ok();
        let read = async |limit: usize| {
            let mut rows = Vec::new();
            for page in 1.. {
                let answer = mock
                    .post_as(crate::harness::TOKEN, V3, json!({"limit":limit,"page":page,"search":search}))
                    .await
                    .ok();
                let found = answer.as_array().expect("rows").clone();
                if found.is_empty() {
                    break;
                }
                rows.extend(found);
            }
            rows
        };
        let whole = read(50).await;
        assert_eq!(
            whole.iter().filter(|row| row["device_name"].as_str().is_some_and(|name| name.starts_with(NAME))).count(),
            24
        );
        for limit in [1, 7] {
            assert_eq!(read(limit).await, whole, "limit {limit}, search {search:?}, order {order}");
        }
    }
}

#[tokio::test]
async fn changes_while_a_client_pages_do_not_affect_its_pages() {
    for change in ["add", "forget"] {
        let mock = Client::new();
        mock.control("PUT", "/quota", json!("off")).await.ok();
        if change == "forget" {
            add(&mock, json!([device("unseen", NOW), device("added", "2026-01-15T09:00:00Z")])).await;
        }
        let query = json!({"event_category":"device","age":86400,"limit":10});
        let expected = mock.walk(query.clone()).await;
        let mut query = query;
        let mut read = Vec::new();
        loop {
            let page = mock.v33(query.clone()).await.ok();
            let data = page["data"].as_array().expect("data").clone();
            if data.is_empty() {
                break;
            }
            read.extend(data);
            query["token"] = page["token"].clone();
            if change == "add" {
                // Adds one event before and one after the current position of the client.
                let nth = read.len();
                add(&mock, json!([device("unseen", &format!("2026-01-15T08:{:02}:{:02}Z", nth / 60, nth % 60)), {"category":"device","event":"deleted","device_id":format!("D{nth}")}])).await;
            } else {
                mock.control("DELETE", "/events", Value::Null).await.ok();
            }
        }
        assert_eq!(read, expected, "{change}");
        assert_ne!(
            mock.walk(json!({"event_category":"device","age":86400,"limit":10})).await,
            expected,
            "a new walk does not see the change"
        );
    }
}

#[tokio::test]
async fn the_truth_of_a_window_includes_events_that_are_not_visible_yet() {
    let mock = Client::of(crate::harness::builder().lag("60..600"));
    let mut late = device("unseen", "2026-01-15T11:00:00.500Z");
    late["visible_at"] = json!("2026-01-15T18:00:00Z");
    add(&mock, late).await;
    let window = "from=2026-01-15T10:00:00Z&to=2026-01-15T11:59:59.999Z";
    let truth = mock.get(&format!("/accounts/default/events?category=device&{window}")).await;
    // The same window in epoch milliseconds.
    let millis = "from=1768471200000&to=1768478399999";
    assert_eq!(mock.get(&format!("/accounts/default/events?category=device&{millis}")).await, truth);
    let truth = truth["events"].as_array().expect("events");
    let ours: Vec<&Value> = truth.iter().filter(|event| event["injected"] == true).collect();
    assert_eq!(
        (ours.len(), &ours[0]["at"], &ours[0]["visible_at"]),
        (1, &json!("2026-01-15T11:00:00.500Z"), &json!("2026-01-15T18:00:00Z"))
    );
    let at = |event: &Value, name: &str| {
        event[name].as_str().expect("an instant").parse::<jiff::Timestamp>().expect("an instant")
    };
    assert!(truth.iter().map(|event| at(event, "at")).is_sorted(), "oldest first");
    for event in truth.iter().filter(|event| event["injected"] == false) {
        let lag = at(event, "visible_at").duration_since(at(event, "at"));
        assert!((60..=600).contains(&lag.as_secs()), "{lag:?}");
    }
    // When all events are visible, the API returns the same events as the truth.
    mock.control("POST", "/clock/advance", json!({"seconds":86_400})).await.ok();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    let (from, to) = (1_768_471_200_000_i64, 1_768_478_399_999_i64);
    let rows = mock.walk(json!({"event_category":"device","start_time":from,"end_time":to,"limit":100})).await;
    let from_truth: Vec<&Value> = truth.iter().rev().map(|event| &event["timestamp"]).collect();
    assert_eq!(rows.iter().map(|row| &row["timestamp"]).collect::<Vec<_>>(), from_truth);

    let lines = Request::get(format!("/_mock/accounts/default/events?category=device&{window}"))
        .header("host", "localhost")
        .header("accept", "application/x-ndjson");
    let lines = mock.send(lines.body(bytes::Bytes::new()).expect("a request")).await;
    let lines: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(&lines, truth);
}

#[tokio::test]
async fn the_truth_of_ten_years_is_returned() {
    let mock = Client::new();
    let path = "/accounts/default/events?category=device&from=2016-01-01T00:00:00Z&to=2025-12-31T23:59:59Z";
    let truth = mock.get(path).await;
    assert!(truth["events"].as_array().expect("events").len() > 100_000);
}

#[tokio::test]
async fn missing_fields_are_filled_from_the_company() {
    let mock = Client::new();
    let rows = mock.walk(json!({"event_category":"device","age":86400,"limit":100})).await;
    let known = rows.iter().find(|row| row["event"] == "compliant").expect("a device that is there");
    let added = add(&mock, json!({"category":"device","event":"noncompliant","device_id":known["device_id"]})).await;
    for name in ["device_name", "device_username", "device_group"] {
        assert_eq!(added[0][name], known[name], "{name}");
    }
    assert_eq!(added[0]["at"], NOW, "the default timestamp is not now");
    // Three events without optional fields are distinct, also with a frozen clock.
    let three = add(&mock, json!(vec![json!({"category":"admin","event":"login"}); 3])).await;
    assert!(three.iter().all(|event| event["admin_email"].as_str().is_some_and(|email| email.ends_with(".example"))));
    assert!(three[0] != three[1] && three[1] != three[2] && three[0] != three[2]);
    let empty = Client::of(crate::harness::builder().devices(0));
    assert_eq!(add(&empty, json!({"category":"device","event":"added"})).await[0]["device_name"], "INVENTED-1");
}

#[tokio::test]
async fn an_invalid_event_gets_an_error_and_no_event_of_its_list_is_added() {
    let mock = Client::new();
    for (event, detail) in [
        (json!({"event":"added"}), "category must be one of device, admin, webhook, device_report, activity, got none"),
        (
            json!({"category":"devices"}),
            "category must be one of device, admin, webhook, device_report, activity, got devices",
        ),
        (
            json!({"category":"device"}),
            "event must be one of access_granted, access_revoked, added, added_duplicate_mac, compliance_check, compliant, deleted, deleted_user, deleted_api, exempt_all, fetch_log, noncompliant, scan_threat, unexempt, unseen, got none",
        ),
        (
            json!({"category":"admin","event":"added"}),
            "event must be one of cac_change, config, failed_auth, login, rev_mobile_code, submit_ticket, whitelist, changed_password, got added",
        ),
        (json!({"category":"device_report","event":"added"}), "event must be device_report, got added"),
        (json!({"category":"admin","event":"login","device_id":"X"}), "an event of admin has no device_id"),
        (json!({"category":"device","event":"added","admin_name":"X"}), "an event of device has no admin_name"),
        (
            json!({"category":"device_report","status":"fine"}),
            "status must be one of compliant, non-compliant, exempted, got fine",
        ),
        (
            json!({"category":"webhook","event":"added","response_code":42}),
            "response_code must be an HTTP status from 100 to 599, got 42",
        ),
        (
            json!({"category":"device","event":"added","timestamp":NOW,"visible_at":"2026-01-15T11:59:59Z"}),
            "visible_at must be not before the timestamp (2026-01-15T12:00:00Z), got 2026-01-15T11:59:59Z",
        ),
        (
            json!({"category":"device","event":"added","details":"x".repeat(100_001)}),
            "details must be at most 100000 characters, got 100001 characters",
        ),
        (
            json!({"category":"device","event":"added","device_name":"x".repeat(1001)}),
            "device_name must be at most 1000 characters, got 1001 characters",
        ),
        (
            json!({"category":"device","evnt":"added"}),
            "The body: evnt: unknown field `evnt`, expected one of `category`, `event`, `timestamp`, `visible_at`, `details`, `device_id`, `device_name`, `device_username`, `device_group`, `status`, `severity`, `policy_name`, `last_seen`, `public_ip`, `admin_name`, `admin_email`, `response_code`, `response_body`, `app_name`, `access_rule`, `app_user`",
        ),
    ] {
        let answer = mock.control("POST", "/events", event.clone()).await;
        answer.assert_problem(400, detail);
    }
    let one = device("unseen", NOW);
    let twice = mock.control("POST", "/events", json!([one, one])).await;
    twice.assert_problem(400, "[1].timestamp must be another one than 2026-01-15T12:00:00Z: an event of this category, subject and code was added there");
    assert_eq!(mock.control("DELETE", "/events", Value::Null).await.ok(), json!({"forgotten":0}));
    for (query, detail) in [
        ("", "The query: missing field `category`"),
        ("category=x", "category must be one of device, admin, webhook, device_report, activity, got x"),
        (
            "category=device&from=2026-01-16T00:00:00Z",
            "from must be at most to (2026-01-15T12:00:00Z), got 2026-01-16T00:00:00Z",
        ),
    ] {
        mock.call("GET", &format!("/accounts/default/events?{query}"), Value::Null).await.assert_problem(400, detail);
    }
}

#[tokio::test]
async fn events_can_be_injected_as_ndjson() {
    let mock = Client::new();
    let lines = "{\"category\":\"admin\",\"event\":\"login\"}\n{\"category\":\"device\",\"event\":\"unseen\"}\n";
    let request = Request::post("/_mock/accounts/default/events").header("host", "localhost");
    let added = mock.send(request.body(lines.into()).expect("a request")).await.ok();
    assert_eq!(added["events"].as_array().expect("events").len(), 2);
}

/// Injecting many events without a timestamp takes linear time.
#[tokio::test]
async fn thousands_of_events_of_one_subject_are_injected_quickly() {
    let mock = Client::new();
    let one = json!({"category":"admin","event":"login","admin_email":"one@x.example"});
    let added = add(&mock, json!(vec![one; 9_000])).await;
    let times: std::collections::BTreeSet<&str> =
        added.iter().map(|event| event["at"].as_str().expect("a time")).collect();
    assert_eq!(times.len(), 9_000, "two events have the same timestamp");
}

/// What is injected last is the state of a device and the newest entry of each log, also at one instant.
#[tokio::test]
async fn events_of_a_device_at_one_instant_stay_in_their_order() {
    let mock = Client::new();
    let event = |code: &str| json!({"category":"device","event":code,"device_id":"KFL5ODOBEFFL38RA"});
    for code in ["noncompliant", "compliant", "noncompliant", "noncompliant"] {
        add(&mock, event(code)).await;
    }
    let query = json!({"event_category":"device","limit":4,"filter":{"search":"KFL5ODOBEFFL38RA"}});
    let page = mock.post_as(crate::harness::TOKEN, V33, query).await.ok();
    let rows = page["data"].as_array().expect("rows").iter();
    let got: Vec<_> = rows.map(|row| (row["event"].clone(), row["timestamp"].clone())).collect();
    let now = "2026-01-15T12:00:00.000Z";
    assert_eq!(
        got,
        [
            ("noncompliant".into(), now.into()),
            ("compliant".into(), now.into()),
            ("noncompliant".into(), now.into()),
            // An equal one right after the third, which could not be told from it otherwise.
            ("noncompliant".into(), "2026-01-15T11:59:59.999Z".into()),
        ]
    );
}

#[tokio::test]
async fn injected_events_are_limited() {
    let mock = Client::new();
    let many: Vec<Value> =
        (0..10_000).map(|nth| json!({"category":"device","event":"unseen","device_name":format!("D{nth}")})).collect();
    assert_eq!(add(&mock, many.into()).await.len(), 10_000);
    let one_more = mock.control("POST", "/events", device("unseen", NOW)).await;
    one_more.assert_problem(400, "an account keeps 10000 added events; DELETE them first");
    assert_eq!(
        mock.post_as(crate::harness::TOKEN, V33, json!({"event_category":"device","limit":100})).await.status,
        200
    );
    assert_eq!(mock.control("DELETE", "/events", Value::Null).await.ok(), json!({"forgotten":10_000}));
    add(&mock, device("unseen", NOW)).await;
}

/// The ids of a list are looked up in one scan of the fleet, which holds up neither a reset nor other accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_unknown_devices_in_a_large_fleet_holds_nothing_up() {
    let mock = Client::new();
    mock.call("POST", "/accounts", json!({"name":"big","devices":100_000})).await.ok();
    let unknown = |nth: u32| json!({"category":"device","event":"unseen","device_id":format!("NOPE{nth}")});
    let events = Value::from((0..3_000).map(unknown).collect::<Vec<_>>());
    let calls = [("POST", "/events", events), ("DELETE", "/events", Value::Null), ("POST", "/reset", Value::Null)];
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(method, path, body)| {
            let mock = mock.clone();
            tokio::spawn(async move { mock.call(method, &format!("/accounts/big{path}"), body).await.status })
        })
        .collect();
    let all = async {
        assert_eq!(mock.v2("").await.status, 200);
        for task in tasks {
            assert!(matches!(task.await.expect("no panic"), 200 | 201));
        }
    };
    // A scan for each id would take minutes.
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("nothing is held up");
}

#[tokio::test]
async fn an_error_repeats_a_long_name_in_part() {
    let mock = Client::new();
    let body = Value::Object([("u".repeat(100_000), json!(1))].into_iter().collect());
    let problem = mock.call("POST", "/accounts", body).await;
    assert_eq!(problem.status, 400);
    assert!(problem.body.len() < 2_000, "{}", problem.body.len());
}
