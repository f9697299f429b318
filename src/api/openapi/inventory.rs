//! The operations of the account and its devices.

use serde_json::{Map, Value, json};

use super::{
    super::inventory::{ACTIONS, LISTS},
    look_ups::{RISKS, catalog, look_ups},
    operation::{
        Operation, array, count, ids, in_path, issues, limit, nullable, opt, page_of, seconds, severity, shape, status,
        violated, with, zero_or_one,
    },
    parts::{codes, integer, text},
};
use crate::api_name::ApiName;

const SEVERITIES_V3_2: [&str; 7] = ["critical", "important", "moderate", "low", "unknown", "high", "medium"];

/// The paths with their operations.
pub(super) fn paths() -> Vec<(ApiName, Value)> {
    [account(), devices(), look_ups(), catalog()].concat()
}

fn account() -> Vec<(ApiName, Value)> {
    let v2 = || {
        shape(&[
            ("name", text()),
            ("email", text()),
            ("last_login", seconds()),
            ("date_created", seconds()),
            ("devices_allowed", count()),
            ("devices_used", count()),
            ("devices_uncompliant", count()),
            ("devices_critical", count()),
            ("devices_issues", count()),
        ])
    };
    let v3 = with(v2(), &[("devices_unknown", count()), ("license_key", text())]);
    let number_by =
        |name: &str, values: &[&str]| array(&shape(&[(name, codes(values)), ("number_of_devices", count())]));
    let v3_1 = shape(&[
        ("name", text()),
        ("email", text()),
        ("last_login", seconds()),
        ("date_created", seconds()),
        ("devices_allowed", count()),
        ("devices_used", count()),
        ("license_key", text()),
        ("devices_by_status", number_by("status", &["compliant", "non-compliant", "exempted", "unknown"])),
        ("devices_by_issue_severity", number_by("severity", &["critical", "warning", "no_issue"])),
        ("devices_by_vulnerability_severity", number_by("severity", &RISKS)),
    ]);
    let mut v3_2 = v3_1.clone();
    v3_2["properties"]["devices_by_vulnerability_severity"] = number_by("severity", &SEVERITIES_V3_2);
    let scores = json!({ "score_type": nullable(&codes(&["opswat_score", "cvss2_score", "cvss3_score"])) });
    vec![
        (ApiName::AccountV2, Operation::new("accountV2", "Account Details v2", v2()).get()),
        (ApiName::AccountV3, Operation::new("accountV3", "Account Details v3", v3).get()),
        (ApiName::AccountV3_1, Operation::new("accountV31", "Account Details v3.1", v3_1).get()),
        (ApiName::AccountV3_2, Operation::new("accountV32", "Account Details v3.2", v3_2).body(scores, &[]).post()),
    ]
}

