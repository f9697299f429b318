//! The compared fields of a category, and where a record has them.

use std::fmt;

use crate::{api::rows, world::Category};

/// The maximum number of fields of a row.
pub(super) const MAX_FIELDS: usize = 12;

/// Where the records have the fields: pairs of a field and a JSON pointer (RFC 6901) or a column name, as in
/// `timestamp:/@timestamp,event:/event/action`. Only these fields are compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldMap(Vec<(String, String)>);

/// A map that cannot be used. `Display` is a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldMapError(String);

/// The fields that are compared.
#[derive(Clone, Debug)]
pub(super) struct ComparedFields {
    /// The names of all fields of the category's row.
    pub(super) names: &'static [&'static str],
    /// The index of `timestamp`.
    pub(super) time: usize,
    /// The index of `last_seen`, if it is compared.
    pub(super) last_seen: Option<usize>,
    /// The compared fields without the times: their indexes.
    pub(super) texts: Vec<usize>,
    /// The place of each compared field in a record; `None` if the records are rows of the API.
    pub(super) sources: Option<Vec<(usize, String)>>,
}

impl FieldMap {
    /// Parses a map.
    ///
    /// # Errors
    ///
    /// If a pair has no colon, or a field or a place is empty or occurs twice.
    pub fn parse(text: &str) -> Result<Self, FieldMapError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((field, place)) =
                pair.split_once(':').filter(|(field, place)| !field.is_empty() && !place.is_empty())
            else {
                return Err(FieldMapError(format!(
                    "map must be pairs such as timestamp:/@timestamp, got {}",
                    shown(pair)
                )));
            };
            if pairs.iter().any(|(known, _)| known == field) {
                return Err(FieldMapError(format!("map must have {} only once", shown(field))));
            }
            pairs.push((field.to_owned(), place.to_owned()));
        }
        if pairs.is_empty() {
            return Err(FieldMapError("map must have pairs such as timestamp:/@timestamp, got none".to_owned()));
        }
        Ok(Self(pairs))
    }

    /// The fields of the rows of a category, under their names.
    #[must_use]
    pub fn of_rows(category: Category) -> Self {
        Self(rows::fields(category).iter().map(|name| ((*name).to_owned(), format!("/{name}"))).collect())
    }

    /// The map without some fields, which are then not compared.
    ///
    /// # Errors
    ///
    /// If the map does not have one of them, or if nothing is left.
    pub fn without(mut self, fields: &[String]) -> Result<Self, FieldMapError> {
        if let Some(unknown) = fields.iter().find(|field| self.0.iter().all(|(known, _)| known != *field)) {
            let known: Vec<&str> = self.0.iter().map(|(field, _)| field.as_str()).collect();
            return Err(FieldMapError(format!("must be some of {}, got {}", known.join(", "), shown(unknown))));
        }
        self.0.retain(|(field, _)| !fields.contains(field));
        if self.0.is_empty() {
            return Err(FieldMapError("nothing is left to be compared".to_owned()));
        }
        Ok(self)
    }
}

impl ComparedFields {
    /// The fields of a line of `GET /o/api/v2/logs`: its time, and its rest.
    pub(super) fn v2() -> Self {
        Self { names: &["timestamp", "eventlog"], time: 0, last_seen: None, texts: vec![1], sources: None }
    }

    /// The fields of an entry of `POST /o/api/v3/logs`, in the order of [`Form::V3`](super::expected::Form::V3).
    pub(super) fn v3() -> Self {
        let names = &["timestamp", "event", "details", "device_id", "device_name", "mac_addresses"];
        Self { names, time: 0, last_seen: None, texts: vec![1, 2, 3, 4, 5], sources: None }
    }

    /// The fields of a category, all of them or those of a map.
    pub(super) fn new(category: Category, map: Option<&FieldMap>) -> Result<Self, FieldMapError> {
        let names = rows::fields(category);
        let index = |wanted: &str| names.iter().position(|name| *name == wanted);
        // Every row has a timestamp.
        let time = index("timestamp").unwrap_or_default();
        let Some(FieldMap(pairs)) = map else {
            let last_seen = index("last_seen");
            let texts = (0..names.len()).filter(|&nth| nth != time && Some(nth) != last_seen).collect();
            return Ok(Self { names, time, last_seen, texts, sources: None });
        };
        let mut sources = Vec::with_capacity(pairs.len());
        for (field, place) in pairs {
            let nth = index(field).ok_or_else(|| {
                let (wanted, got) = (names.join(", "), shown(field));
                FieldMapError(format!("map must have fields of {} ({wanted}), got {got}", category.code()))
            })?;
            sources.push((nth, place.clone()));
        }
        let is_mapped = |nth: usize| sources.iter().any(|(known, _)| *known == nth);
        if !is_mapped(time) {
            return Err(FieldMapError("map must have timestamp, which tells the events apart, got none".to_owned()));
        }
        let last_seen = index("last_seen").filter(|&nth| is_mapped(nth));
        let texts = (0..names.len()).filter(|&nth| nth != time && Some(nth) != last_seen && is_mapped(nth)).collect();
        Ok(Self { names, time, last_seen, texts, sources: Some(sources) })
    }
}

impl ComparedFields {
    /// The indexes of the compared fields, in the order of the row.
    pub(super) fn indexes(&self) -> impl Iterator<Item = usize> + '_ {
        let Self { time, last_seen, texts, names, .. } = self;
        (0..names.len()).filter(move |nth| nth == time || Some(*nth) == *last_seen || texts.contains(nth))
    }
}

/// The start of a text of a client, for an error.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 60;
    let start: String = text.chars().take(MAX).collect();
    if start.len() < text.len() { start + "…" } else { start }
}

impl fmt::Display for FieldMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FieldMapError {}

/// The text from which it was parsed.
impl fmt::Display for FieldMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (field, place)) in self.0.iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            write!(f, "{comma}{field}:{place}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for FieldMap {
    type Err = FieldMapError;

    fn from_str(text: &str) -> Result<Self, FieldMapError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_left_out_by_their_names() {
        let map = FieldMap::parse("timestamp:/a,event:/b").expect("a map");
        let without =
            |fields: &[&str]| map.clone().without(&fields.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(without(&["event"]).map(|map| map.to_string()), Ok("timestamp:/a".to_owned()));
        assert_eq!(without(&["colour"]), Err(FieldMapError("must be some of timestamp, event, got colour".to_owned())));
        assert!(without(&["event", "timestamp"]).is_err());
    }

    #[test]
    fn a_wrong_map_is_named() {
        for (map, wrong) in [
            ("", "map must have pairs"),
            ("timestamp", "map must be pairs such as timestamp:/@timestamp, got timestamp"),
            ("timestamp:", "map must be pairs"),
            ("timestamp:/a,timestamp:/b", "map must have timestamp only once"),
            ("event:/a", "map must have timestamp"),
            (
                "timestamp:/a,colour:/b",
                "map must have fields of admin (timestamp, event, details, admin_name, admin_email), got colour",
            ),
        ] {
            let error = FieldMap::parse(map)
                .and_then(|map| ComparedFields::new(Category::Admin, Some(&map)))
                .expect_err(map)
                .to_string();
            assert!(error.starts_with(wrong), "{map}: {error}");
        }
    }
}
