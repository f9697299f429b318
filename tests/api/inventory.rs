//! The devices, the account and what belongs to them: they agree with the logs at the account's now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    harness::{Mock, TOKEN},
    look_up::{ACCOUNT_V2, ACCOUNT_V3_1, ACTION, DETAILS, count, numbers, text},
};

const DEVICES_V2_2: &str = "/o/api/v2.2/devices";
const DEVICES_V3_3: &str = "/o/api/v3.3/devices";
const INFO: &str = "/o/api/v3/device_info";
const DEVICE_CVES: &str = "/o/api/v3/get_cves";
const CVES: &str = "/o/api/v3/cves";
const CHANGED: &str = "/o/api/v3/devices/status_changed";
const STATS: &str = "/o/api/v2/devices/stats";
const POLICY_CHECK: &str = "/o/api/v2/devices/policy_check";
const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;

/// Also after actions on devices, and for a company of another size.
#[tokio::test]
async fn the_numbers_of_the_account_are_a_count_over_its_devices() {
    for flags in ["--rate-limit off", "--rate-limit off --devices 777 --seed 5", "--rate-limit off --devices 0"] {
        let mock = Mock::new(flags);
        let devices = mock.devices(50).await;
        let actions = [json!(["exempt"]), json!(["delete"]), json!(["exempt", "unexempt"])];
        for (device, types) in devices.iter().zip(actions.iter().cycle()).take(30) {
            let body = json!({"types":types,"ids":[text(device, "device_id")],"params":{"exempt_time":1}});
            mock.ask(ACTION, body).await;
        }
        // At the end of some of the exemptions.
        mock.advance(3_600);
        let devices = mock.devices(50).await;
        let (v2, v3_1) = (mock.look_up(ACCOUNT_V2).await, mock.look_up(ACCOUNT_V3_1).await);
        assert_eq!(v2["devices_used"], devices.len());
        let statuses = count(devices.iter().map(|device| text(device, "status").replace('_', "-")));
        assert_eq!(numbers(&v3_1, "devices_by_status"), statuses, "{flags}");
        let severities = count(devices.iter().map(|device| text(device, "severity").replace("issues", "issue")));
        assert_eq!(numbers(&v3_1, "devices_by_issue_severity"), severities, "{flags}");
        let v3_2 = mock.ask("/o/api/v3.2/account", json!({"score_type":"cvss2_score"})).await;
        let renamed = |name: &str| name.replace("important", "high").replace("moderate", "medium");
        let expected = numbers(&v3_1, "devices_by_vulnerability_severity");
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(name, number)| (renamed(&name), number)).collect();
        assert_eq!(numbers(&v3_2, "devices_by_vulnerability_severity"), expected);
        let has = |field: &str, value: &str| devices.iter().filter(|device| device[field] == value).count();
        assert_eq!(v2["devices_uncompliant"], has("status", "non_compliant"));
        assert_eq!(v2["devices_critical"], has("severity", "critical"));
        assert_eq!(v2["devices_issues"], has("severity", "critical") + has("severity", "warning"));
        assert!(v2["devices_allowed"].as_u64() >= v2["devices_used"].as_u64());

        let mut worst: BTreeMap<String, u64> = BTreeMap::new();
        let mut affected: BTreeMap<String, u64> = BTreeMap::new();
        for device in devices.iter().filter(|device| device["status"] != "compliant") {
            let cves = mock.ask(DEVICE_CVES, json!({"id":device["device_id"],"verbose":1})).await;
            let cves = cves.as_array().expect("an array");
            // The most severe ones come first.
            if let Some(first) = cves.first() {
                *worst.entry(text(first, "severity").to_owned()).or_default() += 1;
            }
            for cve in cves {
                *affected.entry(text(cve, "cve_id").to_owned()).or_default() += 1;
            }
        }
        assert_eq!(numbers(&v3_1, "devices_by_vulnerability_severity"), worst, "{flags}");
        // Without a vulnerable device, there is nothing to return.
        let of_all = mock.post(CVES, json!({"limit":50}).to_string()).await;
        let of_all = if affected.is_empty() && of_all.status == 413 { json!([]) } else { of_all.ok() };
        let of_all = of_all.as_array().expect("an array").iter();
        let total = |cve: &Value| cve["total_devices"].as_u64().expect("a number");
        let of_all: BTreeMap<String, u64> = of_all.map(|cve| (text(cve, "cve_id").to_owned(), total(cve))).collect();
        assert_eq!(of_all, affected, "{flags}");
    }
}

