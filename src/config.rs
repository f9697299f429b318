//! Flags, environment and file, into one [`Config`].
//!
//! A flag beats the environment, the environment beats the file, the file beats the default. The three have one list:
//! the fields of [`Config`]. What a file says becomes the default of the flag of that name, so it is checked and worded
//! like a flag.

use std::{env, ffi::OsString, fmt, fs, net::IpAddr, path::PathBuf, str::FromStr};

use clap::{CommandFactory, FromArgMatches, Parser, error::ErrorKind};
use jiff::Timestamp;
use toml::{Table, Value};

use crate::{
    account::{QuotaLimit, Settings},
    clock::{self, Clock},
    world::{ACCOUNT_MADE, Lag, MAX_DEVICES, Millis, Shape},
};

/// The access token that the vendor's documents print.
const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// The client that the vendor's documents print.
const CLIENT_ID: &str = "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// No document prints a secret; this one looks like the others.
const CLIENT_SECRET: &str = "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// The longest that retention may be: more than the time from the account's beginning to the end of all clocks.
const MAX_RETENTION_DAYS: i64 = 70_000;

/// A local server that answers like the OPSWAT MetaDefender IT Access log APIs, with an invented company behind it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "opswat-mock",
    version,
    max_term_width = 100,
    next_line_help = true,
    after_help = "Another command writes events to a file or a pipe: opswat-mock generate --help"
)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "OPSWAT_MOCK_HOST", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "OPSWAT_MOCK_PORT", value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// File into which the port is written once the listener is bound
    #[arg(long, env = "OPSWAT_MOCK_PORT_FILE", value_name = "PATH")]
    pub port_file: Option<PathBuf>,
    /// Decides the whole history; the same seed tells the same story everywhere
    #[arg(long, env = "OPSWAT_MOCK_SEED", value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
    /// Devices that the company has at a time, from 0 to 100000
    #[arg(long, env = "OPSWAT_MOCK_DEVICES", value_name = "NUMBER", default_value = "100",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_DEVICES)))]
    pub devices: u32,
    /// Stops the clock at an instant, such as 2018-05-18T12:00:00Z; without it the clock runs with the machine's
    #[arg(long, env = "OPSWAT_MOCK_NOW", value_name = "RFC3339")]
    pub now: Option<Instant>,
    /// Access token that is valid from the start and never expires
    #[arg(long, env = "OPSWAT_MOCK_TOKEN", value_name = "TEXT", default_value = TOKEN)]
    pub token: Credential,
    /// Client id for the token endpoint
    #[arg(long, env = "OPSWAT_MOCK_CLIENT_ID", value_name = "TEXT", default_value = CLIENT_ID)]
    pub client_id: Credential,
    /// Client secret for the token endpoint
    #[arg(long, env = "OPSWAT_MOCK_CLIENT_SECRET", value_name = "TEXT", default_value = CLIENT_SECRET,
        )]
    pub client_secret: Credential,
    /// Address to which /o/oauth/authorize may send a code, besides those of this machine; several times or with commas
    #[arg(long, env = "OPSWAT_MOCK_REDIRECT_URI", value_name = "URI", value_delimiter = ',')]
    pub redirect_uri: Vec<RedirectUri>,
    /// Quota for each token and each API: REQUESTS/SECONDS, REQUESTS a minute, or off
    #[arg(long, env = "OPSWAT_MOCK_RATE_LIMIT", value_name = "LIMIT", default_value = "10/60")]
    pub rate_limit: QuotaLimit,
    /// Days back from now that can be read, from 1
    #[arg(long, env = "OPSWAT_MOCK_RETENTION_DAYS", value_name = "DAYS", default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=MAX_RETENTION_DAYS))]
    pub retention_days: u32,
    /// Seconds from an event until it is visible, up to 3600: SECONDS, or FROM..TO for a different lag of each event
    #[arg(long, env = "OPSWAT_MOCK_LAG", value_name = "SECONDS", default_value = "0")]
    pub lag: Lag,
    /// TOML file with the same names, such as port = 8080; flags and environment go before it
    #[arg(long, env = "OPSWAT_MOCK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// An instant at which a clock can stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instant(Millis);

/// A token, id or secret: something that stands in a header, a form and a shell without being quoted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential(String);

/// An address with a scheme and without a fragment, in ASCII.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectUri(String);

/// Why there is no [`Config`].
#[derive(Debug)]
pub enum Stop {
    /// The user asked for a text, such as the help.
    Asked(String),
    /// Something given is wrong, in one line.
    Wrong(String),
}

