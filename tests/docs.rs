//! The documentation matches the code: flags, control calls, faults, metrics, example requests, sources and links.

use std::{collections::BTreeSet, fs};

use bytes::Bytes;
use clap::CommandFactory;
use http::Request;
use opswat_mock::{
    Builder, Mock,
    account::profile::Profile,
    config::Config,
    world::{Category, Filter, Lag, Millis, Order, Record, Window, World, WorldConfig},
};
use serde_json::Value;

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a document")
}

/// The code blocks in a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Compose passes only the variables that its file names.
#[test]
fn compose_passes_every_variable() {
    // A container has no standard input, and no files of the machine.
    let of_files = ["port", "host", "port-file", "stop-with-stdin", "config", "tls-ca-file", "tls-cert", "tls-key"];
    let command = Config::command();
    let flags = command.get_arguments().filter(|flag| flag.get_long().is_some_and(|name| !of_files.contains(&name)));
    let expected: Vec<String> = flags.filter_map(|flag| flag.get_env()?.to_str().map(str::to_owned)).collect();
    let compose = read("docker-compose.yml");
    let named: Vec<&str> = compose.lines().filter_map(|line| line.strip_prefix("      - OPSWAT_MOCK_")).collect();
    assert_eq!(named.iter().map(|name| format!("OPSWAT_MOCK_{name}")).collect::<Vec<_>>(), expected);
}

/// Asserts that a page of the reference equals the generated text. `UPDATE_EXPECT=1` writes the page.
fn assert_reference(name: &str, text: &str) {
    expect_test::expect_file![format!("{}/docs/reference/{name}.md", env!("CARGO_MANIFEST_DIR"))].assert_eq(text);
}

#[test]
fn the_reference_of_flags_matches_the_help() {
    let command = Config::command();
    let row = |flag: &clap::Arg| {
        let name = flag.get_long()?;
        let code = |text: &str| if text.is_empty() { String::new() } else { format!(" `{text}`") };
        let default = flag.get_default_values().first().and_then(|value| value.to_str()).unwrap_or_default();
        let variable = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        Some((
            flag.get_help_heading().unwrap_or_default().to_owned(),
            format!("| `--{name}` |{} |{} | {help} |\n", code(default), code(variable)),
        ))
    };
    let rows: Vec<(String, String)> = command.get_arguments().filter_map(row).collect();
    let mut text = read("tests/docs/flags.md");
    for (heading, title) in [("", "Server"), ("HTTPS", "HTTPS"), ("Limits", "Limits")] {
        text += &format!("\n## {title}\n\n| flag | default | variable | |\n| --- | --- | --- | --- |\n");
        text.extend(rows.iter().filter(|(of, _)| of == heading).map(|(_, row)| row.as_str()));
    }
    assert_reference("flags", &text);
}

#[tokio::test]
async fn the_reference_of_the_control_surface_matches_the_openapi_document() {
    let document = openapi().await;
    let mut text = read("tests/docs/control-surface.md");
    text += "\n## Calls\n\n| call | does | query |\n| --- | --- | --- |\n";
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "patch", "delete"] {
            let operation = &operations[method];
            if !path.starts_with("/_mock") || operation.is_null() {
                continue;
            }
            let query = operation["parameters"].as_array().into_iter().flatten();
            let query: Vec<String> = query
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| format!("`{}`", parameter["name"].as_str().expect("a name")))
                .collect();
            let summary = operation["summary"].as_str().expect("a summary");
            text += &format!("| `{} {path}` | {summary} | {} |\n", method.to_uppercase(), query.join(", "));
        }
    }
    assert_reference("control-surface", &text);
}

#[tokio::test]
async fn the_reference_of_faults_matches_the_openapi_document() {
    let document = openapi().await;
    let rule = &document["components"]["schemas"]["FaultRule"]["properties"];
    let mut text = read("tests/docs/faults.md");
    for (title, fields) in [
        ("A rule", rule),
        ("`match`: all conditions that are given must hold", &rule["match"]["properties"]),
        ("`fault`: one effect or more", &rule["fault"]["properties"]),
    ] {
        text += &format!("\n## {title}\n\n| field | value | |\n| --- | --- | --- |\n");
        for (name, field) in fields.as_object().expect("fields") {
            let values = field["enum"].as_array().map(|values| {
                values
                    .iter()
                    .map(|value| format!("`{}`", value.as_str().expect("a text")))
                    .collect::<Vec<_>>()
                    .join(", ")
            });
            let range = match (field["minimum"].as_i64(), field["maximum"].as_i64()) {
                (Some(least), Some(most)) => format!(" from {least} to {most}"),
                (Some(least), None) => format!(" from {least}"),
                _ => String::new(),
            };
            let kind = values.unwrap_or_else(|| format!("{}{range}", field["type"].as_str().expect("a type")));
            let description = field["description"].as_str().unwrap_or("See below.");
            text += &format!("| `{name}` | {kind} | {description} |\n");
        }
    }
    assert_reference("faults", &text);
}