fn devices() -> Vec<(ApiName, Value)> {
    let v2_2 = shape(&[
        ("hwid", text()),
        ("status", json!({ "type": "integer", "enum": [0, 1] })),
        ("hostname", text()),
        ("nickname", text()),
        ("agent_version", text()),
        ("last_seen", seconds()),
        ("remediation_link", text()),
    ]);
    let v3_3 = shape(&[
        ("device_id", text()),
        ("device_name", text()),
        ("nickname", text()),
        ("device_type", text()),
        ("status", status()),
        ("severity", severity()),
        ("enrolled_at", seconds()),
        ("last_seen", seconds()),
        ("agent_version", text()),
        ("group_name", text()),
        ("issue", issues()),
        ("categories", violated()),
    ]);
    let v3_4 = shape(&[
        ("device_id", text()),
        ("host_name", text()),
        ("status", status()),
        ("severity", severity()),
        ("enrolled_at", seconds()),
        ("last_seen", seconds()),
        ("device_type", text()),
        ("agent_version", text()),
        ("group_name", text()),
    ]);
    let page_v3_4 = shape(&[("next_token", text()), ("devices", array(&v3_4))]);
    let in_query = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    vec![
        (
            ApiName::DevicesV2_2,
            Operation::new("devicesV22", "Get Devices v2.2", array(&v2_2))
                .parameters(vec![in_query("limit", integer(1, Some(50), 1)), in_query("page", integer(1, None, 1))])
                .errors(&["406", "413"])
                .get(),
        ),
        (
            ApiName::DevicesV3_3,
            Operation::new("devicesV33", "Get Devices v3.3", array(&v3_3))
                .body(page_of(LISTS, json!({})), &[])
                .errors(&["406", "413"])
                .post(),
        ),
        (
            ApiName::DevicesV3_4,
            Operation::new("devicesV34", "Get Devices v3.4: ascending by enrolment, by token", page_v3_4)
                .body(json!({ "limit": limit(LISTS), "token": { "type": ["string", "null"] } }), &[])
                .errors(&["406"])
                .post(),
        ),
        (
            ApiName::DeviceDetails,
            Operation::new("deviceDetails", "Device Details", array(&details()))
                .body(json!({ "ids": ids(), "opt": opt(), "verbose": verbose() }), &["ids"])
                .post(),
        ),
        (
            ApiName::DeviceInfo,
            Operation::new(
                "deviceInfo",
                "Device Information",
                array(&shape(&[
                    ("device_id", text()),
                    ("status", codes(&["compliant", "non-compliant", "exempted"])),
                    ("severity", severity()),
                    ("device_name", text()),
                    ("categories", violated()),
                ])),
            )
            .body(
                json!({
                    "ids": { "anyOf": [
                        { "type": "string", "minLength": 1 },
                        { "type": "array", "minItems": 1, "maxItems": 1, "items": text() },
                    ] },
                    "opt": opt(),
                    "select": { "type": ["object", "null"], "properties": {
                        "categories": { "type": ["array", "null"], "items": text() },
                    } },
                }),
                &["ids"],
            )
            .errors(&["404"])
            .post(),
        ),
        (
            ApiName::DeviceAction,
            Operation::new(
                "deviceAction",
                "Device Action",
                array(&shape(&[
                    ("id", text()),
                    ("status", json!({ "type": "integer", "enum": [-1, 0, 1] })),
                    ("command_id", text()),
                ])),
            )
            .body(
                json!({
                    "types": { "anyOf": [
                        codes(&ACTIONS),
                        { "type": "array", "minItems": 1, "maxItems": ACTIONS.len(), "items": codes(&ACTIONS) },
                    ] },
                    "ids": ids(),
                    "macs": ids(),
                    "params": { "type": ["object", "null"], "properties": {
                        "exempt_time": { "type": ["integer", "null"], "minimum": 0, "maximum": 64_999 },
                    } },
                }),
                &["types"],
            )
            .post(),
        ),
        (
            ApiName::DeleteDevice,
            Operation::new(
                "deleteDevice",
                "Delete Device",
                shape(&[("result", json!({ "const": 1 })), ("msg", text())]),
            )
            .parameters(vec![in_path()])
            .errors(&["404"])
            .post(),
        ),
    ]
}

fn details() -> Value {
    let none = json!({ "type": "array", "maxItems": 0, "items": {} });
    let mut details = shape(&[
        ("device_id", text()),
        ("linked_id", text()),
        ("device_name", text()),
        ("nick_name", text()),
        ("status", status()),
        ("severity", severity()),
        ("issue", issues()),
        ("group_name", text()),
        ("policy_name", text()),
        ("agent_type", text()),
        ("agent_version", text()),
        ("device_type", text()),
        ("enrolled_at", seconds()),
        ("last_seen", seconds()),
        ("user_info", shape(&[("username", text()), ("domain", text())])),
        ("remediation_link", text()),
    ]);
    let category =
        shape(&[("category_id", text()), ("severity", severity()), ("issue", text()), ("apps", none.clone())]);
    for (name, schema) in [
        ("public_ip", text()),
        ("os_info", shape(&[("name", text()), ("family", text())])),
        ("network_info", array(&shape(&[("mac", text())]))),
        ("categories", array(&category)),
        ("unclassified", none.clone()),
        ("mobile_apps", none.clone()),
        ("detected_processes", shape(&[("total", count()), ("processes", none.clone())])),
        ("detected_packages", shape(&[("total", count()), ("packages", none.clone())])),
        ("detected_patches", shape(&[("total", count()), ("patches", none)])),
    ] {
        details["properties"][name] = schema;
    }
    details
}

fn verbose() -> Value {
    let names = [
        "system_info",
        "categories",
        "unclassified",
        "mobile_apps",
        "detected_processes",
        "detected_packages",
        "detected_patches",
    ];
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), zero_or_one())).collect();
    json!({ "type": ["object", "null"], "properties": properties })
}
