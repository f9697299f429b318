//! The signals that stop `serve`.

#[cfg(unix)]
use std::fs;
use std::io;

/// A receiver of SIGINT, SIGTERM and SIGHUP.
#[cfg(unix)]
pub(super) struct Signals {
    sigint: tokio::signal::unix::Signal,
    sigterm: tokio::signal::unix::Signal,
    /// `None` where the process was started with SIGHUP ignored, as `nohup` does.
    sighup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            sigint: signal(SignalKind::interrupt())?,
            sigterm: signal(SignalKind::terminate())?,
            sighup: if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.sigint.recv() => {}
            _ = self.sigterm.recv() => {}
            () = async {
                match &mut self.sighup {
                    Some(sighup) => drop(sighup.recv().await),
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

/// Whether the process was started with SIGHUP ignored. A handler would end that.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    // Linux lists the ignored signals as hexadecimal bits; SIGHUP is the first. Elsewhere the handler is installed.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & 1 == 1)
}

/// A receiver of Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn recv(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
