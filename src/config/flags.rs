//! The flags, each with its environment variable and its default.

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
    override_usage = "opswat-mock [serve] [OPTIONS]\n       opswat-mock <check|audit|verdict|generate|healthcheck|help> [OPTIONS]",
    before_help = "Commands:\n  serve        Serves until a signal; also without its name\n  check        Puts a connector through scenarios in which connectors lose, double or change logs\n  audit        Says which logs a connector lost, doubled or changed, and why\n  verdict      Says how a connector behaved as a client\n  generate     Writes the events of a window to a file or a pipe\n  \
                   healthcheck  Asks a running server whether it answers\n  help         Shows this text, or that of a command"
)]
pub struct Config {
    /// IP address to listen on
    #[arg(long, env = "OPSWAT_MOCK_HOST", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "OPSWAT_MOCK_PORT", value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// File to which the server writes its port after it has bound the listener
    #[arg(long, env = "OPSWAT_MOCK_PORT_FILE", value_name = "PATH")]
    pub port_file: Option<PathBuf>,
    /// Stops when the standard input ends: a server that has a pipe there does not outlive the process that started it, however that ends
    #[arg(long, env = "OPSWAT_MOCK_STOP_WITH_STDIN", value_name = "BOOL", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, value_parser = parse_bool)]
    pub stop_with_stdin: bool,
    /// Seed of the history; the same seed and settings generate the same events on every machine
    #[arg(long, env = "OPSWAT_MOCK_SEED", value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
    /// Number of devices of the company, from 0 to 100000; a replaced device stays for some days beside its successor
    #[arg(long, env = "OPSWAT_MOCK_DEVICES", value_name = "NUMBER", default_value = "100",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_DEVICES)))]
    pub devices: u32,
    /// Freezes the clock at an instant, such as 2018-05-18T12:00:00Z; by default the clock is the machine's
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
    /// Redirect URI that /o/oauth/authorize accepts, besides loopback addresses; repeat the flag or separate by commas
    #[arg(long, env = "OPSWAT_MOCK_REDIRECT_URI", value_name = "URI", value_delimiter = ',')]
    pub redirect_uri: Vec<RedirectUri>,
    /// Quota per token and API: REQUESTS/SECONDS, REQUESTS per minute, or off
    #[arg(long, env = "OPSWAT_MOCK_RATE_LIMIT", value_name = "LIMIT", default_value = "10/60")]
    pub rate_limit: QuotaLimit,
    /// Retention: number of days before now that clients can read, from 1
    #[arg(long, env = "OPSWAT_MOCK_RETENTION_DAYS", value_name = "DAYS", default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RETENTION_DAYS)))]
    pub retention_days: u32,
    /// Delay in seconds between an event and its visibility, up to 3600: SECONDS, or FROM..TO for a delay per event
    #[arg(long, env = "OPSWAT_MOCK_LAG", value_name = "SECONDS", default_value = "0")]
    pub lag: Lag,
    /// Maximum number of requests in the journal of each account, up to 1000000
    #[arg(long, env = "OPSWAT_MOCK_JOURNAL", value_name = "REQUESTS", default_value = "10000",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_JOURNAL)))]
    pub journal: u32,
    /// Separate address and port for the control surface, such as 127.0.0.1:8081, or off; by default /_mock on the main port
    #[arg(long, env = "OPSWAT_MOCK_CONTROL_ADDR", value_name = "ADDRESS")]
    pub control_addr: Option<ControlAddr>,
    /// Bearer token that the control surface requires; by default it requires none
    #[arg(long, env = "OPSWAT_MOCK_CONTROL_TOKEN", value_name = "TEXT")]
    pub control_token: Option<Credential>,
    /// Host that may receive notifications of webhooks, besides loopback and private addresses and names without a dot; repeat the flag or separate by commas
    #[arg(long, env = "OPSWAT_MOCK_WEBHOOK_ALLOW", value_name = "HOST", value_delimiter = ',', value_parser = parse_host)]
    pub webhook_allow: Vec<String>,
    /// Level of the log on the standard error; debug logs each request
    #[arg(long, env = "OPSWAT_MOCK_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// Format of the log; auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "OPSWAT_MOCK_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Configuration file (TOML) with the flag names as keys, such as port = 8080, and tables for quota, profile, faults, tokens and accounts; flags and environment variables override it
    #[arg(long, env = "OPSWAT_MOCK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serves HTTPS, with a certificate that the server generates at each start, or with --tls-cert
    #[arg(long, env = "OPSWAT_MOCK_TLS", value_name = "BOOL", help_heading = "HTTPS", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, value_parser = parse_bool)]
    pub tls: bool,
    /// File to which the server writes the certificate of the generated authority as PEM, for clients to trust
    #[arg(long, env = "OPSWAT_MOCK_TLS_CA_FILE", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_ca_file: Option<PathBuf>,
    /// Host name or IP address of the generated certificate, besides --host, localhost and its addresses, gears.opswat.com, opswat-mock and host.docker.internal; repeat the flag or separate by commas
    #[arg(long, env = "OPSWAT_MOCK_TLS_SAN", help_heading = "HTTPS", value_name = "NAME", value_delimiter = ',')]
    pub tls_san: Vec<ServerName>,
    /// Certificate chain as PEM, instead of a generated certificate; enables HTTPS
    #[arg(long, env = "OPSWAT_MOCK_TLS_CERT", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert as PEM
    #[arg(long, env = "OPSWAT_MOCK_TLS_KEY", help_heading = "HTTPS", value_name = "PATH")]
    pub tls_key: Option<PathBuf>,
    /// The limits of the server.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitFlags,
    /// Settings that only the configuration file has.
    #[arg(skip)]
    pub file: File,
}

