//! What only a socket shows: broken requests, and a server that goes on after them and stops when it is told.

use opswat_mock::Mock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TOKEN: &str = "TEST7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R61234";

struct Served {
    mock: Mock,
}

async fn serve() -> Served {
    let mock = Mock::builder().now("2026-01-15T12:00:00Z").without_quota().start().await.expect("a mock");
    Served { mock }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.mock.address()).await.expect("a connection")
    }

    /// What comes back for these bytes, until the server ends the connection.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may end the connection before it has read all.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn is_well(&self) -> bool {
        let answer = self
            .exchange(format!("GET /o/api/v2/logs?access_token={TOKEN} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .await;
        answer.starts_with("HTTP/1.1 200 OK\r\n")
    }
}

#[tokio::test]
async fn broken_requests_end_alone() {
    let served = serve().await;
    let post = |length: usize, body: &str| {
        format!(
            "POST /o/api/v3/activities HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let line =
        |bytes: usize| format!("GET /o/oauth/token HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(bytes));
    for (what, bytes, start) in [
        (
            "a large body",
            post(3 << 20, &"x".repeat(3 << 20)),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json",
        ),
        ("garbage", "\x16\x03\x01 garbage \r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (
            "a line of 16 KiB",
            line(16 * 1024),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json;charset=UTF-8\r\n",
        ),
        ("a line of 1 MiB", line(1024 * 1024), "HTTP/1.1 431 "),
        (
            "a body that ends early",
            post(100, "{\"limit\":1"),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json",
        ),
        ("two requests at once", post(2, "{}") + &post(2, "[]"), "HTTP/1.1 200 OK\r\n"),
        ("an early body limit", post(1 << 40, "{}"), "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json"),
    ] {
        let answer = served.exchange(bytes.as_bytes()).await;
        assert!(answer.starts_with(start), "{what}: {}", &answer[..answer.len().min(300)]);
        assert!(served.is_well().await, "after {what}");
    }
    let both = served.exchange((post(2, "{}") + &post(2, "[]")).as_bytes()).await;
    assert_eq!(both.matches("HTTP/1.1 200 OK\r\n").count(), 2);
}

/// Whatever is refused before its body is read: the client that is still sending it gets the answer.
#[tokio::test]
async fn a_refusal_arrives_while_the_body_is_still_being_sent() {
    let served = serve().await;
    let length = 6 << 20;
    for (target, token, media_type, status) in [
        ("/o/api/v3/activities", TOKEN, "text/plain", "415"),
        ("/o/api/v3/activities", "nobody", "application/json", "401"),
        ("/o/api/v3/activities", TOKEN, "application/json", "400"),
        ("/o/api/nothing", TOKEN, "application/json", "404"),
        ("/o/api/v2/logs", TOKEN, "application/json", "405"),
        ("/_mock/health", TOKEN, "application/json", "405"),
    ] {
        let mut stream = served.connect().await;
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: {media_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("written");
        let part = vec![b'x'; 1 << 16];
        for _ in 0..length / part.len() {
            stream.write_all(&part).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        }
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(std::str::from_utf8(&start), Ok(&*format!("HTTP/1.1 {status}")), "{target}");
    }
}

/// As `nc -N` does: the request, then the end of what the client has to say.
#[tokio::test]
async fn a_client_that_has_finished_speaking_gets_its_answer() {
    let served = serve().await;
    for _ in 0..200 {
        assert!(served.is_well().await);
    }
}

#[tokio::test]
async fn what_is_under_way_is_finished_when_the_server_stops() {
    let served = serve().await;
    let mut under_way = served.connect().await;
    let head = format!(
        "POST /o/api/v3/activities HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    under_way.write_all(head.as_bytes()).await.expect("written");
    // The server waits for the body: the request is surely under way.
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).await.expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let address = served.mock.address();
    let stopping = tokio::spawn(served.mock.stop());
    under_way.write_all(b"{}").await.expect("written");
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    stopping.await.expect("an end");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
