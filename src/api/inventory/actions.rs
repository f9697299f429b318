//! Actions on devices: `POST /o/api/v3.3/devices/action` and `POST /o/api/v2.2/devices/{id}/delete`.

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::{Authenticated, RequestContext},
        error::ApiError,
        ignored,
    },
    answer,
    device_id::DeviceId,
    request,
};
use crate::{
    account::actions::{Action, ActionResult},
    offload::offload,
};

/// The values of `types` (D). Those after the fifth have no effect on what is emulated.
pub(in crate::api) const ACTIONS: [&str; 10] = [
    "exempt",
    "unexempt",
    "delete",
    "fetch_agent_log",
    "scan_threats",
    "ignore",
    "unignore",
    "dhcprenew",
    "re-identify",
    "assign_to_group",
];
const TYPES: &str = "exempt, unexempt, delete, fetch_agent_log, scan_threats, ignore, unignore, dhcprenew, re-identify \
                     or assign_to_group";
/// The maximum of `params.exempt_time`, in hours (D).
const MAX_EXEMPT_HOURS: u32 = 64_999;

#[derive(Serialize)]
struct ActedOn {
    id: String,
    /// 1: done; 0: failed; -1: not supported (A: the vendor names the numbers, but not which is which).
    status: i8,
    /// Of `fetch_agent_log`; otherwise empty (D).
    command_id: String,
}

#[derive(Serialize)]
struct Deleted {
    /// 1: done (D). A failure is an error with a status.
    result: u8,
    msg: String,
}

/// Applies the actions to each device. Returns an array with an element for each device and action.
pub(super) async fn act(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let hours = exempt_hours(&fields)?;
    let actions = actions(&fields, hours)?;
    let ids = match (fields.has("ids"), fields.has("macs")) {
        (true, true) => return Err(ApiError::invalid("ids", "left out when macs is given", "both")),
        (false, true) => request::ids(&fields, "macs")?,
        _ => request::ids(&fields, "ids")?,
    };
    ignored::check(context, || {
        let mut texts = ignored::unknown_fields(&fields, "", &["types", "ids", "macs", "params"]);
        if let Some(Json::Object(params)) = fields.get("params") {
            let known = ["exempt_time", "group_id", "full_scan", "scan_types", "path"];
            texts.extend(ignored::unknown_fields(params, "params.", &known));
        }
        texts
    })?;
    let done = apply(actions, ids, context).await?;
    let acted_on = |(id, action, result): (_, Action, ActionResult)| {
        let (status, number) = match result {
            ActionResult::Done(number) => (1, Some(number)),
            ActionResult::NoSuchDevice | ActionResult::NotExempted => (0, None),
            ActionResult::Unsupported => (-1, None),
        };
        let command = number.filter(|_| action == Action::FetchLog);
        ActedOn { id, status, command_id: command.map_or_else(String::new, |number| format!("{number:024x}")) }
    };
    answer::json(&done.into_iter().map(acted_on).collect::<Vec<_>>())
}

/// Deletes a device.
pub(super) async fn delete(caller: Authenticated, DeviceId(id): DeviceId) -> Result<Response, ApiError> {
    let results = apply(vec![Action::Delete], vec![id.clone()], &caller.context).await?;
    if results.iter().any(|(.., result)| !matches!(result, ActionResult::Done(_))) {
        return Err(ApiError::NoSuchDevice(id));
    }
    answer::json(&Deleted { result: 1, msg: format!("Device {id} was deleted") })
}

/// Applies actions on a blocking thread: each one looks at the injected events of its device, of which there can be many.
async fn apply(
    actions: Vec<Action>,
    ids: Vec<String>,
    context: &RequestContext,
) -> Result<Vec<(String, Action, ActionResult)>, ApiError> {
    let of = context.clone();
    let done = offload(move || {
        let world = of.account.world_of(of.config.settings.world);
        of.account.apply_actions(&world, &actions, &ids, (of.now, of.epoch))
    });
    done.await.map_err(|why| ApiError::NotStored(why.to_string()))
}

/// Reads `types`: a text (D), or an array of texts (A).
fn actions(fields: &Fields, exempt_hours: Option<u32>) -> Result<Vec<Action>, ApiError> {
    let action = |value: &Json| {
        let code = ACTIONS.into_iter().find(|code| matches!(value, Json::Text(text) if text == code));
        match code.ok_or_else(|| ApiError::invalid("types", TYPES, value))? {
            "exempt" => Ok(Action::Exempt { hours: exempt_hours }),
            "unexempt" => Ok(Action::Unexempt),
            "delete" => Ok(Action::Delete),
            "fetch_agent_log" => Ok(Action::FetchLog),
            "scan_threats" => Ok(Action::ScanThreats),
            _ => Ok(Action::Unsupported),
        }
    };
    match fields.get("types") {
        None => Err(ApiError::Missing { parameter: "types", wanted: TYPES }),
        Some(Json::List(list)) if list.is_empty() || list.len() > ACTIONS.len() => {
            Err(ApiError::invalid("types", TYPES, format_args!("{} types", list.len())))
        }
        Some(Json::List(list)) => list.iter().map(action).collect(),
        Some(text) => Ok(vec![action(text)?]),
    }
}

/// Reads `params.exempt_time`, in hours; 0, the default, exempts without an end (D).
fn exempt_hours(fields: &Fields) -> Result<Option<u32>, ApiError> {
    const WANTED: &str = "an integer of hours from 0 to 64999";
    let value = match fields.get("params") {
        None => return Ok(None),
        Some(Json::Object(params)) => params.get("exempt_time"),
        Some(Json::List(list)) if list.is_empty() => return Ok(None),
        Some(other) => return Err(ApiError::invalid("params", "an object", other)),
    };
    match value {
        None => Ok(None),
        Some(Json::Integer(hours)) => match u32::try_from(*hours) {
            Ok(0) => Ok(None),
            Ok(hours) if hours <= MAX_EXEMPT_HOURS => Ok(Some(hours)),
            _ => Err(ApiError::invalid("params.exempt_time", WANTED, hours)),
        },
        Some(other) => Err(ApiError::invalid("params.exempt_time", WANTED, other)),
    }
}
