//! The operations that look up vulnerabilities, changes, groups, products and more.

use serde_json::{Value, json};

use super::{
    super::inventory::{CVES, GROUPS, LISTS, LONG_LISTS},
    operation::{
        Operation, array, count, ids, in_path, issues, nullable, opt, page_of, seconds, severity, shape, with,
        zero_or_one,
    },
    parts::{codes, integer, text},
};
use crate::{api_name::ApiName, world::Category};

/// The severities of vulnerabilities.
pub(super) const RISKS: [&str; 5] = ["critical", "important", "moderate", "low", "unknown"];

pub(super) fn look_ups() -> Vec<(ApiName, Value)> {
    let cve = cve();
    let brief = shape(&[("cve_id", text())]);
    let change = || {
        let mut change = shape(&[
            ("device_id", text()),
            ("device_name", text()),
            ("status", codes(&["compliant", "non-compliant", "exempted", "installed", "deleted"])),
            ("severity", severity()),
            ("group_name", text()),
            ("timestamp", text()),
        ]);
        change["properties"]["issue"] = issues();
        array(&change)
    };
    let in_query =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "required": true, "schema": schema });
    let none = json!({ "type": "array", "maxItems": 0, "items": {} });
    vec![
        (
            ApiName::DeviceCves,
            Operation::new(
                "deviceCves",
                "Vulnerabilities of a device",
                json!({ "anyOf": [array(&cve), array(&brief)] }),
            )
            .body(
                page_of(
                    CVES,
                    json!({
                        "id": { "type": "string", "minLength": 1 },
                        "verbose": zero_or_one(),
                        "filter": { "type": ["object", "null"], "properties": {
                            "severity": { "type": ["array", "null"], "items": codes(&RISKS) },
                        } },
                    }),
                ),
                &["id"],
            )
            .errors(&["404", "406", "413"])
            .post(),
        ),
        (
            ApiName::Cves,
            Operation::new("cves", "Vulnerabilities of all devices", array(&with(cve, &[("total_devices", count())])))
                .body(page_of(LONG_LISTS, json!({})), &[])
                .errors(&["406", "413"])
                .post(),
        ),
        (
            ApiName::DeviceThreats,
            Operation::new(
                "deviceThreats",
                "Threats of a device",
                shape(&[("antimalware_scan", none.clone()), ("local_antimalware_threats", none)]),
            )
            .body(
                page_of(CVES, json!({ "id": { "type": "string", "minLength": 1 }, "verbose": zero_or_one() })),
                &["id"],
            )
            .errors(&["404", "406"])
            .post(),
        ),
        (
            ApiName::StatusChanged,
            Operation::new(
                "statusChanged",
                "Status Change: what the device log says about the last seconds",
                shape(&[("monitored_devices", change()), ("deleted_devices", change())]),
            )
            .body(page_of(LISTS, json!({ "age": integer(0, Some(86_400), 86_400), "verbose": zero_or_one() })), &[])
            .errors(&["406", "413"])
            .post(),
        ),
        (
            ApiName::PolicyCheck,
            Operation::new(
                "policyCheck",
                "Policy check of devices by MAC address",
                shape(&[
                    ("result", json!({ "type": "integer", "enum": [0, 1] })),
                    ("critical", json!({ "type": "integer", "enum": [0, 1] })),
                ]),
            )
            .body(json!({ "MAC_list": { "anyOf": [text(), ids()] }, "opt": opt() }), &["MAC_list"])
            .errors(&["404"])
            .post(),
        ),
        (
            ApiName::DeviceStats,
            Operation::new(
                "deviceStats",
                "Number of device events",
                shape(&[("total_count", count()), ("devices", array(&text()))]),
            )
            .parameters(vec![
                in_query("event", codes(&[&["not_seen"], Category::Device.event_codes().as_slice()].concat())),
                json!({ "name": "in", "in": "query", "schema": integer(1, Some(1000), 1) }),
                json!({ "name": "period", "in": "query", "schema": codes(&["second", "hour", "month", "ytd"]) }),
            ])
            .get(),
        ),
        (
            ApiName::Remediation,
            Operation::new(
                "remediation",
                "Remediation page of a device",
                shape(&[("result", json!({ "enum": [0, 1] })), ("remediation_link", text())]),
            )
            .parameters(vec![in_path()])
            .get(),
        ),
        (
            ApiName::Reports,
            Operation::new("reports", "Reports", shape(&[("status", text()), ("message", text())]))
                .parameters(vec![in_query("type", json!({ "type": "string", "minLength": 1 }))])
                .get(),
        ),
    ]
}

