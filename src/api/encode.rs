//! Encodes entries and timestamps in the vendor's formats. All times are UTC (A), unless the profile sets another zone.

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822::DateTimePrinter, tz::Offset};

use crate::{
    account::profile::{ActivityHour, Details, EventCodes, RowFormat},
    world::{Category, DeviceEvent, Millis, Record, World},
};

/// The content type of JSON responses (A: the form of a servlet container).
pub(super) const JSON_TYPE: &str = "application/json;charset=UTF-8";
/// The same as a header value.
pub(super) const JSON: HeaderValue = HeaderValue::from_static(JSON_TYPE);

/// The content type for accounts whose profile has `charset = "none"`.
pub(super) const BARE_JSON_TYPE: &str = "application/json";
/// The same as a header value.
const BARE_JSON: HeaderValue = HeaderValue::from_static(BARE_JSON_TYPE);

/// Removes the charset from the content type.
pub(super) fn without_charset(response: &mut Response) {
    if let Some(value) = response.headers_mut().get_mut(header::CONTENT_TYPE).filter(|value| **value == JSON) {
        *value = BARE_JSON;
    }
}

/// Sets `Date` to the account's time, because clients may derive their windows from it.
pub(super) fn set_date(response: &mut Response, now: Millis) {
    if let Some(date) = http_date(now) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// An instant as an HTTP date, truncated to seconds.
pub(super) fn http_date(at: Millis) -> Option<HeaderValue> {
    let at = Timestamp::from_millisecond(at.0).ok()?;
    HeaderValue::try_from(DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?).ok()
}

/// An instant with seconds, such as `2017-03-09T08:00:00Z` (D).
pub(super) fn iso_seconds(at: Millis) -> String {
    let text = Iso::new(at);
    format!("{}Z", &text.text()[..19])
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The field names of a row, in the order of the vendor's documentation.
pub(crate) fn fields(category: Category) -> &'static [&'static str] {
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

/// Appends an entry as a row of `POST /o/api/v3.3/logs` or `POST /o/api/v3/activities`.
///
/// The encoder is written by hand, because it takes most of the time of a page. A row is a flat object of strings, and
/// its field names need no escaping.
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
    // The loop has no early exit, so that the compiler can vectorise it.
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if text.bytes().map(escaped).fold(0, |found, byte| found | byte) == 0 {
        into.push(b'"');
        into.extend_from_slice(text.as_bytes());
        into.push(b'"');
    } else {
        // Encoding a string into memory cannot fail.
        serde_json::to_writer(into, text).expect("a string is always encodable");
    }
}

/// Calls `write` with the field names and the values of an entry's row.
pub(crate) fn with_row<R>(entry: &Record, row_format: RowFormat, write: impl FnOnce(&[&str], &[&str]) -> R) -> R {
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
                    device_code(entry.event, row_format.codes),
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
                    // A: the vendor documents no code for the only event of this category.
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

/// The code of a device event in a version of the API.
fn device_code(event: DeviceEvent, codes: EventCodes) -> &'static str {
    match (event, codes) {
        (DeviceEvent::DeletedApi, EventCodes::Earlier) => DeviceEvent::Deleted.code(),
        _ => event.code(),
    }
}

/// The event codes of a category that a version of the API has.
pub(super) fn event_codes(category: Category, codes: EventCodes) -> Vec<&'static str> {
    let mut all = category.event_codes();
    if codes == EventCodes::Earlier && category == Category::Device {
        all.retain(|code| *code != DeviceEvent::DeletedApi.code());
    }
    all
}

/// The bits in [`Filter::kinds`](crate::world::Filter::kinds) of the events that a version of the API returns with a code.
pub(super) fn kinds(category: Category, code: &str, codes: EventCodes) -> u64 {
    if codes == EventCodes::Earlier && category == Category::Device && code == DeviceEvent::Deleted.code() {
        return category.kinds(&[code, DeviceEvent::DeletedApi.code()]);
    }
    category.kinds(&[code])
}

/// The fields of an entry of `POST /o/api/v3/logs` that are texts. `mac_addresses` is an array.
const V3: [&str; 5] = ["timestamp", "event", "device_id", "device_name", "details"];
const MAC_ADDRESSES: &str = "mac_addresses";

