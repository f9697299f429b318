//! The flags, each with its variable and its default.

use std::{
    env,
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::{CommandFactory, Parser, ValueEnum};

use super::{file::File, limits::LimitFlags};
use crate::{
    account::{
        journal::MAX_JOURNAL,
        quota::{QuotaLimit, QuotaSettings},
        settings::{
            Credential, DEFAULT_CLIENT_SECRET, DOCUMENTED_CLIENT_ID, DOCUMENTED_TOKEN, MAX_RETENTION_DAYS, RedirectUri,
            Settings,
        },
    },
    clock::{Instant, Start},
    mock::Builder,
    world::{Lag, MAX_DEVICES, WorldConfig},
};

/// A local server that answers like the OPSWAT MetaDefender IT Access log APIs, with an invented company behind it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "opswat-mock",
    version,
    max_term_width = 100,
    next_line_help = true,
    help_template = "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}",
    override_usage = "opswat-mock [serve] [OPTIONS]\n       opswat-mock <generate|healthcheck|help> [OPTIONS]",
    before_help = "Commands:\n  serve        Serves until a signal; also without its name\n  generate     Writes the events of a window to a file or a pipe\n  \
                   healthcheck  Asks a running server whether it answers\n  help         Shows this text, or that of a command"
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
    #[arg(long, env = "OPSWAT_MOCK_TOKEN", value_name = "TEXT", default_value = DOCUMENTED_TOKEN)]
    pub token: Credential,
    /// Client id for the token endpoint
    #[arg(long, env = "OPSWAT_MOCK_CLIENT_ID", value_name = "TEXT", default_value = DOCUMENTED_CLIENT_ID)]
    pub client_id: Credential,
    /// Client secret for the token endpoint
    #[arg(long, env = "OPSWAT_MOCK_CLIENT_SECRET", value_name = "TEXT", default_value = DEFAULT_CLIENT_SECRET)]
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
    /// How much is said on the standard error: with debug, a line for each request
    #[arg(long, env = "OPSWAT_MOCK_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// How: auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "OPSWAT_MOCK_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// TOML file with the same names, such as port = 8080, and with tables for quota, profile, faults, tokens and accounts; flags and environment go before it
    #[arg(long, env = "OPSWAT_MOCK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serves HTTPS, with a certificate of an authority that is made at each start, or with --tls-cert
    #[arg(long, env = "OPSWAT_MOCK_TLS", value_name = "BOOL", help_heading = "HTTPS", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, value_parser = yes_or_no)]
    pub tls: bool,
    /// File into which the certificate of that authority is written as PEM, for clients to trust
    #[arg(long, env = "OPSWAT_MOCK_TLS_CA_FILE", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_ca_file: Option<PathBuf>,
    /// Name or address that the made certificate is for, besides --host, localhost and its addresses, gears.opswat.com, opswat-mock and host.docker.internal; several times or with commas
    #[arg(long, env = "OPSWAT_MOCK_TLS_SAN", help_heading = "HTTPS", value_name = "NAME", value_delimiter = ',')]
    pub tls_san: Vec<ServerName>,
    /// Certificate to show instead, as PEM, with those between it and its authority; turns HTTPS on
    #[arg(long, env = "OPSWAT_MOCK_TLS_CERT", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, as PEM
    #[arg(long, env = "OPSWAT_MOCK_TLS_KEY", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_key: Option<PathBuf>,
    /// The limits of the server.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitFlags,
    /// What only the file says.
    #[arg(skip)]
    pub file: File,
}

/// Where the control surface is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlAddr {
    /// Nowhere.
    Off,
    /// At an address of its own.
    At(SocketAddr),
}

/// How much is said in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What broke, such as a handler that panicked.
    Error,
    /// What somebody should look at.
    Warn,
    /// The beginning and the end.
    Info,
    /// Each request, and each connection that did not end well.
    Debug,
    /// What libraries say, too.
    Trace,
}

/// How it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A line for people.
    Text,
    /// A line that is an object.
    Json,
}

/// A name or an address that a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerName(String);

