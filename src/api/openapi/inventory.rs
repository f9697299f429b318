//! The operations of the devices, the account and what belongs to them.

use serde_json::{Map, Value, json};

use super::{
    super::{
        inventory::{ACTIONS, CVES, GROUPS, LISTS, LONG_LISTS},
        limits::Limits,
    },
    parts::{answer, codes, error, integer, limited, text, too_many, unauthorized},
};
use crate::{api_name::ApiName, world::Category};

/// The parts of an operation that differ.
struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// The fields of the body, and the names of those that are required.
    body: Option<(Value, &'static [&'static str])>,
    answer: Value,
    /// The statuses of errors, besides those that every operation has.
    errors: &'static [&'static str],
}

impl Operation {
    fn new(id: &'static str, summary: &'static str, answer: Value) -> Self {
        Self { id, summary, parameters: Vec::new(), body: None, answer, errors: &[] }
    }

    fn parameters(self, parameters: Vec<Value>) -> Self {
        Self { parameters, ..self }
    }

    fn body(self, fields: Value, required: &'static [&'static str]) -> Self {
        Self { body: Some((fields, required)), ..self }
    }

    fn errors(self, errors: &'static [&'static str]) -> Self {
        Self { errors, ..self }
    }

    fn get(self) -> Value {
        let id = format!("{}Head", self.id);
        let get = self.describe();
        let mut head = get.clone();
        head["operationId"] = id.into();
        for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            response.as_object_mut().map(|response| response.remove("content"));
        }
        json!({ "get": get, "head": head })
    }

    fn post(self) -> Value {
        json!({ "post": self.describe() })
    }

    fn describe(self) -> Value {
        let mut responses = json!({
            "200": limited(answer("The answer.", &self.answer, &[])),
            "400": limited(error("A parameter is wrong.", &[])),
            "401": unauthorized(&[]),
            "429": too_many(),
        });
        for status in self.errors {
            let description = match *status {
                "404" => "There is no such device or product.",
                "406" => "limit is too large.",
                "413" => "There is nothing on the page.",
                _ => "The account stores no more injected events.",
            };
            responses[*status] = limited(error(description, &[]));
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": ["emulated"],
            "responses": responses,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some((properties, required)) = self.body {
            let mut schema = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            let is_required = !required.is_empty();
            operation["requestBody"] =
                json!({ "required": is_required, "content": { "application/json": { "schema": schema } } });
            operation["responses"]["415"] = limited(error("The body is no JSON.", &[]));
        }
        operation
    }
}

/// The paths with their operations.
pub(super) fn paths() -> Vec<(ApiName, Value)> {
    let mut paths = account();
    paths.extend(devices());
    paths.extend(lookups());
    paths.extend(catalog());
    paths
}

fn account() -> Vec<(ApiName, Value)> {
    let v2 = || {
        shape(&[
            ("name", text()),
            ("email", text()),
            ("last_login", json!({ "type": ["string", "null"] })),
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
        ("last_login", json!({ "type": ["string", "null"] })),
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
                    ("status", status()),
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
            .errors(&["503"])
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
            .errors(&["404", "503"])
            .post(),
        ),
    ]
}

fn lookups() -> Vec<(ApiName, Value)> {
    let cve = cve();
    let brief = shape(&[("cve_id", text())]);
    let change = || {
        let mut change = shape(&[
            ("device_id", text()),
            ("device_name", text()),
            ("status", codes(&["compliant", "non_compliant", "exempted", "installed", "deleted"])),
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
            .body(json!({ "id": { "type": "string", "minLength": 1 } }), &["id"])
            .errors(&["404"])
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

fn catalog() -> Vec<(ApiName, Value)> {
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

const RISKS: [&str; 5] = ["critical", "important", "moderate", "low", "unknown"];
const SEVERITIES_V3_2: [&str; 7] = ["critical", "important", "moderate", "low", "unknown", "high", "medium"];

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

fn issues() -> Value {
    shape(&[("total_issue", count()), ("total_critical_issue", count()), ("total_warning_issue", count())])
}

fn violated() -> Value {
    array(&shape(&[("id", text()), ("severity", severity())]))
}

/// An object with fields that are all there, and no others.
fn shape(fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// A shape with further fields.
fn with(mut shape: Value, fields: &[(&str, Value)]) -> Value {
    for (name, schema) in fields {
        shape["properties"][*name] = schema.clone();
        if let Some(required) = shape["required"].as_array_mut() {
            required.push((*name).into());
        }
    }
    shape
}

fn array(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn nullable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn seconds() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" })
}

fn status() -> Value {
    codes(&["compliant", "non_compliant", "exempted"])
}

fn severity() -> Value {
    codes(&["critical", "warning", "no_issues"])
}

fn ids() -> Value {
    json!({ "type": "array", "minItems": 1, "maxItems": 50, "items": text() })
}

fn zero_or_one() -> Value {
    nullable(&json!({ "type": "integer", "enum": [0, 1] }))
}

fn opt() -> Value {
    nullable(&json!({ "type": "integer", "enum": [0, 1], "default": 0 }))
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

fn limit(Limits { max, default }: Limits) -> Value {
    integer(1, Some(max.into()), default.into())
}

fn page_of(limits: Limits, mut fields: Value) -> Value {
    fields["limit"] = limit(limits);
    fields["page"] = integer(1, None, 1);
    fields
}

fn in_path() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
}