/// Calls `write` with the texts of an entry of `POST /o/api/v3/logs`, in the order of [`V3`], and with the MAC addresses of
/// the device. An entry of an administrator has empty device fields (A). `None` for categories that v3 does not return.
pub(crate) fn with_v3_row<R>(
    entry: &Record,
    world: &World,
    row_format: RowFormat,
    write: impl FnOnce(&[&str; 5], &[String]) -> R,
) -> Option<R> {
    match entry {
        Record::Device(entry) => {
            let (at, device) = (Iso::new(entry.at), &entry.device);
            let code = device_code(entry.event, EventCodes::Earlier);
            let details = details(&entry.details, entry.event.label(), row_format);
            let texts = [at.text(), code, &device.id, &device.name, details];
            Some(write(&texts, &world.mac_addresses(device)))
        }
        Record::Admin(entry) => {
            let at = Iso::new(entry.at);
            let details = details(&entry.details, entry.event.label(), row_format);
            Some(write(&[at.text(), entry.event.code(), "", "", details], &[]))
        }
        _ => None,
    }
}

/// Appends an entry as `POST /o/api/v3/logs` returns it.
pub(super) fn write_v3_row(entry: &Record, world: &World, row_format: RowFormat, into: &mut Vec<u8>) {
    with_v3_row(entry, world, row_format, |texts, mac_addresses| {
        // The addresses come before the last field.
        let (fields, last) = (V3.len() - 1, texts[V3.len() - 1]);
        write_fields(&V3[..fields], &texts[..fields], into);
        into.pop();
        into.extend_from_slice(format!(",\"{MAC_ADDRESSES}\":[").as_bytes());
        for (nth, address) in mac_addresses.iter().enumerate() {
            if nth > 0 {
                into.push(b',');
            }
            write_text(address, into);
        }
        into.extend_from_slice(format!("],\"{}\":", V3[fields]).as_bytes());
        write_text(last, into);
        into.push(b'}');
    });
}

/// The `details` of an entry (A; profile `details`).
fn details<'a>(sentence: &'a str, label: &'a str, row_format: RowFormat) -> &'a str {
    match row_format.details {
        Details::Console => sentence,
        Details::Label => label,
        Details::Empty => "",
    }
}

/// The day and the line of an entry of `GET /o/api/v2/logs`. `None` for categories that v2 does not return.
///
/// The line is `hh:mm|AM|agent (Version n)|hostname|description`, with a two-digit hour and no spaces around the bars
/// (D: the example). The line of an administrator event is assumed (A).
pub(crate) fn v2_line(entry: &Record, row_format: RowFormat) -> Option<(String, String)> {
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
    let (hour, half) = twelve_hour(time);
    // The documented example has the space at the end (D).
    let day = format!("{} {}, {} ", month(time), time.day(), time.year());
    Some((day, format!("{hour:02}:{:02}|{half}|{category}|{name}|{label}", time.minute())))
}

/// A timestamp of v3.3, such as `2026-01-15T08:55:12.279Z` (C).
struct Iso([u8; 24]);

impl Iso {
    fn new(at: Millis) -> Self {
        let time = civil(at, 0);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |offset: usize, digits: usize, number: i16| {
            let mut rest = number.unsigned_abs();
            for digit in text[offset..offset + digits].iter_mut().rev() {
                // The remainder is below 10.
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
        // The template is ASCII, and only digits replace its bytes.
        std::str::from_utf8(&self.0).expect("ASCII")
    }
}

/// A timestamp of an activity, such as `May 18, 2018 10:40:00 AM`. The hour has no leading zero by default (A: Java's
/// medium format; profile `activity_hour`).
fn medium(at: Millis, row_format: RowFormat) -> String {
    let time = civil(at, row_format.zone_hours);
    let (hour, half) = twelve_hour(time);
    let (month, day, year) = (month(time), time.day(), time.year());
    let (minute, second) = (time.minute(), time.second());
    match row_format.hour {
        ActivityHour::Short => format!("{month} {day}, {year} {hour}:{minute:02}:{second:02} {half}"),
        ActivityHour::Padded => format!("{month} {day}, {year} {hour:02}:{minute:02}:{second:02} {half}"),
    }
}

fn civil(at: Millis, zone_hours: i64) -> DateTime {
    // Events happen between 2013 and 2200, so the fallback is never used.
    let at = Timestamp::from_millisecond(at.0 + zone_hours * 3_600_000);
    Offset::UTC.to_datetime(at.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn month(time: DateTime) -> &'static str {
    // The month is from 1 to 12.
    MONTHS[usize::from(time.month().unsigned_abs()) - 1]
}

/// The hour on a 12-hour clock, and `AM` or `PM`.
fn twelve_hour(time: DateTime) -> (i8, &'static str) {
    let hour = time.hour() % 12;
    (if hour == 0 { 12 } else { hour }, if time.hour() < 12 { "AM" } else { "PM" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_vendors_formats() {
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
