//! Which module may import which. Imports go down the layers, never up, never between two routes, and never in a circle.
//!
//! Sources are parsed, so that what counts is code: tests and comments do not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemUse, UseTree,
    visit::{self, Visit},
};

/// What each top-level module may import from the crate. A file outside of these modules is a mistake.
const LAYERS: [(&str, &[&str]); 26] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "account", "api", "api_name", "audit", "clock", "config", "control", "junit", "limits", "markdown", "mock",
            "scenario", "server", "verdict", "world",
        ],
    ),
    ("config", &["account", "clock", "limits", "mock", "toml_values", "world"]),
    ("mock", &["abort", "account", "app", "clock", "control", "limits", "scenario", "server", "world"]),
    ("app", &["account", "api", "bodies", "control", "limits", "metrics"]),
    ("server", &["abort", "limits", "metrics", "world"]),
    // Its truth has the API's rows, and its document describes both surfaces.
    (
        "control",
        &[
            "account", "api", "api_name", "audit", "bodies", "clock", "limits", "metrics", "offload", "scenario",
            "verdict", "webhook", "world",
        ],
    ),
    ("verdict", &["account", "api_name", "clock", "junit", "markdown", "world"]),
    // Its expected values are rows of the API.
    ("audit", &["account", "api", "api_name", "clock", "junit", "markdown", "world"]),
    ("webhook", &["account", "clock", "world"]),
    ("junit", &["clock"]),
    ("markdown", &[]),
    ("api", &["abort", "account", "api_name", "bodies", "clock", "limits", "metrics", "offload", "world"]),
    ("metrics", &["account"]),
    ("bodies", &["limits"]),
    ("account", &["api_name", "clock", "path_pattern", "world"]),
    ("clock", &["world"]),
    ("abort", &[]),
    ("api_name", &["path_pattern"]),
    ("limits", &[]),
    ("offload", &[]),
    ("path_pattern", &[]),
    ("scenario", &["account", "api_name", "clock", "toml_values", "world"]),
    ("toml_values", &[]),
    ("world", &[]),
    ("lib", &["account", "api_name", "mock"]),
];

/// What only some modules may name of other crates and of the standard library: the beginning of a path, and the modules.
const OUTSIDE: [(&str, &[&str]); 14] = [
    ("axum", &["abort", "api", "app", "control", "mock", "server"]),
    ("minijinja", &["account"]),
    ("tower_governor", &["control"]),
    ("tokio", &["account", "api", "bodies", "cli", "clock", "control", "mock", "offload", "server", "webhook"]),
    ("clap", &["cli", "config"]),
    ("hyper", &["server", "webhook"]),
    ("tokio_rustls", &["cli", "server"]),
    ("prometheus_client", &["metrics"]),
    ("tracing_subscriber", &["cli"]),
    ("std::fs", &["cli", "config"]),
    ("std::env", &["cli", "config"]),
    ("std::time::SystemTime", &["clock"]),
    // Connections and answers of receivers are timed by the machine, whatever the clocks of accounts show.
    ("std::time::Instant", &["clock", "server"]),
    ("tokio::time::Instant", &["cli", "clock", "server", "webhook"]),
];

/// Names of modules that collect what has no place.
const DRAWERS: [&str; 5] = ["util", "common", "helpers", "types", "models"];

/// Files of the emulated surface that serve a route each.
const ROUTES: [&str; 5] = ["api/activities_v3", "api/authorize", "api/logs_v2", "api/logs_v3", "api/token"];

