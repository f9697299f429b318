//! `opswat-mock serve`, the default command: binds the listeners, prints the banner, and serves until a signal.

use std::{fs, io, net::SocketAddr, path::Path, process::ExitCode, thread};

use tokio::{
    net::{TcpListener, TcpSocket},
    runtime,
    sync::{oneshot, watch},
};
use tracing::{info, warn};

use super::{
    banner::Banner,
    files::{self, PortFile},
    logs,
    signals::Signals,
};
use crate::{
    account::settings::Credential,
    clock::Clock,
    config::{self, Config, ControlAddr, ServerName},
    control::Access,
    limits::Limits,
    mock::Local,
    server::{self, tls::Tls},
};

/// The backlog of the listener: the number of connections that may wait for `accept`.
const BACKLOG: u32 = 1024;
/// The maximum number of worker threads. More do not help one mock, and a container may limit its threads.
const MAX_WORKERS: usize = 16;
/// The maximum number of threads for blocking work, such as searches.
const MAX_BLOCKING: usize = 32;
/// File descriptors that are reserved for other uses than connections.
#[cfg(unix)]
const OTHER_FILES: u64 = 32;

/// Serves until SIGINT, SIGTERM or SIGHUP. The exit code is 0 after a signal, 1 if the server cannot start, and 2 if an
/// account of the configuration is invalid.
pub(super) fn run(config: &Config) -> ExitCode {
    let access = Access::new(config.control_token.as_ref().map(Credential::as_str))
        .with_webhook_hosts(config.webhook_allow.clone());
    logs::init(config.log_level, config.log_format);
    if let Some(path) = &config.port_file {
        PortFile::remove_stale(path, config.host);
    }
    let limits = config.limits.limits();
    let limits = Limits { max_connections: affordable_connections(limits.max_connections), ..limits };
    let made = Local::new(config.settings(), config.file.accounts.clone(), access.clone(), limits);
    let local = match made {
        Ok(local) => local,
        Err(why) => {
            // Flags are validated already, so the error is in the configuration file.
            let file = config.config.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display()));
            super::print_error(&format!("{file}{why}"));
            return ExitCode::from(super::USAGE);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(workers)
        .max_blocking_threads(MAX_BLOCKING)
        .build();
    let served = runtime.map_err(|error| format!("cannot start: {error}")).and_then(|runtime| {
        let served = runtime.block_on(serve(config, &local, access));
        // Does not wait for searches whose client has disconnected.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            super::print_error(&line);
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Config, local: &Local, access: Access) -> Result<(), String> {
    let tls = tls(config)?;
    let listener = bind(SocketAddr::new(config.host, config.port), "--port")?;
    let address = listener.local_addr().map_err(|error| format!("cannot read the own port: {error}"))?;
    let control = match config.control_addr {
        Some(ControlAddr::At(wanted)) => Some(bind(wanted, "--control-addr")?),
        Some(ControlAddr::Off) | None => None,
    };
    let control_address = control.as_ref().and_then(|control| control.local_addr().ok());
    let write = |path| {
        PortFile::write(path, address.port()).map_err(|error| format!("cannot write {}: {error}", Path::display(path)))
    };
    // A write to a pipe can block until it has a reader. Before `Signals::new`, a signal still ends the process.
    let (pipe, file): (Option<&Path>, _) = match config.port_file.as_deref() {
        Some(path) if files::is_special(path) => (Some(path), None),
        file => (None, file),
    };
    let _pipe = pipe.map(write).transpose()?;
    // The signal handlers are installed before any output announces the server.
    let mut signal = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let _port_file = file.map(write).transpose()?;
    for (name, similar) in config::unknown_variables() {
        let tip = similar.map_or_else(String::new, |similar| format!("; there is {similar}"));
        warn!("the environment variable {name} is unknown and has no effect{tip}");
    }
    if let Some(warning) = warning(config, control_address.unwrap_or(address)) {
        warn!("{warning}");
    }
    info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    // The parent process may have closed the standard output. The server continues.
    let banner = Banner { config, address, control_address, local }.to_string();
    let _ = io::Write::write_all(&mut io::stdout(), banner.as_bytes());
    let (stop, _) = watch::channel(());
    let stopped = |mut stop: watch::Receiver<()>| async move {
        // An error means that the sender was dropped, which is a reason to stop, too.
        let _ = stop.changed().await;
    };
    let surface = match config.control_addr {
        None => local.router(),
        Some(_) => local.emulated_only(),
    };
    let serving = local.serve_options(tls);
    let main = server::run(listener, surface, serving.clone(), stopped(stop.subscribe()));
    let beside = async {
        if let Some(control) = control {
            server::run(control, local.control_only(access), serving, stopped(stop.subscribe())).await;
        }
    };
    let ended = async { tokio::join!(main, beside) };
    let input_ended = input_end(config.stop_with_stdin);
    let signalled = async {
        tokio::select! {
            () = signal.recv() => {}
            () = input_ended => {}
        }
        info!("stopping");
        stop.send_replace(());
        local.accounts().close_streams();
        // A second signal ends the graceful shutdown.
        signal.recv().await;
    };
    tokio::select! {
        _ = ended => info!("stopped"),
        () = signalled => info!("stopped by a second signal"),
    }
    Ok(())
}

/// Waits for the end of the standard input; for ever if it does not matter.
async fn input_end(matters: bool) {
    if !matters {
        return std::future::pending().await;
    }
    let (ended, end) = oneshot::channel();
    // A read cannot be cancelled, so that it has a thread of its own, with which the process does not wait.
    thread::spawn(move || {
        // What it says does not matter, and a standard input that cannot be read is at its end.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        ended.send(())
    });
    // The sender is not dropped before.
    let _ = end.await;
}

/// The TLS configuration, if HTTPS is on. It writes the authority's certificate before any output announces the server.
fn tls(config: &Config) -> Result<Option<Tls>, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    if let (Some(chain), Some(key)) = (&config.tls_cert, &config.tls_key) {
        let brought = Tls::from_pem(&read(chain)?, &read(key)?);
        let of = |why| format!("{} and {}: {why}", chain.display(), key.display());
        return brought.map(Some).map_err(of);
    }
    if !config.tls {
        return Ok(None);
    }
    let host = (!config.host.is_unspecified()).then(|| config.host.to_string());
    let names: Vec<&str> = config.tls_san.iter().map(ServerName::as_str).chain(host.as_deref()).collect();
    let (tls, authority) = Tls::generate(&names, Clock::running().now())?;
    if let Some(path) = &config.tls_ca_file {
        files::write_whole(path, &authority).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(Some(tls))
}

/// Raises the limit of open files to its maximum. Returns the number of connections that fit into it, at most `wanted`:
/// each connection needs a file descriptor.
#[cfg(unix)]
fn affordable_connections(wanted: u32) -> u32 {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let most = u32::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX).max(1);
    if most < wanted {
        warn!("the limit of open files is {files}: the server accepts {most} connections at a time, not {wanted}");
    }
    most.min(wanted)
}

#[cfg(not(unix))]
fn affordable_connections(wanted: u32) -> u32 {
    wanted
}

fn bind(wanted: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    let listening = || {
        let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the standard library does: a new server can use the port right after the old one has ended.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(wanted)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {} of {} is in use; another one: {flag}, or 0 for a free one", wanted.port(), wanted.ip())
        }
        _ => format!("cannot listen on {wanted}: {error}"),
    })
}

/// The warning that other machines can use the control surface without a token, if they can.
fn warning(config: &Config, address: SocketAddr) -> Option<String> {
    let reached = match config.control_addr {
        None | Some(ControlAddr::At(_)) => address,
        Some(ControlAddr::Off) => return None,
    };
    (!reached.ip().is_loopback() && config.control_token.is_none()).then(|| {
        format!("every client that reaches {reached} can control the mock; --control-token requires a token, --control-addr off disables the control surface")
    })
}
