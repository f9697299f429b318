//! Compares a v3.3 page of 100 events, through all middleware, with a bare axum route that sends the same bytes.
//!
//! Both servers run in this process and get the same requests over loopback from the same client, alternately. The
//! result is the ratio, because the absolute request rates depend on the machine and its load.
//!
//! `cargo bench --bench serve`

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::header, routing::post};
use opswat_mock::{Mock, account::quota::QuotaLimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(700);
const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
const NOW: u64 = 1_768_478_400_000;
const DAY: u64 = 86_400_000;

fn main() {
    // `cargo test --benches` only checks that the benchmark runs.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    // The quota is never exhausted, but each request passes the quota middleware.
    let limit: QuotaLimit = "1000000000/1".parse().expect("a limit");
    let builder = Mock::builder().now("2026-01-15T12:00:00Z").quota(limit.into());
    let running = builder.start().await.expect("a mock");
    let mock = running.address();

    let page = Client::connect(mock).await.send(&request(NOW - 5 * DAY)).await.to_vec();
    let body = Bytes::from(page[position(&page, b"\r\n\r\n") + 4..].to_vec());
    let events = String::from_utf8_lossy(&body).matches("\"timestamp\"").count();
    assert_eq!(events, 100, "a full page");
    let bare = Router::new().route(
        "/o/api/v3.3/logs",
        post({
            let body = body.clone();
            || async { ([(header::CONTENT_TYPE, "application/json;charset=UTF-8")], body) }
        }),
    );
    let bare = listen(|listener| async move { axum::serve(listener, bare).await.expect("served") }).await;

    println!(
        "a page of {events} events ({} bytes), {CONNECTIONS} connections, {rounds} rounds of {ROUND:?}\n",
        body.len()
    );
    let windows = AtomicU64::new(0);
    let repeated = || NOW - 5 * DAY;
    // The step does not divide the range, so the starts spread over the retention period.
    let changing = || NOW - 29 * DAY + windows.fetch_add(1, Ordering::Relaxed) * 777_777 % (25 * DAY);
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        rates[0].push(load(bare, &repeated).await);
        rates[1].push(load(mock, &repeated).await);
        rates[2].push(load(mock, &changing).await);
    }
    println!("{:<34}{:>12}{:>20}", "", "requests/s", "of the bare route");
    for (nth, name) in
        ["bare axum route", "mock, the same window again", "mock, another window each time"].iter().enumerate()
    {
        let ratio = median(rates[nth].iter().zip(&rates[0]).map(|(rate, bare)| rate / bare).collect());
        println!("{name:<34}{:>12.0}{ratio:>20.2}", median(rates[nth].clone()));
    }
}

async fn listen<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpListener) -> F) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener));
    address
}

/// The requests per second of a server in one round.
async fn load(server: SocketAddr, start: &(impl Fn() -> u64 + Sync)) -> f64 {
    let began = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| async {
        let mut client = Client::connect(server).await;
        let mut answered = 0_u32;
        while began.elapsed() < ROUND {
            client.send(&request(start())).await;
            answered += 1;
        }
        answered
    });
    let answered: u32 = futures_util::future::join_all(clients).await.into_iter().sum();
    f64::from(answered) / began.elapsed().as_secs_f64()
}

fn request(start: u64) -> String {
    let body = format!(
        r#"{{"event_category":"device_report","start_time":{start},"end_time":{},"limit":100}}"#,
        start + 3 * DAY
    );
    format!(
        "POST /o/api/v3.3/logs HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A minimal client, so that the server takes most of the measured time.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self { stream, buffer: vec![0; 256 * 1024] }
    }

    async fn send(&mut self, request: &str) -> &[u8] {
        self.stream.write_all(request.as_bytes()).await.expect("written");
        let (mut read, mut whole) = (0, usize::MAX);
        while read < whole {
            read += self.stream.read(&mut self.buffer[read..]).await.expect("read");
            if whole == usize::MAX {
                let head = position(&self.buffer[..read], b"\r\n\r\n");
                let length = position(&self.buffer[..head], b"content-length: ") + 16;
                let digits = self.buffer[length..].iter().take_while(|byte| byte.is_ascii_digit());
                whole = head + 4 + digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
                assert!(self.buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer[..head]));
            }
        }
        &self.buffer[..read]
    }
}

fn position(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).expect("the pattern")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