impl Config {
    /// Whether HTTPS is served.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls || self.tls_cert.is_some()
    }

    /// How this machine reaches what listens at an address: what listens everywhere listens here, too.
    pub(crate) fn reached(listening: SocketAddr) -> SocketAddr {
        let host = match listening.ip() {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        SocketAddr::new(host, listening.port())
    }

    /// Flags that say nothing without another one.
    pub(super) fn check_tls(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together, and one of them is missing".to_owned());
        }
        let of_made = [("--tls-ca-file", self.tls_ca_file.is_some()), ("--tls-san", !self.tls_san.is_empty())];
        match of_made.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) if self.tls_cert.is_some() => {
                Err(format!("{flag} is about a certificate that is made, and --tls-cert brings one"))
            }
            Some((flag, _)) if !self.tls => Err(format!("{flag} says nothing without --tls")),
            _ => Ok(()),
        }
    }

    /// What the account named `default` is made from.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let settings = Settings::default();
        Settings {
            access_token: self.token.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            world: WorldConfig { seed: self.seed, devices: self.devices, lag: self.lag },
            redirect_uris: self.redirect_uri.clone(),
            quota: QuotaSettings::from(self.rate_limit).changed(self.file.quota),
            retention_days: self.retention_days,
            start: self.now.map_or(Start::System, |now| Start::Frozen(now.millis())),
            journal: self.journal,
            profile: settings.profile.changed(Some(self.file.profile.clone()), self.file.quota),
            tokens: self.file.tokens.clone(),
            faults: self.file.faults.clone(),
            ..settings
        }
    }
}

/// What flags, environment and file configure of accounts, limits and a made certificate. What belongs to the binary (addresses,
/// files, the log, the token of the control surface) is left out.
impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        let builder = Self::new(config.settings(), config.file.accounts.clone(), config.limits.limits());
        if config.tls { builder.tls() } else { builder }
    }
}

/// The command line. Its help names the variables of the environment, and not what they hold.
pub(crate) fn command() -> clap::Command {
    without_empty(Config::command())
}

/// Lets a command ignore variables of the environment that are empty.
pub(crate) fn without_empty(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        // Compose and CI pass variables that nobody set as empty ones; and in Kubernetes a service of the name opswat-mock sets
        // OPSWAT_MOCK_PORT for all its neighbours, to an address.
        let is_nobodys = |value: OsString| value.is_empty() || value.to_string_lossy().starts_with("tcp://");
        let is_unset = argument.get_env().and_then(env::var_os).is_some_and(is_nobodys);
        let argument = argument.hide_env_values(true);
        if is_unset { argument.env(None::<&'static str>) } else { argument }
    })
}

/// The variables of the environment that look like ours and are not, each with the known one that is most like it.
pub(crate) fn unknown_variables() -> Vec<(String, Option<String>)> {
    const PREFIX: &str = "OPSWAT_MOCK_";
    let command = Config::command();
    let known: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    // Kubernetes sets these for a service of the name opswat-mock, with numbers of ports in them.
    let is_of_service = |name: &str| {
        let rest = &name[PREFIX.len()..];
        rest.starts_with("SERVICE_") || rest.starts_with("PORT_") && rest.contains(|digit: char| digit.is_ascii_digit())
    };
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()) && !is_of_service(name))
        .collect();
    unknown.sort();
    let similar = |name: &str| known.iter().find(|known| differs_little(name, known)).map(|known| (*known).to_owned());
    unknown.into_iter().map(|name| (name.clone(), similar(&name))).collect()
}

/// Whether two names differ by one letter that is missing, added or another, or by two that are swapped.
fn differs_little(one: &str, other: &str) -> bool {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one.as_bytes()[same..], &other.as_bytes()[same..]);
    let after = |text: &'_ [u8], skip: usize| text.get(skip..).map(<[u8]>::to_vec);
    let swapped = one.len() == other.len() && one.len() >= 2 && one[0] == other[1] && one[1] == other[0];
    after(one, 1).is_some_and(|rest| rest == other || Some(rest) == after(other, 1))
        || after(other, 1).is_some_and(|rest| rest == one)
        || swapped && one[2..] == other[2..]
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

impl ServerName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let is_host = text.len() <= 253 && text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label);
        if is_host || text.parse::<IpAddr>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be the name of a host, such as mock.internal, or an address".to_owned())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_are_hosts_and_addresses() {
        for name in ["localhost", "*.mock.test", "10.0.0.7", "::1", "my_host", "a-b.c"] {
            assert!(name.parse::<ServerName>().is_ok(), "{name}");
        }
        for name in ["", "a b", "a..b", "http://a", "a,b", "ü", "a.", &"x".repeat(64)] {
            assert!(name.parse::<ServerName>().is_err(), "{name}");
        }
    }
}
