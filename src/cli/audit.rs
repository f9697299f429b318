//! `opswat-mock audit`: compares what a connector stored with the events of a running server.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use ureq::SendBody;

use super::{
    ask::{Question, Target},
    generate::category,
};
use crate::{audit::MAX_EXAMPLES, config, world::Category};

/// Compares what a connector stored with the events of a running server: what is missing, doubled, altered or invented, and
/// why. Without FILE, compares what was served.
#[derive(Debug, Parser)]
#[command(
    name = "opswat-mock",
    bin_name = "opswat-mock audit",
    version,
    max_term_width = 100,
    next_line_help = true,
    after_help = "Exit code 0 if the records are complete, 1 if not, 2 if the server cannot be asked"
)]
struct Audit {
    #[command(flatten)]
    target: Target,
    /// Category of the events
    #[arg(long, value_name = "CATEGORY", value_parser = category())]
    category: Category,
    /// Start of the window (inclusive); by default that of all windows in the journal
    #[arg(long, value_name = "RFC3339")]
    from: Option<String>,
    /// End of the window (exclusive); with --from, now by default
    #[arg(long, value_name = "RFC3339", requires = "from")]
    to: Option<String>,
    /// Codes of the expected events, separated by commas; all by default
    #[arg(long, value_name = "CODES")]
    events: Option<String>,
    #[arg(
        long,
        value_name = "FIELD:PLACE,…",
        help = "Places of the fields in a record, such as timestamp:/@timestamp,event:/event/action"
    )]
    map: Option<String>,
    /// Numbers of the agent types of the expected events: 0, 2 or 0,2; all by default
    #[arg(long, value_name = "NUMBERS")]
    agent_types: Option<String>,
    /// Text that the expected events have
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Maximum number of examples of each finding; by default 3 in a text and 20 in other formats
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(..=MAX_EXAMPLES as u64))]
    examples: Option<u64>,
    /// Format of the records; by default CSV for a FILE that ends in .csv, otherwise JSON (lines or an array)
    #[arg(long, value_name = "FORMAT")]
    records: Option<Records>,
    /// File with the records; - is the standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Records {
    /// One JSON object per line, or a JSON array
    Json,
    /// A header line, then comma-separated values
    Csv,
}

/// Runs the command.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, clap::Error> {
    let found = config::without_empty(Audit::command()).try_get_matches_from(arguments)?;
    let audit = Audit::from_arg_matches(&found)?;
    let question = Question::new("audit")
        .with("category", Some(audit.category.code()))
        .with("from", audit.from.as_ref())
        .with("to", audit.to.as_ref())
        .with("events", audit.events.as_ref())
        .with("map", audit.map.as_ref())
        .with("agent_types", audit.agent_types.as_ref())
        .with("search", audit.search.as_ref())
        .with("examples", audit.examples);
    let Some(path) = &audit.file else {
        return Ok(audit.target.get(question));
    };
    let mut records: Box<dyn Read> = match open(path) {
        Ok(records) => records,
        Err(error) => {
            super::print_error(&format!("cannot read {}: {error}", path.display()));
            return Ok(ExitCode::from(super::USAGE));
        }
    };
    let is_csv = audit.records.map_or_else(
        || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")),
        |records| records == Records::Csv,
    );
    let content_type = if is_csv { "text/csv" } else { "application/x-ndjson" };
    Ok(audit.target.ask(question, |agent, url, bearer| {
        let request = agent.post(url).content_type(content_type);
        let request = if let Some(bearer) = bearer { request.header("authorization", bearer) } else { request };
        request.send(SendBody::from_reader(&mut records))
    }))
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(path)?)) }
}
