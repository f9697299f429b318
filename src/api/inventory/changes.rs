//! `POST /o/api/v3/devices/status_changed`: the devices that joined, left or changed their status, from the device log.

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::Fields,
        context::{Authenticated, RequestContext},
        error::ApiError,
        ignored, page,
    },
    answer::{self, Issues},
    request::{self, LISTS, NumberedPage},
};
use crate::{
    account::{
        devices::Devices,
        listing::{PageQuery, PageStart},
    },
    clock::Instant,
    world::{Category, DeviceEvent, DeviceRecord, Filter, Millis, Order, Record, Severity, Window},
};

/// The default and the maximum of `age`, in seconds (D).
const MAX_AGE_SECONDS: i64 = 86_400;
/// The events of the device log that change the status of a device, or add or remove it.
const CHANGES: [&str; 10] = [
    "added",
    "added_duplicate_mac",
    "compliant",
    "noncompliant",
    "exempt_all",
    "unexempt",
    "deleted",
    "deleted_user",
    "deleted_api",
    "unseen",
];

/// The changes of a page, newest first: one element for each event, so a device can be there more than once (A).
#[derive(Serialize)]
struct Changes {
    monitored_devices: Vec<Change>,
    deleted_devices: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    device_id: String,
    device_name: String,
    status: &'static str,
    severity: &'static str,
    group_name: String,
    timestamp: String,
    /// If the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<Issues>,
}

/// Returns a page of changes.
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const AGE: &str = "an integer of seconds from 0 to 86400";
    let context = &caller.context;
    let age_seconds = fields.integer("age", AGE)?.unwrap_or(MAX_AGE_SECONDS);
    if !(0..=MAX_AGE_SECONDS).contains(&age_seconds) {
        return Err(ApiError::invalid("age", AGE, age_seconds));
    }
    let is_verbose = request::is_verbose(&fields)?;
    let asked = NumberedPage::read(&fields, LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["age", "limit", "page", "verbose"]))?;
    let entries = page::unrecorded(&query(age_seconds, asked, context), context).await?;
    asked.check(&entries, context)?;
    let records: Vec<DeviceRecord> = entries
        .into_iter()
        .filter_map(|entry| if let Record::Device(record) = entry { Some(record) } else { None })
        .collect();
    let ids: Vec<String> = records.iter().map(|record| record.device.id.clone()).collect();
    let (deleted, monitored): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.event.is_departure());
    answer::json(&answer::read_some(context, &ids, |_, devices| {
        let change = |record: &DeviceRecord| Change::new(record, is_verbose, devices);
        Changes {
            monitored_devices: monitored.iter().map(change).collect(),
            deleted_devices: deleted.iter().map(change).collect(),
        }
    }))
}

fn query(age_seconds: i64, asked: NumberedPage, context: &RequestContext) -> PageQuery {
    let window = Window { from: Millis(context.now.0 - age_seconds * 1000), to: context.now };
    PageQuery {
        categories: Category::Device.into(),
        asked: window,
        window: context.readable(window),
        filter: Filter { kinds: Some(Category::Device.kinds(&CHANGES)), ..Filter::default() },
        order: Order::NewestFirst,
        begin: PageStart::Skip(asked.skip()),
        take: asked.take(),
        seen_at: context.now,
        snapshot: context.account.injected.snapshot(),
    }
}

impl Change {
    /// The status is that of the event; severity and issues are those of now.
    fn new(record: &DeviceRecord, is_verbose: bool, devices: &Devices<'_>) -> Self {
        let state = devices.with_id(&record.device.id);
        let status = match record.event {
            DeviceEvent::NonCompliant | DeviceEvent::Unexempt => "non-compliant",
            DeviceEvent::ExemptAll => "exempted",
            DeviceEvent::Compliant => "compliant",
            event if event.is_departure() => "deleted",
            _ => "installed",
        };
        Self {
            status,
            device_id: record.device.id.clone(),
            device_name: record.device.name.clone(),
            group_name: record.device.group.clone().into_owned(),
            severity: answer::severity(state.as_ref().map_or(Severity::NoIssue, |state| state.severity)),
            issue: state.filter(|_| is_verbose).map(|state| Issues::of(&state)),
            timestamp: Instant::from(record.at).to_string(),
        }
    }
}
