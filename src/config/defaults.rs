//! Reads the configuration file (TOML). A value becomes the default of the flag with the same name, so that the same
//! validation and error messages apply.

use toml::{Table, Value};

use super::{error::line, file::File, flags::command};
use crate::toml_values;

/// Sets the values of a file as defaults of the flags, and reads the tables that have no flag.
pub(super) fn with_defaults(mut flags: clap::Command, text: &str) -> Result<(clap::Command, File), String> {
    let table = toml_values::table(text)?;
    let mut file_settings = Table::new();
    for (key, value) in table {
        if FILE_KEYS.contains(&key.as_str()) {
            file_settings.insert(key, value);
            continue;
        }
        let known: Vec<&str> =
            flags.get_arguments().filter_map(clap::Arg::get_long).filter(|name| *name != "config").collect();
        if !known.contains(&key.as_str()) {
            let shown: String = key.escape_debug().take(40).collect();
            return Err(format!("unknown key {shown}; the keys are {}, {}", known.join(", "), FILE_KEYS.join(", ")));
        }
        let values = texts(&key, value)?;
        if values.is_empty() {
            return Err(format!("key {key}: must not be an empty array"));
        }
        let given = values.iter().map(|value| format!("--{key}={value}"));
        // Validates the value without the environment, which has precedence and is validated later.
        let alone = command().mut_args(|argument| argument.env(None::<&'static str>));
        alone
            .try_get_matches_from(std::iter::once("opswat-mock".to_owned()).chain(given))
            .map_err(|error| format!("key {key}: {}", line(&error)))?;
        let id = key.replace('-', "_");
        flags = flags.mut_arg(id, |argument| argument.default_values(values));
    }
    let file_settings = serde_path_to_error::deserialize(Value::Table(file_settings)).map_err(|error| {
        let why = error.inner().to_string();
        format!("key {}: {}", error.path(), why.lines().next().unwrap_or_default())
    })?;
    Ok((flags, file_settings))
}

/// The keys of [`File`].
const FILE_KEYS: [&str; 5] = ["profile", "quota", "tokens", "faults", "accounts"];

fn texts(key: &str, value: Value) -> Result<Vec<String>, String> {
    Ok(match value {
        Value::String(text) => vec![text],
        Value::Integer(number) => vec![number.to_string()],
        Value::Float(number) => vec![number.to_string()],
        Value::Boolean(yes) => vec![yes.to_string()],
        Value::Datetime(instant) => vec![instant.to_string()],
        Value::Array(values) => {
            let nested: Result<Vec<_>, _> = values.into_iter().map(|value| texts(key, value)).collect();
            nested?.into_iter().flatten().collect()
        }
        table @ Value::Table(_) => return Err(format!("key {key}: must not be a {}", table.type_str())),
    })
}
