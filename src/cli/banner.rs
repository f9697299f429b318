//! The text that `serve` prints after the listener is bound.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
};

use crate::{
    account::quota::QuotaLimit,
    config::{Config, ControlAddr},
    mock::Local,
};

/// The text that `serve` prints after the listener is bound.
pub(super) struct Banner<'a> {
    pub(super) config: &'a Config,
    pub(super) address: SocketAddr,
    pub(super) control_address: Option<SocketAddr>,
    pub(super) local: &'a Local,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, address, control_address, local } = self;
        let Config { token, client_id, client_secret, devices, seed, retention_days, .. } = config;
        let scheme = if config.is_tls() { "https" } else { "http" };
        let base = format!("{scheme}://{address}");
        // The commands to paste use an address that this machine can reach.
        let reached = format!("{scheme}://{}", Config::reached(*address));
        let is_made = config.tls && config.tls_cert.is_none();
        let (curl, authority) = match &config.tls_ca_file {
            _ if !is_made => ("curl -s".to_owned(), None),
            Some(file) => {
                let file = file.display();
                (format!("curl -s --cacert '{file}'"), Some(format!("{file}, for clients to trust")))
            }
            None => {
                ("curl -sk".to_owned(), Some("made at this start; --tls-ca-file writes its certificate".to_owned()))
            }
        };
        let mut clock = String::new();
        match config.now {
            Some(now) => write!(clock, "stopped at {now}")?,
            None => clock.push_str("runs with the machine's"),
        }
        let quota = match config.rate_limit {
            QuotaLimit::Off => "off".to_owned(),
            QuotaLimit::Per { requests, seconds } => {
                let still = if config.now.is_some() { "; it stands still with the clock" } else { "" };
                format!("{requests} requests in {seconds} s for each token and API{still}; --rate-limit off ends it")
            }
        };
        writeln!(f, "opswat-mock {} at {base}\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  company        {}, {devices} devices, seed {seed}", local.account().world().company())?;
        writeln!(f, "  history        {retention_days} days back from now (--retention-days); the clock {clock}")?;
        writeln!(f, "  quota          {quota}")?;
        if let Some(authority) = authority {
            writeln!(f, "  authority      {authority}")?;
        }
        writeln!(f, "  access token   {token}")?;
        writeln!(f, "  client id      {client_id}")?;
        writeln!(f, "  client secret  {client_secret}")?;
        match (config.control_addr, control_address) {
            (Some(ControlAddr::Off), _) => writeln!(f, "  control        off\n")?,
            (_, control) => {
                let token = if config.control_token.is_some() { ", with the token of --control-token" } else { "" };
                writeln!(
                    f,
                    "  control        {scheme}://{}/_mock/accounts{token}\n",
                    Config::reached(control.unwrap_or(*address))
                )?;
            }
        }
        writeln!(f, "Try it:\n")?;
        writeln!(f, "{curl} '{reached}/o/api/v2/logs?limit=10&event_type=1&access_token={token}'\n")?;
        writeln!(f, "{curl} '{reached}/o/api/v3.3/logs' -H 'Authorization: Bearer {token}' \\")?;
        writeln!(f, "  -H 'Content-Type: application/json' -d '{{\"event_category\":\"device\",\"age\":86400}}'\n")?;
        writeln!(f, "{curl} '{reached}/o/api/v3/activities' -H 'Authorization: Bearer {token}' \\")?;
        writeln!(f, "  -H 'Content-Type: application/json' -d '{{\"action\":[\"blocked\"],\"age\":168}}'\n")?;
        writeln!(f, "{curl} '{reached}/o/oauth/token' -d grant_type=client_credentials \\")?;
        writeln!(f, "  -d 'client_id={client_id}' \\\n  -d 'client_secret={client_secret}'\n")
    }
}