#[tokio::test]
async fn the_lists_have_the_same_devices_on_pages_of_any_size() {
    let mock = Mock::unlimited();
    let by_enrolment = mock.devices(7).await;
    assert!(by_enrolment.is_sorted_by_key(|device| text(device, "enrolled_at").to_owned()));
    assert_eq!(by_enrolment, mock.devices(50).await);
    let ids: BTreeSet<&str> = by_enrolment.iter().map(|device| text(device, "device_id")).collect();
    assert_eq!(ids.len(), by_enrolment.len());
    for (path, field) in [(DEVICES_V3_3, "device_id"), ("/o/api/v3.2/devices", "device_id")] {
        let mut found = Vec::new();
        for page in 1.. {
            let answer = mock.post(path, json!({"limit":13,"page":page}).to_string()).await;
            if answer.status == 413 {
                break;
            }
            let devices = answer.ok();
            found.extend(devices.as_array().expect("an array").iter().map(|device| text(device, field).to_owned()));
        }
        found.sort_unstable();
        assert_eq!(found, ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>(), "{path}");
    }
    let mut found = Vec::new();
    for page in 1..=ids.len().div_ceil(50) {
        let devices = mock.look_up(&format!("{DEVICES_V2_2}?limit=50&page={page}")).await;
        found.extend(devices.as_array().expect("an array").iter().map(|device| text(device, "hwid").to_owned()));
    }
    found.sort_unstable();
    assert_eq!(found, ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>());
}

/// What the newest entry of each device in the logs says, is what the look-ups say.
#[tokio::test]
async fn a_device_is_what_the_logs_say() {
    let mock = Mock::unlimited();
    let query =
        |category: &str, days: i64| json!({"event_category":category,"start_time":NOW - days * DAY,"limit":100});
    let log = mock.walk_v33(&query("device", 20)).await;
    let reports = mock.walk_v33(&query("device_report", 3)).await;
    let devices = mock.devices(50).await;
    let mut changed: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut left = BTreeSet::new();
    for entry in log.iter().rev() {
        match text(entry, "event") {
            "compliant" | "noncompliant" | "exempt_all" | "unexempt" => {
                changed.insert(text(entry, "device_id"), entry);
            }
            "deleted" | "deleted_user" | "deleted_api" | "unseen" => {
                left.insert(text(entry, "device_id"));
            }
            _ => {}
        }
    }
    assert!(!left.is_empty() && changed.len() > 50);
    for device in &devices {
        let id = text(device, "device_id");
        assert!(!left.contains(id), "{id} left, and is in the list");
        let details = mock.details(id).await;
        assert_eq!((&details["status"], &details["enrolled_at"]), (&device["status"], &device["enrolled_at"]));
        if let Some(entry) = changed.get(id) {
            let expected = match text(entry, "event") {
                "compliant" => "compliant",
                "exempt_all" => "exempted",
                _ => "non_compliant",
            };
            assert_eq!(details["status"], expected, "{entry}");
            assert_eq!(details["device_name"], entry["device_name"]);
            assert_eq!(details["group_name"], entry["device_group"]);
            assert_eq!(details["user_info"]["username"], entry["device_username"]);
        }
        if let Some(report) = reports.iter().find(|report| report["device_id"] == id) {
            assert_eq!(details["last_seen"], format!("{}Z", &text(report, "last_seen")[..19]));
            assert_eq!(details["public_ip"], report["public_ip"]);
            assert_eq!(details["policy_name"], report["policy_name"]);
            let is_older = changed.get(id).is_some_and(|entry| text(entry, "timestamp") > text(report, "timestamp"));
            if !is_older {
                let issues = details["categories"].as_array().expect("categories");
                assert_eq!(
                    details["severity"].as_str().map(|code| code.replace("issues", "issue")).as_deref(),
                    report["severity"].as_str()
                );
                assert!(issues.iter().all(|issue| text(report, "details").contains(text(issue, "issue"))), "{report}");
                assert_eq!(issues.is_empty(), report["status"] == "compliant");
            }
        }
    }
    for id in left {
        assert_eq!(mock.ask(DETAILS, json!({"ids":[id]})).await, json!([]));
        let gone = (404, "not_found".to_owned(), format!("There is no device {id} in the account"));
        assert_eq!(mock.post(DEVICE_CVES, json!({"id":id}).to_string()).await.refusal(), gone);
        assert_eq!(mock.post(INFO, json!({"ids":id}).to_string()).await.refusal(), gone);
    }
}

