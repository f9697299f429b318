//! The scenarios that are compiled in.

use std::sync::LazyLock;

use super::format::Scenario;

/// The files of the scenarios, by the names of the scenarios.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),+]
    };
}

/// The files, in the order in which a check runs them.
pub(super) const FILES: &[(&str, &str)] = files![
    "quiet",
    "busy",
    "no-events",
    "one-event",
    "page-of-exactly-the-limit",
    "page-numbers",
    "burst-of-one-instant",
    "rows-arrive-while-paging",
    "late-rows-while-paging",
    "empty-page-in-the-middle",
    "repeated-page-token",
    "page-token-expires",
    "huge-page",
    "late-by-a-minute",
    "late-by-three-hours",
    "window-edges",
    "empty-windows",
    "clock-ahead",
    "clock-behind",
    "event-dated-ahead",
    "summer-time-begins",
    "summer-time-ends",
    "leap-day",
    "year-end",
    "backlog-of-30-days",
    "token-expires-between-pages",
    "token-expires-while-waiting",
    "token-revoked",
    "token-endpoint-fails-once",
    "quota-without-retry-after",
    "retry-after-seconds",
    "retry-after-date",
    "retry-after-zero",
    "retry-after-huge",
    "retry-after-garbage",
    "shared-quota",
    "quota-too-small",
    "cut-before-the-head",
    "cut-in-mid-body",
    "truncated-json",
    "html-with-200",
    "error-502-with-html",
    "json-without-data",
    "slow-first-byte",
    "dripping-body",
    "invalid-utf8",
    "outage-of-20-minutes",
    "killed-after-a-page",
    "killed-before-its-checkpoint",
    "two-instances",
    "unicode",
    "long-field",
    "duplicated-entries",
    "reordered-entries",
    "missing-fields",
    "extra-field",
    "numbers-for-texts",
    "new-event-code",
    "migration",
];

static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    // A test reads all files.
    FILES.iter().filter_map(|(_, text)| Scenario::parse(text).ok()).collect()
});

/// All scenarios, in the order in which a check runs them.
#[must_use]
pub fn all() -> &'static [Scenario] {
    &SCENARIOS
}

/// The scenario with a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().iter().find(|scenario| scenario.name == name)
}

/// The text of the file of a scenario.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn each_file_is_a_scenario_with_the_name_of_the_file() {
        for (name, text) in FILES {
            let scenario = Scenario::parse(text).unwrap_or_else(|why| panic!("scenarios/{name}.toml: {why}"));
            assert_eq!(scenario.name, *name);
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let there = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let there: BTreeSet<String> = there.map(|name| name.to_string_lossy().into_owned()).collect();
        assert_eq!(there, FILES.iter().map(|(name, _)| format!("{name}.toml")).collect());
    }
}
