//! Faults that change the entries of a page, or its bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{account::fault::Entries, world::World};

/// A page of any API. Unchanged entries keep their exact bytes.
#[derive(Serialize)]
#[serde(untagged)]
enum Page<'a> {
    Activities(Vec<&'a RawValue>),
    /// v3.1 to v3.3.
    Data(DataPage<'a>),
    LogsV2(PageV2<'a>),
    LogsV3(PageV3<'a>),
    ListOfLogsV3([PageV3<'a>; 1]),
}

#[derive(Deserialize, Serialize)]
struct DataPage<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
struct PageV3<'a> {
    #[serde(borrow)]
    logs: Vec<&'a RawValue>,
}

#[derive(Deserialize, Serialize)]
struct PageV2<'a> {
    #[serde(borrow)]
    logs: Vec<Day<'a>>,
}

#[derive(Deserialize, Serialize)]
struct Day<'a> {
    #[serde(borrow)]
    date: Cow<'a, str>,
    #[serde(borrow)]
    eventlog: Vec<&'a RawValue>,
}

/// An event code that no document names.
const NEW_EVENT: &str = "device_quarantined";

/// Changes the entries of a page, and returns the page and its new number of entries. `None` if the bytes are not a
/// page.
pub(super) fn changed(page: &[u8], change: Entries, seed: u64) -> Option<(Vec<u8>, u64)> {
    if is_of_fields(change) {
        return with_changed_fields(page, change);
    }
    let mut page = parse(page)?;
    let count = match &mut page {
        Page::Activities(entries)
        | Page::Data(DataPage { data: entries, .. })
        | Page::LogsV3(PageV3 { logs: entries })
        | Page::ListOfLogsV3([PageV3 { logs: entries }]) => {
            change_list(entries, change, seed);
            entries.len()
        }
        Page::LogsV2(PageV2 { logs }) => {
            match change {
                Entries::Empty => logs.clear(),
                Entries::Reorder => logs.iter_mut().for_each(|day| change_list(&mut day.eventlog, change, seed)),
                // Lines have no fields.
                Entries::WithoutNames | Entries::ExtraField | Entries::Numbers | Entries::NewEvent => {}
                // The last entry is in the last day, and the first entry is in the first day.
                Entries::Duplicate => {
                    logs.last_mut().into_iter().for_each(|day| change_list(&mut day.eventlog, change, seed));
                }
                Entries::Drop => {
                    logs.first_mut().into_iter().for_each(|day| change_list(&mut day.eventlog, change, seed));
                }
            }
            logs.retain(|day| !day.eventlog.is_empty());
            logs.iter().map(|day| day.eventlog.len()).sum()
        }
    };
    Some((serde_json::to_vec(&page).ok()?, count as u64))
}

/// Tries the format of each API in turn: `RawValue` does not work with the derived `Deserialize` of an untagged enum.
fn parse(page: &[u8]) -> Option<Page<'_>> {
    let data = || serde_json::from_slice(page).map(Page::Data);
    let v2 = || serde_json::from_slice(page).map(Page::LogsV2);
    let v3 = || serde_json::from_slice(page).map(Page::LogsV3);
    let activities = || serde_json::from_slice(page).map(Page::Activities);
    serde_json::from_slice(page)
        .map(Page::ListOfLogsV3)
        .or_else(|_| activities())
        .or_else(|_| data())
        .or_else(|_| v2())
        .or_else(|_| v3())
        .ok()
}

fn change_list(entries: &mut Vec<&RawValue>, change: Entries, seed: u64) {
    match change {
        Entries::Empty => entries.clear(),
        Entries::Duplicate => entries.extend(entries.last().copied()),
        Entries::Drop => drop(entries.drain(..entries.len().min(1))),
        Entries::WithoutNames | Entries::ExtraField | Entries::Numbers | Entries::NewEvent => {}
        Entries::Reorder => {
            let before = entries.clone();
            for end in (1..entries.len()).rev() {
                // The remainder is at most `end`.
                let draw = World::chance(seed, 0, end as u64) % (end as u64 + 1);
                entries.swap(end, usize::try_from(draw).unwrap_or(end));
            }
            // If the shuffle has changed nothing, the list is rotated.
            if entries.len() > 1 && entries.iter().zip(&before).all(|(now, then)| std::ptr::eq(*now, *then)) {
                entries.rotate_left(1);
            }
        }
    }
}

/// Whether a change is one of the fields of all entries.
fn is_of_fields(change: Entries) -> bool {
    matches!(change, Entries::WithoutNames | Entries::ExtraField | Entries::Numbers | Entries::NewEvent)
}

/// Changes the fields of all entries of a page. Lines of v2 have none, and stay as they are.
fn with_changed_fields(page: &[u8], change: Entries) -> Option<(Vec<u8>, u64)> {
    let mut page: Value = serde_json::from_slice(page).ok()?;
    let entries = match &mut page {
        Value::Array(entries) => entries,
        Value::Object(fields) => {
            let list = if fields.contains_key("data") { "data" } else { "logs" };
            fields.get_mut(list)?.as_array_mut()?
        }
        _ => return None,
    };
    let mut count = 0;
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        count += 1;
        change_fields(entry, change);
    }
    Some((serde_json::to_vec(&page).ok()?, count))
}