#[tokio::test]
async fn the_reference_of_requests_matches_the_openapi_document() {
    let document = openapi().await;
    let mut text = read("tests/docs/requests.md");
    text += "\n| request | `api` | parameters or fields |\n| --- | --- | --- |\n";
    for api in opswat_mock::ApiName::ALL {
        for path in api.paths() {
            for method in ["get", "post"] {
                let operation = &document["paths"][path][method];
                if operation.is_null() {
                    continue;
                }
                let query = operation["parameters"].as_array().into_iter().flatten();
                let of_query = query.map(|field| (field["name"].as_str().expect("a name"), &field["schema"]));
                let content = &operation["requestBody"]["content"];
                let types = content.as_object().into_iter().flat_map(|types| types.values());
                let of_body = types.flat_map(|body| fields(&document, &body["schema"]));
                let mut seen = BTreeSet::new();
                let fields: Vec<String> = of_query
                    .chain(of_body)
                    .filter(|(name, _)| seen.insert((*name).to_owned()))
                    .map(|(name, schema)| format!("`{name}`{}", bounds(schema)))
                    .collect();
                let code = api.code();
                text += &format!("| `{} {path}` | `{code}` | {} |\n", method.to_uppercase(), fields.join(", "));
            }
        }
    }
    assert_reference("requests", &text);
}

/// The fields of an object, or of each of several.
fn fields<'a>(document: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a name");
        return fields(document, &document["components"]["schemas"][name]);
    }
    if let Some(kinds) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        return kinds.iter().flat_map(|kind| fields(document, kind)).collect();
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.as_str(), schema)).collect()
}

/// The default and the range of a number.
fn bounds(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_i64();
    let range = match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => format!(" {least} to {most}"),
        (Some(least), None) if least > 0 => format!(" from {least}"),
        _ => String::new(),
    };
    let default = number("default").map(|default| format!(" ({default})")).unwrap_or_default();
    range + &default
}

#[tokio::test]
async fn the_reference_of_metrics_matches_the_server() {
    let mock = Mock::builder().local().expect("a mock");
    // A metric with labels exists only after its first count.
    mock.account()
        .add_faults(vec![serde_json::from_str(r#"{"match":{"nth":2},"fault":{"status":503}}"#).expect("a rule")])
        .expect("a rule");
    let token = mock.account().describe().access_token;
    let too_large = Request::post("/o/api/v3/activities")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Bytes::from(vec![b' '; 100_000]));
    mock.answer(too_large.expect("a request")).await.expect("an answer");
    for _ in 0..12 {
        let target = format!("/o/api/v2/logs?access_token={token}");
        mock.answer(Request::get(target).body(Bytes::new()).expect("a request")).await.expect("an answer");
    }
    let metrics =
        mock.answer(Request::get("/_mock/metrics").body(Bytes::new()).expect("a request")).await.expect("an answer");
    let metrics = String::from_utf8(metrics.into_body().to_vec()).expect("UTF-8");
    let mut text = read("tests/docs/metrics.md");
    text += "\n| metric | type | |\n| --- | --- | --- |\n";
    let mut help = "";
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("a name and a text").1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            text += &format!("| `{name}` | {kind} | {help} |\n");
        }
    }
    let registered = read("src/metrics.rs").matches("registry.register").count();
    assert_eq!(text.matches("| `opswat_mock_").count(), registered, "a metric is missing");
    assert_reference("metrics", &text);
}

async fn openapi() -> serde_json::Value {
    let mock = Mock::builder().local().expect("a mock");
    let asked = Request::get("/_mock/openapi.json").header("host", "localhost").body(Bytes::new()).expect("a request");
    serde_json::from_slice(mock.answer(asked).await.expect("an answer").body()).expect("JSON")
}

/// The README has at most 150 lines.
#[test]
fn the_readme_is_short_and_starts_with_two_commands() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "{}", readme.lines().count());
    assert_eq!(blocks(&readme, "sh")[..2], ["cargo run --release", "cargo test"]);
}