#[tokio::test]
async fn status_changed_is_the_device_log_of_the_window() {
    let mock = Mock::unlimited();
    let log = mock.walk_v33(&json!({"event_category":"device","age":86400,"limit":100})).await;
    let is_departure = |event: &str| matches!(event, "deleted" | "deleted_user" | "deleted_api" | "unseen");
    let is_change = |event: &str| {
        is_departure(event)
            || matches!(
                event,
                "added" | "added_duplicate_mac" | "compliant" | "noncompliant" | "exempt_all" | "unexempt"
            )
    };
    let fields = |entry: &Value| ["device_id", "device_name", "timestamp"].map(|field| entry[field].clone());
    let row = |change: &Value| (fields(change), text(change, "status").to_owned());
    let of_entry = |entry: &Value| {
        let status = match text(entry, "event") {
            event if is_departure(event) => "deleted",
            "added" | "added_duplicate_mac" => "installed",
            "noncompliant" | "unexempt" => "non-compliant",
            "exempt_all" => "exempted",
            _ => "compliant",
        };
        (fields(entry), status.to_owned())
    };
    let (mut monitored, mut deleted) = (Vec::new(), Vec::new());
    for page in 1.. {
        let answer = mock.post(CHANGED, json!({"limit":9,"page":page}).to_string()).await;
        if answer.status == 413 {
            break;
        }
        let changes = answer.ok();
        monitored.extend(changes["monitored_devices"].as_array().expect("an array").iter().map(row));
        deleted.extend(changes["deleted_devices"].as_array().expect("an array").iter().map(row));
    }
    let of_log = |departed: bool| {
        let entries = log.iter().filter(|entry| is_change(text(entry, "event")));
        entries.filter(|entry| is_departure(text(entry, "event")) == departed).map(of_entry).collect::<Vec<_>>()
    };
    assert!(!monitored.is_empty());
    assert_eq!(monitored, of_log(false));
    assert_eq!(deleted, of_log(true));
    // The severity and the issues are those of now.
    let verbose = mock.ask(CHANGED, json!({"limit":50,"verbose":1})).await;
    let mut with_issue = 0;
    for change in verbose["monitored_devices"].as_array().expect("an array") {
        let details = mock.details(text(change, "device_id")).await;
        let expected = if details.is_null() { "no_issues" } else { text(&details, "severity") };
        assert_eq!(change["severity"], expected, "{change}");
        with_issue += usize::from(change["issue"]["total_issue"] == 1);
        assert_eq!(change["issue"].is_null(), details.is_null(), "{change}");
    }
    assert!(with_issue > 0);
    // Nothing to return is refused like a page beyond the last one.
    assert_eq!(mock.post(CHANGED, json!({"age":0}).to_string()).await.status, 413);
}

/// A device that only injected events name is in the account from its first event until an event says that it left.
#[tokio::test]
async fn injected_devices_are_in_the_account() {
    let mock = Mock::unlimited();
    let number = mock.devices(50).await.len();
    let inject = async |event: Value| {
        let events = [serde_json::from_value(event).expect("an event")];
        mock.account.inject(&events).expect("an event that is right");
    };
    inject(json!({"category":"device","event":"added","device_id":"INVENTED01","device_name":"KIOSK"})).await;
    let details = mock.details("INVENTED01").await;
    assert_eq!((text(&details, "device_name"), text(&details, "status")), ("KIOSK", "compliant"));
    assert_eq!(text(mock.devices(10).await.last().expect("a device"), "device_id"), "INVENTED01");
    assert_eq!(mock.devices(10).await.len(), number + 1);
    assert_eq!(mock.look_up(ACCOUNT_V2).await["devices_used"], number + 1);
    inject(json!({"category":"device","event":"noncompliant","device_id":"INVENTED01","device_name":"KIOSK","details":"no lock"})).await;
    let details = mock.details("INVENTED01").await;
    assert_eq!((text(&details, "status"), text(&details["categories"][0], "issue")), ("non_compliant", "no lock"));
    assert_eq!(mock.ask(DETAILS, json!({"ids":["KIOSK"],"opt":1})).await[0]["device_id"], "INVENTED01");
    inject(json!({"category":"device","event":"unseen","device_id":"INVENTED01"})).await;
    assert_eq!(mock.details("INVENTED01").await, Value::Null);
    assert_eq!(mock.devices(10).await.len(), number);
}

#[tokio::test]
async fn devices_are_found_by_id_by_mac_address_and_by_hostname() {
    let mock = Mock::unlimited();
    for device in mock.devices(50).await {
        let details = mock.details(text(&device, "device_id")).await;
        let mac = text(&details["network_info"][0], "mac");
        for (opt, id) in [(0, mac), (0, &mac.replace(':', "-").to_lowercase()), (1, text(&details, "device_name"))] {
            let found = mock.ask(DETAILS, json!({"ids":[id],"opt":opt})).await;
            // A device that was added with the MAC address of the one that it replaces has it alone.
            assert_eq!(found[0]["network_info"], details["network_info"], "{id}");
            assert!(opt == 0 || found[0]["device_id"] == details["device_id"], "{id}");
        }
        let check = mock.ask(POLICY_CHECK, json!({"MAC_list":[mac],"opt":0})).await;
        assert_eq!(check["result"], i32::from(details["status"] == "non_compliant"), "{details}");
    }
}

