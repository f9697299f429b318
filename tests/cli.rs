//! The binary from outside: flags, environment, file, exit codes, the banner, signals.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use clap::CommandFactory;
use opswat_mock::config::Config;

fn mock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opswat-mock"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OPSWAT_MOCK_")) {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// A file of its own for a test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file for the test");
    path
}

/// A server that was started; its banner up to the requests to try. Ends with the test.
struct Server {
    child: Child,
    banner: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = output.lines().map_while(Result::ok).take_while(|line| line != "Try it:");
        let banner = lines.map(|line| line + "\n").collect();
        Self { child, banner }
    }

    fn port(&self) -> u16 {
        let first = self.banner.lines().next().expect("a banner");
        first.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {first}"))
    }

    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("a connection");
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_banner_has_all_that_a_client_needs() {
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
fn the_port_file_is_there_once_the_listener_is() {
    let path = file("port", "stale");
    let server = Server::start(mock().args(["--port", "0", "--port-file"]).arg(&path));
    assert_eq!(fs::read_to_string(path).expect("the port file"), format!("{}\n", server.port()));
    assert!(server.get("/_mock/health").ends_with(concat!(
        r#"{"status":"ok","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#""}"#
    )));
}

#[test]
fn output_that_nobody_reads_is_no_reason_to_fail() {
    for flag in ["--help", "--version"] {
        let mut child =
            mock().arg(flag).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{flag}");
    }
}

#[test]
fn a_port_file_behind_a_link_is_written_where_the_link_leads() {
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
fn a_signal_ends_it_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(mock().args(["--port", "0"]));
        // An idle connection does not hold it up.
        let _idle = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
        server.signal(signal);
        assert_eq!(server.child.wait().expect("an end").code(), Some(0), "{signal}");
    }
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let path = file(
        "order.toml",
        "seed = 3\ndevices = 33\nretention-days = 3\nhost = \"127.0.0.3\"\nnow = 2020-02-02T00:00:00Z\nport = 0\n",
    );
    let mut command = mock();
    command.args(["--config"]).arg(path).args(["--seed", "1", "--host", "127.0.0.1"]);
    command.env("OPSWAT_MOCK_SEED", "2").env("OPSWAT_MOCK_DEVICES", "22");
    let server = Server::start(&mut command);
    assert!(server.banner.contains(", 22 devices, seed 1\n"), "{}", server.banner);
    assert!(
        server.banner.contains("3 days back from now (--retention-days); the clock stopped at 2020-02-02T00:00:00Z"),
        "{}",
        server.banner
    );
}

#[test]
fn everything_can_come_from_the_environment() {
    let path = file("environment.toml", "devices = 5\n");
    let mut command = mock();
    for (name, value) in [
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("SEED", "9"),
        ("NOW", "2020-02-02T00:00:00Z"),
        ("TOKEN", "a-token"),
        ("CLIENT_ID", "a-client"),
        ("CLIENT_SECRET", "a-secret"),
        ("REDIRECT_URI", "https://a.example/,https://b.example/"),
        ("RATE_LIMIT", "off"),
        ("RETENTION_DAYS", "9"),
        ("LAG", ""),
        ("PORT_FILE", ""),
        ("CONFIG", path.to_str().expect("UTF-8")),
    ] {
        command.env(format!("OPSWAT_MOCK_{name}"), value);
    }
    let server = Server::start(&mut command);
    assert!(
        server.banner.contains(", 5 devices, seed 9\n") && server.banner.contains("  quota          off\n"),
        "{}",
        server.banner
    );
    assert!(server.get("/o/api/v2/logs?access_token=a-token").starts_with("HTTP/1.1 200"));
    for redirect in ["https://a.example/", "https://b.example/"] {
        let consent = format!("/o/oauth/authorize?client_id=a-client&response_type=code&redirect_uri={redirect}");
        assert!(server.get(&consent).starts_with("HTTP/1.1 302"), "{redirect}");
    }
}

