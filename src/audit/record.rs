//! Reads a record into the values of the compared fields.

use std::{borrow::Cow, fmt};

use foldhash::fast::FixedState;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{
    fields::{ComparedFields, MAX_FIELDS, shown},
    time::RecordTime,
};

/// The values of a record, by the indexes of the fields. `None` where the record has no such field.
#[derive(Debug, Default)]
pub(super) struct Values<'a>(pub(super) [Option<Cow<'a, str>>; MAX_FIELDS]);

/// A record, by its form.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    /// A row of v3.3 or of activities, or a mapped record.
    Row(Values<'a>),
    /// An entry of `POST /o/api/v3/logs`.
    V3(Values<'a>),
    /// A day of `GET /o/api/v2/logs` with one or more of its lines.
    Lines(Vec<Values<'a>>),
}

/// The field that only entries of `POST /o/api/v3/logs` have.
const MAC_ADDRESSES: &str = "mac_addresses";
/// The fields of its device.
const V3_DEVICE: [&str; 2] = ["device_id", "device_name"];
/// The fields with the entries of a page, by API.
const PAGE_FIELDS: [&str; 2] = ["data", "logs"];

/// What of a record is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RecordKey {
    pub(super) time: RecordTime,
    /// `last_seen` in milliseconds, truncated to `time.unit_ms`.
    pub(super) last_seen: Option<i64>,
    /// The hash of the compared texts.
    pub(super) texts: u64,
}

impl Values<'_> {
    /// The key of the record.
    ///
    /// # Errors
    ///
    /// A sentence, if a time is missing or cannot be read.
    pub(super) fn key(&self, compared: &ComparedFields, zone_hours: i64) -> Result<RecordKey, String> {
        let time = |nth: usize| {
            let name = compared.names[nth];
            let text = self.0[nth].as_deref().ok_or_else(|| format!("{name} is missing"))?;
            RecordTime::parse(text, zone_hours).ok_or_else(|| {
                let text = shown(text);
                if RecordTime::lacks_zone(&text) {
                    return format!("{name} must have a time zone, such as Z or +02:00, got {text}");
                }
                format!("{name} must be RFC 3339, epoch seconds or milliseconds, or a time of the API, got {text}")
            })
        };
        let mut at = time(compared.time)?;
        let last_seen = compared.last_seen.map(time).transpose()?;
        // Both times are compared with the lower precision of the two.
        let last_seen = last_seen.map(|seen| {
            at.unit_ms = at.unit_ms.max(seen.unit_ms);
            RecordTime::truncated(seen.at, at.unit_ms)
        });
        Ok(RecordKey { time: at, last_seen, texts: self.hash(compared) })
    }

    /// The hash of the compared texts.
    pub(super) fn hash(&self, compared: &ComparedFields) -> u64 {
        hash_texts(compared.texts.iter().map(|&nth| self.0[nth].as_deref()))
    }

    pub(super) fn get(&self, nth: usize) -> Option<&str> {
        self.0[nth].as_deref()
    }
}

/// The hash of texts in their order. A missing text differs from an empty one.
pub(super) fn hash_texts<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = FixedState::with_seed(0).build_hasher();
    for text in texts {
        match text {
            None => hasher.write_u8(0xFE),
            Some(text) => {
                hasher.write(text.as_bytes());
                hasher.write_usize(text.len());
            }
        }
    }
    hasher.finish()
}

/// Reads one JSON object as a record.
///
/// # Errors
///
/// A sentence, if it is not an object.
pub(super) fn from_json<'a>(json: &'a [u8], compared: &ComparedFields) -> Result<Parsed<'a>, String> {
    let not_json = |error: serde_json::Error| {
        let has_two = || json.windows(2).any(|pair| pair == b"}{");
        match json.trim_ascii_start().first() {
            Some(b'{') if has_two() => {
                "it must be one JSON object, got several in one line; curl keeps line ends with --data-binary only"
                    .to_owned()
            }
            Some(b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9') if json.contains(&b',') => {
                "it must be a JSON object, got what looks like CSV, which needs the content type text/csv".to_owned()
            }
            _ => format!("it is not a JSON object: {error}"),
        }
    };
    let whole_page = |name: &str| format!("it must be one entry, got a whole page; its entries are in {name}");
    let Some(sources) = &compared.sources else {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let read = deserializer.deserialize_any(RowVisitor { names: compared.names }).map_err(not_json)?;
        deserializer.end().map_err(not_json)?;
        return match read {
            (record, None) => Ok(record),
            (_, Some(name)) => Err(whole_page(name)),
        };
    };
    let value: Value = serde_json::from_slice(json).map_err(not_json)?;
    if !value.is_object() {
        return Err(format!("it must be a JSON object, got {}", kind(&value)));
    }
    let mut values = Values::default();
    for (nth, pointer) in sources {
        // A name without a slash is a field of the record itself.
        let found = if pointer.starts_with('/') { value.pointer(pointer) } else { value.get(pointer) };
        values.0[*nth] = found.and_then(text_of).map(Cow::Owned);
    }
    if values.0.iter().all(Option::is_none)
        && let Some(name) = PAGE_FIELDS.into_iter().find(|name| value[*name].is_array())
    {
        return Err(whole_page(name));
    }
    Ok(Parsed::Row(values))
}