#[tokio::test]
async fn a_statistic_counts_the_events_of_the_device_log() {
    let mock = Mock::unlimited();
    for (event, number, period, hours) in [
        ("compliant", 5, "hour", 5),
        ("added", 1, "month", 720),
        ("not_seen", 1, "month", 720),
        ("noncompliant", 1, "ytd", 348),
    ] {
        let stats = mock.look_up(&format!("{STATS}?event={event}&period={period}&in={number}")).await;
        let event = event.replace("not_seen", "unseen");
        let query = json!({"event_category":"device","start_time":NOW - hours * 3_600_000,"filter":{"events":event},"limit":100});
        let log = mock.walk_v33(&query).await;
        assert_eq!(stats["total_count"], log.len(), "{event}");
        let ids: Vec<&Value> = log.iter().map(|entry| &entry["device_id"]).take(50).collect();
        assert_eq!(stats["devices"].as_array().expect("an array").iter().collect::<Vec<_>>(), ids, "{event}");
    }
}

#[tokio::test]
async fn each_api_has_a_quota_of_its_own() {
    let mock = Mock::new("");
    for path in ["/o/api/v2/account", "/o/api/v3/account", "/o/api/v3.1/account"] {
        for _ in 0..10 {
            mock.look_up(path).await;
        }
        let answer = mock.get(&format!("{path}?access_token={TOKEN}")).await;
        assert_eq!(answer.refusal().0, 429, "{path}");
    }
    // The versions of an API with the same rules share it.
    for nth in 0..11 {
        let path = ["/o/api/v3.4/devices/detail", "/o/api/v3.3/devices/detail"][nth % 2];
        let status = mock.post(path, json!({"ids":["A"]}).to_string()).await.status;
        assert_eq!(status, if nth < 10 { 200 } else { 429 });
    }
}

#[tokio::test]
async fn further_look_ups_answer_in_the_shape_that_clients_read() {
    let mock = Mock::unlimited();
    let id = text(&mock.devices(1).await[0], "device_id").to_owned();
    let remediation = mock.look_up(&format!("/o/api/v3/devices/{id}/remediation")).await;
    assert!(text(&remediation, "remediation_link").ends_with(&id));
    let none = mock.look_up("/o/api/v3/devices/NOSUCHONE1/remediation").await;
    assert_eq!(none, json!({"result":0,"remediation_link":""}));
    let threats = mock.ask("/o/api/v3/get_threats", json!({"id":id})).await;
    assert_eq!(threats, json!({"antimalware_scan":[],"local_antimalware_threats":[]}));
    assert!(text(&mock.look_up("/o/api/v3.1/get_reports?type=devices").await, "message").contains("devices"));
    assert!(!text(&mock.ask("/o/api/v3.1/configuration", json!({"sections":["regcode"]})).await, "regcode").is_empty());
    let policy = mock.look_up("/o/api/v2/account/policy").await;
    assert_eq!(policy["policy"]["Antivirus"]["Definitions"]["alert"], 1);
    let groups = mock.ask("/o/api/v3/groups", json!({"limit":50,"page":1,"sort":{"order":"desc"}})).await;
    let groups = groups.as_array().expect("an array");
    let found = mock.ask("/o/api/v3/groups", json!({"search":"FIRE"})).await;
    assert_eq!(found[0]["group_name"], "Group only firewall");
    for device in mock.devices(50).await {
        assert!(groups.iter().any(|group| group["group_name"] == device["group_name"]), "{device}");
    }
    let apps = mock.ask("/o/api/v3/apps", json!({})).await;
    for app in apps.as_array().expect("an array") {
        let query = json!({"product_id":app["product_id"],"version":app["version"],"verbose":{"cves":1}});
        let details = mock.ask("/o/api/v3/apps/details", query).await;
        assert_eq!(
            details["cves"].as_array().map(Vec::len),
            app["number_of_cves"].as_u64().and_then(|n| n.try_into().ok())
        );
    }
    // The documented form of `ids` is a text; a client sends an array.
    assert_eq!(mock.ask(INFO, json!({"ids":[id]})).await, mock.ask(INFO, json!({"ids":id})).await);
}
