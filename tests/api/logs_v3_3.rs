//! `POST /o/api/v3.3/logs`

use std::collections::HashSet;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::harness::{Mock, TOKEN, V33};

const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;

fn data(page: &Value) -> &Vec<Value> {
    page["data"].as_array().expect("data is an array")
}

fn query(category: &str, days: i64, limit: i64) -> Value {
    json!({"event_category":category,"start_time":NOW - days * DAY,"end_time":NOW,"limit":limit})
}

#[tokio::test]
async fn each_category_has_its_fields_in_the_documented_order() {
    let mock = Mock::unlimited();
    for (category, fields) in [
        ("admin", "timestamp event details admin_name admin_email"),
        ("device", "timestamp event details device_id device_name device_username device_group"),
        (
            "device_report",
            "timestamp event details device_id device_name device_username device_group status severity policy_name \
             last_seen public_ip",
        ),
        ("webhook", "timestamp event details device_id device_name response_code response_body"),
    ] {
        let answer = mock.v33(query(category, 2, 3)).await;
        let rows = answer.ok();
        assert_eq!(data(&rows).len(), 3);
        let fields: Vec<&str> = fields.split_whitespace().collect();
        for row in data(&rows) {
            let row = row.as_object().expect("an object");
            assert!(row.len() == fields.len() && fields.iter().all(|name| row[*name].is_string()), "{row:?}");
        }
        let positions: Vec<_> =
            fields.iter().map(|name| answer.text().find(&format!("\"{name}\":")).expect("the field")).collect();
        assert!(positions.is_sorted(), "{category}");
    }
}

#[tokio::test]
async fn values_have_the_documented_formats() {
    let mock = Mock::unlimited();
    for row in mock.walk_v33(&query("device_report", 1, 100)).await {
        assert!(
            ["compliant", "non-compliant", "exempted"].contains(&row["status"].as_str().expect("a string")),
            "{row}"
        );
        assert!(["critical", "warning", "no_issue"].contains(&row["severity"].as_str().expect("a string")), "{row}");
        assert!(row["last_seen"].as_str() <= row["timestamp"].as_str(), "{row}");
        assert_eq!(row["event"], "device_report");
        let ip = row["public_ip"].as_str().expect("a string");
        assert!(["203.0.113.", "198.51.100.", "192.0.2."].iter().any(|net| ip.starts_with(net)), "{row}");
    }
    for row in mock.walk_v33(&query("webhook", 2, 100)).await {
        let code: u16 = row["response_code"].as_str().expect("a string").parse().expect("a status");
        assert!((200..600).contains(&code), "{row}");
    }
    for row in mock.walk_v33(&query("device", 2, 100)).await {
        let timestamp = row["timestamp"].as_str().expect("a string");
        assert!(timestamp.len() == 24 && timestamp.ends_with('Z') && timestamp.as_bytes()[19] == b'.', "{timestamp}");
        let id = row["device_id"].as_str().expect("a string");
        let hex = id.len() == 32 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let serial = (10..=16).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        assert!(hex || serial, "{id}");
    }
}

#[tokio::test]
async fn all_page_sizes_give_the_same_rows() {
    let mock = Mock::unlimited();
    for category in ["device", "admin", "webhook", "device_report"] {
        let whole = mock.walk_v33(&query(category, 5, 100)).await;
        assert!(whole.len() > 20, "{} of {category}", whole.len());
        for limit in [1, 7, 20, 99] {
            assert_eq!(mock.walk_v33(&query(category, 5, limit)).await, whole, "{category} by {limit}");
        }
        let timestamps: Vec<&str> = whole.iter().map(|row| row["timestamp"].as_str().expect("a string")).collect();
        assert!(timestamps.iter().rev().is_sorted(), "newest first");
        let texts: HashSet<String> = whole.iter().map(Value::to_string).collect();
        assert_eq!(texts.len(), whole.len(), "nothing twice");
    }
}