/// The address of the control surface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlAddr {
    /// No control surface.
    Off,
    /// A separate listener.
    At(SocketAddr),
}

/// The level of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogLevel {
    /// No log
    Off,
    /// Failures of the server, such as a panic in a handler
    Error,
    /// Problems that the user should check
    Warn,
    /// Start and stop of the server
    Info,
    /// Each request, and each connection that ended with an error
    Debug,
    /// Also the messages of libraries
    Trace,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere
    Auto,
    /// One line of text per message
    Text,
    /// One JSON object per line
    Json,
}

/// A host name or an IP address of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerName(String);

impl Config {
    /// Whether the server uses HTTPS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls || self.tls_cert.is_some()
    }

    /// The address at which this machine reaches a listener: the loopback address for an unspecified one.
    pub(crate) fn reached(listening: SocketAddr) -> SocketAddr {
        let host = match listening.ip() {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        SocketAddr::new(host, listening.port())
    }

    /// Checks that the TLS flags are used in valid combinations.
    pub(super) fn check_tls(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together, and one of them is missing".to_owned());
        }
        let of_made = [("--tls-ca-file", self.tls_ca_file.is_some()), ("--tls-san", !self.tls_san.is_empty())];
        match of_made.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) if self.tls_cert.is_some() => {
                Err(format!("{flag} applies to a generated certificate and cannot be used with --tls-cert"))
            }
            Some((flag, _)) if !self.tls => Err(format!("{flag} requires --tls")),
            _ => Ok(()),
        }
    }

    /// The settings of the account `default`.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let settings = Settings::default();
        Settings {
            access_token: self.token.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            world: WorldConfig { seed: self.seed, devices: self.devices, lag: self.lag, webhook_since: None },
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

/// Takes the accounts, the limits and `--tls` from a configuration. Omits the settings of the binary: addresses, files,
/// the log, the control token, `--tls-san`, `--tls-cert` and `--tls-key`.
impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        let builder = Self::new(config.settings(), config.file.accounts.clone(), config.limits.limits());
        if config.tls { builder.tls() } else { builder }
    }
}

/// The command line. Its help shows the names of the environment variables, but not their values.
pub(crate) fn command() -> clap::Command {
    without_empty(Config::command())
}

/// Makes a command ignore empty environment variables.
pub(crate) fn without_empty(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        // Compose and CI pass unset variables as empty ones. In Kubernetes, a service with the name opswat-mock sets
        // OPSWAT_MOCK_PORT to an address in all containers of the namespace.
        let is_unrelated = |value: OsString| value.is_empty() || value.to_string_lossy().starts_with("tcp://");
        let is_unset = argument.get_env().and_then(env::var_os).is_some_and(is_unrelated);
        let argument = argument.hide_env_values(true);
        if is_unset { argument.env(None::<&'static str>) } else { argument }
    })
}

/// The unknown environment variables with the prefix of the mock, each with a known variable of a similar name.
pub(crate) fn unknown_variables() -> Vec<(String, Option<String>)> {
    const PREFIX: &str = "OPSWAT_MOCK_";
    let command = Config::command();
    let known: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    // Kubernetes sets these for a service with the name opswat-mock. They contain port numbers.
    let is_of_service = |name: &str| {
        let rest = &name[PREFIX.len()..];
        rest.starts_with("SERVICE_") || rest.starts_with("PORT_") && rest.contains(|digit: char| digit.is_ascii_digit())
    };
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()) && !is_of_service(name))
        .collect();
    unknown.sort();
    let similar = |name: &str| known.iter().find(|known| is_similar(name, known)).map(|known| (*known).to_owned());
    unknown.into_iter().map(|name| (name.clone(), similar(&name))).collect()
}

/// Whether two names differ by one letter (missing, added or replaced), or by two swapped letters.
fn is_similar(one: &str, other: &str) -> bool {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one.as_bytes()[same..], &other.as_bytes()[same..]);
    let after = |text: &'_ [u8], skip: usize| text.get(skip..).map(<[u8]>::to_vec);
    let swapped = one.len() == other.len() && one.len() >= 2 && one[0] == other[1] && one[1] == other[0];
    after(one, 1).is_some_and(|rest| rest == other || Some(rest) == after(other, 1))
        || after(other, 1).is_some_and(|rest| rest == one)
        || swapped && one[2..] == other[2..]
}

/// A name or an IP address, without a scheme, a port or a path.
fn parse_host(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("a host is a name or an IP address, without a scheme, a port or a path".to_owned())
}

fn parse_bool(text: &str) -> Result<bool, String> {
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
    fn a_server_name_is_a_host_name_or_an_ip_address() {
        for name in ["localhost", "*.mock.test", "10.0.0.7", "::1", "my_host", "a-b.c"] {
            assert!(name.parse::<ServerName>().is_ok(), "{name}");
        }
        for name in ["", "a b", "a..b", "http://a", "a,b", "ü", "a.", &"x".repeat(64)] {
            assert!(name.parse::<ServerName>().is_err(), "{name}");
        }
    }
}
