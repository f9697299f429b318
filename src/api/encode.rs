//! Upstream's shapes: how entries and instants are written. All times are UTC (A where nothing says so).

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822::DateTimePrinter, tz::Offset};

use crate::{
    account::profile::{ActivityHour, Details, RowFormat},
    world::{Category, Millis, Record},
};

/// The content type of every answer (A: what a servlet container writes).
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");

/// The same for accounts whose profile has `charset = "none"`.
const BARE_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Takes the charset from the content type.
pub(super) fn without_charset(response: &mut Response) {
    if let Some(value) = response.headers_mut().get_mut(header::CONTENT_TYPE).filter(|value| **value == JSON) {
        *value = BARE_JSON;
    }
}

/// Puts the account's time in `Date`: a client that takes its windows from there must get those of the account.
pub(super) fn set_date(response: &mut Response, now: Millis) {
    if let Some(date) = http_date(now) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// An instant as headers have it, in whole seconds.
pub(super) fn http_date(at: Millis) -> Option<HeaderValue> {
    let at = Timestamp::from_millisecond(at.0).ok()?;
    HeaderValue::try_from(DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?).ok()
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The names of a row's fields, in the order of the vendor's table.
pub(super) fn fields(category: Category) -> &'static [&'static str] {
    match category {
        Category::Admin => &ADMIN,
        Category::Device => &DEVICE,
        Category::DeviceReport => &REPORT,
        Category::Webhook => &WEBHOOK,
        Category::Activity => &ACTIVITY,
    }
}

const ADMIN: [&str; 5] = ["timestamp", "event", "details", "admin_name", "admin_email"];
const DEVICE: [&str; 7] =
    ["timestamp", "event", "details", "device_id", "device_name", "device_username", "device_group"];
const REPORT: [&str; 12] = [
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
];
const WEBHOOK: [&str; 7] =
    ["timestamp", "event", "details", "device_id", "device_name", "response_code", "response_body"];
const ACTIVITY: [&str; 9] = [
    "app_name",
    "device_status",
    "device_name",
    "device_id",
    "access_rule",
    "app_user",
    "device_group",
    "action",
    "timestamp",
];

/// Appends an entry as `POST /o/api/v3.3/logs` or `POST /o/api/v3/activities` has it.
///
/// Written by hand, because it is most of what a page costs: an object of texts under names that need no escaping.
pub(super) fn write_row(entry: &Record, row_format: RowFormat, into: &mut Vec<u8>) {
    with_row(entry, row_format, |names, values| write_fields(names, values, into));
}

fn write_fields(names: &[&str], values: &[&str], into: &mut Vec<u8>) {
    for (nth, (name, value)) in names.iter().zip(values).enumerate() {
        into.extend_from_slice(if nth == 0 { b"{\"" } else { b",\"" });
        into.extend_from_slice(name.as_bytes());
        into.extend_from_slice(b"\":");
        write_text(value, into);
    }
    into.push(b'}');
}

/// Appends a JSON string.
fn write_text(text: &str, into: &mut Vec<u8>) {
    // All bytes are looked at, whatever is found: without a way out the loop is done many at a time.
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if text.bytes().map(escaped).fold(0, |found, byte| found | byte) == 0 {
        into.push(b'"');
        into.extend_from_slice(text.as_bytes());
        into.push(b'"');
    } else {
        // A text always has a form in JSON, and a vector takes any of it.
        serde_json::to_writer(into, text).expect("a text can be written");
    }
}

/// Hands the names and values of an entry's row to whoever writes it.
pub(super) fn with_row<R>(entry: &Record, row_format: RowFormat, write: impl FnOnce(&[&str], &[&str]) -> R) -> R {
    match entry {
        Record::Admin(entry) => {
            let at = Iso::new(entry.at);
            let details = details(&entry.details, entry.event.label(), row_format);
            write(&ADMIN, &[at.text(), entry.event.code(), details, &entry.admin.name, &entry.admin.email])
        }
        Record::Device(entry) => {
            let (at, device) = (Iso::new(entry.at), &entry.device);
            write(
                &DEVICE,
                &[
                    at.text(),
                    entry.event.code(),
                    details(&entry.details, entry.event.label(), row_format),
                    &device.id,
                    &device.name,
                    &device.username,
                    &device.group,
                ],
            )
        }
        Record::Report(entry) => {
            let (at, last_seen, device) = (Iso::new(entry.at), Iso::new(entry.last_seen), &entry.device);
            write(
                &REPORT,
                &[
                    at.text(),
                    // A: the documents give no code for the one event of this category.
                    "device_report",
                    details(&entry.details, "Device report", row_format),
                    &device.id,
                    &device.name,
                    &device.username,
                    &device.group,
                    entry.status.code(),
                    entry.severity.code(),
                    &entry.policy_name,
                    last_seen.text(),
                    &entry.public_ip,
                ],
            )
        }
        Record::Webhook(entry) => {
            let (at, device) = (Iso::new(entry.at), &entry.device);
            write(
                &WEBHOOK,
                &[
                    at.text(),
                    entry.event.code(),
                    details(&entry.details, "Notification", row_format),
                    &device.id,
                    &device.name,
                    &entry.response_code.to_string(),
                    &entry.response_body,
                ],
            )
        }
        Record::Activity(entry) => {
            let device = &entry.device;
            write(
                &ACTIVITY,
                &[
                    &entry.app_name,
                    entry.device_status.label(),
                    &device.name,
                    &device.id,
                    &entry.access_rule,
                    &entry.app_user,
                    &device.group,
                    entry.action.code(),
                    &medium(entry.at, row_format),
                ],
            )
        }
    }
}

/// What an entry's `details` say (A; profile `details`).
fn details<'a>(sentence: &'a str, label: &'a str, row_format: RowFormat) -> &'a str {
    match row_format.details {
        Details::Console => sentence,
        Details::Label => label,
        Details::Empty => "",
    }
}

/// An entry of `GET /o/api/v2/logs`: its day, and its line. `None` for categories that v2 does not tell.
///
/// The line is `hh:mm|AM|agent (Version n)|hostname|description`, an hour of two digits, no blanks round the bars (D: the
/// example). How an administrator's line looks is assumed (A).
pub(super) fn v2_line(entry: &Record, row_format: RowFormat) -> Option<(String, String)> {
    let (at, category, name, label) = match entry {
        Record::Device(entry) => {
            let (agent, version) = (entry.device.agent.product(), entry.device.agent_version(entry.at));
            let category = format!("{agent} (Version {version})");
            (entry.at, category, entry.device.name.as_str(), entry.event.label())
        }
        Record::Admin(entry) => (entry.at, "Administrator".to_owned(), entry.admin.email.as_str(), entry.event.label()),
        _ => return None,
    };
    let time = civil(at, row_format.zone_hours);
    let (hour, half) = twelve(time);
    // The blank at the end stands in the documented example (D).
    let day = format!("{} {}, {} ", month(time), time.day(), time.year());
    Some((day, format!("{hour:02}:{:02}|{half}|{category}|{name}|{label}", time.minute())))
}

/// `2026-01-15T08:55:12.279Z`: what v3.3 writes (C).
struct Iso([u8; 24]);

impl Iso {
    fn new(at: Millis) -> Self {
        let time = civil(at, 0);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |place: usize, digits: usize, number: i16| {
            let mut rest = number.unsigned_abs();
            for digit in text[place..place + digits].iter_mut().rev() {
                // Below 10 by the remainder.
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, time.year());
        put(5, 2, time.month().into());
        put(8, 2, time.day().into());
        put(11, 2, time.hour().into());
        put(14, 2, time.minute().into());
        put(17, 2, time.second().into());
        put(20, 3, time.millisecond());
        Self(text)
    }

    fn text(&self) -> &str {
        // Only digits were put in.
        std::str::from_utf8(&self.0).expect("ASCII")
    }
}

/// `May 18, 2018 10:40:00 AM`: what activities write, the hour without a leading zero (A: Java's medium format).
fn medium(at: Millis, row_format: RowFormat) -> String {
    let time = civil(at, row_format.zone_hours);
    let (hour, half) = twelve(time);
    let (month, day, year) = (month(time), time.day(), time.year());
    let (minute, second) = (time.minute(), time.second());
    match row_format.hour {
        ActivityHour::Short => format!("{month} {day}, {year} {hour}:{minute:02}:{second:02} {half}"),
        ActivityHour::Padded => format!("{month} {day}, {year} {hour:02}:{minute:02}:{second:02} {half}"),
    }
}

fn civil(at: Millis, zone_hours: i64) -> DateTime {
    // Instants of events lie between 2013 and 2200.
    let at = Timestamp::from_millisecond(at.0 + zone_hours * 3_600_000);
    Offset::UTC.to_datetime(at.unwrap_or(Timestamp::UNIX_EPOCH))
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
        for (iso, long) in [
            ("2018-05-18T10:40:00.000Z", "May 18, 2018 10:40:00 AM"),
            ("2026-01-05T00:05:09.007Z", "Jan 5, 2026 12:05:09 AM"),
            ("2013-12-06T12:00:59.999Z", "Dec 6, 2013 12:00:59 PM"),
            ("2013-12-31T23:28:00.120Z", "Dec 31, 2013 11:28:00 PM"),
        ] {
            let at = Millis(iso.parse::<Timestamp>().expect("an instant").as_millisecond());
            assert_eq!(
                (Iso::new(at).text().to_owned(), medium(at, RowFormat::default())),
                (iso.to_owned(), long.to_owned())
            );
        }
    }
}
