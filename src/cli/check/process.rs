//! The processes of a connector.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// What a connector gets.
#[derive(Debug)]
pub(super) struct Environment {
    /// The values of `{url}` and the like in arguments, which are also in variables such as `OPSWAT_URL`.
    pub(super) values: Vec<(&'static str, String)>,
    /// The values that are in arguments only.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// Further variables, by their whole names.
    pub(super) variables: Vec<(&'static str, String)>,
}

/// A running connector. It is the leader of a process group, so that what it starts ends with it.
#[derive(Debug)]
pub(super) struct Connector {
    child: Child,
    /// The id of the process group.
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl Connector {
    /// Starts a command. Its output and its errors are appended to files.
    pub(super) fn start(
        command: &[OsString],
        environment: &Environment,
        output: &Path,
        errors: &Path,
    ) -> io::Result<Self> {
        let (program, arguments) = command.split_first().expect("clap requires a command");
        let mut child = Command::new(environment.filled(program));
        child.args(arguments.iter().map(|argument| environment.filled(argument)));
        // What the user's own environment says of another server must not reach it, and a proxy has nothing to do with this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OPSWAT_") {
                child.env_remove(name);
            }
        }
        child.envs(["NO_PROXY", "no_proxy"].map(|name| (name, "127.0.0.1")));
        for (name, value) in &environment.values {
            child.env(format!("OPSWAT_{}", name.to_ascii_uppercase()), value);
        }
        child.envs(environment.variables.iter().map(|(name, value)| (name, value)));
        child.stdin(Stdio::null()).stdout(append(output)?).stderr(append(errors)?).kill_on_drop(true);
        #[cfg(unix)]
        child.process_group(0);
        let child = child.spawn()?;
        Ok(Self {
            #[cfg(unix)]
            group: child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)),
            child,
        })
    }

    /// Waits until the process ends by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process and what it started, at once.
    pub(super) async fn kill(&mut self) {
        self.signal_kill();
        // The process can have ended already.
        let _ = self.child.kill().await;
    }

    /// Asks the process to end, and returns how it ended; `None` if it had to be killed after some time.
    pub(super) async fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        #[cfg(unix)]
        if let Some(group) = self.group {
            // The process can have ended already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        }
        if let Ok(status) = timeout(patience, self.ended()).await {
            // What it started may still run.
            self.signal_kill();
            return status.map(Some);
        }
        self.kill().await;
        Ok(None)
    }

    fn signal_kill(&self) {
        #[cfg(unix)]
        if let Some(group) = self.group {
            // The group can be gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// What a connector leaves running ends with it.
impl Drop for Connector {
    fn drop(&mut self) {
        self.signal_kill();
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Environment {
    /// An argument with the values of `{url}` and the like.
    fn filled(&self, argument: &OsStr) -> OsString {
        match argument.to_str().filter(|text| text.contains('{')) {
            None => argument.to_owned(),
            Some(text) => {
                let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
                self.values.iter().chain(&self.hidden).fold(text.to_owned(), fill).into()
            }
        }
    }
}
