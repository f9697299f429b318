//! The processes of a connector.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::process::{Child, Command};

/// A running connector. It is the leader of a process group, so that what it starts ends with it.
#[derive(Debug)]
pub(super) struct Connector(Child);

impl Connector {
    /// Starts a command. Its output and its errors are appended to files.
    pub(super) fn start(
        command: &[OsString],
        variables: &[(&'static str, String)],
        time_zone: Option<&str>,
        output: &Path,
        errors: &Path,
    ) -> io::Result<Self> {
        let (program, arguments) = command.split_first().expect("clap requires a command");
        let mut child = Command::new(filled(program, variables));
        child.args(arguments.iter().map(|argument| filled(argument, variables)));
        for (name, value) in variables {
            child.env(format!("OPSWAT_{}", name.to_ascii_uppercase()), value);
        }
        if let Some(zone) = time_zone {
            child.env("TZ", zone);
        }
        child.stdin(Stdio::null()).stdout(append(output)?).stderr(append(errors)?).kill_on_drop(true);
        #[cfg(unix)]
        child.process_group(0);
        child.spawn().map(Self)
    }

    /// Waits until the process ends by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Ends the process and what it started, at once.
    pub(super) async fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.0.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) {
            // The group can be gone already.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        // The process can have ended already.
        let _ = self.0.kill().await;
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// An argument with the values of `{url}` and the like.
fn filled(argument: &OsStr, variables: &[(&'static str, String)]) -> OsString {
    match argument.to_str().filter(|text| text.contains('{')) {
        None => argument.to_owned(),
        Some(text) => {
            let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
            variables.iter().fold(text.to_owned(), fill).into()
        }
    }
}
