//! The README and the table of fidelity say what is so: flags, requests and their answers, sources.

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

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a document")
}

/// The code blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// A variable that the compose file does not name would be set for nothing.
#[test]
fn compose_hands_on_every_variable() {
    let of_files = ["port", "host", "port-file", "config", "tls-ca-file", "tls-cert", "tls-key"];
    let command = Config::command();
    let flags = command.get_arguments().filter(|flag| flag.get_long().is_some_and(|name| !of_files.contains(&name)));
    let expected: Vec<String> = flags.filter_map(|flag| flag.get_env()?.to_str().map(str::to_owned)).collect();
    let compose = read("docker-compose.yml");
    let named: Vec<&str> = compose.lines().filter_map(|line| line.strip_prefix("      - OPSWAT_MOCK_")).collect();
    assert_eq!(named.iter().map(|name| format!("OPSWAT_MOCK_{name}")).collect::<Vec<_>>(), expected);
}

#[test]
fn the_table_of_flags_is_the_help() {
    let printed: Vec<String> =
        read("README.md").lines().filter(|line| line.starts_with("| `--")).map(str::to_owned).collect();
    let command = Config::command();
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|flag| {
            let name = flag.get_long()?;
            let code = |text: &str| if text.is_empty() { String::new() } else { format!(" `{text}`") };
            let default = flag.get_default_values().first().and_then(|value| value.to_str()).unwrap_or_default();
            let variable = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            let key = if name == "config" { "" } else { name };
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            Some(format!("| `--{name}` |{} |{} |{} | {help} |", code(default), code(variable), code(key)))
        })
        .collect();
    assert_eq!(printed, flags);
}

/// The part of a story that the README shows is told by the world still, line by line.
#[test]
fn the_story_of_the_readme_is_told() {
    let readme = read("README.md");
    let [story] = blocks(&readme, "text")[..] else { panic!("one story") };
    let world = World::new(WorldConfig { seed: 1, devices: 100, lag: Lag::NONE });
    let now = 1_768_478_400_000;
    let window = Window { from: Millis(now - 60 * 86_400_000), to: Millis(now) };
    let mut told = Vec::new();
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
                Record::Admin(_) => unreachable!("of another stream"),
            };
            let at = jiff::Timestamp::from_millisecond(event.at().0).expect("an instant");
            told.push(format!("{}  {what}", at.strftime("%b %d %a %H:%M:%S")));
        }
    }
    for line in story.lines() {
        assert!(told.iter().any(|known| known == line), "{line} is not told");
    }
}

#[test]
fn the_file_of_the_readme_is_read() {
    let readme = read("README.md");
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
async fn the_requests_of_the_readme_are_answered_as_it_says() {
    let readme = read("README.md");
    let requests: Vec<&str> = blocks(&readme, "sh").into_iter().filter(|block| block.starts_with("# ")).collect();
    assert!(requests.len() >= 5, "the README has requests to paste");
    let flags = ["opswat-mock", "--now", "2026-01-15T12:00:00Z"];
    let config = Config::load(flags.map(Into::into)).expect("flags");
    let mock = Builder::from(config).local().expect("a mock");
    for block in requests {
        let (comment, command) = block.split_once('\n').expect("a comment, then a command");
        let (status, start) = comment.strip_prefix("# ").and_then(|rest| rest.split_once(": ")).expect("a status");
        let response = mock.answer(request(command)).await.expect("a whole answer");
        assert_eq!(response.status().as_str(), status, "{command}");
        let body = String::from_utf8(response.into_body().to_vec()).expect("UTF-8");
        // What the README shows of an answer is its form: the names up to the first value that differs.
        let form = start.split(['…', ':']).next().expect("a start");
        assert!(body.starts_with(form), "{body} does not start with {form}");
        if status != "200" {
            assert_eq!(body, start);
        }
    }
}

/// Each recipe is carried out as it stands, on a server of its own.
#[tokio::test]
async fn the_recipes_of_the_readme_work() {
    let readme = read("README.md");
    let recipes: Vec<&str> =
        blocks(&readme, "sh").into_iter().filter(|block| block.contains("/_mock/accounts")).collect();
    assert_eq!(recipes.len(), 6);
    for recipe in recipes {
        let mock = Mock::builder().now("2026-01-15T12:00:00Z").local().expect("a mock");
        let lines: Vec<&str> = recipe.lines().filter(|line| !line.starts_with("# ")).collect();
        let address = lines.iter().find_map(|line| line.strip_prefix("A=")).unwrap_or_default();
        for line in lines.iter().filter(|line| line.starts_with("curl ")) {
            let response = mock.answer(request(&line.replace("$A", address))).await.expect("a whole answer");
            assert!(response.status().is_success(), "{line}: {}", String::from_utf8_lossy(response.body()));
        }
    }
}

/// The table of verbs is the OpenAPI document's list of operations.
#[tokio::test]
async fn the_table_of_verbs_is_complete() {
    let mock = Mock::builder().local().expect("a mock");
    let asked = Request::get("/_mock/openapi.json").header("host", "localhost").body(Bytes::new()).expect("a request");
    let document: serde_json::Value =
        serde_json::from_slice(mock.answer(asked).await.expect("an answer").body()).expect("JSON");
    let mut expected = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in
            ["get", "put", "post", "patch", "delete"].iter().filter(|method| operations.get(**method).is_some())
        {
            if path.starts_with("/_mock/accounts") {
                expected.insert(format!("{} {}", method.to_uppercase(), path.replace("{account}", "{a}")));
            }
        }
    }
    let mut listed = BTreeSet::new();
    for line in read("README.md").lines().filter(|line| line.starts_with("| `") && line.contains("/_mock/accounts")) {
        let cell = line.trim_start_matches("| ").split(" |").next().expect("a cell").replace('`', "");
        let (methods, path) = cell.rsplit_once(' ').expect("methods and a path");
        listed.extend(methods.split(' ').map(|method| format!("{method} {path}")));
    }
    assert_eq!(listed, expected);
}

/// The request that a line of curl makes.
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

/// The rows of the tables of a document that begin with a word, as cells.
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
    let text = read("docs/fidelity.md");
    let rows = rows(&text, "behaviour");
    assert!(rows.len() > 80, "{}", rows.len());
    let mut keys = BTreeSet::new();
    for row in rows {
        let (behaviour, known) = (row[0], row[1]);
        let (other, key) = (row.get(2).unwrap_or(&""), row.get(3).unwrap_or(&""));
        assert!(["D", "C", "A", "D, C"].contains(&known), "{behaviour}: {known}");
        assert!(known != "A" || !other.is_empty(), "{behaviour}: what is assumed has another reading");
        keys.insert(key.trim_matches('`').to_owned());
    }
    // Each key switches one of these behaviours, and nothing else is called a key.
    let known: BTreeSet<String> = Profile::KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    keys.retain(|key| !key.is_empty() && key != "quota" && !key.starts_with("quota `"));
    assert_eq!(keys, known);
}

#[test]
fn the_table_of_keys_is_the_profile() {
    let text = read("docs/fidelity.md");
    let listed: Vec<(String, String)> =
        rows(&text, "key").iter().map(|row| (row[0].replace('`', ""), row[1].replace('`', ""))).collect();
    let known: Vec<(String, String)> = Profile::KEYS
        .iter()
        .map(|(key, values)| ((*key).to_owned(), values.join(", ").replace("from ", "any from ")))
        .collect();
    assert_eq!(listed, known);
}
