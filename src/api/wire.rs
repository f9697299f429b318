//! Upstream's shapes: how entries and instants are written. All times are UTC (A where nothing says so).

use std::fmt;

use axum::http::HeaderValue;
use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde::{Serialize, Serializer};

use crate::world::{Entry, Millis, Stream};

/// The content type of every answer (A: what a servlet container writes).
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `2026-01-15T08:55:12.279Z`: what v3.3 writes (C).
pub(super) struct Iso(Millis);

/// `May 18, 2018 10:40:00 AM`: what activities write, the hour without a leading zero (A: Java's medium format).
pub(super) struct Medium(Millis);

/// An entry of `POST /o/api/v3.3/logs`, in the order of the vendor's table.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Row<'a> {
    Admin {
        timestamp: Iso,
        event: &'a str,
        details: &'a str,
        admin_name: &'a str,
        admin_email: &'a str,
    },
    Device {
        timestamp: Iso,
        event: &'a str,
        details: &'a str,
        device_id: &'a str,
        device_name: &'a str,
        device_username: &'a str,
        device_group: &'a str,
    },
    Report {
        timestamp: Iso,
        event: &'a str,
        details: &'a str,
        device_id: &'a str,
        device_name: &'a str,
        device_username: &'a str,
        device_group: &'a str,
        status: &'a str,
        severity: &'a str,
        policy_name: &'a str,
        last_seen: Iso,
        public_ip: &'a str,
    },
    Webhook {
        timestamp: Iso,
        event: &'a str,
        details: &'a str,
        device_id: &'a str,
        device_name: &'a str,
        response_code: &'a str,
        response_body: &'a str,
    },
    Activity {
        app_name: &'a str,
        device_status: &'a str,
        device_name: &'a str,
        device_id: &'a str,
        access_rule: &'a str,
        app_user: &'a str,
        device_group: &'a str,
        action: &'a str,
        timestamp: Medium,
    },
}

/// Appends an entry as `POST /o/api/v3.3/logs` or `POST /o/api/v3/activities` has it.
pub(super) fn write_row(entry: &Entry, into: &mut Vec<u8>) {
    // Texts and numbers always have a form in JSON, and a vector takes any of it.
    with_row(entry, |row| serde_json::to_writer(into, row).expect("a row of texts can be written"));
}

/// The names of a row's fields, in their order.
pub(super) fn fields(stream: Stream) -> &'static [&'static str] {
    match stream {
        Stream::Admin => &["timestamp", "event", "details", "admin_name", "admin_email"],
        Stream::Device => {
            &["timestamp", "event", "details", "device_id", "device_name", "device_username", "device_group"]
        }
        Stream::DeviceReport => &[
            "timestamp",
            "event",
            "details",
            "device_id",
            "device_name",
            "device_username",
            "device_group",
            "status",
            "severity",
            "policy_name",
            "last_seen",
            "public_ip",
        ],
        Stream::Webhook => {
            &["timestamp", "event", "details", "device_id", "device_name", "response_code", "response_body"]
        }
        Stream::Activity => &[
            "app_name",
            "device_status",
            "device_name",
            "device_id",
            "access_rule",
            "app_user",
            "device_group",
            "action",
            "timestamp",
        ],
    }
}

