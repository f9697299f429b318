//! Measures the start time and the memory of the server, with a small and with the largest number of devices.
//!
//! `cargo build --release && cargo run --release --example footprint -- [REQUESTS]`; 100 000 requests by default. It
//! reads the memory from `/proc`, so it requires Linux.

mod binary;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use self::binary::{Server, TOKEN};

const NOW: u64 = 1_768_478_400_000;
const DAY: u64 = 86_400_000;
const STARTS: usize = 21;

fn main() {
    let requests = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let worlds = [("100 devices, 30 days", ["100", "30"]), ("100 000 devices, 10 years", ["100000", "3653"])];
    println!("{:<28}{:>16}{:>14}{:>28}", "", "exec to 200", "idle", &*format!("after {requests} requests"));
    for (name, [devices, days]) in worlds {
        let start = || started(&["--devices", devices, "--retention-days", days]);
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

/// Starts a server and sends one request. Returns the server and the time until the response.
fn started(flags: &[&str]) -> (Server, Duration) {
    let began = Instant::now();
    let server = Server::start(flags);
    let body = format!(r#"{{"event_category":"device","start_time":{},"limit":100}}"#, NOW - DAY);
    server.client().send(&body);
    (server, began.elapsed())
}

impl Server {
    fn client(&self) -> Client {
        Client { stream: self.connect(), buffer: vec![0; 256 * 1024] }
    }

    /// Reads different windows of four categories over the whole retention period, with two clients.
    fn load(&self, requests: u64, days: u64) {
        std::thread::scope(|scope| {
            for half in 0..2 {
                let mut client = self.client();
                scope.spawn(move || {
                    for nth in (half..requests).step_by(2) {
                        let category = ["device", "admin", "webhook", "device_report"][(nth / 2 % 4) as usize];
                        // The step does not divide the range, so the starts spread over all days.
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
