//! `opswat-mock generate`: writes a window's events, so that a pipeline can be tested in bulk without HTTP.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
};

use clap::{
    CommandFactory, FromArgMatches, Parser, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    api::rows,
    clock, config,
    world::{Category, Lag, MAX_DEVICES, Millis, Window, World, WorldConfig},
};

/// How many events are found at a time.
const STRIDE: usize = 8_192;
/// The midnight before the account was made: nothing happened before.
const FIRST_DAY: Millis = Millis(1_380_844_800_000);
/// The end of the last day.
const END: Millis = Millis(clock::LAST.0 + 86_400_000);
/// How many bytes are written at a time, about.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes the events of a window, oldest first, as the API would tell them. Reads no configuration file.
#[derive(Debug, Parser)]
#[command(
    name = "opswat-mock",
    bin_name = "opswat-mock generate",
    version,
    max_term_width = 100,
    next_line_help = true
)]
struct Generate {
    /// Which events
    #[arg(long, value_name = "CATEGORY", value_parser = category())]
    category: Category,
    /// The first instant, such as 2026-01-15 or 2026-01-15T08:00:00Z
    #[arg(long, value_name = "RFC3339")]
    from: Instant,
    /// The instant at which the window ends; an event of just then is not in it
    #[arg(long, value_name = "RFC3339")]
    to: Instant,
    /// How they are written
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: Format,
    /// Where to; without it, to the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Decides the whole history; the same seed tells the same story everywhere
    #[arg(long, env = "OPSWAT_MOCK_SEED", hide_env_values = true, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// Devices that the company has at a time, from 0 to 100000
    #[arg(long, env = "OPSWAT_MOCK_DEVICES", hide_env_values = true, value_name = "NUMBER", default_value = "100",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_DEVICES)))]
    devices: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// One JSON array
    Json,
    /// A header line, then comma-separated values
    Csv,
}

/// A day or an instant.
#[derive(Clone, Copy, Debug)]
struct Instant(Millis);

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = clock::parse_instant(text).filter(|at| (FIRST_DAY..=END).contains(at));
        at.map(Self).ok_or_else(|| {
            "must be an instant such as 2026-01-15T08:00:00Z or a day such as 2026-01-15, from 2013-10-04 to 2200-01-01"
                .to_owned()
        })
    }
}

/// A category by its name in the API; the help lists all of them.
fn category() -> impl TypedValueParser<Value = Category> {
    PossibleValuesParser::new(Category::ALL.map(Category::code)).map(|name| {
        let known = Category::ALL.into_iter().find(|category| category.code() == name);
        known.expect("one of the names that are possible")
    })
}

/// Runs the command. A reader that has read enough ends it with success.
pub(super) fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<ExitCode, clap::Error> {
    let found = config::without_empty(Generate::command()).try_get_matches_from(arguments)?;
    let asked = Generate::from_arg_matches(&found)?;
    if asked.to.0 < asked.from.0 {
        super::complain("--to must not be before --from");
        return Ok(ExitCode::from(super::USAGE));
    }
    let written = match &asked.out {
        None => write(&asked, io::stdout().lock()),
        Some(path) => File::create(path).and_then(|file| write(&asked, file)),
    };
    Ok(match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let to = asked.out.as_ref().map_or("the standard output".to_owned(), |path| path.display().to_string());
            super::complain(&format!("cannot write to {to}: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn write(asked: &Generate, mut out: impl Write) -> io::Result<()> {
    let world = World::new(WorldConfig { seed: asked.seed, devices: asked.devices, lag: Lag::NONE });
    let window = Window { from: asked.from.0, to: Millis(asked.to.0.0 - 1) };
    let events = world.events(asked.category, window, STRIDE);
    let progress = progress(events.left());
    let mut rows = rows::Writer::new(&world, asked.category);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    match asked.format {
        Format::Csv => buffer.extend_from_slice(rows.csv_header().as_bytes()),
        Format::Json => buffer.push(b'['),
        Format::Ndjson => {}
    }
    let mut first = true;
    for part in events {
        for event in &part {
            match asked.format {
                Format::Ndjson => {
                    rows.json(event, &mut buffer);
                    buffer.push(b'\n');
                }
                Format::Json => {
                    buffer.extend_from_slice(if first { b"\n" } else { b",\n" });
                    rows.json(event, &mut buffer);
                }
                Format::Csv => rows.csv(event, &mut buffer),
            }
            first = false;
            if buffer.len() >= BUFFER_BYTES {
                out.write_all(&buffer)?;
                buffer.clear();
            }
        }
        progress.inc(part.len() as u64);
    }
    if let Format::Json = asked.format {
        buffer.extend_from_slice(b"\n]\n");
    }
    out.write_all(&buffer)?;
    out.flush()?;
    progress.finish_and_clear();
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
fn progress(events: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events, {per_sec}, {eta} left")
        .expect("a template that is right");
    ProgressBar::with_draw_target(Some(events), target).with_style(style)
}