#[test]
fn a_wrong_value_ends_the_start_with_one_line() {
    for (arguments, line) in [
        ("--port 70000", "invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535"),
        ("--port x", "invalid value 'x' for '--port <PORT>': invalid digit found in string"),
        ("--host nowhere", "invalid value 'nowhere' for '--host <ADDRESS>': invalid IP address syntax"),
        ("--seed -1", "unexpected argument '-1' found"),
        ("--seed=-1", "invalid value '-1' for '--seed <NUMBER>': invalid digit found in string"),
        ("--devices 100001", "invalid value '100001' for '--devices <NUMBER>': 100001 is not in 0..=100000"),
        ("--retention-days 0", "invalid value '0' for '--retention-days <DAYS>': 0 is not in 1..=70000"),
        (
            "--now yesterday",
            "invalid value 'yesterday' for '--now <RFC3339>': must be an instant such as 2018-05-18T12:00:00Z, \
             from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z",
        ),
        (
            "--now 2013-10-04T07:59:59Z",
            "invalid value '2013-10-04T07:59:59Z' for '--now <RFC3339>': must be an instant such as \
             2018-05-18T12:00:00Z, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z",
        ),
        (
            "--rate-limit ten",
            "invalid value 'ten' for '--rate-limit <LIMIT>': must be REQUESTS/SECONDS such as 10/60, REQUESTS a minute \
             such as 10, or off",
        ),
        ("--token=", "invalid value '' for '--token <TEXT>': must be 1 to 256 letters, digits or any of - . _ ~"),
        (
            "--client-id ü",
            "invalid value 'ü' for '--client-id <TEXT>': must be 1 to 256 letters, digits or any of - . _ ~",
        ),
        (
            "--lag 9..5",
            "invalid value '9..5' for '--lag <SECONDS>': must be SECONDS such as 30, or FROM..TO such as 5..120, at most 3600",
        ),
        (
            "--redirect-uri here",
            "invalid value 'here' for '--redirect-uri <URI>': must be an address such as https://client.example/callback",
        ),
        ("--prot 1", "unexpected argument '--prot' found (tip: a similar argument exists: '--port')"),
        ("serve", "unexpected argument 'serve' found"),
        ("--port 1 --port 2", "the argument '--port <PORT>' cannot be used multiple times"),
    ] {
        let output = run(mock().args(arguments.split(' ')));
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), error), (Some(2), format!("opswat-mock: {line}\n")), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    let output = run(mock().env("OPSWAT_MOCK_DEVICES", "many"));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    let line = "opswat-mock: invalid value 'many' for '--devices <NUMBER>': invalid digit found in string (from OPSWAT_MOCK_DEVICES)\n";
    assert_eq!((output.status.code(), error.as_str()), (Some(2), line));
}

/// A second signal does not wait for what the first one lets finish.
#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(mock().args(["--port", "0", "--now", "2026-01-15T12:00:00Z"]));
    let rule = r#"{"fault":{"delay_ms":1000}}"#;
    let post = |stream: &mut TcpStream, head: &str, body: &str| {
        write!(stream, "POST {head} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .expect("written");
    };
    let mut control = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    post(&mut control, "/_mock/accounts/default/faults", rule);
    control.read_exact(&mut [0; 12]).expect("an answer");
    // The clock stands still: this one is under way until somebody turns it.
    let mut asking = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    write!(
        asking,
        "GET /o/api/v2/logs?access_token=TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234 HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    .expect("written");
    while !server.get("/_mock/accounts/default/faults").contains(r#""applied":1"#) {}
    server.signal("-TERM");
    // It has stopped listening: the first signal was heard.
    while TcpStream::connect(("127.0.0.1", server.port())).is_ok() {}
    assert!(server.child.try_wait().expect("a child").is_none(), "what is under way may finish");
    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_health_check_finds_the_server_by_the_same_words() {
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
                "opswat-mock: 127.0.0.1:{by_tls} answers HTTP/1.1 400; if it was started with --tls, healthcheck wants it, too\n"
            )
        )
    );
    let (code, why, _) = check(mock().args(["healthcheck", "--port", &port]));
    assert_eq!(code, Some(1));
    assert!(why.starts_with(&format!("opswat-mock: 127.0.0.1:{port} does not answer: ")), "{why}");
    let (code, why, _) = check(mock().args(["healthcheck", "--port", "0"]));
    let line = "opswat-mock: --port 0 does not say which port; name the --port-file, too\n";
    assert_eq!((code, why.as_str()), (Some(1), line));
}

