//! `opswat-mock check`: puts a connector through scenarios, and says what it lost, doubled or changed in each.

mod clock_pair;
mod clocks;
mod evidence;
mod html;
mod judge;
mod outcome;
mod poll;
mod process;
mod real_time;
mod report;
mod runner;
mod selection;
mod service;
mod store;
mod time_source;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, IsTerminal, Write},
    path::{self, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, Parser};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    report::Report,
    runner::RunSettings,
    time_source::{TimeFlag, TimeSource},
};
use super::{files, generate::category, signals::Signals};
use crate::{
    audit::FieldMap,
    clock::Clock,
    config,
    mock::Mock,
    scenario::{self, ReadApi, Scenario},
    world::Category,
};

/// How a connector is run.
const AFTER_HELP: &str = "\
COMMAND is run once for each poll. It finds what it needs in variables, or in places such as {url} in its arguments:
  OPSWAT_URL            base URL of the server
  OPSWAT_ACCESS_TOKEN   an access token, which can expire
  OPSWAT_CLIENT_ID      client id, with which it gets other tokens from /o/oauth/token
  OPSWAT_CLIENT_SECRET  its secret
  OPSWAT_API            the API to read: v2, v3 or v3.3
  OPSWAT_STATE_DIR      folder that it keeps between polls
  OPSWAT_OUT            file to which it appends what it stores, as NDJSON; without that file, its standard output counts
  OPSWAT_SINCE          the first instant whose events it must have
With --time env, it does not ask the machine for the time, and does not sleep:
  OPSWAT_NOW            the time of a poll
  OPSWAT_CLOCK_URL      with --service: where GET gives the time, as {\"now\":\"…\"}
  OPSWAT_SLEEP_URL      where it posts {\"seconds\":30} instead of sleeping
With --time fake, the machine's clock shows the time of the scenario, and goes 30 times as fast.
With --time real, the time is the machine's, and what happened in hours happens in seconds.

Exit code 0 if all scenarios passed, 1 if one failed, 2 if the connector cannot be run";
/// The default of `--time-limit`, in seconds.
const DEFAULT_TIME_LIMIT: u64 = 60;
/// The exit code if a scenario failed.
const FINDINGS: u8 = 1;

/// Runs a connector through scenarios, each on its own account and clock, and says for each what the connector lost, doubled
/// or changed, and how it behaved.
#[derive(Debug, Parser)]
#[command(
    name = "opswat-mock",
    bin_name = "opswat-mock check",
    version,
    max_term_width = 100,
    next_line_help = true,
    after_help = AFTER_HELP
)]
struct Check {
    /// Lists the scenarios
    #[arg(long)]
    list: bool,
    /// Prints the file of a scenario, to be copied and changed
    #[arg(long, value_name = "NAME")]
    show: Option<String>,
    /// Names of the scenarios to run, separated by commas; all by default
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Runs the scenarios with one of these tags, separated by commas
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    tag: Vec<String>,
    /// Scenario file that is run instead of those of the pack; can be given several times
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Folder whose scenario files (.toml) are run instead of those of the pack
    #[arg(long, value_name = "FOLDER")]
    dir: Vec<PathBuf>,
    /// Seed of the histories
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Number of scenarios that run at once; by default the number of processors
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Maximum time of a scenario, in seconds of the machine's clock
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIME_LIMIT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    time_limit: u64,
    #[arg(
        long,
        value_name = "VERSIONS",
        value_delimiter = ',',
        default_value = "v3.3",
        value_parser = str::parse::<ReadApi>,
        help = "APIs that the connector can read, of v2, v3 and v3.3, separated by commas; OPSWAT_API is the one to read"
    )]
    api: Vec<ReadApi>,
    /// Lets the command run throughout and poll by itself; SIGTERM ends it
    #[arg(long)]
    service: bool,
    /// Where the connector gets the time from; `fake` where it works, otherwise `env`
    #[arg(long, value_name = "SOURCE")]
    time: Option<TimeFlag>,
    /// File of libfaketime, for `--time fake`; by default where packages install it
    #[arg(long, value_name = "FILE")]
    faketime: Option<PathBuf>,
    /// Category that the connector reads
    #[arg(long, value_name = "CATEGORY", value_parser = category(), default_value = "device")]
    category: Category,
    #[arg(
        long,
        value_name = "FIELD:PLACE,…",
        help = "Places of the fields in a record, such as timestamp:/@timestamp,event:/event/action"
    )]
    map: Option<FieldMap>,
    /// Writes the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the results as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the results as one page of HTML, with a timeline of each scenario
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the results as Markdown, for the summary of a CI job
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Folder for what the connector stores and says in each scenario; by default a new folder for temporary files
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// Command that polls once, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, clap::Error> {
    let found = config::without_empty(Check::command()).try_get_matches_from(arguments)?;
    let check = Check::from_arg_matches(&found)?;
    Ok(match check.perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(why) => {
            super::print_error(&why);
            ExitCode::from(super::USAGE)
        }
    })
}