/// A line of `GET /o/api/v2/logs` as values of the form [`ComparedFields::v2`].
fn v2_values<'a>(day: &str, line: &str) -> Values<'a> {
    let (time, rest) = split_v2_line(day, line);
    let mut values = Values::default();
    values.0[0] = Some(Cow::Owned(time));
    values.0[1] = rest.map(|rest| Cow::Owned(rest.to_owned()));
    values
}

/// The time of a line of `GET /o/api/v2/logs` with its day, and the rest of the line.
pub(super) fn split_v2_line<'l>(day: &str, line: &'l str) -> (String, Option<&'l str>) {
    let mut parts = line.splitn(3, '|');
    let (time, half) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (format!("{} {time} {half}", day.trim()), parts.next())
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads a row of the API without copies where possible.
struct RowVisitor {
    names: &'static [&'static str],
}

impl<'de> Visitor<'de> for RowVisitor {
    /// A record; and if it is a whole page, the field with the entries.
    type Value = (Parsed<'de>, Option<&'static str>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Values::default();
        let mut day: Option<Cow<'de, str>> = None;
        let mut lines: Option<Lines<'de>> = None;
        // Of an entry of v3. A row of an administrator has no field for its device.
        let (mut mac_addresses, mut device) = (None, [None, None]);
        let mut page_field = None;
        // Rows usually have the fields in the order of the names.
        let mut next = 0;
        while let Some(Text(name)) = map.next_key()? {
            let is_next = self.names.get(next).is_some_and(|known| *known == name);
            let nth = if is_next { Some(next) } else { self.names.iter().position(|known| *known == name) };
            match nth {
                None if name == "date" => day = map.next_value::<Scalar<'de>>()?.0,
                None if name == "eventlog" => lines = map.next_value()?,
                None if name == V3_DEVICE[0] => device[0] = map.next_value::<Scalar<'de>>()?.0,
                None if name == V3_DEVICE[1] => device[1] = map.next_value::<Scalar<'de>>()?.0,
                None if name == MAC_ADDRESSES => {
                    mac_addresses = map.next_value::<Option<Lines<'de>>>()?.map(Lines::joined);
                }
                None => match PAGE_FIELDS.into_iter().find(|known| *known == name) {
                    Some(known) if map.next_value::<Scalar<'de>>()?.is_array() => page_field = Some(known),
                    Some(_) => {}
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
                Some(nth) => {
                    next = nth + 1;
                    values.0[nth] = map.next_value::<Scalar<'de>>()?.0;
                }
            }
        }
        if let Some(mac_addresses) = mac_addresses {
            let mut take = |name: &str| values.0[self.names.iter().position(|known| *known == name)?].take();
            let [timestamp, event, details] = ["timestamp", "event", "details"].map(&mut take);
            let [id, name] = V3_DEVICE.map(take);
            let (id, name) = (id.or(device[0].take()), name.or(device[1].take()));
            let mut entry = Values::default();
            let fields = [timestamp, event, details, id, name, Some(Cow::Owned(mac_addresses))];
            entry.0[..fields.len()].clone_from_slice(&fields);
            return Ok((Parsed::V3(entry), None));
        }
        let Some(Lines(lines)) = lines else {
            let page_field = page_field.filter(|_| values.0.iter().all(Option::is_none));
            return Ok((Parsed::Row(values), page_field));
        };
        let day = day.unwrap_or_default();
        Ok((Parsed::Lines(lines.iter().map(|line| v2_values(&day, line)).collect()), None))
    }
}

/// One line of v2, or several lines.
struct Lines<'a>(Vec<Cow<'a, str>>);

impl Lines<'_> {
    fn joined(self) -> String {
        self.0.join(",")
    }
}

impl<'de> de::Deserialize<'de> for Lines<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LinesVisitor;

        impl<'de> Visitor<'de> for LinesVisitor {
            type Value = Lines<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line of the API, or an array of lines")
            }

            fn visit_borrowed_str<E: de::Error>(self, line: &'de str) -> Result<Lines<'de>, E> {
                Ok(Lines(vec![Cow::Borrowed(line)]))
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<Lines<'de>, E> {
                Ok(Lines(vec![Cow::Owned(line.to_owned())]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Lines<'de>, A::Error> {
                let mut lines = Vec::new();
                while let Some(Text(line)) = items.next_element()? {
                    lines.push(line);
                }
                Ok(Lines(lines))
            }
        }

        deserializer.deserialize_any(LinesVisitor)
    }
}

/// A text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value as a text. `None` for null; a sign for an object or an array.
struct Scalar<'a>(Option<Cow<'a, str>>);

const ARRAY: &str = "[…]";

impl Scalar<'_> {
    fn is_array(&self) -> bool {
        self.0.as_deref() == Some(ARRAY)
    }
}

impl<'de> de::Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(if flag { "true" } else { "false" }))))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar(None))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(Some(Cow::Borrowed(ARRAY))))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(Some(Cow::Borrowed("{…}"))))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}