pub(super) fn catalog() -> Vec<(ApiName, Value)> {
    let app = [
        ("category_id", text()),
        ("product_id", count()),
        ("name", text()),
        ("vendor", text()),
        ("version", text()),
        ("number_of_devices", count()),
        ("number_of_cves", count()),
    ];
    let app_details = [
        ("product_id", count()),
        ("name", text()),
        ("vendor", text()),
        ("version", text()),
        ("total_devices", count()),
        ("total_cves", count()),
        ("total_critical", count()),
        ("total_important", count()),
        ("total_moderate", count()),
        ("total_low", count()),
        ("total_unknown", count()),
    ];
    let mut app_details = shape(&app_details);
    app_details["properties"]["cves"] = array(&cve());
    let group = [("group_id", text()), ("group_name", text()), ("policy_id", text()), ("policy_name", text())];
    let sort = json!({ "type": ["object", "null"], "properties": {
        "field": { "type": ["string", "null"] }, "order": nullable(&codes(&["asc", "desc"])),
    } });
    let search = json!({ "type": ["string", "null"] });
    let rule = shape(&[("desc", text()), ("alert", count()), ("critical", count()), ("remediation", count())]);
    let applies_to = shape(&[("laptop", count()), ("desktop", count()), ("server", count()), ("vm", count())]);
    let category = json!({
        "type": "object", "required": ["apply_to"], "properties": { "apply_to": applies_to },
        "additionalProperties": rule,
    });
    let rules = json!({ "type": "object", "additionalProperties": category });
    let cross_domain = shape(&[("enabled", count()), ("port", count())]);
    let configuration = json!({
        "type": "object", "properties": { "regcode": text(), "cross-domain-api": cross_domain },
        "additionalProperties": false,
    });
    let sections = json!({ "type": "array", "items": codes(&["regcode", "cross-domain-api"]) });
    vec![
        (
            ApiName::Groups,
            Operation::new("groups", "Groups of devices", array(&shape(&group)))
                .body(page_of(GROUPS, json!({ "search": search, "sort": sort })), &[])
                .errors(&["406", "413"])
                .post(),
        ),
        (
            ApiName::Apps,
            Operation::new("apps", "Products on the devices", array(&shape(&app)))
                .body(page_of(LONG_LISTS, json!({})), &[])
                .errors(&["406", "413"])
                .post(),
        ),
        (
            ApiName::AppDetails,
            Operation::new("appDetails", "A product with its vulnerabilities", app_details)
                .body(
                    json!({
                        "product_id": { "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]{1,9}$" }] },
                        "version": { "type": "string", "minLength": 1 },
                        "verbose": { "type": ["object", "null"], "properties": { "cves": zero_or_one() } },
                    }),
                    &["product_id", "version"],
                )
                .errors(&["404"])
                .post(),
        ),
        (
            ApiName::Configuration,
            Operation::new("configuration", "Sections of the configuration", configuration)
                .body(json!({ "sections": sections }), &["sections"])
                .post(),
        ),
        (
            ApiName::AccountPolicy,
            Operation::new("accountPolicy", "The policy", shape(&[("policy", rules)])).get(),
        ),
    ]
}

fn cve() -> Value {
    shape(&[
        ("cve_id", text()),
        ("severity", codes(&RISKS)),
        ("summary", text()),
        ("update_date", seconds()),
        ("publish_date", seconds()),
        ("opswat_score", text()),
        ("cvss2_score", text()),
        ("cvss3_score", json!({ "type": "number" })),
        ("remediation", text()),
        ("cwe_id", text()),
    ])
}