/// Hands an entry's row to whoever writes it.
pub(super) fn with_row(entry: &Entry, write: impl FnOnce(&Row<'_>)) {
    let code;
    let row = match entry {
        Entry::Admin(entry) => Row::Admin {
            timestamp: Iso(entry.at),
            event: entry.event.code(),
            details: &entry.details,
            admin_name: &entry.admin.name,
            admin_email: &entry.admin.email,
        },
        Entry::Device(entry) => Row::Device {
            timestamp: Iso(entry.at),
            event: entry.event.code(),
            details: &entry.details,
            device_id: &entry.device.id,
            device_name: &entry.device.name,
            device_username: &entry.device.username,
            device_group: entry.device.group,
        },
        Entry::Report(entry) => Row::Report {
            timestamp: Iso(entry.at),
            // A: the documents give no code for the one event of this category.
            event: "device_report",
            details: &entry.details,
            device_id: &entry.device.id,
            device_name: &entry.device.name,
            device_username: &entry.device.username,
            device_group: entry.device.group,
            status: entry.status.code(),
            severity: entry.severity.code(),
            policy_name: entry.policy_name,
            last_seen: Iso(entry.last_seen),
            public_ip: &entry.public_ip,
        },
        Entry::Webhook(entry) => {
            code = entry.response_code.to_string();
            Row::Webhook {
                timestamp: Iso(entry.at),
                event: entry.event.code(),
                details: &entry.details,
                device_id: &entry.device.id,
                device_name: &entry.device.name,
                response_code: &code,
                response_body: entry.response_body,
            }
        }
        Entry::Activity(entry) => Row::Activity {
            app_name: entry.app_name,
            device_status: entry.device_status.label(),
            device_name: &entry.device.name,
            device_id: &entry.device.id,
            access_rule: entry.access_rule,
            app_user: &entry.app_user.email,
            device_group: entry.device.group,
            action: entry.action.code(),
            timestamp: Medium(entry.at),
        },
    };
    write(&row);
}

/// An entry of `GET /o/api/v2/logs`: its day, and its line. `None` for streams that v2 does not tell.
///
/// The line is `hh:mm|AM|agent (Version n)|hostname|description`, an hour of two digits, no blanks round the bars (D: the
/// example). How an administrator's line looks is assumed (A).
pub(super) fn v2_line(entry: &Entry) -> Option<(String, String)> {
    let (at, category, name, label) = match entry {
        Entry::Device(entry) => {
            let (agent, version) = (entry.device.agent.product(), entry.device.agent_version(entry.at));
            let category = format!("{agent} (Version {version})");
            (entry.at, category, entry.device.name.as_str(), entry.event.label())
        }
        Entry::Admin(entry) => (entry.at, "Administrator".to_owned(), entry.admin.email.as_str(), entry.event.label()),
        _ => return None,
    };
    let time = civil(at);
    let (hour, half) = twelve(time);
    // The blank at the end stands in the documented example (D).
    let day = format!("{} {}, {} ", month(time), time.day(), time.year());
    Some((day, format!("{hour:02}:{:02}|{half}|{category}|{name}|{label}", time.minute())))
}

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = civil(self.0);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = civil(self.0);
        let (hour, half) = twelve(time);
        let (month, day, year) = (month(time), time.day(), time.year());
        write!(f, "{month} {day}, {year} {hour}:{:02}:{:02} {half}", time.minute(), time.second())
    }
}

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Medium {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn civil(at: Millis) -> DateTime {
    // Instants of events lie between 2013 and 2200.
    Offset::UTC.to_datetime(Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn month(time: DateTime) -> &'static str {
    // From 1 to 12.
    MONTHS[usize::from(time.month().unsigned_abs()) - 1]
}

/// The hour on a clock of twelve, and which half of the day it is.
fn twelve(time: DateTime) -> (i8, &'static str) {
    let hour = time.hour() % 12;
    (if hour == 0 { 12 } else { hour }, if time.hour() < 12 { "AM" } else { "PM" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_upstream_writes_them() {
        for (iso, medium) in [
            ("2018-05-18T10:40:00.000Z", "May 18, 2018 10:40:00 AM"),
            ("2026-01-05T00:05:09.007Z", "Jan 5, 2026 12:05:09 AM"),
            ("2013-12-06T12:00:59.999Z", "Dec 6, 2013 12:00:59 PM"),
            ("2013-12-31T23:28:00.120Z", "Dec 31, 2013 11:28:00 PM"),
        ] {
            let at = Millis(iso.parse::<Timestamp>().expect("an instant").as_millisecond());
            assert_eq!((Iso(at).to_string(), Medium(at).to_string()), (iso.to_owned(), medium.to_owned()));
        }
    }
}
