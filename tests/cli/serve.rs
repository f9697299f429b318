//! The command `serve`: banner, port file, signals, health check, log.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::harness::{Server, file, mock, run, said};

#[test]
fn the_banner_has_everything_that_a_client_needs() {
    let server = Server::start(mock().args(["--port", "0", "--now", "2018-05-18T12:00:00Z", "--seed", "7"]));
    let port = server.port();
    let banner = server.banner.replace(&port.to_string(), "PORT");
    for line in [
        concat!("opswat-mock ", env!("CARGO_PKG_VERSION"), " at http://127.0.0.1:PORT"),
        "  history        30 days back from now (--retention-days); the clock stopped at 2018-05-18T12:00:00Z",
        "  quota          10 requests in 60 s for each token and API; it stands still with the clock; --rate-limit off ends it",
        "  access token   TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234",
        "  client id      LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST",
        "  client secret  SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST",
    ] {
        assert!(banner.lines().any(|printed| printed == line), "{line} is not in\n{banner}");
    }
    assert!(banner.contains(", 100 devices, seed 7\n"), "{banner}");
    let answer = server.get("/o/api/v2/logs?limit=1&access_token=TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"May 18, 2018 \""), "{answer}");
}

#[test]
fn the_port_file_exists_once_the_server_listens() {
    let path = file("port", "stale");
    let server = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&path));
    assert_eq!(fs::read_to_string(path).expect("the port file"), format!("{}\n", server.port()));
    assert!(server.get("/_mock/health").ends_with(concat!(
        r#"{"status":"ok","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#""}"#
    )));
}

/// The port file never names the port of a server that does not run.
#[test]
fn the_port_file_is_removed_at_the_end_and_after_a_failed_start() {
    let path = file("port-of-the-past", "1\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    assert_eq!(run(mock().args(["--port", &port, "--port-file"]).arg(&path)).status.code(), Some(1));
    assert!(!path.exists());
    let mut server = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&path));
    assert!(path.exists());
    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_port_file_of_a_running_server_survives_another_start() {
    let path = file("port-of-another", "");
    let server = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&path));
    let port = server.port().to_string();
    assert_eq!(run(mock().args(["--port", &port, "--port-file"]).arg(&path)).status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).expect("the port file"), format!("{port}\n"));
    // A later server writes its own port, which the first one leaves there.
    let later = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&path));
    server.signal("-TERM");
    let mut server = server;
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
    assert_eq!(fs::read_to_string(&path).expect("the port file"), format!("{}\n", later.port()));
}