/// What only shows when the accounts are made is wrong all the same, and is said with its file.
#[test]
fn accounts_that_cannot_be_made_end_the_start() {
    for (nth, (text, why)) in [
        (
            "[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"a\"\n",
            "accounts[1]: name must be unique, there is an account a",
        ),
        (
            "[[accounts]]\naccess_token = \"TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234\"\n",
            "accounts[0]: access_token must be unique, another account has this token",
        ),
        (
            "[[faults]]\nmatch = { nth = 1 }\n",
            "faults: fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another",
        ),
        ("[[tokens]]\nexpires_in = -1\n", "tokens[0].expires_in must be from 0 to 315360000 seconds, got -1"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = file(&format!("wrong-accounts-{nth}.toml"), text);
        let output = run(mock().args(["--port", "0", "--config"]).arg(&path));
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), error), (Some(2), format!("opswat-mock: {}: {why}\n", path.display())));
    }
}

#[test]
fn the_quota_of_a_file_says_what_no_flag_can() {
    let path = file("quota.toml", "[quota]\nalgorithm = \"fixed-window\"\nretry_after = \"seconds\"\nrequests = 2\n");
    let server = Server::start(mock().args(["--port", "0", "--config"]).arg(&path));
    let quota = server.get("/_mock/accounts/default/quota");
    for part in [r#""requests":2"#, r#""algorithm":"fixed-window""#, r#""retry_after":"seconds""#] {
        assert!(quota.contains(part), "{quota}");
    }
}

fn profile_keys() -> String {
    let keys: Vec<&str> = opswat_mock::account::profile::Profile::KEYS.iter().map(|(key, _)| *key).collect();
    keys.join(", ")
}

#[test]
fn a_wrong_file_ends_the_start_with_one_line() {
    let flags = Config::command();
    let flags = flags.get_arguments().filter_map(|flag| flag.get_long()).filter(|name| *name != "config");
    let keys = flags.chain(["profile", "quota", "tokens", "faults", "accounts"]).collect::<Vec<_>>().join(", ");
    for (nth, (text, line)) in [
        ("prot = 1\n", format!("unknown key prot; the keys are {keys}")),
        ("config = \"x\"\n", format!("unknown key config; the keys are {keys}")),
        ("client_id = \"x\"\n", format!("unknown key client_id; the keys are {keys}")),
        ("port = 70000\n", "key port: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535".to_owned()),
        ("seed = true\n", "key seed: invalid value 'true' for '--seed <NUMBER>': invalid digit found in string".to_owned()),
        ("seed = { a = 1 }\n", "key seed: a table cannot stand here".to_owned()),
        ("idle-seconds = 0\n", "key idle-seconds: invalid value '0' for '--idle-seconds <SECONDS>': must be a number of seconds from 0.01 to 86400".to_owned()),
        ("tls = \"perhaps\"\n", "key tls: invalid value 'perhaps' for '--tls[=<BOOL>]': must be true or false".to_owned()),
        ("[profile]\norder = \"up\"\n", "key profile: order must be desc or asc, got \"up\"".to_owned()),
        ("[profile]\noder = 1\n", format!("key profile: unknown key oder; the keys are {}", profile_keys())),
        ("[[faults]]\nfault = { stats = 503 }\n", "key faults[0].fault.stats: unknown field `stats`, expected one of `status`, `body`, `content_type`, `rate_limit`, `retry_after_seconds`, `delay_ms`, `drip_bytes_per_second`, `close`, `truncate_at`, `invalid_utf8`, `entries`, `repeat_page_token`, `expire_token`".to_owned()),
        ("[[accounts]]\nname = \"a b\"\n", "key accounts[0].name: must be 1 to 64 letters, digits or any of - _ ., got \"a b\"".to_owned()),
        ("[[accounts]]\ndevices = 100001\n", "key accounts[0].devices: must be from 0 to 100000, got 100001".to_owned()),
        ("seed = []\n", "key seed: an empty array cannot stand here".to_owned()),
        ("\"a\\nb\" = 1\n", format!("unknown key a\\nb; the keys are {keys}")),
        ("seed = [1, 2]\n", "key seed: the argument '--seed <NUMBER>' cannot be used multiple times".to_owned()),
        ("seed = 1\n\nport =\n", "line 3: string values must be quoted, expected literal string".to_owned()),
        ("seed = 1\nseed = 2\n", "line 2: duplicate key".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let path = file(&format!("wrong-{nth}.toml"), text);
        let output = run(mock().arg("--config").arg(&path));
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(
            (output.status.code(), error),
            (Some(2), format!("opswat-mock: {}: {line}\n", path.display())),
            "{text}"
        );
    }
    let output = run(mock().args(["--config", "no-such-file.toml"]));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    let line =
        "opswat-mock: cannot read the configuration file no-such-file.toml: No such file or directory (os error 2)\n";
    assert_eq!((output.status.code(), error.as_str()), (Some(2), line));
}

#[test]
fn a_port_in_use_ends_the_start_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let output = run(mock().args(["--port", &port.to_string()]));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    let line = format!("opswat-mock: port {port} of 127.0.0.1 is in use; another one: --port, or 0 for a free one\n");
    assert_eq!((output.status.code(), error), (Some(1), line));
}