/// The paths that a file names, in imports and in code, without those of its tests.
#[derive(Default)]
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn of(source: &str) -> BTreeSet<Vec<String>> {
        let mut paths = Self::default();
        paths.visit_file(&syn::parse_file(source).expect("a source that parses"));
        paths.found
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    self.add_tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end_path(&mut path);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.found.insert(std::mem::take(path));
        }
        path.clear();
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => drop(self.found.insert(with(&name.ident))),
            UseTree::Rename(name) => drop(self.found.insert(with(&name.ident))),
            UseTree::Glob(_) => drop(self.found.insert(before.to_vec())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test" || name == "doctest")
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    /// `pub(in crate::account)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    /// The body of a macro is tokens rather than code: each `a::b` in it counts as a path.
    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        self.add_tokens(found.tokens.clone());
        visit::visit_macro(self, found);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.found.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// A source tree: modules by their paths, such as `api/fault/body`, each with what it names.
struct Sources(BTreeMap<String, BTreeSet<Vec<String>>>);

impl Sources {
    fn read() -> Self {
        fn collect(directory: &Path, below: &str, found: &mut BTreeMap<String, BTreeSet<Vec<String>>>) {
            for entry in fs::read_dir(directory).expect("a directory of sources") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
                if path.is_dir() {
                    collect(&path, &format!("{below}{name}/"), found);
                } else if let Some(name) = name.strip_suffix(".rs") {
                    let source = fs::read_to_string(&path).expect("a source in UTF-8");
                    found.insert(format!("{below}{name}"), Paths::of(&source));
                }
            }
        }

        let mut found = BTreeMap::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
        assert!(found.len() > 60, "the sources are somewhere else");
        Self(found)
    }

    /// A tree of made-up files.
    fn planted(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, source)| ((*path).to_owned(), Paths::of(source))).collect())
    }

    /// The module that a path leads to, seen from another one.
    fn resolve(&self, from: &str, path: &[String]) -> Option<String> {
        let mut at: Vec<&str> = from.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" | "opswat_mock" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => return None,
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|name| name == "super") {
            at.pop();
            rest = &rest[1..];
        }
        let mut found = self.file(&at);
        for name in rest {
            at.push(name);
            match self.file(&at) {
                Some(file) => found = Some(file),
                None => break,
            }
        }
        found.filter(|file| file != from)
    }

    fn file(&self, at: &[&str]) -> Option<String> {
        let plain = at.join("/");
        let candidates =
            if at.is_empty() { vec!["lib".to_owned()] } else { vec![plain.clone(), format!("{plain}/mod")] };
        candidates.into_iter().find(|file| self.0.contains_key(file))
    }

    fn imports(&self, from: &str) -> BTreeSet<String> {
        self.0[from].iter().filter_map(|path| self.resolve(from, path)).collect()
    }

    fn violations(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.0.keys().flat_map(|file| self.violations_of(file)).collect();
        wrong.extend(self.circles());
        wrong
    }

    fn violations_of(&self, file: &str) -> Vec<String> {
        let layer = file.split('/').next().unwrap_or(file);
        let mut wrong = Vec::new();
        if file.split('/').any(|part| DRAWERS.contains(&part)) {
            wrong.push(format!("{file} is a drawer"));
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            wrong.push(format!("{file} is in no layer"));
            return wrong;
        };
        for other in self.imports(file) {
            let other_layer = other.split('/').next().unwrap_or(&other);
            if other_layer != layer && !allowed.contains(&other_layer) {
                wrong.push(format!("{file} imports {other}"));
            }
            if ROUTES.contains(&file) && ROUTES.contains(&other.as_str()) {
                wrong.push(format!("{file} imports the route {other}"));
            }
        }
        for (outside, layers) in OUTSIDE {
            let is_named = self.0[file].iter().any(|path| {
                let mut parts = outside.split("::");
                path.iter().zip(&mut parts).all(|(name, part)| name == part) && parts.next().is_none()
            });
            if is_named && !layers.contains(&layer) {
                wrong.push(format!("{file} names {outside}"));
            }
        }
        wrong
    }

    /// Files that import each other, each circle once.
    fn circles(&self) -> BTreeSet<String> {
        let imports: BTreeMap<&str, BTreeSet<String>> =
            self.0.keys().map(|file| (file.as_str(), self.imports(file))).collect();
        let reached = |from: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(file) = next.pop() {
                for other in imports.get(file.as_str()).into_iter().flatten() {
                    if seen.insert(other.clone()) {
                        next.push(other.clone());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&str, BTreeSet<String>> =
            self.0.keys().map(|file| (file.as_str(), reached(file))).collect();
        let in_circle = self.0.keys().filter(|file| reach[file.as_str()].contains(*file));
        in_circle
            .map(|file| {
                let members: Vec<&str> = reach
                    .keys()
                    .copied()
                    .filter(|other| reach[file.as_str()].contains(*other) && reach[other].contains(file))
                    .collect();
                format!("a circle: {}", members.join(", "))
            })
            .collect()
    }
}

#[test]
fn imports_go_down_and_never_in_a_circle() {
    let wrong = Sources::read().violations();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn planted_violations_are_found() {
    let stubs = [("world/mod", ""), ("clock", ""), ("account/mod", ""), ("api/mod", ""), ("api/logs_v2", "")];
    for (file, source, found) in [
        ("world/query", "use crate::account::Account;", "world/query imports account/mod"),
        ("world/query", "use crate::{\n    clock::{Clock, LAST},\n    world::Millis,\n};", "world/query imports clock"),
        (
            "world/query",
            "fn f() { let now = std::time::SystemTime::now(); }",
            "world/query names std::time::SystemTime",
        ),
        ("world/text", "use tokio::time;", "world/text names tokio"),
        ("account/tokens", "fn f() { crate::api::router() }", "account/tokens imports api/mod"),
        (
            "account/tokens",
            "#[cfg(test)]\nmod tests {}\nfn f() { crate::api::router() }",
            "account/tokens imports api/mod",
        ),
        ("api/token", "use super::logs_v2::list;", "api/token imports the route api/logs_v2"),
        ("api/token", "use super::{error::ApiError, logs_v2::list};", "api/token imports the route api/logs_v2"),
        (
            "account/tokens",
            "fn f() { tokio::select! { _ = wait() => { crate::api::router() } } }",
            "account/tokens imports api/mod",
        ),
        ("account/tokens", "fn f() { println!(\"{}\", crate::api::NAME); }", "account/tokens imports api/mod"),
        ("account/tokens", "use tokio::time::Instant;", "account/tokens names tokio::time::Instant"),
        ("api/context", "use std::time::Instant;", "api/context names std::time::Instant"),
        ("api/helpers", "", "api/helpers is a drawer"),
        ("attic", "", "attic is in no layer"),
        ("api/error", "use super::logs_v2::list;\n", "a circle: api/error, api/logs_v2"),
    ] {
        let mut files = stubs.to_vec();
        if found.starts_with("a circle") {
            files.retain(|(path, _)| *path != "api/logs_v2");
            files.push(("api/logs_v2", "use super::error::ApiError;"));
        }
        files.push((file, source));
        assert_eq!(Sources::planted(&files).violations(), [found], "{source}");
    }
    for (file, source) in [
        ("world/query", "// use crate::account::Account;\nuse super::time::Millis;"),
        ("world/query", "#[cfg(test)]\nmod tests {\n    use crate::account::Account;\n}"),
        ("api/context", "use crate::{account::{Account, quota::QuotaStatus}, world::Millis};"),
        ("clock", "use std::time::SystemTime;"),
    ] {
        let mut files: Vec<_> = stubs.iter().copied().filter(|(path, _)| *path != file).collect();
        files.push((file, source));
        assert_eq!(Sources::planted(&files).violations(), Vec::<String>::new(), "{source}");
    }
}