fn change_fields(entry: &mut Map<String, Value>, change: Entries) {
    match change {
        Entries::WithoutNames => entry.retain(|name, _| !name.ends_with("name")),
        Entries::ExtraField => drop(entry.insert("tenant".to_owned(), "emea".into())),
        Entries::NewEvent => {
            if let Some(event) = entry.get_mut("event") {
                *event = NEW_EVENT.into();
            }
        }
        Entries::Numbers => {
            for value in entry.values_mut() {
                if let Some(number) = value.as_str().and_then(|text| text.parse::<u32>().ok()) {
                    *value = number.into();
                }
            }
        }
        Entries::Duplicate | Entries::Reorder | Entries::Empty | Entries::Drop => {}
    }
}

/// Replaces one byte by an invalid UTF-8 byte, inside a JSON string, so that the JSON is otherwise valid. If there is
/// no suitable string, the invalid byte is appended.
pub(super) fn with_invalid_utf8(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    let starts_value = |at: &usize| body[..*at].ends_with(b"\":\"") || body[..*at].ends_with(b"[\"");
    let is_plain = |at: &usize| body[*at].is_ascii_alphanumeric();
    let places = |from: usize, to: usize| (from..to).find(|at| starts_value(at) && is_plain(at));
    let middle = body.len() / 2;
    match places(middle, body.len()).or_else(|| places(0, middle)) {
        Some(at) => bytes[at] = 0xFF,
        None => bytes.push(0xFF),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(page: &str, change: Entries) -> (String, u64) {
        let (bytes, count) = changed(page.as_bytes(), change, 7).expect("a page");
        (String::from_utf8(bytes).expect("UTF-8"), count)
    }

    #[test]
    fn only_the_entries_change() {
        for (page, change, expected, count) in [
            (r#"[{"a":1.0},{"b":2}]"#, Entries::Duplicate, r#"[{"a":1.0},{"b":2},{"b":2}]"#, 3),
            (r#"[{"a":1},{"b":2}]"#, Entries::Reorder, r#"[{"b":2},{"a":1}]"#, 2),
            (r#"[{"a":1},{"b":2}]"#, Entries::Drop, r#"[{"b":2}]"#, 1),
            ("[]", Entries::Duplicate, "[]", 0),
            (r#"{"data":[{"a_username":1,"b":2}]}"#, Entries::WithoutNames, r#"{"data":[{"b":2}]}"#, 1),
            (r#"[{"b":2}]"#, Entries::ExtraField, r#"[{"b":2,"tenant":"emea"}]"#, 1),
            (r#"{"logs":[{"id":"47","n":"a"}]}"#, Entries::Numbers, r#"{"logs":[{"id":47,"n":"a"}]}"#, 1),
            (r#"[{"event":"added"}]"#, Entries::NewEvent, r#"[{"event":"device_quarantined"}]"#, 1),
            (r#"{"data":[{"a":1}],"token":"t"}"#, Entries::Empty, r#"{"data":[],"token":"t"}"#, 0),
            (r#"{"data":[{"a":1}]}"#, Entries::Duplicate, r#"{"data":[{"a":1},{"a":1}]}"#, 2),
            (r#"{"logs":[{"a":1},{"b":2}]}"#, Entries::Drop, r#"{"logs":[{"b":2}]}"#, 1),
            (r#"[{"logs":[{"a":1}]}]"#, Entries::Duplicate, r#"[{"logs":[{"a":1},{"a":1}]}]"#, 2),
            (
                r#"{"logs":[{"date":"d ","eventlog":["1"]},{"date":"e ","eventlog":["2"]}]}"#,
                Entries::Duplicate,
                r#"{"logs":[{"date":"d ","eventlog":["1"]},{"date":"e ","eventlog":["2","2"]}]}"#,
                3,
            ),
            (
                r#"{"logs":[{"date":"d ","eventlog":["1"]},{"date":"e ","eventlog":["2"]}]}"#,
                Entries::Drop,
                r#"{"logs":[{"date":"e ","eventlog":["2"]}]}"#,
                1,
            ),
        ] {
            assert_eq!(after(page, change), (expected.to_owned(), count), "{page} {change:?}");
        }
        assert!(changed(br#"{"error":"x"}"#, Entries::Empty, 7).is_none());
    }

    #[test]
    fn one_byte_is_invalid_and_the_rest_is_json() {
        for body in [
            r#"{"data":[{"timestamp":"2026","event":"login"}],"token":"x"}"#,
            r#"{"logs":[{"date":"J","eventlog":["0"]}]}"#,
        ] {
            let bytes = with_invalid_utf8(body.as_bytes());
            assert!(std::str::from_utf8(&bytes).is_err());
            let lossy = String::from_utf8_lossy(&bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&lossy).is_ok(), "{lossy}");
            assert_eq!(bytes.iter().zip(body.as_bytes()).filter(|(one, other)| one != other).count(), 1);
        }
    }
}
