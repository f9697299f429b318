//! Runs the binary without `OPSWAT_MOCK_` variables of the test environment.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

pub(crate) fn mock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opswat-mock"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OPSWAT_MOCK_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// Writes a file for a test.
pub(crate) fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file for the test");
    path
}

/// A running server, with its banner up to the line `Try it:`. It is killed on drop.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) banner: String,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = output.lines().map_while(Result::ok).take_while(|line| line != "Try it:");
        let banner = lines.map(|line| line + "\n").collect();
        Self { child, banner }
    }

    pub(crate) fn port(&self) -> u16 {
        let first = self.banner.lines().next().expect("a banner");
        first.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {first}"))
    }

    pub(crate) fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("a connection");
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The standard error of a server until its end.
pub(crate) fn said(command: &mut Command, meanwhile: impl FnOnce(&Server)) -> String {
    let mut server = Server::start(command.stderr(Stdio::piped()));
    meanwhile(&server);
    server.signal("-TERM");
    server.child.wait().expect("an end");
    let mut said = String::new();
    server.child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    said
}
