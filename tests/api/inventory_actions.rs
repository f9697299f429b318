//! Actions on devices: the events that they cause, and what every API says afterwards.

use serde_json::{Value, json};

use crate::{
    harness::Mock,
    look_up::{ACCOUNT_V3_1, ACTION, numbers, text},
};

const NOW: i64 = 1_768_478_400_000;

impl Mock {
    async fn act(&self, action: &str, id: &str, hours: Option<u32>) {
        let params = hours.map_or_else(|| json!({}), |hours| json!({"exempt_time":hours}));
        let done = self.ask(ACTION, json!({"types":action,"ids":[id],"params":params})).await;
        assert_eq!(done, json!([{"id":id,"status":1,"command_id":""}]), "{action}");
    }

    fn inject(&self, event: Value) {
        let events = [serde_json::from_value(event).expect("an event")];
        self.account.inject(&events).expect("an event that is right");
    }

    /// The codes of the device events of a device since the start, newest first.
    async fn events_of(&self, id: &str) -> Vec<String> {
        let mut query = json!({"event_category":"device","start_time":NOW,"limit":100});
        let mut codes = Vec::new();
        loop {
            let page = self.v33(query.clone()).await.ok();
            let of_device = page["data"].as_array().expect("data").iter().filter(|entry| entry["device_id"] == id);
            codes.extend(of_device.map(|entry| text(entry, "event").to_owned()));
            query["token"] = page["token"].clone();
            if page["token"] == "" {
                return codes;
            }
        }
    }
}

/// An action has an event, and the event has its consequences everywhere; a reset forgets them.
#[tokio::test]
async fn actions_on_devices_are_events_with_consequences() {
    let mock = Mock::unlimited();
    let before = mock.look_up(ACCOUNT_V3_1).await;
    let devices = mock.devices(50).await;
    let with_status = |status: &str| devices.iter().find(|device| device["status"] == status).expect("a device");
    let (wrong, right) = (with_status("non_compliant"), with_status("compliant"));
    let (wrong, right) = (text(wrong, "device_id"), text(right, "device_id"));

    let body = json!({"types":"exempt","ids":[wrong, "NOSUCHONE1"],"params":{"exempt_time":2}});
    let done = mock.ask(ACTION, body).await;
    let row = |id: &str, status: i64| json!({"id":id,"status":status,"command_id":""});
    assert_eq!(done, json!([row(wrong, 1), row("NOSUCHONE1", 0)]));
    assert_eq!(mock.details(wrong).await["status"], "exempted");
    let log = |category: &str| json!({"event_category":category,"age":60});
    for (category, event) in
        [("device", "exempt_all"), ("device_report", "device_report"), ("webhook", "status_changed_to_exempted")]
    {
        let entry = mock.v33(log(category)).await.ok()["data"][0].clone();
        assert_eq!((text(&entry, "event"), text(&entry, "device_id")), (event, wrong), "{category}");
    }
    let now = mock.look_up(ACCOUNT_V3_1).await;
    let exempted = |account: &Value| numbers(account, "devices_by_status").get("exempted").copied().unwrap_or(0);
    assert_eq!(exempted(&now), exempted(&before) + 1);

    // The exemption of a compliant device ends as it began.
    mock.ask(ACTION, json!({"types":["exempt"],"ids":[right]})).await;
    assert_eq!(mock.details(right).await["status"], "exempted");
    assert_eq!(
        mock.ask(ACTION, json!({"types":"unexempt","ids":[right, right]})).await,
        json!([row(right, 1), row(right, 0)])
    );
    assert_eq!(mock.details(right).await["status"], "compliant");

    let fetched = mock.ask(ACTION, json!({"types":"fetch_agent_log","ids":[right]})).await;
    assert!(!text(&fetched[0], "command_id").is_empty());
    assert_eq!(mock.ask(ACTION, json!({"types":"dhcprenew","ids":[right]})).await, json!([row(right, -1)]));

    let answer = mock.post(&format!("/o/api/v2.2/devices/{right}/delete"), "").await.ok();
    assert_eq!(answer, json!({"result":1,"msg":format!("Device {right} was deleted")}));
    assert_eq!(mock.post(&format!("/o/api/v2.2/devices/{right}/delete"), "[]").await.status, 404);
    assert_eq!(mock.details(right).await, Value::Null);
    let newest = mock.v33(log("device")).await.ok()["data"][0].clone();
    assert_eq!((text(&newest, "event"), text(&newest, "device_id")), ("deleted_api", right));
    assert_eq!(mock.devices(50).await.len(), devices.len() - 1);

    mock.account.reset();
    assert_eq!(mock.look_up(ACCOUNT_V3_1).await, before);
    assert_eq!(mock.devices(50).await, devices);
}

