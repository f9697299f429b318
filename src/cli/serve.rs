//! Serving, the default command: bind, say so, run until a signal.

use std::{
    fmt::{self, Write as _},
    fs, io,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    account::{Account, QuotaLimit},
    config::Config,
    server,
};

/// Serves until SIGINT or SIGTERM. Exit code 1 when the port cannot be had.
pub(super) fn run(config: &Config) -> ExitCode {
    let served = Runtime::new()
        .map_err(|error| format!("cannot start: {error}"))
        .and_then(|runtime| runtime.block_on(serve(config)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("opswat-mock: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Config) -> Result<(), String> {
    let wanted = SocketAddr::new(config.host, config.port);
    let listener = TcpListener::bind(wanted).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {} of {} is in use; another one: --port, or 0 for a free one", config.port, config.host)
        }
        _ => format!("cannot listen on {wanted}: {error}"),
    })?;
    let address = listener.local_addr().map_err(|error| format!("cannot tell the port of {wanted}: {error}"))?;
    // Before anything says that the server is there, so that a signal finds somebody.
    let stop = stopped().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let account = Arc::new(Account::new(config.settings(), config.clock()));
    if let Some(path) = &config.port_file {
        write_port(path, address.port()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    // Whoever started the server may have closed its output; that is no reason to stop.
    let _ =
        io::Write::write_all(&mut io::stdout(), Banner { config, address, account: &account }.to_string().as_bytes());
    server::run(listener, crate::router(account), stop).await;
    Ok(())
}

/// The first SIGINT or SIGTERM.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Writes the port beside the file and moves it there, so that nobody reads half of it.
fn write_port(path: &Path, port: u16) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, format!("{port}\n"))?;
    fs::rename(&beside, path)
}

/// What is printed once the listener is bound.
struct Banner<'a> {
    config: &'a Config,
    address: SocketAddr,
    account: &'a Account,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, address, account } = self;
        let Config { token, client_id, client_secret, devices, seed, retention_days, .. } = config;
        let base = format!("http://{address}");
        let mut clock = String::new();
        match config.now {
            Some(now) => write!(clock, "stopped at {now}")?,
            None => clock.push_str("runs with the machine's"),
        }
        let quota = match config.rate_limit {
            QuotaLimit::Off => "off".to_owned(),
            QuotaLimit::Per { requests, seconds } => {
                format!("{requests} requests in {seconds} s for each token and API (--rate-limit off)")
            }
        };
        writeln!(f, "opswat-mock {} at {base}\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  company        {}, {devices} devices, seed {seed}", account.world().company())?;
        writeln!(f, "  history        {retention_days} days back from now; the clock {clock}")?;
        writeln!(f, "  quota          {quota}")?;
        writeln!(f, "  access token   {token}")?;
        writeln!(f, "  client id      {client_id}")?;
        writeln!(f, "  client secret  {client_secret}\n")?;
        writeln!(f, "Try it:\n")?;
        writeln!(f, "curl -s '{base}/o/api/v2/logs?limit=10&event_type=1&access_token={token}'\n")?;
        writeln!(f, "curl -s '{base}/o/api/v3.3/logs' -H 'Authorization: Bearer {token}' \\")?;
        writeln!(f, "  -H 'Content-Type: application/json' -d '{{\"event_category\":\"device\",\"age\":86400}}'\n")?;
        writeln!(f, "curl -s '{base}/o/api/v3/activities' -H 'Authorization: Bearer {token}' \\")?;
        writeln!(f, "  -H 'Content-Type: application/json' -d '{{\"action\":[\"blocked\"],\"age\":168}}'\n")?;
        writeln!(f, "curl -s '{base}/o/oauth/token' -d grant_type=client_credentials \\")?;
        writeln!(f, "  -d 'client_id={client_id}' \\\n  -d 'client_secret={client_secret}'\n")
    }
}
