//! Which scenarios are run.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Check, time_source::TimeSource};
use crate::{
    audit::FieldMap,
    scenario::{self, ReadApi, Scenario},
    verdict,
    world::Category,
};

/// The maximum size of a scenario file.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Where a machine has the rules of time zones.
const ZONES: &str = "/usr/share/zoneinfo";

impl Check {
    /// The chosen scenarios.
    pub(super) fn scenarios(&self) -> Result<Vec<Scenario>, String> {
        let mut paths = self.file.clone();
        for folder in &self.dir {
            paths.extend(scenario_files(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?);
        }
        if paths.is_empty() && !self.dir.is_empty() {
            return Err(format!("there is no scenario file (.toml) in {}", self.dir[0].display()));
        }
        let mut scenarios = Vec::new();
        for path in &paths {
            let text = read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let scenario = Scenario::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
            if let Some(unknown) = scenario.ignored_rules.iter().find(|name| !verdict::is_rule(name)) {
                return Err(format!("{}: ignored_rules must be names of rules, got {unknown:?}", path.display()));
            }
            let map = self.map.clone().unwrap_or_else(|| FieldMap::of_rows(self.category));
            map.without(&scenario.not_compared).map_err(|why| format!("{}: not_compared: {why}", path.display()))?;
            if scenarios.iter().any(|known: &Scenario| known.name == scenario.name) {
                return Err(format!(
                    "{}: name must be unique, there is another scenario {}",
                    path.display(),
                    scenario.name
                ));
            }
            scenarios.push(scenario);
        }
        if paths.is_empty() {
            scenarios = scenario::all().to_vec();
        }
        if let Some(name) = self.only.iter().find(|name| scenarios.iter().all(|one| one.name != **name)) {
            let names: Vec<&str> = scenarios.iter().map(|one| one.name.as_str()).collect();
            return Err(format!("there is no scenario {name:?}; the scenarios are {}", names.join(", ")));
        }
        scenarios.retain(|one| {
            (self.only.is_empty() || self.only.contains(&one.name))
                && (self.tag.is_empty() || self.tag.iter().any(|tag| one.tags.contains(tag)))
        });
        if scenarios.is_empty() {
            return Err("no scenario has these tags; --list shows them".to_owned());
        }
        Ok(scenarios)
    }

    /// The scenarios that can be run, and why others cannot.
    pub(super) fn runnable(&self, scenarios: Vec<Scenario>, time: &TimeSource) -> (Vec<Scenario>, Vec<String>) {
        let mut left_out = Vec::new();
        let runnable = scenarios.into_iter().filter(|one| {
            let why = self.obstacle(one, time);
            left_out.extend(why.iter().map(|why| format!("{}: {why}", one.name)));
            why.is_none()
        });
        (runnable.collect(), left_out)
    }

    /// Why a scenario cannot be run with these flags.
    fn obstacle(&self, one: &Scenario, time: &TimeSource) -> Option<String> {
        let can_read = |api: &ReadApi| self.api.contains(api);
        let codes = |apis: Vec<ReadApi>| apis.into_iter().map(ReadApi::code).collect::<Vec<_>>().join(",");
        if !one.apis.iter().any(can_read) {
            return Some(format!("it is about other APIs: one of --api {}", codes(one.apis.clone())));
        }
        if !one.needed_apis().all(|api| can_read(&api)) {
            return Some(format!("it reads several APIs: --api {}", codes(one.needed_apis().collect())));
        }
        if self.category != Category::Device && one.injects() {
            return Some("its events are those of devices, so it would test nothing with another category".to_owned());
        }
        if let Some(zone) = one.timezone.as_ref().filter(|zone| !knows_zone(zone)) {
            return Some(format!("this machine does not know the time zone {zone}: it needs the package tzdata"));
        }
        match time {
            TimeSource::Real if one.needs_virtual_time => Some("it needs another time than the machine's".to_owned()),
            TimeSource::Fake(_) if self.service && one.has_real_waits => {
                Some("its waits are real, and too long for a fast clock: --time env".to_owned())
            }
            TimeSource::Env if self.service && one.has_wrong_client_clock() => Some(
                "the connector's clock is wrong in it, and a service asks the account for the time: --time fake"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// A scenario file, which has at most [`MAX_FILE_BYTES`].
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

/// Whether this machine knows a time zone. Without its rules a program takes UTC instead, and says nothing.
fn knows_zone(zone: &str) -> bool {
    let folder = env::var_os("TZDIR").map_or_else(|| ZONES.into(), PathBuf::from);
    !cfg!(unix) || folder.join(zone).is_file()
}

/// The scenario files in a folder, by their names.
fn scenario_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