/// Every relative link has a target, and every page is in the summary of the book.
#[test]
fn links_have_targets_and_the_summary_is_complete() {
    let mut pages = Vec::new();
    for directory in ["docs", "docs/how-to", "docs/reference", "docs/explanation"] {
        for entry in fs::read_dir(format!("{}/{directory}", env!("CARGO_MANIFEST_DIR"))).expect("a directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            if name.strip_suffix(".md").is_some() {
                pages.push(format!("{directory}/{name}"));
            }
        }
    }
    let summary = read("docs/SUMMARY.md");
    for page in pages.iter().filter(|page| *page != "docs/SUMMARY.md") {
        assert!(summary.contains(&format!("({})", page.trim_start_matches("docs/"))), "{page} is not in the summary");
    }
    for page in pages.iter().map(String::as_str).chain(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page).parent().expect("a folder").to_owned();
        for link in read(page).split("](").skip(1).filter_map(|rest| rest.split(')').next().map(str::to_owned)) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{page} links to {link}");
            }
        }
    }
}

/// The world generates each line of the device history in `docs/explanation/history.md`.
#[test]
fn the_documented_history_of_a_device_is_generated() {
    let readme = read("docs/explanation/history.md");
    let [excerpt] = blocks(&readme, "text")[..] else { panic!("one excerpt") };
    let world = World::new(WorldConfig { seed: 1, devices: 100, lag: Lag::NONE, webhook_since: None });
    let now = 1_768_478_400_000;
    let window = Window { from: Millis(now - 60 * 86_400_000), to: Millis(now) };
    let mut generated = Vec::new();
    for stream in [Category::Device, Category::Webhook, Category::DeviceReport, Category::Activity] {
        let filter = Filter { search: Some("MB-SNVXW".to_owned()), ..Filter::default() };
        for event in world.select(stream, window, filter).page(0, usize::MAX, Order::NewestFirst) {
            let what = match world.render(&event) {
                Record::Device(entry) => format!("device   {}", entry.details),
                Record::Webhook(entry) => format!("webhook  {} (answered {})", entry.event.code(), entry.response_code),
                Record::Report(entry) => format!("report   {}", entry.details),
                Record::Activity(entry) => {
                    format!("access   {} by \"{}\": {}", entry.app_name, entry.access_rule, entry.action.code())
                }
                _ => unreachable!("a record of an administrator"),
            };
            let at = jiff::Timestamp::from_millisecond(event.at().0).expect("an instant");
            generated.push(format!("{}  {what}", at.strftime("%b %d %a %H:%M:%S")));
        }
    }
    for line in excerpt.lines() {
        assert!(generated.iter().any(|known| known == line), "{line} is not in the history");
    }
}

#[test]
fn the_example_of_a_configuration_file_is_valid() {
    let readme = read("docs/reference/flags.md");
    let [toml] = blocks(&readme, "toml")[..] else { panic!("one file") };
    let path = format!("{}/readme.toml", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&path, toml).expect("a file for the test");
    let config = Config::load(["opswat-mock", "--config", &path].map(Into::into)).expect("a file that is right");
    assert_eq!((config.port, config.seed), (0, 7));
    let mock = Builder::from(config).local().expect("a mock of the file");
    assert!(mock.accounts().get("acme").is_some());
    assert_eq!(mock.account().faults().len(), 1);
}

#[tokio::test]
async fn the_documented_requests_get_the_documented_responses() {
    let text = read("README.md") + &read("docs/tutorial.md") + &read("docs/reference/apis.md");
    let requests: Vec<&str> = blocks(&text, "sh").into_iter().filter(|block| block.starts_with("# ")).collect();
    assert!(requests.len() >= 7, "the docs have requests to paste: {}", requests.len());
    let flags = ["opswat-mock", "--now", "2026-01-15T12:00:00Z"];
    let config = Config::load(flags.map(Into::into)).expect("flags");
    let mock = Builder::from(config).local().expect("a mock");
    for block in requests {
        let (comment, command) = block.split_once('\n').expect("a comment, then a command");
        let (status, start) = comment.strip_prefix("# ").and_then(|rest| rest.split_once(": ")).expect("a status");
        let response = mock.answer(request(command)).await.expect("a whole answer");
        assert_eq!(response.status().as_str(), status, "{command}");
        let body = String::from_utf8(response.into_body().to_vec()).expect("UTF-8");
        // A shown response has the same field names in the same order, up to the first ellipsis. An error is complete.
        if status == "200" {
            let form = start.split('…').next().expect("a start");
            assert!(body.starts_with(form), "{body} does not start with {form}");
        } else {
            assert_eq!(body, start);
        }
    }
}

/// The control commands of each guide succeed in their order, on a new server.
#[tokio::test]
async fn the_commands_of_the_guides_succeed() {
    let mut count = 0;
    for page in [
        "tutorial",
        "how-to/expire-a-token",
        "how-to/late-events",
        "how-to/quota",
        "how-to/faults",
        "how-to/audit",
        "verdict",
    ] {
        let mock = Mock::builder().local().expect("a mock");
        for block in blocks(&read(&format!("docs/{page}.md")), "sh") {
            for line in block.lines().filter(|line| line.starts_with("curl ") && line.contains("/_mock/accounts")) {
                let line = line.split(" | ").next().expect("a command");
                let response = mock.answer(request(line)).await.expect("a whole answer");
                assert!(response.status().is_success(), "{line}: {}", String::from_utf8_lossy(response.body()));
                count += 1;
            }
        }
    }
    assert_eq!(count, 40, "a command was added or is not recognised");
}

