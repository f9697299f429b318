//! Invalid, large, pipelined and truncated requests.

use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{TOKEN, activities, answer, page, rest, serve};

#[tokio::test]
async fn invalid_requests_do_not_affect_other_requests() {
    let served = serve().await;
    let line =
        |bytes: usize| format!("GET /o/oauth/token HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(bytes));
    for (what, bytes, start) in [
        (
            "a large body",
            activities(3 << 20, &"x".repeat(3 << 20)),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json",
        ),
        (
            "no host",
            "GET /_mock/health HTTP/1.1\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n",
        ),
        (
            "two hosts",
            "GET /o/api/v2/logs HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json;charset=UTF-8\r\nconnection: close\r\n",
        ),
        ("no host in HTTP/1.0", "GET /_mock/health HTTP/1.0\r\n\r\n".to_owned(), "HTTP/1.0 200 OK\r\n"),
        ("garbage", "\x16\x03\x01 garbage \r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (
            "a line of 16 KiB",
            line(16 * 1024),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json;charset=UTF-8\r\n",
        ),
        ("a head of 64 KiB", line(64 * 1024), "HTTP/1.1 431 "),
        ("a line of 1 MiB", line(1024 * 1024), "HTTP/1.1 431 "),
        ("257 lines", format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(257)), "HTTP/1.1 431 "),
        (
            "a body that ends early",
            activities(100, "{\"limit\":1"),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json",
        ),
        ("two requests at once", activities(2, "{}") + &activities(2, "[]"), "HTTP/1.1 200 OK\r\n"),
        (
            "an early body limit",
            activities(1 << 40, "{}"),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json",
        ),
    ] {
        let answer = served.exchange(bytes.as_bytes()).await;
        assert!(answer.starts_with(start), "{what}: {}", &answer[..answer.len().min(300)]);
        assert!(served.is_healthy().await, "after {what}");
    }
    let both = served.exchange((activities(2, "{}") + &activities(2, "[]")).as_bytes()).await;
    assert_eq!(both.matches("HTTP/1.1 200 OK\r\n").count(), 2);
}

/// The client gets the error response even if it is still sending the body.
#[tokio::test]
async fn an_error_response_arrives_while_the_client_sends_the_body() {
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

/// The client announces a body above the drain limit, and sends none of it.
#[tokio::test]
async fn a_client_that_announces_a_huge_body_gets_400_and_is_disconnected() {
    let served = serve().await;
    let head = activities(9_999_999_999, "").replace("host: x\r\n", "host: x\r\nconnection: close\r\n");
    let mut stream = served.send(&head).await;
    let began = Instant::now();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 400 "));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// As `nc -N` does: the client sends the request, and then shuts down its write side.
#[tokio::test]
async fn a_half_closed_client_gets_its_response() {
    let served = serve().await;
    for _ in 0..200 {
        assert!(served.is_healthy().await);
    }
}

/// The server responds to all pipelined requests, in their order and completely.
#[tokio::test]
async fn pipelined_requests_get_responses_in_order() {
    let served = serve().await;
    let asked: String = (1..=50).map(|limit| page("").replace("limit=50", &format!("limit={limit}"))).collect();
    let mut stream = served.send(&asked).await;
    for limit in 1..=50 {
        let (head, body) = answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let page: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let days = page["logs"].as_array().expect("days");
        let entries: usize = days.iter().map(|day| day["eventlog"].as_array().expect("entries").len()).sum();
        assert_eq!(entries, limit);
    }
}

/// Resets the connection during the response, as the kernel does for a killed client.
#[tokio::test]
async fn a_client_killed_during_the_response_leaves_no_connection() {
    let served = serve().await;
    for _ in 0..100 {
        let mut stream = served.send(&page("").repeat(20)).await;
        stream.read_exact(&mut [0; 100]).await.expect("the beginning of an answer");
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
        drop(stream);
    }
    assert!(served.is_healthy().await);
    served.wait_until_disconnected().await;
}
