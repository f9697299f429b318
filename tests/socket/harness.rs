//! A server on a free port with a frozen clock, and clients on raw sockets.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use opswat_mock::{Builder, Mock, account::Account, limits::Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";
/// A timeout that is longer than any expected wait.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Served {
    pub(crate) mock: Mock,
}

pub(crate) fn builder() -> Builder {
    Mock::builder().now("2026-01-15T12:00:00Z").without_quota()
}

pub(crate) async fn serve() -> Served {
    Served { mock: builder().start().await.expect("a mock") }
}

/// Starts a server with changed limits.
pub(crate) async fn serve_with(change: impl FnOnce(&mut Limits)) -> Served {
    let mut limits = Limits::default();
    change(&mut limits);
    Served { mock: builder().limits(limits).start().await.expect("a mock") }
}

/// Awaits a future, and panics after [`TIMEOUT`].
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, what).await.expect("the future timed out")
}

/// A v2 request for a page, with additional header lines.
pub(crate) fn page(lines: &str) -> String {
    format!("GET /o/api/v2/logs?limit=50&access_token={TOKEN} HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
}

/// A v3 request with this announced length and body.
pub(crate) fn activities(length: usize, body: &str) -> String {
    format!(
        "POST /o/api/v3/activities HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads until the server closes the connection.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset also counts as the end.
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads the head and the body of the next response.
pub(crate) async fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("ASCII");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    in_time(stream.read_exact(&mut body)).await.expect("a body");
    (head, String::from_utf8(body).expect("UTF-8"))
}

/// Waits until the first fault has been applied this number of times.
pub(crate) async fn applied(account: &Account, times: u64) {
    in_time(async {
        while account.faults()[0].applied < times {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

impl Served {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.mock.address()).await.expect("a connection")
    }

    /// Connects and sends bytes.
    pub(crate) async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.expect("written");
        stream
    }

    /// Sends bytes, shuts down the write side, and reads until the server closes the connection.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close the connection before it has read all bytes.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        rest(&mut stream).await
    }

    pub(crate) async fn is_healthy(&self) -> bool {
        self.exchange(page("").as_bytes()).await.starts_with("HTTP/1.1 200 OK\r\n")
    }

    /// The value of a metric, by its name and labels. 0 if the metric does not exist yet.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let request = Request::get("/_mock/metrics").body(Bytes::new()).expect("a request");
        let answer = self.mock.local().answer(request).await.expect("an answer");
        let text = String::from_utf8(answer.into_body().to_vec()).expect("UTF-8");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().expect("a number"))
    }

    /// How often a limit applied, by the name of its flag. It first waits for the end of all connections, because a
    /// client may see the end before the server counts it.
    pub(crate) async fn limited(&self, limit: &str) -> u64 {
        self.wait_until_disconnected().await;
        self.counted(&format!(r#"opswat_mock_limited_total{{limit="{limit}"}}"#)).await
    }

    /// Waits until no connection is open.
    pub(crate) async fn wait_until_disconnected(&self) {
        let began = Instant::now();
        while self.counted("opswat_mock_open_connections").await > 0 {
            assert!(began.elapsed() < TIMEOUT, "connections are still open");
            tokio::task::yield_now().await;
        }
    }
}
