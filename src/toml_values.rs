//! TOML texts, as settings read them.

use toml::{Table, Value};

/// Reads a TOML text. Datetimes become strings, because the settings parse instants from strings.
///
/// # Errors
///
/// The line of the mistake, and what it is.
pub(crate) fn table(text: &str) -> Result<Table, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, datetimes_to_strings(value))).collect())
}

fn datetimes_to_strings(value: Value) -> Value {
    match value {
        Value::Datetime(instant) => Value::String(instant.to_string()),
        Value::Array(values) => Value::Array(values.into_iter().map(datetimes_to_strings).collect()),
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, value)| (key, datetimes_to_strings(value))).collect())
        }
        other => other,
    }
}
