//! The log of the server, on the standard error.

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, LogLevel};

/// Installs the log, and a panic hook that writes to it.
pub(super) fn init(level: LogLevel, format: LogFormat) {
    let own = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries log warnings and errors only, except with `trace`.
    let others = if level == LogLevel::Trace { LevelFilter::TRACE } else { own.min(LevelFilter::from(Level::WARN)) };
    let wanted = Targets::new().with_target("opswat_mock", own).with_default(others);
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let is_coloured = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(is_coloured);
    let lines = if is_json { lines.json().flatten_event(true).boxed() } else { lines.with_target(false).boxed() };
    // It fails only if a subscriber exists already, which happens only in tests.
    let _ = tracing_subscriber::registry().with(lines.with_filter(wanted)).try_init();
    panic::set_hook(Box::new(log_panic));
}

/// The panic hook: logs a panic in one line.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at = location, why = message.unwrap_or("the panic payload is not a string"), "panicked");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that collects the log in memory.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the lock is not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn logs_a_panic_in_one_line_with_its_location() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        tracing::subscriber::with_default(subscriber, || {
            let _ = panic::catch_unwind(|| panic!("on purpose, {}", 1));
        });
        panic::set_hook(before);
        let bytes = written.0.lock().expect("the lock is not poisoned").clone();
        let line: serde_json::Value = serde_json::from_slice(&bytes).expect("one line");
        assert_eq!((line["level"].as_str(), line["why"].as_str()), (Some("ERROR"), Some("on purpose, 1")));
        assert!(line["at"].as_str().is_some_and(|at| at.starts_with("src/cli/logs.rs:")), "{line}");
    }
}