#[test]
fn the_help_gives_each_flag_its_default_and_its_variable() {
    let output = run(mock().arg("--help"));
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    for (flag, default) in [
        ("--host", "127.0.0.1"),
        ("--port", "8080"),
        ("--seed", "1"),
        ("--devices", "100"),
        ("--token", "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234"),
        ("--client-id", "LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST"),
        ("--client-secret", "SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST"),
        ("--rate-limit", "10/60"),
        ("--retention-days", "30"),
        ("--lag", "0"),
    ] {
        let about = help.split(&format!("{flag} <")).nth(1).unwrap_or_else(|| panic!("no {flag} in {help}"));
        let about: Vec<&str> = about.split("\n  -").next().expect("a part").split_whitespace().collect();
        let about = about.join(" ");
        assert!(about.contains(&format!("[default: {default}]")), "{flag}: {about}");
        let variable = format!("[env: OPSWAT_MOCK_{}]", flag[2..].replace('-', "_").to_uppercase());
        assert!(about.contains(&variable), "{flag}: {about}");
    }
    let version = run(mock().arg("--version"));
    assert_eq!(
        String::from_utf8(version.stdout).expect("UTF-8"),
        concat!("opswat-mock ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

fn generate(arguments: &str) -> Output {
    run(mock().arg("generate").args(arguments.split(' ')))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn generated_events_are_those_that_the_api_tells() {
    let server = Server::start(mock().args(["--port", "0", "--now", "2026-01-15T12:00:00Z", "--rate-limit", "off"]));
    for category in ["device", "admin", "webhook", "device_report"] {
        let query = format!(r#"{{"event_category":"{category}","age":14400,"limit":100}}"#);
        let page = server.post("/o/api/v3.3/logs", &query);
        let (_, rows) = page.split_once(r#"{"data":["#).expect("rows");
        let (rows, _) = rows.rsplit_once(r#"],"token":"#).expect("a token");
        let mut rows: Vec<String> =
            rows.split("},{").map(|row| format!("{{{}}}", row.trim_matches(['{', '}']))).collect();
        rows.reverse();
        let window = format!("--category {category} --from 2026-01-15T08:00:00Z --to 2026-01-15T12:00:00Z");
        let output = generate(&window);
        assert_eq!((output.status.code(), text(output.stderr)), (Some(0), String::new()));
        let lines = text(output.stdout);
        let generated: Vec<&str> = lines.lines().collect();
        assert!(!rows.is_empty() && rows.len() < 100, "the page holds the whole window");
        assert_eq!(generated, rows, "{category}");

        let json = text(generate(&format!("{window} --format json")).stdout);
        assert_eq!(json, format!("[\n{}\n]\n", generated.join(",\n")));
        assert!(serde_json::from_str::<Vec<serde_json::Value>>(&json).is_ok_and(|rows| rows.len() == generated.len()));
        let csv = text(generate(&format!("{window} --format csv")).stdout);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        for (record, row) in reader.records().zip(&generated) {
            let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
            for (name, value) in header.iter().zip(&record.expect("a record")) {
                assert_eq!(row[name], value, "{row}");
            }
        }
        assert_eq!(csv::Reader::from_reader(csv.as_bytes()).records().count(), generated.len());
    }
}

#[test]
fn windows_that_meet_have_each_event_once() {
    let of = |from: &str, to: &str| text(generate(&format!("--category activity --from {from} --to {to}")).stdout);
    let whole = of("2026-01-14", "2026-01-16");
    assert_eq!(of("2026-01-14", "2026-01-15") + &of("2026-01-15", "2026-01-16"), whole);
    assert!(whole.lines().count() > 500);
    assert_eq!(of("2026-01-14", "2026-01-14"), "");
    assert_eq!(text(generate("--category device --from 2001-01-01 --to 2002-01-01 --format json").stdout), "[\n]\n");
}

#[test]
fn an_empty_variable_is_none_for_generate_too() {
    let mut command = mock();
    command.args("generate --category admin --from 2026-01-15 --to 2026-01-16".split(' ')).env("OPSWAT_MOCK_SEED", "");
    let output = run(&mut command);
    assert_eq!(output.stdout, generate("--category admin --from 2026-01-15 --to 2026-01-16").stdout);
}

#[test]
fn a_reader_that_has_enough_ends_it_with_success() {
    let mut command = mock();
    command.args("generate --category device_report --devices 5000 --from 2020-01-01 --to 2026-01-01".split(' '));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    drop(output);
    let ended = child.wait_with_output().expect("an end");
    assert_eq!((ended.status.code(), text(ended.stderr)), (Some(0), String::new()));
    assert!(line.ends_with("}\n"));
}

#[test]
fn events_can_be_written_to_a_file() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("events.ndjson");
    let window = "--category admin --from 2026-01-15 --to 2026-01-16";
    let output = generate(&format!("{window} --out {}", path.display()));
    assert_eq!((output.status.code(), output.stdout), (Some(0), vec![]));
    assert_eq!(fs::read(path).expect("the file"), generate(window).stdout);
}

#[test]
fn wrong_windows_are_refused_with_one_line() {
    for (arguments, code, line) in [
        (
            "--category device",
            2,
            "the following required arguments were not provided: --from <RFC3339>, --to <RFC3339>",
        ),
        (
            "--category none --from 2026-01-15 --to 2026-01-16",
            2,
            "invalid value 'none' for '--category <CATEGORY>' (possible values: device, admin, webhook, device_report, \
             activity)",
        ),
        (
            "--category device --from yesterday --to 2026-01-16",
            2,
            "invalid value 'yesterday' for '--from <RFC3339>': must be a day such as 2026-01-15 or an instant such as \
             2026-01-15T08:00:00Z, up to 2200-01-01",
        ),
        ("--category device --from 2026-01-16 --to 2026-01-15", 2, "--to must not be before --from"),
        (
            "--category device --from 2026-01-15 --to 2026-01-16 --out no/such/folder/x",
            1,
            "cannot write to no/such/folder/x: No such file or directory (os error 2)",
        ),
    ] {
        let output = generate(arguments);
        assert_eq!(
            (output.status.code(), text(output.stderr)),
            (Some(code), format!("opswat-mock: {line}\n")),
            "{arguments}"
        );
        assert!(output.stdout.is_empty());
    }
}

impl Server {
    fn post(&self, target: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("a connection");
        write!(
            stream,
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             authorization: Bearer TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

/// What a server said on its standard error until it ended.
fn said(command: &mut Command, meanwhile: impl FnOnce(&Server)) -> String {
    let mut server = Server::start(command.stderr(Stdio::piped()));
    meanwhile(&server);
    server.signal("-TERM");
    server.child.wait().expect("an end");
    let mut said = String::new();
    server.child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    said
}

#[test]
fn the_log_is_an_object_a_line_where_nobody_looks() {
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
fn the_log_has_each_request_and_no_secret() {
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
    let told: Vec<_> = requests.iter().map(|line| (line["route"].as_str(), line["status"].as_u64())).collect();
    let v2 = Some("/o/api/v2/logs");
    let control = Some("/_mock/accounts/{account}/tokens/{token}");
    assert_eq!(told, [(v2, Some(200)), (v2, Some(401)), (Some("/o/oauth/token"), Some(401)), (control, Some(405))]);
    assert_eq!(requests[0]["token"], "TEST…1234");
}

#[test]
fn https_needs_all_of_its_flags_and_files() {
    let authority = file("ca.pem", "");
    let _ = fs::remove_file(&authority);
    let nothing = file("nothing.pem", "");
    let nothing = nothing.to_str().expect("UTF-8");
    for (flags, code, line) in [
        ("--tls-cert a.pem", 2, "--tls-cert and --tls-key go together, and one of them is missing".to_owned()),
        ("--tls-key a.pem", 2, "--tls-cert and --tls-key go together, and one of them is missing".to_owned()),
        ("--tls-ca-file a.pem", 2, "--tls-ca-file says nothing without --tls".to_owned()),
        ("--tls-san a.test", 2, "--tls-san says nothing without --tls".to_owned()),
        (
            "--tls-cert a.pem --tls-key b.pem --tls-ca-file c.pem",
            2,
            "--tls-ca-file is about a certificate that is made, and --tls-cert brings one".to_owned(),
        ),
        (
            "--tls --tls-san http://a.test",
            2,
            "invalid value 'http://a.test' for '--tls-san <NAME>': must be the name of a host, such as mock.internal, or an address".to_owned(),
        ),
        (
            "--tls-cert no.pem --tls-key no.pem",
            1,
            "cannot read no.pem: No such file or directory (os error 2)".to_owned(),
        ),
        (
            &format!("--tls-cert {nothing} --tls-key {nothing}"),
            1,
            format!("{nothing} and {nothing}: there is no certificate in PEM where one should be"),
        ),
        (
            "--tls --tls-ca-file /nowhere/ca.pem",
            1,
            "cannot write /nowhere/ca.pem: No such file or directory (os error 2)".to_owned(),
        ),
    ] {
        let output = run(mock().args(["--port", "0"]).args(flags.split(' ')));
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), error), (Some(code), format!("opswat-mock: {line}\n")), "{flags}");
    }
    let server = Server::start(mock().args(["--port", "0", "--tls", "--tls-ca-file"]).arg(&authority));
    assert!(server.banner.starts_with(&format!("opswat-mock {} at https://127.0.0.1:", env!("CARGO_PKG_VERSION"))));
    assert!(fs::read_to_string(&authority).expect("a file").starts_with("-----BEGIN CERTIFICATE-----\n"));
}

/// The soft limit of files is no limit of connections.
#[cfg(unix)]
#[test]
fn a_server_takes_as_many_files_as_the_machine_allows() {
    let (_, hard) = rlimit::Resource::NOFILE.get().expect("a limit");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_opswat-mock"), "--port", "0"]);
    let server = Server::start(&mut command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line of the kernel's");
    assert_eq!(line.split_whitespace().nth(3), Some(&*hard.to_string()), "{line}");
}
