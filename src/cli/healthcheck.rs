//! `opswat-mock healthcheck`: checks that a server on this machine responds. For containers without an HTTP client.

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use super::trusting::trusting;
use crate::config::{self, Config};

/// The timeout of the connect, and of each read and write.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The flags of the server, with a separate help text.
pub(super) fn command() -> clap::Command {
    config::command()
        .before_help(None::<&'static str>)
        .override_usage("opswat-mock healthcheck [OPTIONS]")
        .about("Checks that the server with the same flags, environment variables and configuration file responds")
        .long_about(None::<&'static str>)
        .after_help("Exit code 0 if it responds with 200, 1 if not. Only --host, --port, --port-file, --tls, --tls-cert, --tls-key and --config matter")
}

/// Returns exit code 0 if the server with this configuration responds with 200, else 1.
pub(super) fn run(config: &Config) -> ExitCode {
    match address(config).and_then(|server| ask(server, config.is_tls())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            super::print_error(&why);
            ExitCode::FAILURE
        }
    }
}

/// The address of the server, as reached from this machine.
fn address(config: &Config) -> Result<SocketAddr, String> {
    let port = match (config.port, &config.port_file) {
        (0, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            text.trim().parse().map_err(|_| format!("there is no port in {}", file.display()))?
        }
        (0, None) => return Err("--port 0 does not identify the port; add --port-file".to_owned()),
        (port, _) => port,
    };
    Ok(Config::reached(SocketAddr::new(config.host, port)))
}

fn ask(server: SocketAddr, is_tls: bool) -> Result<(), String> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("{server} does not answer within {} s", TIMEOUT.as_secs())
        }
        // A server without TLS sends data that is not a valid TLS record.
        ErrorKind::InvalidData if is_tls => format!("{server} does not answer by TLS: {error}"),
        _ => format!("{server} does not answer: {error}"),
    };
    let stream = TcpStream::connect_timeout(&server, TIMEOUT).map_err(failed)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
    // The check reads only the status code.
    let answer = if is_tls {
        let stream = trusting(server.ip(), stream).map_err(|why| format!("{server} does not answer: {why}"))?;
        first_line(stream, server)
    } else {
        first_line(stream, server)
    };
    match answer.map_err(failed)? {
        answer if &answer == b"HTTP/1.1 200" => Ok(()),
        answer if !is_tls && &answer == b"HTTP/1.1 400" => Err(format!(
            "{server} responds with HTTP/1.1 400; if it was started with --tls, healthcheck needs --tls, too"
        )),
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