impl Check {
    /// Whether all scenarios passed.
    fn perform(self) -> Result<bool, String> {
        if let Some(name) = &self.show {
            let text = scenario::text(name).ok_or_else(|| unknown(name))?;
            print(text);
            return Ok(true);
        }
        let scenarios = self.scenarios()?;
        if self.list {
            let line = |one: &Scenario| {
                let apis: Vec<&str> = one.apis.iter().map(|api| api.code()).collect();
                let time = if one.needs_virtual_time { "env,fake" } else { "env,fake,real" };
                let (name, tags, title) = (&one.name, one.tags.join(","), &one.title);
                format!("{name:<30} {tags:<16} {:<12} {time:<14} {title}\n", apis.join(","))
            };
            print(&scenarios.iter().map(line).collect::<String>());
            return Ok(true);
        }
        if self.command.is_empty() {
            return Err("COMMAND is required: opswat-mock check -- ./my-connector".to_owned());
        }
        let paths: Vec<&PathBuf> =
            [&self.json, &self.junit, &self.html, &self.markdown].into_iter().flatten().collect();
        for (nth, path) in paths.iter().enumerate() {
            files::check_writable(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            if paths[..nth].contains(path) {
                return Err(format!("{} cannot be the file of two reports", path.display()));
            }
        }
        let (time, why) = TimeSource::choose(self.time, self.faketime.as_deref(), &self.command[0])?;
        if let Some(why) = why {
            super::print_error(&format!("the connector must take the time from OPSWAT_NOW (--time env): {why}"));
        }
        let (scenarios, left_out) = self.runnable(scenarios, &time);
        match left_out.first() {
            Some(first) if scenarios.is_empty() || !self.only.is_empty() => return Err(first.clone()),
            _ => {}
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let report: Result<Report, String> = runtime.block_on(async {
            let mut signals = Signals::new().map_err(|error| format!("cannot listen to signals: {error}"))?;
            tokio::select! {
                report = self.results(scenarios, time) => report,
                () = signals.recv() => Err("it was interrupted".to_owned()),
            }
        });
        // What still runs is dropped with the runtime, and its connectors with it.
        drop(runtime);
        let report = report?;
        print(&report.text());
        if !left_out.is_empty() {
            print(&format!("{} scenarios were left out:\n  {}\n", left_out.len(), left_out.join("\n  ")));
        }
        let written = [
            (&self.json, report.to_json()),
            (&self.junit, report.to_junit(Clock::running().reading().now)),
            (&self.html, html::page(&report)),
            (&self.markdown, report.to_markdown()),
        ];
        for (path, text) in written {
            if let Some(path) = path {
                files::write_whole(path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
        }
        Ok(report.failed == 0)
    }

    async fn results(&self, scenarios: Vec<Scenario>, time: TimeSource) -> Result<Report, String> {
        let mock = Arc::new(Mock::builder().start().await.map_err(|error| error.to_string())?);
        let folder = match &self.work_dir {
            Some(folder) => {
                path::absolute(folder).map_err(|error| format!("cannot use {}: {error}", folder.display()))?
            }
            None => new_folder().map_err(|error| format!("cannot make a folder for temporary files: {error}"))?,
        };
        let settings = RunSettings {
            command: self.command.clone(),
            seed: self.seed,
            time_limit: Duration::from_secs(self.time_limit),
            category: self.category,
            map: self.map.clone(),
            apis: self.api.clone(),
            time,
            is_service: self.service,
            folder,
        };
        let settings = Arc::new(settings);
        let jobs = self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(2, usize::from), usize::from);
        let bar = progress(scenarios.len() as u64);
        let run = |(nth, one): (usize, Scenario)| {
            let (mock, settings) = (mock.clone(), settings.clone());
            // A task of its own, so that the audit of one does not hold up the others.
            let task = tokio::spawn(async move { runner::run(&mock, &one, &settings).await });
            async move { (nth, task.await) }
        };
        let mut running = stream::iter(scenarios.into_iter().enumerate()).map(run).buffer_unordered(jobs);
        // They end in any order, and are shown in that of the scenarios.
        let (mut early, mut outcomes) = (BTreeMap::new(), Vec::new());
        while let Some((nth, outcome)) = running.next().await {
            match outcome.map_err(|error| format!("a scenario failed: {error}")).flatten() {
                Ok(outcome) => early.insert(nth, outcome),
                Err(why) => {
                    // What is known is not lost.
                    bar.suspend(|| early.values().for_each(|outcome| print(&format!("{outcome}\n"))));
                    return Err(why);
                }
            };
            bar.inc(1);
            while let Some(outcome) = early.remove(&outcomes.len()) {
                bar.suspend(|| print(&format!("{outcome}\n")));
                if !outcome.passed {
                    outcome
                        .write_requests()
                        .map_err(|error| format!("cannot use {}: {error}", outcome.folder.display()))?;
                }
                if outcome.passed && self.work_dir.is_none() {
                    // What is left is of no use; a folder that stays does no harm.
                    let _ = fs::remove_dir_all(&outcome.folder);
                }
                outcomes.push(outcome);
            }
        }
        bar.finish_and_clear();
        drop(running);
        if self.work_dir.is_none() && outcomes.iter().all(|outcome| outcome.passed) {
            // It is empty; a folder that stays does no harm.
            let _ = fs::remove_dir(&settings.folder);
        }
        if let Ok(mock) = Arc::try_unwrap(mock) {
            mock.stop().await;
        }
        Ok(Report::new(self.seed, self.flags(&settings.time), &self.command, outcomes))
    }

    /// The flags that a repetition of a scenario needs beside its name and the seed.
    fn flags(&self, time: &TimeSource) -> Vec<String> {
        let mut flags = Vec::new();
        let mut add = |name: &str, value: String| flags.extend([name.to_owned(), value]);
        for path in &self.file {
            add("--file", path.display().to_string());
        }
        for path in &self.dir {
            add("--dir", path.display().to_string());
        }
        if self.api != [ReadApi::V3_3] {
            add("--api", self.api.iter().map(|api| api.code()).collect::<Vec<_>>().join(","));
        }
        if self.category != Category::Device {
            add("--category", self.category.code().to_owned());
        }
        if let Some(map) = &self.map {
            add("--map", map.to_string());
        }
        add("--time", time.code().to_owned());
        if self.time_limit != DEFAULT_TIME_LIMIT {
            add("--time-limit", self.time_limit.to_string());
        }
        if let Some(path) = &self.faketime {
            add("--faketime", path.display().to_string());
        }
        if self.service {
            flags.push("--service".to_owned());
        }
        flags
    }
}

/// A folder for temporary files that was not there. An earlier process with the same id can have left one.
fn new_folder() -> io::Result<PathBuf> {
    let id = std::process::id();
    for number in 1.. {
        let folder = std::env::temp_dir().join(format!("opswat-mock-check-{id}-{number}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = scenario::all().iter().map(|one| one.name.as_str()).collect();
    format!("there is no scenario {name:?}; the scenarios are {}", names.join(", "))
}

fn print(text: &str) {
    // The reader may have closed the pipe.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn progress(scenarios: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style =
        ProgressStyle::with_template("{bar:40} {pos} of {len} scenarios, {elapsed}").expect("a template that is right");
    ProgressBar::with_draw_target(Some(scenarios), target).with_style(style)
}
