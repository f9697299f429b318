//! `opswat-mock generate`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Output, Stdio},
};

use crate::harness::{Server, mock, run};

fn generate(arguments: &str) -> Output {
    run(mock().arg("generate").args(arguments.split(' ')))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn generated_events_equal_those_of_the_api() {
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
        assert!(!rows.is_empty() && rows.len() < 100, "the window does not fit on one page");
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
fn adjacent_windows_contain_each_event_once() {
    let of = |from: &str, to: &str| text(generate(&format!("--category activity --from {from} --to {to}")).stdout);
    let whole = of("2026-01-14", "2026-01-16");
    assert_eq!(of("2026-01-14", "2026-01-15") + &of("2026-01-15", "2026-01-16"), whole);
    assert!(whole.lines().count() > 500);
    assert_eq!(of("2026-01-14", "2026-01-14"), "");
    assert_eq!(
        text(generate("--category device --from 2013-10-04 --to 2013-10-04T01:00:00Z --format json").stdout),
        "[\n]\n"
    );
}

#[test]
fn generate_ignores_an_empty_variable() {
    let mut command = mock();
    command.args("generate --category admin --from 2026-01-15 --to 2026-01-16".split(' ')).env("OPSWAT_MOCK_SEED", "");
    let output = run(&mut command);
    assert_eq!(output.stdout, generate("--category admin --from 2026-01-15 --to 2026-01-16").stdout);
}

#[test]
fn a_closed_output_pipe_ends_generate_with_success() {
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
fn invalid_arguments_are_reported_in_one_line() {
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
            "invalid value 'yesterday' for '--from <RFC3339>': must be an instant such as 2026-01-15T08:00:00Z, a day \
             such as 2026-01-15 or epoch milliseconds, from 2013-10-04 to 2200-01-01",
        ),
        (
            "--category device --from 1999-01-01 --to 2026-01-16",
            2,
            "invalid value '1999-01-01' for '--from <RFC3339>': must be an instant such as 2026-01-15T08:00:00Z, a day \
             such as 2026-01-15 or epoch milliseconds, from 2013-10-04 to 2200-01-01",
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
    pub(crate) fn post(&self, target: &str, body: &str) -> String {
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
