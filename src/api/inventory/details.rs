//! Details of devices: `POST /o/api/v3.4/devices/detail` and `POST /o/api/v3/device_info`.

use std::collections::HashSet;

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::{Authenticated, RequestContext},
        encode,
        error::ApiError,
        ignored,
    },
    answer::{self, Issues, Seen, ViolatedCategory, remediation_link},
    request::{self, IdKind},
};
use crate::{
    account::devices::Devices,
    world::{DeviceState, World},
};

/// The parts that a request can switch on: the name, the parameter, and whether it is on by default.
const PARTS: [(&str, &str, bool); 7] = [
    ("system_info", "verbose.system_info", true),
    ("categories", "verbose.categories", false),
    ("unclassified", "verbose.unclassified", false),
    ("mobile_apps", "verbose.mobile_apps", false),
    ("detected_processes", "verbose.detected_processes", false),
    ("detected_packages", "verbose.detected_packages", false),
    ("detected_patches", "verbose.detected_patches", false),
];

#[derive(Serialize)]
struct Details {
    device_id: String,
    linked_id: String,
    device_name: String,
    nick_name: &'static str,
    status: &'static str,
    severity: &'static str,
    issue: Issues,
    group_name: String,
    policy_name: &'static str,
    agent_type: &'static str,
    agent_version: String,
    device_type: &'static str,
    enrolled_at: String,
    last_seen: String,
    /// Absent before the first report.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ip: Option<String>,
    user_info: UserInfo,
    remediation_link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_info: Option<OsInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_info: Option<Vec<Adapter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<Category>>,
    /// Nothing is invented for the parts from here on; they are empty (A).
    #[serde(skip_serializing_if = "Option::is_none")]
    unclassified: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile_apps: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detected_processes: Option<NoProcesses>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detected_packages: Option<NoPackages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detected_patches: Option<NoPatches>,
}

#[derive(Default, Serialize)]
struct NoProcesses {
    total: u8,
    processes: [(); 0],
}

#[derive(Default, Serialize)]
struct NoPackages {
    total: u8,
    packages: [(); 0],
}

#[derive(Default, Serialize)]
struct NoPatches {
    total: u8,
    patches: [(); 0],
}

#[derive(Serialize)]
struct UserInfo {
    username: String,
    domain: String,
}

#[derive(Serialize)]
struct OsInfo {
    name: &'static str,
    family: &'static str,
}

#[derive(Serialize)]
struct Adapter {
    mac: String,
}

/// A part of the policy that the device violates, in the words of its last report.
#[derive(Serialize)]
struct Category {
    #[serde(rename = "category_id")]
    id: &'static str,
    severity: &'static str,
    issue: String,
    apps: [(); 0],
}

#[derive(Serialize)]
struct Info {
    device_id: String,
    status: &'static str,
    severity: &'static str,
    device_name: String,
    categories: Vec<ViolatedCategory>,
}

/// Returns an array with an element for each device that is in the account, in the order of the request (A).
pub(super) async fn details(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let kind = IdKind::read(&fields)?;
    let ids = request::ids(&fields, "ids")?;
    let parts = request::switches(&fields, "verbose", PARTS)?;
    ignored::check(context, || {
        let mut texts = ignored::unknown_fields(&fields, "", &["ids", "opt", "verbose"]);
        if let Some(Json::Object(verbose)) = fields.get("verbose") {
            texts.extend(ignored::unknown_fields(verbose, "verbose.", &PARTS.map(|(name, ..)| name)));
        }
        texts
    })?;
    answer::json(&kind.with_devices(context, &ids, |world, devices| {
        let mut seen = HashSet::new();
        let found = ids.iter().filter_map(|id| kind.find(id, devices));
        let distinct = found.filter(|state| seen.insert(state.device.id.clone()));
        distinct.map(|state| describe(state, parts, world, devices, context)).collect::<Vec<_>>()
    }))
}

