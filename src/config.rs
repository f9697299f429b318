//! Flags, environment and file, into one [`Config`].
//!
//! A flag beats the environment, the environment beats the file, the file beats the default. The three have one list:
//! the fields of [`Config`]. What a file says becomes the default of the flag of that name, so it is checked and worded
//! like a flag.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::{CommandFactory, FromArgMatches, Parser, error::ErrorKind};
use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    account::{
        accounts::MAX_ACCOUNTS,
        fault::{FaultRule, MAX_FAULTS},
        journal::MAX_JOURNAL,
        profile::Profile,
        quota::{QuotaChange, QuotaLimit, QuotaSettings},
        settings::{
            Credential, MAX_RETENTION_DAYS, MAX_TOKENS, NewAccount, NewToken, ProfileChange, RedirectUri, Settings,
        },
        shape,
    },
    clock::{Instant, Start},
    world::{Lag, MAX_DEVICES, Shape},
};

/// The access token that the vendor's documents print.
const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// The client that the vendor's documents print.
const CLIENT_ID: &str = "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// No document prints a secret; this one looks like the others.
const CLIENT_SECRET: &str = "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
/// A local server that answers like the OPSWAT MetaDefender IT Access log APIs, with an invented company behind it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "opswat-mock",
    version,
    max_term_width = 100,
    next_line_help = true,
    after_help = "Other commands: opswat-mock generate --help writes events to a file or a pipe; opswat-mock healthcheck, with the same \
                  flags and variables, ends with success when that server answers"
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
    #[arg(long, env = "OPSWAT_MOCK_CLIENT_SECRET", value_name = "TEXT", default_value = CLIENT_SECRET)]
    pub client_secret: Credential,
    /// Address to which /o/oauth/authorize may send a code, besides those of this machine; several times or with commas
    #[arg(long, env = "OPSWAT_MOCK_REDIRECT_URI", value_name = "URI", value_delimiter = ',')]
    pub redirect_uri: Vec<RedirectUri>,
    /// Quota for each token and each API: REQUESTS/SECONDS, REQUESTS a minute, or off
    #[arg(long, env = "OPSWAT_MOCK_RATE_LIMIT", value_name = "LIMIT", default_value = "10/60")]
    pub rate_limit: QuotaLimit,
    /// Days back from now that can be read, from 1
    #[arg(long, env = "OPSWAT_MOCK_RETENTION_DAYS", value_name = "DAYS", default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RETENTION_DAYS)))]
    pub retention_days: u32,
    /// Seconds from an event until it is visible, up to 3600: SECONDS, or FROM..TO for a different lag of each event
    #[arg(long, env = "OPSWAT_MOCK_LAG", value_name = "SECONDS", default_value = "0")]
    pub lag: Lag,
    /// Requests that the journal of each account keeps, up to 1000000
    #[arg(long, env = "OPSWAT_MOCK_JOURNAL", value_name = "REQUESTS", default_value = "10000",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_JOURNAL)))]
    pub journal: u32,
    /// Address and port for the control surface alone, such as 127.0.0.1:8081, or off; without it, it is under /_mock of the same port
    #[arg(long, env = "OPSWAT_MOCK_CONTROL_ADDR", value_name = "ADDRESS")]
    pub control_addr: Option<ControlAddr>,
    /// Token that the control surface wants as Authorization: Bearer; without it, whoever reaches it may use it
    #[arg(long, env = "OPSWAT_MOCK_CONTROL_TOKEN", value_name = "TEXT")]
    pub control_token: Option<Credential>,
    /// TOML file with the same names, such as port = 8080, and with tables for quota, profile, faults, tokens and accounts; flags and environment go before it
    #[arg(long, env = "OPSWAT_MOCK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What only the file says.
    #[arg(skip)]
    pub file: File,
}

