//! `opswat-mock healthcheck`: asks a server on this machine whether it answers, for containers that have no other client.

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use super::trusting::trusting;
use crate::config::{self, Config};

/// How long connecting, asking and answering may take, each.
const PATIENCE: Duration = Duration::from_secs(2);

/// The flags of the server, under a help text of its own.
pub(super) fn command() -> clap::Command {
    config::command()
        .before_help(None::<&'static str>)
        .override_usage("opswat-mock healthcheck [OPTIONS]")
        .about("Asks the server that is started with the same flags, variables and file whether it answers")
        .long_about(None::<&'static str>)
        .after_help("Exit code 0 when it answers, 1 when it does not. Only --host, --port, --port-file, --tls and --config matter")
}

/// Exit code 0 when the server answers that is started with the same flags, variables and file; 1 when it does not.
pub(super) fn run(config: &Config) -> ExitCode {
    match address(config).and_then(|server| ask(server, config.is_tls())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            super::complain(&why);
            ExitCode::FAILURE
        }
    }
}

/// Where the server listens, seen from this machine.
fn address(config: &Config) -> Result<SocketAddr, String> {
    let port = match (config.port, &config.port_file) {
        (0, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            text.trim().parse().map_err(|_| format!("there is no port in {}", file.display()))?
        }
        (0, None) => return Err("--port 0 does not say which port; name the --port-file, too".to_owned()),
        (port, _) => port,
    };
    Ok(Config::reached(SocketAddr::new(config.host, port)))
}

fn ask(server: SocketAddr, is_tls: bool) -> Result<(), String> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("{server} does not answer within {} s", PATIENCE.as_secs())
        }
        // What a server says that speaks no TLS cannot be read as TLS.
        ErrorKind::InvalidData if is_tls => format!("{server} does not answer by TLS: {error}"),
        _ => format!("{server} does not answer: {error}"),
    };
    let stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    // The first line is all that counts.
    let answer = if is_tls {
        let stream = trusting(server.ip(), stream).map_err(|why| format!("{server} does not answer: {why}"))?;
        first_line(stream, server)
    } else {
        first_line(stream, server)
    };
    match answer.map_err(failed)? {
        answer if &answer == b"HTTP/1.1 200" => Ok(()),
        answer if !is_tls && &answer == b"HTTP/1.1 400" => {
            Err(format!("{server} answers HTTP/1.1 400; if it was started with --tls, healthcheck wants it, too"))
        }
        answer => Err(format!("{server} answers {}", String::from_utf8_lossy(&answer))),
    }
}

fn first_line(mut stream: impl Read + Write, server: SocketAddr) -> io::Result<[u8; 12]> {
    let request = format!("GET /_mock/health HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