/// The page about scenarios has each of them, in the order of a check.
#[test]
fn the_table_of_scenarios_matches_the_files() {
    let page = read("docs/scenarios.md");
    let documented: Vec<Vec<String>> =
        rows(&page, "scenario").into_iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
    let expected: Vec<Vec<String>> = opswat_mock::scenario::all()
        .iter()
        .map(|one| vec![format!("`{}`", one.name), one.tags.join(", "), one.title.clone(), one.why.clone()])
        .collect();
    assert_eq!(documented, expected);
}

/// The page about verdicts has each rule, in the order of the reports, with its result.
#[test]
fn the_table_of_rules_matches_the_verdict() {
    let page = read("docs/verdict.md");
    let documented: Vec<(&str, &str)> =
        rows(&page, "rule").into_iter().map(|row| (row[0].trim_matches('`'), row[1])).collect();
    let mock = Mock::builder().local().expect("a mock");
    let verdict = mock.account().verdict();
    let names: Vec<&str> = verdict.rules.iter().map(|rule| rule.rule).collect();
    assert_eq!(documented.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    assert!(documented.iter().all(|(_, result)| ["fail", "warn"].contains(result)));
}

/// The request of a curl command.
fn request(command: &str) -> Request<Bytes> {
    let words = shlex::split(&command.replace("\\\n", " ")).expect("a line that a shell reads");
    let mut words = words.into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    let (mut target, mut headers, mut data, mut method) = (None, Vec::new(), Vec::new(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" => {}
            "-X" => method = words.next(),
            "-H" => headers.push(words.next().expect("a header")),
            // The file is the user's.
            "--data-binary" => data.push(words.next().map(|_| String::new()).expect("a file")),
            "-d" => data.push(words.next().expect("data")),
            url => target = Some(url.strip_prefix("http://127.0.0.1:8080").expect("the default address").to_owned()),
        }
    }
    let mut request = Request::builder().uri(target.expect("an address"));
    if !data.is_empty() {
        request = request.method("POST");
        if !headers.iter().any(|header| header.starts_with("Content-Type")) {
            headers.push("Content-Type: application/x-www-form-urlencoded".to_owned());
        }
    }
    if let Some(method) = method {
        request = request.method(method.as_str());
    }
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a name and a value");
        request = request.header(name, value);
    }
    request.body(Bytes::from(data.join("&"))).expect("a request")
}

/// The rows of all tables whose first header cell is `first`, as cells.
fn rows<'a>(text: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut is_wanted = false;
    for line in text.lines().filter(|line| !line.starts_with("| ---")) {
        if let Some(row) = line.strip_prefix("| ") {
            let cells = row.trim_end_matches(['|', ' ']).split(" |").map(str::trim).collect::<Vec<_>>();
            if cells[0] == first {
                is_wanted = true;
            } else if is_wanted {
                found.push(cells);
            }
        } else {
            is_wanted = false;
        }
    }
    found
}

#[test]
fn every_emulated_behaviour_has_a_source() {
    let text = read("docs/explanation/fidelity.md");
    let rows = rows(&text, "behaviour");
    assert!(rows.len() > 80, "{}", rows.len());
    let mut keys = BTreeSet::new();
    for row in rows {
        let (behaviour, known) = (row[0], row[1]);
        let (other, key) = (row.get(2).unwrap_or(&""), row.get(3).unwrap_or(&""));
        assert!(["D", "C", "A", "D, C"].contains(&known), "{behaviour}: {known}");
        assert!(known != "A" || !other.is_empty(), "{behaviour}: an assumption without an alternative");
        keys.insert(key.trim_matches('`').to_owned());
    }
    // Each profile key is in the table, and the table has no other keys.
    let known: BTreeSet<String> = Profile::KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    keys.retain(|key| !key.is_empty() && key != "quota" && !key.starts_with("quota `"));
    assert_eq!(keys, known);
}

#[test]
fn the_table_of_keys_matches_the_profile() {
    let text = read("docs/reference/profile.md");
    let listed: Vec<(String, String)> =
        rows(&text, "key").iter().map(|row| (row[0].replace('`', ""), row[1].replace('`', ""))).collect();
    let known: Vec<(String, String)> = Profile::KEYS
        .iter()
        .map(|(key, values)| ((*key).to_owned(), values.join(", ").replace("from ", "any from ")))
        .collect();
    assert_eq!(listed, known);
}
