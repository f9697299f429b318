//! Who may import whom. Arrows go down, never up, and never sideways between two routes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What each room may name of the crate. A file that stands in none of them is a mistake.
const ROOMS: [(&str, &[&str]); 14] = [
    ("main", &["cli"]),
    ("cli", &["account", "api", "clock", "config", "control", "limits", "mock", "server", "world"]),
    ("mock", &["account", "api", "clock", "config", "control", "limits", "metrics", "router", "server", "world"]),
    ("config", &["account", "clock", "limits", "world"]),
    // A fault ends connections.
    ("server", &["api", "limits", "metrics", "world"]),
    ("api", &["account", "bodies", "clock", "limits", "metrics", "offload", "world"]),
    // It tells events in the API's words, and describes both surfaces.
    ("control", &["account", "api", "bodies", "clock", "limits", "metrics", "offload", "world"]),
    ("metrics", &["account"]),
    ("bodies", &["limits"]),
    ("offload", &[]),
    ("limits", &[]),
    ("account", &["clock", "world"]),
    ("clock", &["world"]),
    ("world", &[]),
];

/// What only some rooms may name of other crates and of the standard library.
const OUTSIDE: [(&str, &[&str]); 13] = [
    ("axum", &["api", "control", "mock", "server", "lib"]),
    ("tower_governor", &["api"]),
    ("governor", &["account"]),
    ("tokio", &["account", "api", "bodies", "clock", "control", "mock", "offload", "server", "cli"]),
    ("clap", &["cli", "config", "limits"]),
    ("hyper", &["server"]),
    ("tokio_rustls", &["cli", "server"]),
    ("prometheus_client", &["metrics"]),
    ("tracing_subscriber", &["cli"]),
    ("std::fs", &["cli", "config"]),
    ("std::env", &["cli", "config"]),
    ("SystemTime", &["clock"]),
    // A connection is waited for by the machine's time, whatever the clocks of accounts show.
    ("Instant::now", &["clock", "server"]),
];

/// Drawers in which things of no room end up.
const NO_ROOM: [&str; 5] = ["util", "common", "helpers", "types", "models"];

/// Files of the emulated surface that serve a route each.
const ROUTES: [&str; 5] = ["activities_v3", "authorize", "logs_v2", "logs_v3_3", "token"];

/// What is wrong with a file, by its path below `src`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let room = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let mut wrong = Vec::new();
    if path.split('/').any(|part| NO_ROOM.contains(&part.trim_end_matches(".rs"))) {
        wrong.push(format!("{path} is a drawer"));
    }
    // Code before its tests, without comments.
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join(
        "
",
    );
    if room != "lib" {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            return vec![format!("{path} stands in no room")];
        };
        for named in named_of_the_crate(&code) {
            if named != room && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{path} names crate::{named}"));
            }
        }
    }
    for (outside, rooms) in OUTSIDE {
        let named = code.match_indices(outside).any(|(at, _)| {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            let after = code[at + outside.len()..].chars().next().unwrap_or(' ');
            !before.is_alphanumeric() && before != '_' && !after.is_alphanumeric() && after != '_'
        });
        if named && !rooms.contains(&room) {
            wrong.push(format!("{path} names {outside}"));
        }
    }
    if let Some(route) = path.strip_prefix("api/").map(|file| file.trim_end_matches(".rs"))
        && ROUTES.contains(&route)
    {
        for other in ROUTES.iter().filter(|other| **other != route) {
            let imported = code.split("super::").skip(1).any(|rest| rest.starts_with(&format!("{other}::")))
                || code.lines().any(|line| line.starts_with(&format!("    {other}::")));
            if imported {
                wrong.push(format!("{path} names its neighbour {other}"));
            }
        }
    }
    wrong
}

/// The first names after `crate::` (or the crate's own name), in paths and in groups of imports.
fn named_of_the_crate(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for root in ["crate::", "opswat_mock::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let Some(group) = rest.strip_prefix('{') else {
                named.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
                continue;
            };
            let (mut depth, mut is_named) = (0, false);
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        name.clear();
                        is_named = false;
                    }
                    c if depth == 0 && (c.is_alphanumeric() || c == '_') => name.push(c),
                    // Only the first name of a path is a room.
                    ':' if depth == 0 && !name.is_empty() && !is_named => {
                        named.push(std::mem::take(&mut name));
                        is_named = true;
                    }
                    _ => {}
                }
            }
        }
    }
    named
}

fn sources(directory: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.insert(path.clone(), fs::read_to_string(&path).expect("a source in UTF-8"));
        }
    }
}

#[test]
fn arrows_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    sources(&root, &mut found);
    assert!(found.len() > 20, "the sources are somewhere else");
    let wrong: Vec<String> = found
        .iter()
        .flat_map(|(path, text)| {
            let path = path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8").to_owned();
            violations(&path, text)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn planted_violations_are_seen() {
    for (path, text, seen) in [
        ("world/query.rs", "use crate::account::Account;", "world/query.rs names crate::account"),
        (
            "world/query.rs",
            "use crate::{\n    clock::{Clock, LAST},\n    world::Millis,\n};",
            "world/query.rs names crate::clock",
        ),
        ("world/query.rs", "let now = std::time::SystemTime::now();", "world/query.rs names SystemTime"),
        ("world/text.rs", "use tokio::time;", "world/text.rs names tokio"),
        ("account/mod.rs", "fn f() { crate::api::router() }", "account/mod.rs names crate::api"),
        ("api/token.rs", "use super::logs_v2::list;", "api/token.rs names its neighbour logs_v2"),
        (
            "api/token.rs",
            "use super::{\n    gate::Visit,\n    authorize::consent,\n};",
            "api/token.rs names its neighbour authorize",
        ),
        ("api/gate.rs", "let at = Instant::now();", "api/gate.rs names Instant::now"),
        ("api/helpers.rs", "", "api/helpers.rs is a drawer"),
        ("attic.rs", "", "attic.rs stands in no room"),
    ] {
        assert_eq!(violations(path, text), [seen], "{text}");
    }
    for (path, text) in [
        ("world/query.rs", "// use crate::account::Account;\nuse super::World;"),
        ("api/gate.rs", "use crate::{account::{Account, quota::Standing}, world::Millis};"),
        ("api/gate.rs", "use crate::{account::profile::{Charset, Profile}, world::Millis};"),
        ("clock.rs", "use std::time::SystemTime;"),
    ] {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{text}");
    }
}