/// As `nohup` starts it.
#[test]
fn a_server_that_ignores_hangups_goes_on() {
    let start = "trap '' HUP; exec \"$0\" --port 0";
    let server = Server::start(Command::new("sh").args(["-c", start, env!("CARGO_BIN_EXE_opswat-mock")]));
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap_or_default();
    if let Some(bits) = status.lines().find_map(|line| line.strip_prefix("SigIgn:")) {
        let bits = u64::from_str_radix(bits.trim(), 16).expect("hexadecimal bits");
        assert_eq!(bits & 1, 1, "the server still ignores SIGHUP");
    }
    server.signal("-HUP");
    assert!(server.get("/_mock/health").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_hangup_signal_ends_the_server_with_success() {
    // Also where the tests were started by `nohup`.
    let binary = env!("CARGO_BIN_EXE_opswat-mock");
    let mut server = Server::start(Command::new("env").args(["--default-signal=HUP", binary, "--port", "0"]));
    server.signal("-HUP");
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_variable_with_a_misspelt_name_is_reported() {
    let variables =
        [("OPSWAT_MOCK_SED", "7"), ("OPSWAT_MOCK_NOTHING", "x"), ("OPSWAT_MOCK_PORT_8080_TCP", "tcp://10.0.0.1:8080")];
    let log = said(mock().args(["--port", "0"]).envs(variables), |_| {});
    assert!(
        log.contains(
            "the environment variable OPSWAT_MOCK_SED is unknown and has no effect; there is OPSWAT_MOCK_SEED"
        ),
        "{log}"
    );
    assert!(log.contains("the environment variable OPSWAT_MOCK_NOTHING is unknown and has no effect"), "{log}");
    assert!(!log.contains("8080_TCP"), "{log}");
}

#[test]
fn each_command_has_its_own_help() {
    for (arguments, start) in [
        (&["help"][..], "A local server"),
        (&["--help"], "A local server"),
        (&["serve", "--help"], "A local server"),
        (&["help", "generate"], "Writes the events of a window"),
        (&["generate", "--help"], "Writes the events of a window"),
        (&["help", "healthcheck"], "Checks that the server"),
        (&["healthcheck", "--help"], "Checks that the server"),
    ] {
        let output = run(mock().args(arguments));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text.starts_with(start), "{arguments:?}: {text}");
        let lists_commands = text.contains("\nCommands:\n  serve ");
        assert_eq!(lists_commands, start == "A local server", "{arguments:?}: {text}");
    }
    let server = Server::start(mock().args(["serve", "--port", "0"]));
    assert!(server.get("/_mock/health").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_closed_standard_output_is_not_an_error() {
    for flag in ["--help", "--version"] {
        let mut child =
            mock().arg(flag).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{flag}");
    }
}

#[test]
fn a_port_file_that_is_a_link_is_written_to_its_target() {
    let real = file("real-port", "stale");
    let link = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("linked-port");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    let server = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&link));
    assert_eq!(fs::read_to_string(real).expect("the port file"), format!("{}\n", server.port()));
    assert!(link.is_symlink());
    let nowhere = run(mock().args(["--port", "0", "--port-file", "no/such/directory/port"]));
    let error = String::from_utf8(nowhere.stderr).expect("UTF-8");
    let reason = "opswat-mock: cannot write no/such/directory/port: No such file or directory (os error 2)\n";
    assert_eq!((nowhere.status.code(), error.as_str()), (Some(1), reason));
}

#[test]
fn a_signal_ends_the_server_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(mock().args(["--port", "0"]));
        // An idle connection does not delay the shutdown.
        let _idle = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
        server.signal(signal);
        assert_eq!(server.child.wait().expect("an end").code(), Some(0), "{signal}");
    }
}

#[test]
fn the_end_of_the_standard_input_ends_the_server_where_it_matters() {
    let mut server = Server::start(mock().args(["--port", "0", "--stop-with-stdin"]).stdin(Stdio::piped()));
    let mut input = server.child.stdin.take().expect("a pipe");
    input.write_all(b"what it says does not matter\n").expect("written");
    assert!(server.get("/_mock/health").contains("\"ok\""));
    drop(input);
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
    let server = Server::start(mock().args(["--port", "0"]).stdin(Stdio::null()));
    assert!(server.get("/_mock/health").contains("\"ok\""), "by default, a server has no need of one");
}

