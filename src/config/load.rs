//! Reads the command line, the environment and the configuration file into one [`Config`].

use std::{ffi::OsString, fs, path::PathBuf};

use clap::FromArgMatches;

use super::{
    defaults,
    error::ConfigError,
    file::File,
    flags::{Config, command},
};

impl Config {
    /// Reads the arguments (the program name first), the environment, and the configuration file that they name.
    ///
    /// # Errors
    ///
    /// When the user requests the help or the version, when a value is invalid, and when the file cannot be read.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        Self::load_with(command(), arguments)
    }

    /// Like [`load`](Self::load), for a command with the same flags and another help text.
    pub(crate) fn load_with(
        mut command: clap::Command,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, ConfigError> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut file_settings = File::default();
        // This first pass reads only `--config`. The second pass reports all errors.
        let first = command.clone().ignore_errors(true).try_get_matches_from(&arguments);
        let file = first.ok().and_then(|found| found.try_get_one::<PathBuf>("config").ok().flatten().cloned());
        if let Some(path) = file {
            let text = fs::read_to_string(&path).map_err(|error| {
                ConfigError::Unreadable(format!("cannot read the configuration file {}: {error}", path.display()))
            })?;
            let read = defaults::with_defaults(command, &text)
                .map_err(|why| ConfigError::Invalid(format!("{}: {why}", path.display())))?;
            (command, file_settings) = read;
        }
        let found = command.try_get_matches_from(&arguments).map_err(|error| ConfigError::from(&error))?;
        let config = Self::from_arg_matches(&found).map_err(|error| ConfigError::from(&error))?;
        config.check_tls().map_err(ConfigError::Invalid)?;
        Ok(Self { file: file_settings, ..config })
    }
}