/// A later exemption replaces the end of an earlier one.
#[tokio::test]
async fn an_exemption_has_one_end() {
    const HOUR: u64 = 3_600;
    for (first, second, ends_after) in [(Some(1), Some(3), 3), (Some(3), Some(1), 1)] {
        let mock = Mock::unlimited();
        mock.inject(json!({"category":"device","event":"added","device_id":"INVENTED01"}));
        mock.inject(json!({"category":"device","event":"noncompliant","device_id":"INVENTED01","details":"no lock"}));
        mock.act("exempt", "INVENTED01", first).await;
        mock.advance(1);
        mock.act("exempt", "INVENTED01", second).await;
        let mut statuses = Vec::new();
        for seconds in [HOUR - 1, 1, 2 * HOUR - 1, 1, HOUR] {
            mock.advance(seconds);
            statuses.push(mock.details("INVENTED01").await["status"] == "exempted");
        }
        assert_eq!(statuses, [true, ends_after > 1, ends_after > 1, false, false], "{first:?} {second:?}");
        let events = mock.events_of("INVENTED01").await;
        assert_eq!(events, ["unexempt", "exempt_all", "exempt_all", "noncompliant", "added"], "{first:?} {second:?}");
    }
    // Without an end, and with one that was taken back.
    for second in [None, Some(1)] {
        let mock = Mock::unlimited();
        mock.inject(json!({"category":"device","event":"noncompliant","device_id":"INVENTED01"}));
        mock.act("exempt", "INVENTED01", Some(1)).await;
        mock.advance(1);
        if second.is_none() {
            mock.act("exempt", "INVENTED01", None).await;
        } else {
            mock.act("unexempt", "INVENTED01", None).await;
        }
        mock.advance(100 * HOUR);
        let unexempted = mock.events_of("INVENTED01").await.iter().filter(|event| *event == "unexempt").count();
        assert_eq!(unexempted, usize::from(second.is_some()));
    }
}

/// What was wrong with a device is wrong again after an exemption, and the account counts it as before.
#[tokio::test]
async fn issues_and_severities_return_after_an_exemption() {
    let mock = Mock::unlimited();
    let devices = mock.devices(50).await;
    let wrong = devices.iter().find(|device| device["status"] == "non_compliant").expect("a device");
    let right = devices.iter().find(|device| device["status"] == "compliant").expect("a device");
    for id in [text(wrong, "device_id"), text(right, "device_id")] {
        let (details, account) = (mock.details(id).await, mock.look_up(ACCOUNT_V3_1).await);
        mock.act("exempt", id, None).await;
        assert_ne!(mock.details(id).await["status"], details["status"]);
        assert_ne!(
            numbers(&mock.look_up(ACCOUNT_V3_1).await, "devices_by_status"),
            numbers(&account, "devices_by_status")
        );
        mock.act("unexempt", id, None).await;
        assert_eq!(mock.details(id).await["categories"], details["categories"]);
        assert_eq!(mock.details(id).await["status"], details["status"]);
        assert_eq!(mock.look_up(ACCOUNT_V3_1).await, account);
    }
}

/// Also if the history exempted the device, or if a test said how severe its violation is.
#[tokio::test]
async fn an_exemption_keeps_the_severity_of_the_violation() {
    let mock = Mock::unlimited();
    let severity = async |id: &str| {
        let all = mock.devices(50).await;
        let device = all.into_iter().find(|device| device["device_id"] == id).expect("a device");
        (text(&device, "status").to_owned(), text(&device, "severity").to_owned())
    };
    let wrong = |severity: &str| ("non_compliant".to_owned(), severity.to_owned());
    for (nth, reported, expected) in
        [(0, Some("critical"), "critical"), (1, Some("warning"), "warning"), (2, None, "warning")]
    {
        let id = format!("INVENTED{nth:02}");
        mock.inject(json!({"category":"device","event":"noncompliant","device_id":id}));
        if let Some(severity) = reported {
            mock.inject(
                json!({"category":"device_report","device_id":id,"status":"non-compliant","severity":severity}),
            );
        }
        mock.act("exempt", &id, None).await;
        mock.act("unexempt", &id, None).await;
        assert_eq!(severity(&id).await, wrong(expected), "{reported:?}");
    }
    let devices = mock.devices(50).await;
    let exempted = devices.iter().find(|device| device["status"] == "exempted").expect("a device that is exempted");
    let id = text(exempted, "device_id");
    let issue = mock.details(id).await["categories"][0]["issue"].clone();
    mock.act("unexempt", id, None).await;
    assert_eq!(severity(id).await, wrong("critical"));
    assert_eq!(mock.details(id).await["categories"][0]["issue"], issue);
}

