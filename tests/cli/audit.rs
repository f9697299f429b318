//! `opswat-mock audit` and `opswat-mock verdict`, against a running server.

use std::{
    io::Write,
    process::{Output, Stdio},
};

use serde_json::Value;

use crate::harness::{Server, file, mock, run};

fn server(flags: &[&str]) -> Server {
    Server::start(mock().args(["--port", "0", "--now", "2026-01-15T12:00:00Z", "--rate-limit", "off"]).args(flags))
}

fn ask(server: &Server, command: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://127.0.0.1:{}", server.port());
    let Output { status, stdout, stderr } = run(mock().arg(command).args(["--url", &url]).args(arguments));
    (status.code(), text(stdout), text(stderr))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// The rows of the last hour, one in each line.
fn stored(server: &Server) -> Vec<String> {
    let page = server.post("/o/api/v3.3/logs", r#"{"event_category":"device","limit":100}"#);
    let (_, body) = page.split_once("\r\n\r\n").expect("a body");
    let page: Value = serde_json::from_str(body).expect("JSON");
    page["data"].as_array().expect("rows").iter().map(ToString::to_string).collect()
}

#[test]
fn an_audit_tells_by_its_exit_code_whether_the_records_are_complete() {
    let server = server(&[]);
    let rows = stored(&server);
    let (whole, part) = (file("whole.ndjson", &rows.join("\n")), file("part.ndjson", &rows[1..].join("\n")));
    let (code, out, err) = ask(&server, "audit", &["--category", "device", whole.to_str().expect("a path")]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.starts_with("The device records from 2026-01-15T11:00:00Z to 2026-01-15T12:00:00.001Z are complete"),
        "{out}"
    );

    let part = part.to_str().expect("a path");
    let (code, out, _) = ask(&server, "audit", &["--category", "device", part]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("missing: 1 (served 1)") && out.contains("the connector most likely had it and lost it"),
        "{out}"
    );
    let (code, out, _) = ask(&server, "audit", &["--category", "device", "--format", "json", part]);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &report["missing"]["count"]), (Some(1), &Value::from(1)));
    let (_, out, _) = ask(&server, "audit", &["--category", "device", "--format", "junit", part]);
    assert!(out.contains(r#"<testsuite name="opswat-mock.default.device" tests="5" failures="1""#), "{out}");
    let (_, out, _) = ask(&server, "audit", &["--category", "device", "--format", "markdown", part]);
    assert!(out.contains("| ❌ missing | 1 | "), "{out}");

    // From the standard input, as CSV with own names.
    let line = |row: &String| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        format!("{},{}", row["timestamp"], row["device_id"])
    };
    let csv = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    let url = format!("http://127.0.0.1:{}", server.port());
    let mut command = mock();
    command.args(["audit", "--url", &url, "--category", "device", "--records", "csv"]);
    command.args(["--map", "timestamp:when,device_id:host", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(format!("when,host\n{csv}").as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stdout));

    // What was served.
    let (code, out, _) = ask(&server, "audit", &["--category", "device"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with(&format!("The server served {0} of {0} device events", rows.len())), "{out}");
}

#[test]
fn a_verdict_tells_by_its_exit_code_whether_a_rule_failed() {
    let server = server(&[]);
    stored(&server);
    let (code, out, err) = ask(&server, "verdict", &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    server.post("/o/api/v3.3/logs", "{}");
    let (code, out, _) = ask(&server, "verdict", &[]);
    assert_eq!(code, Some(1));
    assert!(out.contains("fail     valid_requests: Requests were refused with 400, 406 or 415: number 2."), "{out}");
    assert_eq!(ask(&server, "verdict", &["--disable", "valid_requests"]).0, Some(0));
    let (code, out, _) = ask(&server, "verdict", &["--format", "junit"]);
    assert!(code == Some(1) && out.contains(r#"type="valid_requests""#), "{out}");
}

#[test]
fn what_cannot_be_asked_ends_with_two_and_a_reason() {
    let server = server(&["--control-token", "a-control-token"]);
    let port = server.port();
    for (arguments, reason) in [
        (&["--category", "device"][..], format!("http://127.0.0.1:{port} answers 401 Unauthorized: ")),
        (
            &["--category", "device", "--control-token", "a-control-token"],
            format!("http://127.0.0.1:{port} answers 400 Bad Request: from and to must be given"),
        ),
        (
            &["--category", "device", "--control-token", "a-control-token", "--account", "no body"],
            format!("http://127.0.0.1:{port} answers 404 Not Found: There is no account no body"),
        ),
        (&["--category", "device", "/does/not/exist"], "cannot read /does/not/exist: No such file".to_owned()),
        (&["--category", "colour"], "invalid value 'colour' for '--category <CATEGORY>'".to_owned()),
        (&["--category", "device", "--ca-file", "/does/not/exist"], "cannot read /does/not/exist".to_owned()),
    ] {
        let (code, out, err) = ask(&server, "audit", arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.starts_with(&format!("opswat-mock: {reason}")), "{arguments:?}: {err}");
    }
    let output = run(mock().args(["verdict", "--url", "http://127.0.0.1:1"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr).starts_with("opswat-mock: http://127.0.0.1:1 cannot be asked: "));
}

#[test]
fn a_server_with_tls_is_asked_with_its_certificate_authority() {
    let ca = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("audit-ca.pem");
    let server = server(&["--tls", "--tls-ca-file", ca.to_str().expect("a path")]);
    let url = format!("https://127.0.0.1:{}", server.port());
    let ca = ca.to_str().expect("a path");
    let output = run(mock().args(["verdict", "--url", &url, "--ca-file", ca]));
    assert_eq!((output.status.code(), text(output.stderr)), (Some(0), String::new()));
    let output = run(mock().args(["verdict", "--url", &url]));
    assert_eq!(output.status.code(), Some(2));
}