fn describe(
    state: DeviceState,
    parts: [bool; PARTS.len()],
    world: &World,
    devices: &Devices<'_>,
    context: &RequestContext,
) -> Details {
    let [system_info, categories, unclassified, mobile_apps, processes, packages, patches] = parts;
    let Seen { last_seen, public_ip } = Seen::of(&state, devices);
    let adapters = || world.mac_addresses(&state.device).into_iter().map(|mac| Adapter { mac }).collect();
    let violated = || {
        let violations = state.violation.iter();
        let category = violations.map(|violation| Category {
            id: violation.category,
            severity: answer::severity(state.severity),
            issue: violation.text.clone(),
            apps: [],
        });
        category.collect()
    };
    Details {
        nick_name: "",
        status: answer::status(state.status),
        severity: answer::severity(state.severity),
        issue: Issues::of(&state),
        policy_name: world.policy_of(&state.device),
        agent_type: "managed",
        agent_version: state.device.agent_version(context.now),
        device_type: answer::device_type(&state),
        enrolled_at: encode::iso_seconds(state.enrolled_at),
        last_seen,
        public_ip,
        remediation_link: remediation_link(&state.device.id),
        os_info: system_info.then(|| OsInfo { name: state.device.os, family: family(state.device.os) }),
        network_info: system_info.then(adapters),
        categories: categories.then(violated),
        unclassified: unclassified.then_some([]),
        mobile_apps: mobile_apps.then_some([]),
        detected_processes: processes.then(NoProcesses::default),
        detected_packages: packages.then(NoPackages::default),
        detected_patches: patches.then(NoPatches::default),
        user_info: UserInfo {
            username: state.device.username,
            domain: state.device.email.split_once('@').map_or_else(String::new, |(_, domain)| domain.to_owned()),
        },
        group_name: state.device.group.into_owned(),
        linked_id: state.device.name.clone(),
        device_name: state.device.name,
        device_id: state.device.id,
    }
}

/// The family of an operating system, as the vendor's device lists name it (D).
fn family(os: &str) -> &'static str {
    match os {
        "macOS" => "mac",
        "iOS" => "ios",
        "Android" => "android",
        os if os.starts_with("Windows") => "windows",
        _ => "linux",
    }
}

/// Returns an array with the device (C: a client reads an array).
pub(super) async fn info(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const SELECT: &str = "an object";
    const CATEGORIES: &str = "an array of categories";
    let context = &caller.context;
    let kind = IdKind::read(&fields)?;
    let id = match fields.get("ids") {
        // The documented form is a text; a client sends an array with it (C).
        Some(Json::List(list)) if matches!(list.as_slice(), [Json::Text(_)]) => {
            request::ids(&fields, "ids")?.swap_remove(0)
        }
        _ => request::required(&fields, "ids", "a device id, a MAC address or an id of a third party")?,
    };
    let selected = match fields.get("select") {
        None => Vec::new(),
        Some(Json::Object(select)) => match select.get("categories") {
            None => Vec::new(),
            Some(Json::List(list)) => request::texts(list, "select.categories", CATEGORIES)?,
            Some(other) => return Err(ApiError::invalid("select.categories", CATEGORIES, other)),
        },
        Some(Json::List(list)) if list.is_empty() => Vec::new(),
        Some(other) => return Err(ApiError::invalid("select", SELECT, other)),
    };
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["ids", "opt", "select"]))?;
    let found = kind.with_devices(context, std::slice::from_ref(&id), |_, devices| kind.find(&id, devices));
    let state = found.ok_or(ApiError::NoSuchDevice(id))?;
    let is_selected =
        |category: &ViolatedCategory| selected.is_empty() || selected.iter().any(|code| *code == category.id);
    answer::json(&[Info {
        // The words of this API (D), which are not those of the lists.
        status: state.status.code(),
        severity: answer::severity(state.severity),
        categories: ViolatedCategory::of_info(&state).into_iter().filter(is_selected).collect(),
        device_id: state.device.id,
        device_name: state.device.name,
    }])
}