/// A second signal ends the server without waiting for requests in flight.
#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = Server::start(mock().args(["--port", "0", "--now", "2026-01-15T12:00:00Z"]));
    let rule = r#"{"fault":{"delay_ms":1000,"waits_on":"account"}}"#;
    let post = |stream: &mut TcpStream, head: &str, body: &str| {
        write!(stream, "POST {head} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .expect("written");
    };
    let mut control = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    post(&mut control, "/_mock/accounts/default/faults", rule);
    control.read_exact(&mut [0; 12]).expect("an answer");
    // The clock is frozen, so this request stays in flight.
    let mut asking = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    write!(
        asking,
        "GET /o/api/v2/logs?access_token=TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234 HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    .expect("written");
    while !server.get("/_mock/accounts/default/faults").contains(r#""applied":1"#) {}
    server.signal("-TERM");
    // The listener is closed, so the server has handled the first signal.
    while TcpStream::connect(("127.0.0.1", server.port())).is_ok() {}
    assert!(server.child.try_wait().expect("a child").is_none(), "the server did not wait for the request in flight");
    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
}

#[test]
fn the_health_check_uses_the_flags_of_the_server() {
    let port_file = file("health-port", "");
    let server = Server::start(mock().args(["--port", "0", "--control-addr", "off", "--port-file"]).arg(&port_file));
    let port = server.port().to_string();
    let check = |command: &mut Command| {
        let output = run(command);
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"), output.stdout)
    };
    let well = (Some(0), String::new(), vec![]);
    assert_eq!(check(mock().args(["healthcheck", "--port", &port])), well);
    assert_eq!(
        check(mock().arg("healthcheck").env("OPSWAT_MOCK_PORT", &port).env("OPSWAT_MOCK_HOST", "0.0.0.0")),
        well
    );
    assert_eq!(check(mock().args(["healthcheck", "--port", "0", "--port-file"]).arg(&port_file)), well);
    drop(server);
    let server = Server::start(mock().args(["--port", "0", "--tls"]));
    let by_tls = server.port().to_string();
    assert_eq!(check(mock().args(["healthcheck", "--tls", "--port", &by_tls])), well);
    let (code, why, _) = check(mock().args(["healthcheck", "--port", &by_tls]));
    assert_eq!(
        (code, why),
        (
            Some(1),
            format!(
                "opswat-mock: 127.0.0.1:{by_tls} responds with HTTP/1.1 400; if it was started with --tls, healthcheck needs --tls, too\n"
            )
        )
    );
    let (code, why, _) = check(mock().args(["healthcheck", "--port", &port]));
    assert_eq!(code, Some(1));
    assert!(why.starts_with(&format!("opswat-mock: 127.0.0.1:{port} does not answer: ")), "{why}");
    let (code, why, _) = check(mock().args(["healthcheck", "--port", "0"]));
    let line = "opswat-mock: --port 0 does not identify the port; add --port-file\n";
    assert_eq!((code, why.as_str()), (Some(1), line));
}

#[test]
fn a_port_in_use_is_reported_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let output = run(mock().args(["--port", &port.to_string()]));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    let line = format!("opswat-mock: port {port} of 127.0.0.1 is in use; another one: --port, or 0 for a free one\n");
    assert_eq!((output.status.code(), error), (Some(1), line));
}

#[test]
fn the_log_is_json_without_a_terminal() {
    let quiet = said(mock().args(["--port", "0"]), |server| drop(server.get("/_mock/health")));
    let messages: Vec<_> = quiet
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object")["message"].clone())
        .collect();
    assert_eq!(messages, ["listening", "stopping", "stopped"]);
    let text = said(mock().args(["--port", "0", "--log-format", "text"]), |_| {});
    assert!(text.lines().next().is_some_and(|line| line.contains(" INFO listening address=127.0.0.1:")), "{text}");
    assert_eq!(said(mock().args(["--port", "0", "--log-level", "off"]), |_| {}), "");
}

#[test]
fn the_debug_log_has_each_request_and_no_secret() {
    const SECRETS: [&str; 4] = [
        "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234",
        "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST",
        "a-token-of-somebody-that-nobody-issued",
        "the-token-of-those-who-control",
    ];
    let [token, secret, unknown, control] = SECRETS;
    let flags = ["--port", "0", "--log-level", "debug", "--control-token", control];
    let said = said(mock().args(flags), |server| {
        for target in [
            format!("/o/api/v2/logs?access_token={token}"),
            format!("/o/api/v2/logs?access_token={unknown}"),
            format!("/o/oauth/token?grant_type=client_credentials&client_id=x&client_secret={secret}"),
            format!("/_mock/accounts/default/tokens/{token}"),
        ] {
            server.get(&target);
        }
    });
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
    let requests: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .filter(|line: &serde_json::Value| line["level"] == "DEBUG")
        .collect();
    let logged: Vec<_> = requests.iter().map(|line| (line["route"].as_str(), line["status"].as_u64())).collect();
    let v2 = Some("/o/api/v2/logs");
    let control = Some("/_mock/accounts/{account}/tokens/{token}");
    assert_eq!(logged, [(v2, Some(200)), (v2, Some(401)), (Some("/o/oauth/token"), Some(401)), (control, Some(405))]);
    assert_eq!(requests[0]["token"], "TEST…1234");
}

/// The server raises the soft limit of open files to the hard limit.
#[cfg(unix)]
#[test]
fn the_server_raises_its_limit_of_open_files() {
    let (_, hard) = rlimit::Resource::NOFILE.get().expect("a limit");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_opswat-mock"), "--port", "0"]);
    let server = Server::start(&mut command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line for open files");
    assert_eq!(line.split_whitespace().nth(3), Some(&*hard.to_string()), "{line}");
}
