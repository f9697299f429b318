//! `opswat-mock generate`: writes the events of a window, for bulk tests without HTTP.

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

/// The number of events that are generated at once.
const CHUNK_EVENTS: usize = 8_192;
/// The earliest `--from`: the midnight before the start of the history.
const FIRST_DAY: Millis = Millis(1_380_844_800_000);
/// The latest `--to`: the end of the last day of the history.
const END: Millis = Millis(clock::LAST.0 + 86_400_000);
/// The approximate number of bytes per write.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes the events of a window, oldest first, in the fields and values of the API. Reads no configuration file.
#[derive(Debug, Parser)]
#[command(
    name = "opswat-mock",
    bin_name = "opswat-mock generate",
    version,
    max_term_width = 100,
    next_line_help = true
)]
struct Generate {
    /// Category of the events
    #[arg(long, value_name = "CATEGORY", value_parser = category())]
    category: Category,
    /// Start of the window (inclusive), such as 2026-01-15 or 2026-01-15T08:00:00Z
    #[arg(long, value_name = "RFC3339")]
    from: Instant,
    /// End of the window (exclusive)
    #[arg(long, value_name = "RFC3339")]
    to: Instant,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: Format,
    /// Output file; the standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seed of the history; the same seed and settings generate the same events on every machine
    #[arg(long, env = "OPSWAT_MOCK_SEED", hide_env_values = true, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// Number of devices of the company at any time, from 0 to 100000
    #[arg(long, env = "OPSWAT_MOCK_DEVICES", hide_env_values = true, value_name = "NUMBER", default_value = "100",
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_DEVICES)))]
    devices: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object per line
    Ndjson,
    /// One JSON array
    Json,
    /// A header line, then comma-separated values
    Csv,
}

/// An instant, or the midnight of a day.
#[derive(Clone, Copy, Debug)]
struct Instant(Millis);

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = clock::parse_instant(text).filter(|at| (FIRST_DAY..=END).contains(at));
        at.map(Self).ok_or_else(|| {
            "must be an instant such as 2026-01-15T08:00:00Z, a day such as 2026-01-15 or epoch milliseconds, \
             from 2013-10-04 to 2200-01-01"
                .to_owned()
        })
    }
}

/// Parses a category by its name in the API. The help lists all names.
pub(super) fn category() -> impl TypedValueParser<Value = Category> {
    PossibleValuesParser::new(Category::ALL.map(Category::code))
        .map(|name| Category::from_code(&name).expect("one of the names that are possible"))
}

/// Runs the command. A closed output pipe ends it with exit code 0.
pub(super) fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<ExitCode, clap::Error> {
    let found = config::without_empty(Generate::command()).try_get_matches_from(arguments)?;
    let options = Generate::from_arg_matches(&found)?;
    if options.to.0 < options.from.0 {
        super::print_error("--to must not be before --from");
        return Ok(ExitCode::from(super::USAGE));
    }
    let written = match &options.out {
        None => write(&options, io::stdout().lock()),
        Some(path) => File::create(path).and_then(|file| write(&options, file)),
    };
    Ok(match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let to = options.out.as_ref().map_or("the standard output".to_owned(), |path| path.display().to_string());
            super::print_error(&format!("cannot write to {to}: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn write(options: &Generate, mut out: impl Write) -> io::Result<()> {
    let world =
        World::new(WorldConfig { seed: options.seed, devices: options.devices, lag: Lag::NONE, webhook_since: None });
    let window = Window { from: options.from.0, to: Millis(options.to.0.0 - 1) };
    let events = world.events(options.category, window, CHUNK_EVENTS);
    let progress = progress(events.left());
    let mut rows = rows::Writer::new(&world, options.category);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    match options.format {
        Format::Csv => buffer.extend_from_slice(rows.csv_header().as_bytes()),
        Format::Json => buffer.push(b'['),
        Format::Ndjson => {}
    }
    let mut first = true;
    for part in events {
        for event in &part {
            match options.format {
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
    if let Format::Json = options.format {
        buffer.extend_from_slice(b"\n]\n");
    }
    out.write_all(&buffer)?;
    out.flush()?;
    progress.finish_and_clear();
    Ok(())
}

/// A progress bar, hidden unless the standard error is a terminal.
fn progress(events: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events, {per_sec}, {eta} left")
        .expect("a template that is right");
    ProgressBar::with_draw_target(Some(events), target).with_style(style)
}
