//! `opswat-mock check`: how connectors are run, what is reported, and with which exit code.

use std::{fs, path::PathBuf, process::Output};

use serde_json::Value;

use crate::harness::{file, mock, run};

fn check(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run(mock().arg("check").args(arguments));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// The connector of the examples, which `cargo test` builds.
fn connector() -> String {
    let test = std::env::current_exe().expect("the path of the test");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("the folder of the profile");
    let path = folder.join("examples").join(format!("polling{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not there: cargo test builds it with the examples", path.display());
    path.display().to_string()
}

/// A folder that is not there.
fn folder(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("an old folder");
    }
    path.display().to_string()
}

#[test]
fn a_connector_that_loses_nothing_passes() {
    let connector = connector();
    let report = folder("report");
    fs::create_dir_all(&report).expect("a folder");
    let path = |name: &str| format!("{report}/{name}");
    let (json, junit, markdown, html) = (path("r.json"), path("r.xml"), path("r.md"), path("r.html"));
    let only = "quiet,late-by-a-minute,killed-after-a-page,two-instances,token-revoked,rows-arrive-while-paging";
    let (code, _, err) = check(&["--only", only, "--time", "env", "--", &connector]);
    assert_eq!(code, Some(2), "one of them needs another API");
    assert!(err.contains("rows-arrive-while-paging: it is about other APIs: one of --api v2,v3"), "{err}");
    let only = only.trim_end_matches(",rows-arrive-while-paging");
    let files = ["--json", &json, "--junit", &junit, "--markdown", &markdown, "--html", &html];
    let (code, out, err) = check(&[&["--only", only, "--time", "env"], &files[..], &["--", &connector]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("\n5 scenarios: 5 passed, 0 failed\n"), "{out}");
    let read = |path: &str| fs::read_to_string(path).expect("a file");
    let results: Value = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!((&results["passed"], &results["scenarios"][0]["scenario"]), (&5.into(), &"quiet".into()));
    assert!(read(&junit).contains(r#"tests="5" failures="0""#), "{}", read(&junit));
    assert!(read(&markdown).starts_with("## 5 of 5 scenarios passed\n"), "{}", read(&markdown));
    let page = read(&html);
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.matches("<svg").count() == 5, "{page}");
    assert!(!page.contains("http://") && !page.contains("<script"), "it loads nothing");
}

#[test]
fn a_connector_that_stores_nothing_misses_everything_and_can_be_run_again() {
    let work = folder("nothing");
    let (code, out, err) =
        check(&["--only", "quiet", "--seed", "7", "--time", "env", "--work-dir", &work, "--", "true"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(
        out.starts_with("FAIL  quiet ")
            && out.contains("It made no request with a token of its account")
            && out.contains("\n  - missing: "),
        "{out}"
    );
    assert!(out.contains("again: opswat-mock check --only quiet --seed 7 --time env -- true\n"), "{out}");
    assert!(fs::metadata(format!("{work}/quiet/stderr")).is_ok(), "what it said is kept");
    let (code, _, err) = check(&["--only", "quiet", "--time", "env", "--work-dir", &work, "--", "true"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("is there already: remove it, or choose another --work-dir"), "{err}");
}

/// Where a connector fails does not depend on what runs beside it.
#[test]
fn the_same_seed_fails_in_the_same_place_with_any_number_of_jobs() {
    let connector = connector();
    let forgets = format!("OPSWAT_SINCE=$OPSWAT_NOW exec {connector}");
    let has_no_state = format!(
        "export OPSWAT_STATE_DIR=$OPSWAT_STATE_DIR/$$; mkdir $OPSWAT_STATE_DIR
         export OPSWAT_OUT=$OPSWAT_STATE_DIR/out; {connector} && cat $OPSWAT_OUT"
    );
    let only = "busy,late-by-a-minute,cut-in-mid-body,shared-quota,killed-after-a-page,token-endpoint-fails-once";
    for (name, only, defect) in [("forgets", only, &forgets), ("no-state", "busy,two-instances", &has_no_state)] {
        let findings = |jobs: &str, nth: usize| {
            let path = file(&format!("again-{name}-{jobs}-{nth}.json"), "").display().to_string();
            let flags = ["--only", only, "--jobs", jobs, "--json", &path, "--time", "env", "--", "sh", "-c", defect];
            let (code, out, err) = check(&flags);
            assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
            let results: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
            let scenarios = results["scenarios"].as_array().expect("scenarios").clone();
            scenarios.into_iter().map(|one| one["findings"].clone()).collect::<Vec<_>>()
        };
        let first = findings("1", 0);
        assert!(first.iter().all(|found| !found.as_array().expect("findings").is_empty()), "{first:?}");
        for (nth, jobs) in ["1", "2", "3", "6"].into_iter().enumerate() {
            assert_eq!(findings(jobs, nth + 1), first, "{name} with {jobs} jobs");
        }
    }
}

#[test]
fn what_a_connector_does_wrong_is_said() {
    for (command, finding) in [
        (&["sh", "-c", "echo no password >&2; exit 3"][..], "The last poll ended with exit status: 3: no password"),
        (&["sh", "-c", "printf '\\033[2J\\007cleared\\n' >&2; exit 3"], "exit status: 3: \u{fffd}[2J\u{fffd}cleared"),
        (&["sleep", "600"], "It did not end within the 1 s of the scenario (--time-limit), and was ended."),
        (&["sh", "-c", "echo '{\"timestamp\":\"yesterday\"}'"], "not readable: 4, first record 1"),
    ] {
        let flags = ["--only", "quiet", "--time", "env", "--time-limit", "1", "--"];
        let (code, out, err) = check(&[&flags[..], command].concat());
        assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
        assert!(out.contains(finding), "{command:?}: {out}");
    }
}

#[test]
fn the_scenarios_are_listed_and_shown() {
    let (code, out, _) = check(&["--list", "--tag", "process"]);
    assert_eq!(code, Some(0));
    let names: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["killed-after-a-page", "killed-before-its-checkpoint", "two-instances"]);
    let (code, shown, _) = check(&["--show", "quiet"]);
    assert_eq!(code, Some(0));
    let path = file("quiet.toml", &shown.replace("\"quiet\"", "\"mine\"")).display().to_string();
    let (code, out, _) = check(&["--file", &path, "--list"]);
    assert_eq!((code, out.split_whitespace().next()), (Some(0), Some("mine")));
}

#[test]
fn what_cannot_be_run_ends_with_two_and_a_reason() {
    let wrong =
        file("wrong.toml", "format = 1\nname = \"x\"\ntitle = \"x\"\nwhy = \"x\"\ntags = [\"odd\"]\nsteps = []\n");
    let wrong = wrong.display().to_string();
    for (arguments, why) in [
        (&["--only", "quiet"][..], "COMMAND is required: opswat-mock check -- ./my-connector"),
        (&["--only", "nothing", "--", "true"], "there is no scenario \"nothing\"; the scenarios are quiet, busy, "),
        (&["--tag", "nothing", "--", "true"], "no scenario has these tags; --list shows them"),
        (&["--file", &wrong, "--", "true"], "wrong.toml: tags must be some of paging, time, tokens, "),
        (&["--only", "quiet", "--", "./no-such-program"], "cannot start ./no-such-program: "),
        (&["--only", "quiet", "--api", "v9", "--", "true"], "must be one of v2, v3, v3.3, got \"v9\""),
        (
            &["--only", "quiet", "--time", "fake", "--faketime", "/nowhere.so", "--", "true"],
            "--faketime: there is no file /nowhere.so",
        ),
        (
            &["--only", "quiet", "--time", "fake", "--faketime", "/etc/passwd", "--", "sh"],
            "--faketime: /etc/passwd is no library",
        ),
        // Before the work of which it would be the result.
        (&["--only", "quiet", "--json", "/nowhere/r.json", "--", "true"], "cannot write /nowhere/r.json: "),
        (&["--only", "quiet", "--html", "/", "--", "true"], "cannot write /: is a directory"),
        (&["--only", "quiet", "--html", "x", "--json", "x", "--", "true"], "x cannot be the file of two reports"),
    ] {
        let (code, out, err) = check(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
}
