//! The precedence of flags, environment and configuration file, and their error messages.

use std::fs;

use clap::CommandFactory;
use opswat_mock::config::Config;

use crate::harness::{Server, file, mock, run};

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
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
fn settings_can_come_from_the_environment() {
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
fn an_invalid_value_is_reported_in_one_line() {
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
            "invalid value 'yesterday' for '--now <RFC3339>': must be an instant such as 2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, \
             from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z",
        ),
        (
            "--now 2013-10-04T07:59:59Z",
            "invalid value '2013-10-04T07:59:59Z' for '--now <RFC3339>': must be an instant such as \
             2018-05-18T12:00:00Z, a day such as 2018-05-18 or epoch milliseconds, from 2013-10-04T08:00:00Z to 2199-12-31T00:00:00Z",
        ),
        (
            "--rate-limit ten",
            "invalid value 'ten' for '--rate-limit <LIMIT>': must be REQUESTS/SECONDS such as 10/60, REQUESTS a minute \
             such as 10, or off; up to 1000000000 requests in 86400 seconds",
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
        ("serve --prot 1", "unexpected argument '--prot' found (tip: a similar argument exists: '--port')"),
        (
            "help bogus",
            "unknown command 'bogus' (the commands are serve, check, audit, verdict, generate, healthcheck, help)",
        ),
        (
            "srve",
            "unexpected argument 'srve' found (the commands are serve, check, audit, verdict, generate, healthcheck, help)",
        ),
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

/// An error at the creation of the accounts is reported with the name of the configuration file.
#[test]
fn invalid_accounts_are_reported_in_one_line() {
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
            "faults[0]: fault must have an effect: status, body, delay_ms, close, truncate_at, rate_limit or another",
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
fn the_file_can_set_quota_fields_without_a_flag() {
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
fn an_invalid_file_is_reported_in_one_line() {
    let flags = Config::command();
    let flags = flags.get_arguments().filter_map(|flag| flag.get_long()).filter(|name| *name != "config");
    let keys = flags.chain(["profile", "quota", "tokens", "faults", "accounts"]).collect::<Vec<_>>().join(", ");
    for (nth, (text, line)) in [
        ("prot = 1\n", format!("unknown key prot; the keys are {keys}")),
        ("config = \"x\"\n", format!("unknown key config; the keys are {keys}")),
        ("client_id = \"x\"\n", format!("unknown key client_id; the keys are {keys}")),
        ("port = 70000\n", "key port: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535".to_owned()),
        ("seed = true\n", "key seed: invalid value 'true' for '--seed <NUMBER>': invalid digit found in string".to_owned()),
        ("seed = { a = 1 }\n", "key seed: must not be a table".to_owned()),
        ("idle-seconds = 0\n", "key idle-seconds: invalid value '0' for '--idle-seconds <SECONDS>': must be a number of seconds from 0.01 to 86400".to_owned()),
        ("tls = \"perhaps\"\n", "key tls: invalid value 'perhaps' for '--tls[=<BOOL>]': must be true or false".to_owned()),
        ("[profile]\norder = \"up\"\n", "key profile: order must be desc or asc, got \"up\"".to_owned()),
        ("[profile]\noder = 1\n", format!("key profile: unknown key oder; the keys are {}", profile_keys())),
        ("[[faults]]\nfault = { stats = 503 }\n", "key faults[0].fault.stats: unknown field `stats`, expected one of `status`, `body`, `template`, `headers`, `content_type`, `rate_limit`, `retry_after_seconds`, `delay_ms`, `drip_bytes_per_second`, `waits_on`, `close`, `truncate_at`, `invalid_utf8`, `entries`, `repeat_page_token`, `expire_token`".to_owned()),
        ("[[accounts]]\nname = \"a b\"\n", "key accounts[0].name: must be 1 to 64 letters, digits or any of - _ ., got \"a b\"".to_owned()),
        ("[[accounts]]\ndevices = 100001\n", "key accounts[0].devices: must be from 0 to 100000, got 100001".to_owned()),
        ("seed = []\n", "key seed: must not be an empty array".to_owned()),
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
    assert_eq!((output.status.code(), error.as_str()), (Some(1), line));
}

#[test]
fn the_help_shows_default_and_variable_of_each_flag() {
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

#[test]
fn https_checks_its_flags_and_files() {
    let authority = file("ca.pem", "");
    let _ = fs::remove_file(&authority);
    let nothing = file("nothing.pem", "");
    let nothing = nothing.to_str().expect("UTF-8");
    for (flags, code, line) in [
        ("--tls-cert a.pem", 2, "--tls-cert and --tls-key go together, and one of them is missing".to_owned()),
        ("--tls-key a.pem", 2, "--tls-cert and --tls-key go together, and one of them is missing".to_owned()),
        ("--tls-ca-file a.pem", 2, "--tls-ca-file requires --tls".to_owned()),
        ("--tls-san a.test", 2, "--tls-san requires --tls".to_owned()),
        (
            "--tls-cert a.pem --tls-key b.pem --tls-ca-file c.pem",
            2,
            "--tls-ca-file applies to a generated certificate and cannot be used with --tls-cert".to_owned(),
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
            format!("{nothing} and {nothing}: the certificate file contains no PEM certificate"),
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