#[tokio::test]
async fn a_page_token_fixes_the_window_while_the_clock_advances() {
    let mock = Mock::unlimited();
    let asked = json!({"event_category":"device_report","age":86400,"limit":50});
    let whole = mock.walk_v33(&asked).await;
    let mut query = asked.clone();
    let mut read = Vec::new();
    loop {
        let page = mock.v33(query.clone()).await.ok();
        if data(&page).is_empty() {
            break;
        }
        read.extend(data(&page).clone());
        query["token"] = page["token"].clone();
        mock.advance(7200);
    }
    assert_eq!(read, whole);
    assert_ne!(mock.walk_v33(&asked).await, whole, "a new query does not return the new events");
}

/// The first page fixes the set of visible events. Events that become visible later do not change the next pages.
#[tokio::test]
async fn late_events_do_not_change_the_pages_of_a_started_walk() {
    let late = Mock::new("--rate-limit off --devices 300 --lag 5..3600");
    let all = Mock::new("--rate-limit off --devices 300").walk_v33(&query("device_report", 1, 100)).await;
    for limit in [1, 7, 33, 100] {
        let mock = Mock::new("--rate-limit off --devices 300 --lag 5..3600");
        let mut asked = query("device_report", 1, limit);
        let whole = late.walk_v33(&query("device_report", 1, 100)).await;
        assert!(whole.len() < all.len() && whole.len() + 200 > all.len(), "{} of {}", whole.len(), all.len());
        let mut rest = all.iter();
        assert!(whole.iter().all(|row| rest.any(|known| known == row)), "in the same order");
        let mut read = Vec::new();
        loop {
            let page = mock.v33(asked.clone()).await.ok();
            if data(&page).is_empty() {
                break;
            }
            read.extend(data(&page).clone());
            asked["token"] = page["token"].clone();
            mock.advance(11);
        }
        assert_eq!(read, whole, "by {limit}");
        mock.advance(3600);
        assert_eq!(mock.walk_v33(&query("device_report", 1, 100)).await, all, "some events are still not visible");
    }
}

#[tokio::test]
async fn a_page_token_contains_its_query() {
    let mock = Mock::unlimited();
    let filter = json!({"events":["compliant","noncompliant"],"agent_types":[0],"search":"a"});
    let asked = json!({"event_category":"device","start_time":NOW - 20 * DAY,"limit":9,"filter":filter});
    let whole = mock.walk_v33(&asked).await;
    assert!(whole.len() > 30);
    let first = mock.v33(asked.clone()).await.ok();
    // The query of the token overrides the window and the filter of the request.
    for again in [
        json!({"event_category":"device","token":first["token"]}),
        json!({"event_category":"device","token":first["token"],"filter":filter,"start_time":NOW - 20 * DAY,"limit":9}),
        json!({"event_category":"device","token":first["token"],"age":5,"filter":{"events":"unseen"}}),
    ] {
        assert_eq!(data(&mock.v33(again.clone()).await.ok()), &whole[9..18], "{again}");
    }
    // A limit in the request replaces the limit of the token.
    let more = mock.v33(json!({"event_category":"device","token":first["token"],"limit":12})).await.ok();
    assert_eq!(data(&more), &whole[9..21]);
}

#[tokio::test]
async fn a_page_token_survives_a_restart_and_no_configuration_change() {
    let asked = query("device", 5, 10);
    let (first, second) = {
        let mock = Mock::unlimited();
        let first = mock.v33(asked.clone()).await.ok();
        let mut next = asked.clone();
        next["token"] = first["token"].clone();
        (first, mock.v33(next).await.ok())
    };
    let next = json!({"event_category":"device","token":first["token"]});
    assert_eq!(Mock::unlimited().v33(next.clone()).await.ok(), second);
    for flags in [
        "--seed 2",
        "--devices 101",
        "--lag 5",
        "--retention-days 29",
        "--client-secret another",
        "--now 2026-01-15T11:59:59Z",
    ] {
        let other = Mock::new(&format!("--rate-limit off {flags}"));
        assert_eq!(other.v33(next.clone()).await.refusal().0, 400, "{flags}");
    }
}