/// What a file says that no flag can say: about the account `default`, and about others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Which reading the accounts follow of what is assumed.
    pub profile: ProfileChange,
    /// How requests are counted, where `--rate-limit` says too little.
    pub quota: QuotaChange,
    /// Further tokens of `default`.
    #[serde(deserialize_with = "shape::objects::<MAX_TOKENS, _, _>")]
    pub tokens: Vec<NewToken>,
    /// How `default` breaks requests.
    #[serde(deserialize_with = "shape::objects::<MAX_FAULTS, _, _>")]
    pub faults: Vec<FaultRule>,
    /// Further accounts.
    #[serde(deserialize_with = "shape::objects::<MAX_ACCOUNTS, _, _>")]
    pub accounts: Vec<NewAccount>,
}

/// Where the control surface is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlAddr {
    /// Nowhere.
    Off,
    /// At an address of its own.
    At(SocketAddr),
}

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
        let mut said = File::default();
        // Only the file's name is wanted here; whatever else is wrong comes up when all is read.
        let first = command.clone().ignore_errors(true).try_get_matches_from(&arguments);
        let file = first.ok().and_then(|found| found.try_get_one::<PathBuf>("config").ok().flatten().cloned());
        if let Some(file) = file {
            let text = fs::read_to_string(&file).map_err(|error| {
                Stop::Wrong(format!("cannot read the configuration file {}: {error}", file.display()))
            })?;
            let read =
                with_defaults(command, &text).map_err(|why| Stop::Wrong(format!("{}: {why}", file.display())))?;
            (command, said) = read;
        }
        let found = command.try_get_matches_from(&arguments).map_err(|error| Stop::from(&error))?;
        let config = Self::from_arg_matches(&found).map_err(|error| Stop::from(&error))?;
        Ok(Self { file: said, ..config })
    }

    /// The defaults, whatever the environment says.
    #[must_use]
    pub(crate) fn plain() -> Self {
        let alone = Self::command().mut_args(|argument| argument.env(None::<&'static str>));
        let found = alone.get_matches_from(["opswat-mock"]);
        Self::from_arg_matches(&found).expect("every flag that is required has a default")
    }

    /// What the account named `default` is made from.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the name is right")]
    pub fn settings(&self) -> Settings {
        let name = "default".parse().expect("a name of letters");
        let settings = Settings::new(name, [self.token.clone(), self.client_id.clone(), self.client_secret.clone()]);
        Settings {
            shape: Shape { seed: self.seed, devices: self.devices, lag: self.lag },
            redirect_uris: self.redirect_uri.clone(),
            quota: QuotaSettings::from(self.rate_limit).changed(self.file.quota),
            retention_days: self.retention_days,
            start: self.now.map_or(Start::System, |now| Start::Frozen(now.millis())),
            journal: self.journal,
            profile: {
                let profile = self.file.profile.clone().applied_to(&settings.profile);
                let retry_after = self.file.quota.retry_after.unwrap_or(profile.retry_after);
                Profile { retry_after, ..profile }
            },
            tokens: self.file.tokens.clone(),
            faults: self.file.faults.clone(),
            ..settings
        }
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

/// Makes what a file says the defaults of the flags, and reads what no flag says.
fn with_defaults(mut flags: clap::Command, text: &str) -> Result<(clap::Command, File), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let mut said = Table::new();
    for (key, value) in table {
        if FILE_KEYS.contains(&key.as_str()) {
            said.insert(key, without_instants(value));
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
    let said = serde_path_to_error::deserialize(Value::Table(said)).map_err(|error| {
        let why = error.inner().to_string();
        format!("key {}: {}", error.path(), why.lines().next().unwrap_or_default())
    })?;
    Ok((flags, said))
}

/// What [`File`] reads.
const FILE_KEYS: [&str; 5] = ["profile", "quota", "tokens", "faults", "accounts"];

/// The same with texts in the place of instants, which have a type of their own in a file only.
fn without_instants(value: Value) -> Value {
    match value {
        Value::Datetime(instant) => Value::String(instant.to_string()),
        Value::Array(values) => Value::Array(values.into_iter().map(without_instants).collect()),
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, value)| (key, without_instants(value))).collect())
        }
        other => other,
    }
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

impl FromStr for ControlAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => {
                text.parse().map(Self::At).map_err(|_| "must be ADDRESS:PORT such as 127.0.0.1:8081, or off".to_owned())
            }
        }
    }
}

impl fmt::Display for ControlAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}
