//! Runs a server under valid and hostile load, and checks its responses and its memory.
//!
//! `cargo build --release && cargo run --release --example soak -- --minutes 1`. Valid clients read pages over kept and
//! new connections, get tokens, and use the control surface. Each of their requests must succeed. Hostile clients send
//! unknown tokens, many new sandbox names, broken page tokens, garbage, and large heads and bodies. The example checks
//! the status of these responses, too. Other hostile clients send bytes slowly, send nothing, never read, or reset the
//! connection during the response. The exit code is 1 if a response is wrong, if the server's memory exceeds its limit,
//! or if it grows in the second half of the run. It requires Linux.

mod binary;

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Read, Write},
    net::{Shutdown, TcpStream},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use hdrhistogram::Histogram;
use socket2::SockRef;

use self::binary::{Server, TOKEN};

/// The time of the server's frozen clock, in epoch milliseconds.
const NOW: u64 = 1_768_478_400_000;
const DAY: u64 = 86_400_000;
/// The time limits of the server for a head, a body and a write: shorter than the defaults, so that they affect the
/// slow clients.
const SHORT_SECONDS: &str = "2";
/// The number of open connections that send nothing, send too little, or never read.
const STALLED_CONNECTIONS: usize = 400;
/// The allowed growth of memory in the second half, in addition to 10 %.
const GROWTH_KIB: f64 = 8.0 * 1024.0;

#[derive(Parser)]
struct Flags {
    /// Duration of the run in minutes
    #[arg(long, default_value = "1")]
    minutes: f64,
    /// Maximum memory of the server, in MB
    #[arg(long, default_value = "256")]
    max_mb: f64,
}

/// The state that all threads share.
struct Soak {
    server: Server,
    is_over: AtomicBool,
    good: AtomicU64,
    hostile: AtomicU64,
    /// The response times of valid requests, in microseconds.
    times: Mutex<Histogram<u64>>,
    /// The first failures.
    wrong: Mutex<Vec<String>>,
    wrongs: AtomicU64,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    // Raises the limit of open files for the clients in this process. The server raises its own.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let soak = Soak {
        server: Server::start(&[
            "--header-seconds",
            SHORT_SECONDS,
            "--write-seconds",
            SHORT_SECONDS,
            "--body-seconds",
            SHORT_SECONDS,
            "--journal",
            "2000",
            "--log-level",
            "warn",
        ]),
        is_over: AtomicBool::new(false),
        good: AtomicU64::new(0),
        hostile: AtomicU64::new(0),
        times: Mutex::new(Histogram::new(3).expect("three digits")),
        wrong: Mutex::new(Vec::new()),
        wrongs: AtomicU64::new(0),
    };
    let kib = thread::scope(|scope| {
        let roles: [fn(&Soak); 11] = [
            Soak::walk,
            Soak::walk,
            Soak::use_new_connections,
            Soak::log_in,
            Soak::control,
            Soak::guess_tokens,
            Soak::make_sandboxes,
            Soak::break_page_tokens,
            Soak::send_garbage,
            Soak::reset,
            Soak::stall,
        ];
        for role in roles {
            let soak = &soak;
            scope.spawn(move || {
                while !soak.is_over.load(Ordering::Relaxed) {
                    role(soak);
                }
            });
        }
        let kib = soak.watch(Duration::from_secs_f64(flags.minutes * 60.0));
        soak.is_over.store(true, Ordering::Relaxed);
        kib
    });
    soak.verdict(&kib, flags.max_mb)
}

impl Soak {
    /// Prints the progress, and returns the server's memory at each second.
    fn watch(&self, time: Duration) -> Vec<f64> {
        let (began, is_terminal) = (Instant::now(), io::stdout().is_terminal());
        let mut kib = Vec::new();
        let mut before = 0;
        while began.elapsed() < time {
            thread::sleep(Duration::from_secs(1));
            kib.push(self.server.resident_kib());
            let (good, hostile) = (self.good.load(Ordering::Relaxed), self.hostile.load(Ordering::Relaxed));
            let line = format!(
                "{:>5} s {:>6} requests/s {:>9} good {:>9} hostile {:>3} wrong   p50 {:>5} µs  p99 {:>6} µs  {:>6.1} MB",
                began.elapsed().as_secs(),
                good + hostile - before,
                good,
                hostile,
                self.wrongs.load(Ordering::Relaxed),
                self.quantile(0.5),
                self.quantile(0.99),
                kib.last().unwrap_or(&0.0) / 1024.0,
            );
            before = good + hostile;
            if is_terminal {
                print!("\r{line}");
                let _ = io::stdout().flush();
            } else if kib.len() % 10 == 0 {
                println!("{line}");
            }
        }
        println!();
        kib
    }

    fn quantile(&self, part: f64) -> u64 {
        self.times.lock().expect("the lock is not poisoned").value_at_quantile(part)
    }