/// An action that the account cannot store has no effect on any device.
#[tokio::test]
async fn actions_are_refused_when_the_account_is_full() {
    let mock = Mock::unlimited();
    let events: Vec<Value> = (0..9_995)
        .map(|nth| json!({"category":"device","event":"added","device_id":format!("INVENTED{nth}")}))
        .collect();
    let events: Vec<_> = events.into_iter().map(|event| serde_json::from_value(event).expect("an event")).collect();
    mock.account.inject(&events).expect("room for all");
    let body = json!({"types":"delete","ids":["INVENTED0","INVENTED1","INVENTED2"]});
    let refusal = mock.post(ACTION, body.to_string()).await.refusal();
    assert_eq!(refusal.0, 400, "{refusal:?}");
    assert!(refusal.2.contains("an account keeps 10000 added events"), "{refusal:?}");
    assert_eq!(mock.details("INVENTED0").await["status"], "compliant");
    mock.act("delete", "INVENTED0", None).await;
}

/// The name of an invented device can be the hostname of one of the company's devices.
#[tokio::test]
async fn an_injected_device_is_found_by_its_id_whatever_its_name_is() {
    let mock = Mock::unlimited();
    let device = mock.devices(1).await[0].clone();
    let name = text(&device, "host_name").to_lowercase();
    mock.inject(json!({"category":"device","event":"added","device_name":name}));
    let listed = mock.devices(50).await;
    let id = text(listed.last().expect("a device"), "device_id");
    assert_eq!((id, text(&mock.details(id).await, "device_name")), (name.to_uppercase().as_str(), name.as_str()));
}

/// What a client has read stays in the logs, whatever happens later.
#[tokio::test]
async fn an_end_that_is_past_stays_in_the_log() {
    let mock = Mock::unlimited();
    mock.inject(json!({"category":"device","event":"added","device_id":"INVENTED01"}));
    mock.act("exempt", "INVENTED01", Some(1)).await;
    mock.advance(2 * 3_600);
    let before = mock.events_of("INVENTED01").await;
    assert_eq!(before, ["compliant", "unexempt", "exempt_all", "added"]);
    mock.act("exempt", "INVENTED01", None).await;
    assert_eq!(mock.events_of("INVENTED01").await[1..], before);
}

/// Also where the history changes the status of a device in the hours of an exemption.
#[tokio::test]
async fn a_device_is_what_the_logs_say_after_an_exemption() {
    let mock = Mock::new("--rate-limit off --devices 400");
    let devices = mock.devices(50).await;
    let ids: Vec<&str> = devices.iter().map(|device| text(device, "device_id")).collect();
    for part in ids.chunks(50) {
        mock.ask(ACTION, json!({"types":"exempt","ids":part,"params":{"exempt_time":2}})).await;
    }
    mock.advance(5 * 3_600);
    let log = mock.walk_v33(&json!({"event_category":"device","start_time":NOW,"limit":100})).await;
    let mut changed_by_history = 0;
    for id in ids {
        let changes =
            log.iter().filter(|entry| entry["device_id"] == id).filter_map(|entry| match text(entry, "event") {
                "compliant" => Some("compliant"),
                "noncompliant" | "unexempt" => Some("non_compliant"),
                "exempt_all" => Some("exempted"),
                _ => None,
            });
        let changes: Vec<&str> = changes.collect();
        let now = mock.details(id).await;
        if !now.is_null() {
            assert_eq!(text(&now, "status"), changes[0], "{id}: {changes:?}");
            changed_by_history += usize::from(changes.len() > 3);
        }
    }
    assert!(changed_by_history > 0);
}

/// In the log, the end of an exemption alone means that the device is not compliant.
#[tokio::test]
async fn the_log_says_that_a_compliant_device_is_compliant_after_its_exemption() {
    let mock = Mock::unlimited();
    mock.inject(json!({"category":"device","event":"added","device_id":"INVENTED01"}));
    mock.act("exempt", "INVENTED01", Some(1)).await;
    mock.advance(3_600);
    assert_eq!(mock.events_of("INVENTED01").await, ["compliant", "unexempt", "exempt_all", "added"]);
    assert_eq!(mock.details("INVENTED01").await["status"], "compliant");
}
