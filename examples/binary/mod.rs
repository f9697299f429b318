//! The release binary, started for an example and ended with it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// The token of the account `default`.
pub(crate) const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";

/// A server in a process of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// A server whose clock stands still and that counts no quota, with these flags besides.
    pub(crate) fn start(flags: &[&str]) -> Self {
        // Examples are in a folder beside the binary, unless the variable BINARY names another one.
        let own = std::env::current_exe().expect("a path");
        let beside = own.parent().and_then(|folder| folder.parent()).expect("a folder").join("opswat-mock");
        let binary = std::env::var_os("BINARY").map_or(beside, PathBuf::from);
        let mut command = Command::new(binary);
        command.args(["--port", "0", "--now", "2026-01-15T12:00:00Z", "--rate-limit", "off"]).args(flags);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("cargo build --release comes before");
        let mut banner = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        banner.read_line(&mut first).expect("a banner");
        // The rest of it must be taken, or the server waits for somebody to do so.
        std::thread::spawn(move || banner.read_to_end(&mut Vec::new()));
        let port = first.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Self { child, port }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream
    }

    /// Its resident memory, in KiB. Wants Linux.
    pub(crate) fn resident_kib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of the kernel's");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