    fn verdict(&self, kib: &[f64], max_mb: f64) -> ExitCode {
        let mut wrong = self.wrong.lock().expect("the lock is not poisoned").clone();
        let most = kib.iter().copied().fold(0.0, f64::max);
        if most / 1024.0 > max_mb {
            wrong.push(format!("the server had {:.1} MB, more than {max_mb}", most / 1024.0));
        }
        // Compares the maximum of both halves: caches fill during the first one.
        let (first, second) = kib.split_at(kib.len() / 2);
        let (before, after) = (first.iter().copied().fold(0.0, f64::max), second.iter().copied().fold(0.0, f64::max));
        if before > 0.0 && after > before * 1.1 + GROWTH_KIB {
            wrong.push(format!(
                "memory grew from {:.1} to {:.1} MB in the second half",
                before / 1024.0,
                after / 1024.0
            ));
        }
        println!("memory: {:.1} MB at most in the first half, {:.1} MB in the second", before / 1024.0, after / 1024.0);
        for line in &wrong {
            println!("WRONG: {line}");
        }
        if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn record_failure(&self, what: String) {
        self.wrongs.fetch_add(1, Ordering::Relaxed);
        let mut wrong = self.wrong.lock().expect("the lock is not poisoned");
        if wrong.len() < 10 {
            wrong.push(what);
        }
    }

    /// Sends a request that must succeed, and returns the response body.
    fn good(&self, client: &mut Client, request: &str) -> String {
        let began = Instant::now();
        let answer = client.ask(request);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.times.lock().expect("the lock is not poisoned").saturating_record(micros);
        self.good.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok((200 | 201 | 204, body)) => return body,
            Ok((status, body)) => self.record_failure(format!("{status} {body:.200} for {request:.200}")),
            Err(error) => self.record_failure(format!("{error} for {request:.200}")),
        }
        // A connection is not reused after a failure.
        *client = Client::new(&self.server);
        String::new()
    }

    /// Sends a request that must get the status `wanted`.
    fn hostile(&self, client: &mut Client, request: &str, wanted: u16) {
        self.hostile.fetch_add(1, Ordering::Relaxed);
        match client.ask(request) {
            Ok((status, _)) if status == wanted => return,
            Ok((status, body)) => {
                self.record_failure(format!("{status} instead of {wanted}, {body:.200} for {request:.200}"));
            }
            Err(error) => self.record_failure(format!("{error} instead of {wanted} for {request:.200}")),
        }
        *client = Client::new(&self.server);
    }

