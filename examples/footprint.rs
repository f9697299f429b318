//! How fast the server starts and how much memory it takes, for the smallest and the largest world.
//!
//! `cargo build --release && cargo run --release --example footprint -- [REQUESTS]`; a hundred thousand requests by default. Reads
//! memory from `/proc`, so it wants Linux.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
const NOW: u64 = 1_768_478_400_000;
const DAY: u64 = 86_400_000;
const STARTS: usize = 21;

fn main() {
    let requests = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let worlds = [("100 devices, 30 days", ["100", "30"]), ("100 000 devices, 10 years", ["100000", "3653"])];
    println!("{:<28}{:>16}{:>14}{:>28}", "", "exec to 200", "idle", &*format!("after {requests} requests"));
    for (name, [devices, days]) in worlds {
        let start = || Server::start(&["--devices", devices, "--retention-days", days]);
        let mut starts: Vec<Duration> = (0..STARTS).map(|_| start().1).collect();
        starts.sort();
        let (server, _) = start();
        let idle = server.resident_kib();
        server.load(requests, days.parse().expect("a number"));
        println!(
            "{name:<28}{:>13.1} ms{:>10.1} MB{:>24.1} MB",
            starts[STARTS / 2].as_secs_f64() * 1e3,
            idle / 1024.0,
            server.resident_kib() / 1024.0
        );
    }
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// A server that has answered once, and how long that took from its start.
    fn start(flags: &[&str]) -> (Self, Duration) {
        // Examples stand in a folder beside the binary.
        let own = std::env::current_exe().expect("a path");
        let binary: PathBuf = own.parent().and_then(|folder| folder.parent()).expect("a folder").join("opswat-mock");
        let began = Instant::now();
        let mut command = Command::new(binary);
        command.args(["--port", "0", "--now", "2026-01-15T12:00:00Z", "--rate-limit", "off"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("cargo build --release comes before");
        let mut banner = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        banner.read_line(&mut first).expect("a banner");
        // The rest of it must be taken, or the server waits for somebody to do so.
        std::thread::spawn(move || banner.read_to_end(&mut Vec::new()));
        let port = first.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let server = Self { child, port };
        let body = format!(r#"{{"event_category":"device","start_time":{},"limit":100}}"#, NOW - DAY);
        server.client().send(&body);
        (server, began.elapsed())
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Client { stream, buffer: vec![0; 256 * 1024] }
    }

    /// Different windows of all categories, over all the days that can be read, from two clients.
    fn load(&self, requests: u64, days: u64) {
        std::thread::scope(|scope| {
            for half in 0..2 {
                let mut client = self.client();
                scope.spawn(move || {
                    for nth in (half..requests).step_by(2) {
                        let category = ["device", "admin", "webhook", "device_report"][(nth / 2 % 4) as usize];
                        // A step that is no multiple of anything: over and over through all the days.
                        let start = NOW - days * DAY + nth * 7_777_777_777 % (days * DAY);
                        let body = format!(
                            r#"{{"event_category":"{category}","start_time":{start},"end_time":{},"limit":100}}"#,
                            start + 3 * DAY
                        );
                        client.send(&body);
                    }
                });
            }
        });
    }

    fn resident_kib(&self) -> f64 {
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

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn send(&mut self, body: &str) {
        let head = format!(
            "POST /o/api/v3.3/logs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all((head + body).as_bytes()).expect("written");
        let (mut read, mut whole) = (0, usize::MAX);
        while read < whole {
            read += self.stream.read(&mut self.buffer[read..]).expect("read");
            if whole == usize::MAX {
                let text = String::from_utf8_lossy(&self.buffer[..read.min(1024)]).into_owned();
                assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
                let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                whole = head.len() + 4 + length.and_then(|digits| digits.parse::<usize>().ok()).expect("a length");
            }
        }
    }
}