impl Config {
    /// Reads the arguments of a command line (the program's name first), the environment, and the file they name.
    ///
    /// # Errors
    ///
    /// When the user asked for help or the version, and when a value is wrong.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Stop> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut command = command();
        // Only the file's name is wanted here; whatever else is wrong comes up when all is read.
        let first = command.clone().ignore_errors(true).try_get_matches_from(&arguments);
        let file = first.ok().and_then(|found| found.try_get_one::<PathBuf>("config").ok().flatten().cloned());
        if let Some(file) = file {
            let text = fs::read_to_string(&file).map_err(|error| {
                Stop::Wrong(format!("cannot read the configuration file {}: {error}", file.display()))
            })?;
            command = with_defaults(command, &text).map_err(|why| Stop::Wrong(format!("{}: {why}", file.display())))?;
        }
        let found = command.try_get_matches_from(&arguments).map_err(|error| Stop::from(&error))?;
        Self::from_arg_matches(&found).map_err(|error| Stop::from(&error))
    }

    /// What the account named `default` is made from.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            name: "default".to_owned(),
            shape: Shape { seed: self.seed, devices: self.devices, lag: self.lag },
            access_token: self.token.0.clone(),
            client_id: self.client_id.0.clone(),
            client_secret: self.client_secret.0.clone(),
            redirect_uris: self.redirect_uri.iter().map(|RedirectUri(uri)| uri.clone()).collect(),
            quota: self.rate_limit,
            retention_days: self.retention_days,
        }
    }

    /// The clock that the account named `default` lives by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.now.map_or_else(Clock::running, |Instant(now)| Clock::stopped_at(now))
    }
}

/// The command line. Its help names the variables of the environment, and not what they hold.
pub(crate) fn command() -> clap::Command {
    without_empty(Config::command())
}

/// Lets a command ignore variables of the environment that are empty.
pub(crate) fn without_empty(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        // Compose and CI pass variables that nobody set as empty ones.
        let empty = argument.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
        let argument = argument.hide_env_values(true);
        if empty { argument.env(None::<&'static str>) } else { argument }
    })
}

/// Makes what a file says the defaults of the flags.
fn with_defaults(mut flags: clap::Command, text: &str) -> Result<clap::Command, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    for (key, value) in table {
        let known: Vec<&str> =
            flags.get_arguments().filter_map(clap::Arg::get_long).filter(|name| *name != "config").collect();
        if !known.contains(&key.as_str()) {
            let shown: String = key.escape_debug().take(40).collect();
            return Err(format!("unknown key {shown}; the keys are {}", known.join(", ")));
        }
        let values = texts(&key, value)?;
        if values.is_empty() {
            return Err(format!("key {key}: an empty array cannot stand here"));
        }
        let given = values.iter().map(|value| format!("--{key}={value}"));
        // Without the environment, which has its own say later.
        let alone = command().mut_args(|argument| argument.env(None::<&'static str>));
        alone
            .try_get_matches_from(std::iter::once("opswat-mock".to_owned()).chain(given))
            .map_err(|error| format!("key {key}: {}", line(&error)))?;
        let id = key.replace('-', "_");
        flags = flags.mut_arg(id, |argument| argument.default_values(values));
    }
    Ok(flags)
}

fn texts(key: &str, value: Value) -> Result<Vec<String>, String> {
    Ok(match value {
        Value::String(text) => vec![text],
        Value::Integer(number) => vec![number.to_string()],
        Value::Datetime(instant) => vec![instant.to_string()],
        Value::Array(values) => {
            let nested: Result<Vec<_>, _> = values.into_iter().map(|value| texts(key, value)).collect();
            nested?.into_iter().flatten().collect()
        }
        other => return Err(format!("key {key}: a {} cannot stand here", other.type_str())),
    })
}

impl From<&clap::Error> for Stop {
    fn from(error: &clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self::Asked(error.render().to_string()),
            _ => Self::Wrong(line(error)),
        }
    }
}

/// An error of clap in one line: what is wrong, and its tip if there is one.
fn line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut wrong = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // What is not provided stands in lines of its own.
    if wrong.ends_with(':') {
        let missing: Vec<&str> = lines.by_ref().take_while(|line| line.starts_with("--")).collect();
        wrong = format!("{wrong} {}", missing.join(", "));
    }
    let tip = lines.find(|line| line.starts_with("tip: ") || line.starts_with("[possible values"));
    tip.map_or_else(|| wrong.clone(), |tip| format!("{wrong} ({tip})"))
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || "must be an instant such as 2018-05-18T12:00:00Z, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z";
        let at: Timestamp = text.parse().map_err(|_| wanted())?;
        let at = Millis(at.as_millisecond());
        if (ACCOUNT_MADE..=clock::LAST).contains(&at) { Ok(Self(at)) } else { Err(wanted().to_owned()) }
    }
}

impl FromStr for RedirectUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let has_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if has_scheme && !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an address such as https://client.example/callback".to_owned())
        }
    }
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (1..=256).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 256 letters, digits or any of - . _ ~".to_owned())
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp::from_millisecond(self.0.0).unwrap_or(Timestamp::UNIX_EPOCH).fmt(f)
    }
}