    /// Reads the pages of many windows.
    fn walk(&self) {
        let mut client = Client::new(&self.server);
        for nth in (0_u64..200).map(|nth| nth + self.good.load(Ordering::Relaxed)) {
            let category = ["device", "admin", "webhook", "device_report"][usize::try_from(nth % 4).expect("a digit")];
            let start = NOW - 30 * DAY + nth * 7_777_777 % (29 * DAY);
            let mut page_token = String::new();
            for _ in 0..5 {
                let body = format!(
                    r#"{{"event_category":"{category}","start_time":{start},"end_time":{},"limit":100,"token":"{page_token}"}}"#,
                    start + DAY
                );
                let page = self.good(&mut client, &logs(TOKEN, &body));
                let next = page.rsplit(r#""token":""#).next().and_then(|rest| rest.split('"').next());
                next.unwrap_or_default().clone_into(&mut page_token);
                if page_token.is_empty() || page.starts_with(r#"{"data":[]"#) {
                    break;
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends v2 and v3 requests over a new connection each.
    fn use_new_connections(&self) {
        let v2 = get(&format!("/o/api/v2/logs?limit=50&event_type=1&access_token={TOKEN}"));
        self.good(&mut Client::new(&self.server), &v2);
        let v3 = post("/o/api/v3/activities", TOKEN, "application/json", r#"{"age":168,"limit":50}"#);
        self.good(&mut Client::new(&self.server), &v3);
        thread::sleep(Duration::from_millis(1));
    }

    fn log_in(&self) {
        let form = "grant_type=client_credentials&client_id=LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST&\
                    client_secret=SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST";
        let mut client = Client::new(&self.server);
        let answer = self.good(&mut client, &post("/o/oauth/token", "none", "application/x-www-form-urlencoded", form));
        let token = answer.split('"').nth(3).unwrap_or_default().to_owned();
        self.good(&mut client, &logs(&token, r#"{"event_category":"device"}"#));
        thread::sleep(Duration::from_millis(2));
    }

    /// Uses the control surface as a test does.
    fn control(&self) {
        let mut client = Client::new(&self.server);
        let json = |path: &str, body: &str| post(path, "none", "application/json", body);
        self.good(&mut client, &json("/_mock/accounts", r#"{"name":"tested","now":"2026-01-15T12:00:00Z"}"#));
        let account = "/_mock/accounts/tested";
        let event = r#"{"category":"device","event":"noncompliant"}"#;
        self.good(&mut client, &json(&format!("{account}/events"), event));
        self.good(&mut client, &json(&format!("{account}/faults"), r#"{"fault":{"status":503}}"#));
        self.good(&mut client, &json(&format!("{account}/clock/advance"), r#"{"seconds":3600}"#));
        self.good(&mut client, &get(&format!("{account}/requests")));
        self.good(&mut client, &get("/_mock/metrics"));
        self.good(&mut client, &get(account).replace("GET", "DELETE"));
        thread::sleep(Duration::from_millis(5));
    }

    fn guess_tokens(&self) {
        let mut client = Client::new(&self.server);
        for _ in 0..200 {
            let guess = format!("{:048}", self.hostile.load(Ordering::Relaxed));
            self.hostile(&mut client, &logs(&guess, r#"{"event_category":"device"}"#), 401);
        }
        thread::sleep(Duration::from_millis(10));
    }

    fn make_sandboxes(&self) {
        let mut client = Client::new(&self.server);
        for _ in 0..100 {
            let name = format!("sandbox-{}", self.hostile.load(Ordering::Relaxed));
            self.hostile(&mut client, &logs(&name, r#"{"event_category":"device","age":86400}"#), 200);
            let form = format!("grant_type=client_credentials&client_id={name}-b&client_secret=sandbox");
            let ask = post("/o/oauth/token", "none", "application/x-www-form-urlencoded", &form);
            self.hostile(&mut client, &ask, 200);
        }
        thread::sleep(Duration::from_millis(5));
    }

    fn break_page_tokens(&self) {
        let mut client = Client::new(&self.server);
        for nth in 0..100 {
            let page_token = format!("{:A>64}", nth + self.hostile.load(Ordering::Relaxed));
            let body = format!(r#"{{"event_category":"device","token":"{page_token}"}}"#);
            self.hostile(&mut client, &logs(TOKEN, &body), 400);
        }
        thread::sleep(Duration::from_millis(10));
    }

    fn send_garbage(&self) {
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
        let large = post("/o/api/v3/activities", TOKEN, "application/json", &" ".repeat(200_000));
        for (request, wanted) in
            [(&*long, 431), (&large, 400), ("\x16\x03\x01 no handshake\r\n\r\n", 400), ("\r\n\0\r\n\r\n", 400)]
        {
            self.hostile(&mut Client::new(&self.server), request, wanted);
        }
        thread::sleep(Duration::from_millis(20));
    }

    /// Resets the connection during the response.
    fn reset(&self) {
        let mut client = Client::new(&self.server);
        let asked = logs(TOKEN, r#"{"event_category":"device","age":86400,"limit":100}"#);
        let _ = client.stream.write_all(asked.repeat(10).as_bytes());
        let _ = client.stream.read(&mut [0; 100]);
        let _ = SockRef::from(&client.stream).set_linger(Some(Duration::ZERO));
        self.hostile.fetch_add(10, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }

    /// Holds connections that send nothing, send bytes slowly, stop in the body, or never read. It ignores their
    /// responses: the server must serve the other clients meanwhile.
    fn stall(&self) {
        let asks = logs(TOKEN, r#"{"event_category":"device","start_time":1766000000000,"limit":100}"#).repeat(60);
        let begins = [
            "",
            "GET /o/api/v2/logs HTTP/1.1\r\nx: ",
            "POST /o/oauth/token HTTP/1.1\r\ncontent-length: 900\r\n\r\ngrant",
            &asks,
        ];
        let mut stalled = VecDeque::new();
        for nth in 0_usize.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let mut stream = self.server.connect();
            // A small receive buffer makes the server's writes block early.
            let _ = SockRef::from(&stream).set_recv_buffer_size(4096);
            let _ = stream.set_write_timeout(Some(Duration::from_millis(50)));
            let _ = stream.write_all(begins[nth % begins.len()].as_bytes());
            if nth % 7 == 0 {
                let _ = stream.shutdown(Shutdown::Write);
            }
            stalled.push_back(stream);
            if stalled.len() > STALLED_CONNECTIONS {
                stalled.pop_front();
            }
            // Sends a byte on some of the slow connections.
            for stream in stalled.iter_mut().skip((4 - nth % 4 + 1) % 4).step_by(40) {
                let _ = stream.write_all(b"x");
            }
            self.hostile.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One connection.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn new(server: &Server) -> Self {
        let stream = server.connect();
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("an option");
        Self { stream, received: Vec::new() }
    }

    /// Sends a request, and returns the status and the body of the response.
    fn ask(&mut self, request: &str) -> io::Result<(u16, String)> {
        // The server may send an error response without reading the whole request.
        let written = self.stream.write_all(request.as_bytes());
        self.received.clear();
        let mut part = [0; 16 * 1024];
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.take(&mut part).map_err(|error| written.as_ref().err().map_or(error, |error| error.kind().into()))?;
        };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let whole = end + length.unwrap_or(0_usize);
        while self.received.len() < whole {
            self.take(&mut part)?;
        }
        Ok((status, String::from_utf8_lossy(&self.received[end..whole]).into_owned()))
    }

    fn take(&mut self, part: &mut [u8]) -> io::Result<()> {
        match self.stream.read(part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.received.extend_from_slice(&part[..read]);
                Ok(())
            }
        }
    }
}

fn logs(token: &str, body: &str) -> String {
    post("/o/api/v3.3/logs", token, "application/json", body)
}

fn post(path: &str, token: &str, media_type: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: {media_type}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}