#[tokio::test]
async fn an_altered_page_token_gets_an_error() {
    let mock = Mock::unlimited();
    let token = mock.v33(query("device", 5, 10)).await.ok()["token"].as_str().expect("a string").to_owned();
    assert!(!token.is_empty() && token.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    let wanted =
        "token must be the token of the page before, as it was answered, of the same account and configuration, got \"";
    let mut altered: Vec<String> = (0..token.len())
        .map(|at| {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            format!("{}{other}{}", &token[..at], &token[at + 1..])
        })
        .collect();
    altered.extend([token[1..].to_owned(), format!("{token}A"), format!("{token}="), "x".repeat(5000), "ü".to_owned()]);
    for text in altered {
        let refusal = mock.v33(json!({"event_category":"device","token":text})).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (400, "invalid_request"), "{text}");
        assert!(refusal.2.starts_with(wanted), "{}", refusal.2);
    }
    let other = mock.v33(json!({"event_category":"admin","token":token})).await;
    other.assert_refused(
        400,
        "invalid_request",
        "event_category must be device, which the token was made for, got admin",
    );
}

#[tokio::test]
async fn the_page_after_the_last_and_its_token_are_empty() {
    let mock = Mock::unlimited();
    let asked = json!({"event_category":"device","start_time":1000,"end_time":2000});
    assert_eq!(mock.v33(asked).await.text(), r#"{"data":[],"token":""}"#);
    let last = mock.v33(json!({"event_category":"device","age":86400,"limit":1})).await.ok();
    assert!(data(&last).len() == 1 && last["token"] != "", "the last page has no token");
    for category in ["device", "webhook", "device_report"] {
        let mock = Mock::new("--devices 0");
        assert_eq!(mock.v33(json!({"event_category":category})).await.text(), r#"{"data":[],"token":""}"#);
    }
}

#[tokio::test]
async fn an_empty_or_null_token_gives_the_first_page() {
    let mock = Mock::unlimited();
    let first = mock.v33(query("device", 5, 10)).await.ok();
    for token in [json!(""), json!(null)] {
        let mut asked = query("device", 5, 10);
        asked["token"] = token;
        assert_eq!(mock.v33(asked).await.ok(), first);
    }
}

#[tokio::test]
async fn a_window_includes_both_ends() {
    let mock = Mock::unlimited();
    let newest = data(&mock.v33(query("device", 5, 1)).await.ok())[0].clone();
    let at = newest["timestamp"]
        .as_str()
        .expect("a string")
        .parse::<jiff::Timestamp>()
        .expect("an instant")
        .as_millisecond();
    let found =
        |from: i64, to: i64| mock.walk_v33_owned(json!({"event_category":"device","start_time":from,"end_time":to}));
    assert_eq!(found(at, at).await, vec![newest]);
    assert_eq!(found(at + 1, NOW).await, Vec::<Value>::new());
    assert_eq!(found(at - 1, at - 1).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_window_can_be_given_in_four_ways() {
    let mock = Mock::unlimited();
    let reports = |mut asked: Value| {
        asked["event_category"] = "device_report".into();
        asked["limit"] = 100.into();
        mock.walk_v33_owned(asked)
    };
    let hour = reports(json!({})).await;
    assert!(!hour.is_empty());
    assert_eq!(reports(json!({"age":3600})).await, hour);
    assert_eq!(reports(json!({"start_time":NOW - 3_600_000})).await, hour, "the default end is not now");
    assert_eq!(reports(json!({"end_time":NOW})).await, hour, "the default start is not one hour before the end");
    assert_eq!(
        reports(json!({"start_time":NOW - 3_600_000,"end_time":NOW,"age":5})).await,
        hour,
        "age is not ignored with start_time and end_time"
    );
    assert_eq!(
        reports(json!({"start_time":NOW - 3_600_000,"age":999_999})).await,
        hour,
        "age is not ignored with start_time"
    );
    assert_eq!(
        reports(json!({"start_time":NOW - 3_600_000,"end_time":i64::MAX})).await,
        hour,
        "the window does not end now"
    );
    // Thirty days with `start_time`, more than the maximum of `age`.
    let month = reports(json!({"start_time":0})).await;
    assert!(month.len() > 5000, "{}", month.len());
    assert_eq!(
        reports(json!({"start_time":NOW - 30 * DAY})).await,
        month,
        "the window is not limited by the retention"
    );
}

#[tokio::test]
async fn windows_after_now_are_empty() {
    let mock = Mock::unlimited();
    let edges = [NOW + 1, 1_069_008_971_328_000_000, 640_566_284_745_600_000, i64::MAX / 2, i64::MAX - 1, i64::MAX];
    for (start, category) in
        edges.into_iter().flat_map(|start| ["device", "admin", "webhook", "device_report"].map(|of| (start, of)))
    {
        let asked = json!({"event_category":category,"start_time":start,"end_time":i64::MAX,"limit":100});
        assert_eq!(mock.v33(asked).await.text(), r#"{"data":[],"token":""}"#, "{category} from {start}");
    }
    let all = json!({"event_category":"device","start_time":0,"end_time":i64::MAX,"limit":1});
    assert_eq!(data(&mock.v33(all).await.ok()).len(), 1);
}

#[tokio::test]
async fn the_event_filters_partition_the_rows() {
    let mock = Mock::unlimited();
    for (category, codes) in [
        (
            "device",
            "access_granted access_revoked added added_duplicate_mac compliance_check compliant deleted deleted_user \
             deleted_api exempt_all fetch_log noncompliant scan_threat unexempt unseen",
        ),
        ("admin", "cac_change config failed_auth login rev_mobile_code submit_ticket whitelist changed_password"),
        (
            "webhook",
            "added deleted status_changed_to_compliant status_changed_to_exempted status_changed_to_non_compliant",
        ),
    ] {
        let whole = mock.walk_v33(&query(category, 30, 100)).await;
        let mut parts = 0;
        for code in codes.split_whitespace() {
            let mut asked = query(category, 30, 100);
            asked["filter"] = json!({"events":code});
            let part = mock.walk_v33(&asked).await;
            let expected: Vec<Value> = whole.iter().filter(|row| row["event"] == code).cloned().collect();
            assert_eq!(part, expected, "{category} {code}");
            assert!(!part.is_empty(), "{category} {code} does not occur in 30 days");
            parts += part.len();
        }
        assert_eq!(parts, whole.len(), "{category} has other codes");
    }
}

#[tokio::test]
async fn codes_can_be_written_in_three_ways() {
    let mock = Mock::unlimited();
    let with = |events: Value| {
        let mut asked = query("device", 5, 100);
        asked["filter"] = json!({"events":events});
        mock.walk_v33_owned(asked)
    };
    let both = with(json!(["compliant", "noncompliant"])).await;
    assert!(both.len() > 20);
    for events in
        [json!("compliant,noncompliant"), json!(" noncompliant , compliant,"), json!(["compliant,noncompliant"])]
    {
        assert_eq!(with(events.clone()).await, both, "{events}");
    }
    let all = mock.walk_v33(&query("device", 5, 100)).await;
    for events in [json!(null), json!([]), json!(""), json!(","), json!([""])] {
        assert_eq!(with(events.clone()).await, all, "{events}");
    }
}

#[tokio::test]
async fn filters_select_agents_and_devices() {
    let mock = Mock::unlimited();
    let with = |category: &'static str, filter: Value| {
        let mut asked = query(category, 10, 100);
        asked["filter"] = filter;
        mock.walk_v33_owned(asked)
    };
    let all = with("device", json!({})).await;
    let (endpoints, controllers) =
        (with("device", json!({"agent_types":[0]})).await, with("device", json!({"agent_types":[2]})).await);
    assert!(!controllers.is_empty() && endpoints.len() + controllers.len() == all.len());
    assert!(controllers.iter().all(|row| row["device_group"] == "Domain controllers"));
    for every in [json!([]), json!([0, 2]), json!([2, 0, 2])] {
        assert_eq!(with("device", json!({"agent_types":every})).await, all, "{every}");
    }
    for category in ["device", "device_report", "webhook"] {
        let all = with(category, json!(null)).await;
        let name = all[0]["device_name"].as_str().expect("a string").to_lowercase();
        let id = all[1]["device_id"].as_str().expect("a string").to_lowercase();
        for (field, text) in [("device_name", name), ("device_id", id)] {
            let found = with(category, json!({"search":text})).await;
            let has = |row: &&Value| row[field].as_str().expect("a string").to_lowercase().contains(&text);
            assert_eq!(found, all.iter().filter(has).cloned().collect::<Vec<_>>(), "{category} {text}");
            assert!(!found.is_empty());
        }
    }
}

#[tokio::test]
async fn filters_that_do_not_apply_to_a_category_are_ignored() {
    let mock = Mock::unlimited();
    for (category, filter) in [
        ("admin", json!({"search":"zzz","agent_types":[2]})),
        ("webhook", json!({"agent_types":[7]})),
        ("device_report", json!({"events":["bogus"],"agent_types":[2]})),
    ] {
        let mut asked = query(category, 2, 20);
        let plain = mock.v33(asked.clone()).await.ok();
        asked["filter"] = filter;
        assert_eq!(mock.v33(asked).await.ok()["data"], plain["data"], "{category}");
    }
}

#[tokio::test]
async fn invalid_values_get_an_error_with_the_parameter_name() {
    let mock = Mock::unlimited();
    let device = |rest: &str| format!(r#"{{"event_category":"device",{rest}}}"#);
    let rows: [(String, u16, &str, &str); 26] = [
        (String::new(), 400, "invalid_request", "event_category is required: device, admin, webhook or device_report"),
        ("[]".into(), 400, "invalid_request", "event_category is required: device, admin, webhook or device_report"),
        (
            r#"{"event_category":null}"#.into(),
            400,
            "invalid_request",
            "event_category is required: device, admin, webhook or device_report",
        ),
        (
            r#"{"event_category":"Device"}"#.into(),
            400,
            "invalid_request",
            "event_category must be device, admin, webhook or device_report, got \"Device\"",
        ),
        (
            r#"{"event_category":["device"]}"#.into(),
            400,
            "invalid_request",
            "event_category must be device, admin, webhook or device_report, got an array",
        ),
        (device(r#""limit":101"#), 406, "not_acceptable", "limit must be at most 100, got 101"),
        (device(r#""limit":0"#), 400, "invalid_request", "limit must be an integer from 1 to 100, got 0"),
        (device(r#""limit":"20""#), 400, "invalid_request", "limit must be an integer from 1 to 100, got \"20\""),
        (
            device(r#""limit":101,"age":0"#),
            400,
            "invalid_request",
            "age must be an integer of seconds from 1 to 86400, got 0",
        ),
        (device(r#""age":0"#), 400, "invalid_request", "age must be an integer of seconds from 1 to 86400, got 0"),
        (
            device(r#""age":86401"#),
            400,
            "invalid_request",
            "age must be an integer of seconds from 1 to 86400, got 86401",
        ),
        (
            device(r#""age":"60""#),
            400,
            "invalid_request",
            "age must be an integer of seconds from 1 to 86400, got \"60\"",
        ),
        (
            device(r#""age":1e3"#),
            400,
            "invalid_request",
            "age must be an integer of seconds from 1 to 86400, got 1000.0",
        ),
        (
            device(r#""start_time":-1"#),
            400,
            "invalid_request",
            "start_time must be an integer of milliseconds since 1970, from 0, got -1",
        ),
        (
            device(r#""start_time":"2026-01-15""#),
            400,
            "invalid_request",
            "start_time must be an integer of milliseconds since 1970, from 0, got \"2026-01-15\"",
        ),
        (
            device(r#""end_time":18446744073709551615"#),
            400,
            "invalid_request",
            "end_time must be an integer of milliseconds since 1970, from 0, got 18446744073709551615",
        ),
        (
            device(r#""start_time":2000,"end_time":1999"#),
            400,
            "invalid_request",
            "start_time must be at most end_time (1999), got 2000",
        ),
        (
            device(r#""start_time":1768478400001"#),
            400,
            "invalid_request",
            "start_time must be at most now, where the window ends without end_time (1768478400000), got 1768478400001",
        ),
        (
            device(r#""token":7"#),
            400,
            "invalid_request",
            "token must be the token of the page before, or an empty string, got 7",
        ),
        (device(r#""filter":"added""#), 400, "invalid_request", "filter must be an object, got \"added\""),
        (device(r#""filter":[1]"#), 400, "invalid_request", "filter must be an object, got an array"),
        (
            device(r#""filter":{"events":["added","bogus"]}"#),
            400,
            "invalid_request",
            "filter.events must be one or more of access_granted, access_revoked, added, added_duplicate_mac, \
                 compliance_check, compliant, deleted, deleted_user, deleted_api, exempt_all, fetch_log, noncompliant, \
                 scan_threat, unexempt, unseen, got \"bogus\"",
        ),
        (
            r#"{"event_category":"webhook","filter":{"events":7}}"#.into(),
            400,
            "invalid_request",
            "filter.events must be one or more of added, deleted, status_changed_to_compliant, \
                 status_changed_to_exempted, status_changed_to_non_compliant, got 7",
        ),
        (
            device(r#""filter":{"agent_types":[1]}"#),
            400,
            "invalid_request",
            "filter.agent_types must be an array of 0 (MetaDefender Endpoint) and 2 (OPSWAT Domain Controller Client), got 1",
        ),
        (
            device(r#""filter":{"agent_types":0}"#),
            400,
            "invalid_request",
            "filter.agent_types must be an array of 0 (MetaDefender Endpoint) and 2 (OPSWAT Domain Controller Client), got 0",
        ),
        (
            device(r#""filter":{"search":["x"]}"#),
            400,
            "invalid_request",
            "filter.search must be a string of at most 256 characters, got an array",
        ),
    ];
    for (body, status, error, description) in rows {
        println!("{body}");
        mock.post(V33, body).await.assert_refused(status, error, description);
    }
}

/// Sends the requests of the vendor's client: after a 429 it advances the clock, and at an empty page it stops.
#[tokio::test]
async fn a_known_client_reads_a_month_within_the_quota() {
    let mock = Mock::new("");
    let mut token = String::new();
    let mut read: Vec<Value> = Vec::new();
    let mut refused = 0;
    loop {
        let body = json!({
            "token":token,"limit":100,"start_time":NOW - 30 * DAY,"end_time":NOW,"event_category":"device","filter":null,
        });
        let request = Request::post(format!("{V33}?verify=True"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()));
        let answer = mock.send(request.expect("a request")).await;
        if answer.status == 429 {
            refused += 1;
            mock.advance(30);
            continue;
        }
        let page = answer.ok();
        if data(&page).is_empty() {
            break;
        }
        read.extend(data(&page).clone());
        token = page["token"].as_str().expect("a string").to_owned();
    }
    let whole = Mock::unlimited().walk_v33(&query("device", 30, 33)).await;
    assert_eq!(read, whole);
    assert!(refused > 2, "{} entries and only {refused} refusals", read.len());
}

/// v2 and v3.3 return the same events.
#[tokio::test]
async fn v2_and_v3_3_return_the_same_events() {
    let mock = Mock::unlimited();
    for (event_type, category) in [(1, "device"), (2, "admin")] {
        let new = mock.walk_v33(&query(category, 30, 100)).await;
        let mut old = Vec::new();
        for page in 1..=4 {
            let answer = mock.v2(&format!("event_type={event_type}&limit=50&page={page}")).await.ok();
            for day in answer["logs"].as_array().expect("logs") {
                for line in day["eventlog"].as_array().expect("eventlog") {
                    old.push((
                        day["date"].as_str().expect("a date").to_owned(),
                        line.as_str().expect("a line").to_owned(),
                    ));
                }
            }
        }
        assert_eq!(old.len(), 200);
        for ((date, line), row) in old.iter().zip(&new) {
            let at: jiff::Timestamp = row["timestamp"].as_str().expect("a string").parse().expect("an instant");
            let at = at.to_zoned(jiff::tz::TimeZone::UTC);
            let parts: Vec<&str> = line.split('|').collect();
            assert_eq!(*date, at.strftime("%b %-d, %Y ").to_string());
            assert_eq!(format!("{}|{}", parts[0], parts[1]), at.strftime("%I:%M|%p").to_string());
            let name = if category == "device" { &row["device_name"] } else { &row["admin_email"] };
            assert_eq!(name, parts[3], "{line}\n{row}");
        }
    }
}

impl Mock {
    async fn walk_v33_owned(&self, query: Value) -> Vec<Value> {
        self.walk_v33(&query).await
    }
}
