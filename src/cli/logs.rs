//! What the binary says on the standard error while it serves.

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogLevel};

/// Begins to write the log, and lets it say where a handler panicked.
pub(super) fn begin(level: LogLevel, format: LogFormat) {
    let own = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // What libraries say is for those who look for everything.
    let others = if level == LogLevel::Trace { LevelFilter::TRACE } else { own.min(LevelFilter::from(Level::WARN)) };
    let wanted = Targets::new().with_target("opswat_mock", own).with_default(others);
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(is_terminal).with_span_events(FmtSpan::NONE);
    let lines = if is_json { lines.json().flatten_event(true).boxed() } else { lines.with_target(false).boxed() };
    // Somebody else can only have begun one in a test.
    let _ = tracing_subscriber::registry().with(lines.with_filter(wanted)).try_init();
    panic::set_hook(Box::new(say));
}

/// One line for a panic.
fn say(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at = place, why = message.unwrap_or("something that is no text"), "panicked");
}
