//! Access to the control surface: host, origin, token, and separate listener.

use std::process::{Command, Stdio};

use bytes::Bytes;
use http::Request;

use crate::harness::Client;

async fn send(mock: &Client, method: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = Request::builder().method(method).uri("/_mock/accounts");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    mock.send(request.body(Bytes::from_static(b"{}")).expect("a request")).await.status
}

#[tokio::test]
async fn an_unknown_host_gets_403() {
    let mock = Client::new();
    for (host, status) in [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("opswat-mock:8080", 200),
        ("mock.internal", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8080", 403),
        ("gears.opswat.com", 403),
    ] {
        assert_eq!(send(&mock, "GET", &[("host", host)]).await, status, "{host}");
    }
    let health =
        Request::get("/_mock/health").header("host", "mock.prod.example").body(Bytes::new()).expect("a request");
    assert_eq!(mock.send(health).await.status, 200, "the health check accepts any host");
    let api = Request::get("/o/api/v2/logs?access_token=sandbox-x").header("host", "gears.opswat.com");
    assert_eq!(
        mock.send(api.body(Bytes::new()).expect("a request")).await.status,
        200,
        "the emulated surface accepts any host"
    );
}

#[tokio::test]
async fn a_write_from_another_origin_gets_403() {
    let mock = Client::new();
    let host = ("host", "127.0.0.1:8080");
    for (origin, status) in [
        ("http://127.0.0.1:8080", 201),
        ("https://evil.example", 403),
        ("http://127.0.0.1:9090", 403),
        ("http://localhost:8080", 403),
        ("null", 403),
    ] {
        assert_eq!(send(&mock, "POST", &[host, ("origin", origin)]).await, status, "{origin}");
        assert_eq!(
            send(&mock, "GET", &[host, ("origin", origin)]).await,
            200,
            "{origin}: reads need no check, because browsers protect the response"
        );
    }
    assert_eq!(send(&mock, "POST", &[host, ("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(send(&mock, "POST", &[host, ("sec-fetch-site", "same-origin")]).await, 201);
    assert_eq!(send(&mock, "POST", &[host]).await, 201, "a client without an origin was rejected");
}

/// A server process that ends with the test, with its banner and its standard error.
struct Server(std::process::Child, String, String);

impl Server {
    fn start(flags: &str) -> Self {
        use std::io::{BufRead, BufReader, Read};
        let mut command = Command::new(env!("CARGO_BIN_EXE_opswat-mock"));
        command.args(flags.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let banner: Vec<String> = lines.take_while(|line| line != "Try it:").collect();
        let mut complaint = String::new();
        if flags.contains("0.0.0.0") {
            let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
            if flags.contains("control") {
                // No warning is expected, so a read would block until the process ends.
                child.kill().expect("a server that runs");
                errors.read_to_string(&mut complaint).expect("UTF-8");
            } else {
                errors.read_line(&mut complaint).expect("a line");
            }
        }
        Self(child, banner.join("\n"), complaint)
    }

    fn address(&self, line: &str) -> String {
        let line = self.1.lines().find(|printed| printed.contains(line)).expect("the line");
        line.split("http://").nth(1).and_then(|rest| rest.split(['/', ' ']).next()).expect("an address").to_owned()
    }

    fn status(address: &str, target: &str, header: &str) -> u16 {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n")
            .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_control_token_is_required_if_configured() {
    let server = Server::start("--port 0 --control-token right-token-of-the-team");
    let address = server.address(" at http");
    for (header, status) in [
        ("", 401),
        ("authorization: Bearer wrong\r\n", 401),
        ("authorization: Bearer right-token-of-the-tea\r\n", 401),
        ("authorization: Basic right-token-of-the-team\r\n", 401),
        ("authorization: Bearer right-token-of-the-team\r\n", 200),
        ("authorization: bearer right-token-of-the-team\r\nx-more: 1\r\n", 200),
    ] {
        assert_eq!(Server::status(&address, "/_mock/accounts", header), status, "{header}");
    }
    // After a burst of wrong tokens, most of them are not looked at. The right token is not limited.
    let wrong = || Server::status(&address, "/_mock/accounts", "authorization: Bearer wrong\r\n");
    let statuses: Vec<u16> = (0..20).map(|_| wrong()).collect();
    assert!(statuses.contains(&429) && statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let right = "authorization: Bearer right-token-of-the-team\r\n";
    assert_eq!(Server::status(&address, "/_mock/accounts", right), 200);
    assert_eq!(Server::status(&address, "/_mock/health", ""), 200);
    assert!(server.1.contains("with the token of --control-token"), "{}", server.1);
}

#[test]
fn the_control_surface_can_have_its_own_listener_or_be_off() {
    let apart = Server::start("--port 0 --control-addr 127.0.0.1:0");
    let (main, control) = (apart.address(" at http"), apart.address("  control "));
    assert_ne!(main, control);
    assert_eq!(Server::status(&main, "/_mock/accounts", ""), 404);
    assert_eq!(Server::status(&main, "/_mock/health", ""), 200);
    assert_eq!(Server::status(&control, "/_mock/accounts", ""), 200);
    assert_eq!(Server::status(&control, "/o/api/v2/logs?access_token=sandbox-x", ""), 404);
    let off = Server::start("--port 0 --control-addr off");
    assert_eq!(Server::status(&off.address(" at http"), "/_mock/accounts", ""), 404);
    assert!(off.1.contains("  control        off"), "{}", off.1);
}

#[test]
fn a_control_surface_without_a_token_on_all_interfaces_is_warned_about_in_one_line() {
    let open = Server::start("--port 0 --host 0.0.0.0");
    let said: Vec<serde_json::Value> =
        open.2.lines().map(|line| serde_json::from_str(line).expect("a line of the log")).collect();
    let warned: Vec<&str> =
        said.iter().filter(|line| line["level"] == "WARN").filter_map(|line| line["message"].as_str()).collect();
    let end =
        " can control the mock; --control-token requires a token, --control-addr off disables the control surface";
    assert!(warned[0].starts_with("every client that reaches 0.0.0.0:") && warned[0].ends_with(end), "{}", open.2);
    assert_eq!(warned.len(), 1, "{}", open.2);
    for quiet in ["--control-token right", "--control-addr off", "--control-addr 127.0.0.1:0"] {
        let said = &Server::start(&format!("--port 0 --host 0.0.0.0 {quiet}")).2;
        assert!(!said.contains("WARN"), "{quiet}: {said}");
    }
}
