//! Graceful shutdown: requests in flight finish within the grace time, idle connections close at once.

use std::time::{Duration, Instant};

use opswat_mock::{
    account::fault::{Fault, FaultRule},
    limits::Limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Served, TOKEN, answer, applied, builder, in_time, page, rest, serve, serve_with};

#[tokio::test]
async fn requests_in_flight_finish_when_the_server_stops() {
    let served = serve().await;
    let mut in_flight = served.connect().await;
    let head = format!(
        "POST /o/api/v3/activities HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    in_flight.write_all(head.as_bytes()).await.expect("written");
    // The server waits for the body, so the request is in flight.
    let mut interim = [0; 25];
    in_flight.read_exact(&mut interim).await.expect("an answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let address = served.mock.address();
    let stopping = tokio::spawn(served.mock.stop());
    in_flight.write_all(b"{}").await.expect("written");
    let mut answer = String::new();
    in_flight.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    stopping.await.expect("an end");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is still open");
}

/// The shutdown does not wait for idle connections, incomplete heads, incomplete handshakes, or drained bodies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_request_do_not_delay_the_shutdown() {
    for tls in [false, true] {
        let long = Limits { grace_seconds: Duration::from_secs(3600).into(), ..Limits::default() };
        let builder = builder().limits(long);
        let mock = if tls { builder.tls() } else { builder }.start().await.expect("a mock");
        let served = Served { mock };
        let refused = "POST /o/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\nx";
        let between = page("");
        let mut streams = Vec::new();
        for begin in
            if tls { ["", "\x16", "\x16\x03\x01\x02\x00\x01", ""] } else { ["", "GET / HT", refused, &between] }
        {
            streams.push(served.send(begin).await);
        }
        if !tls {
            for stream in &mut streams[2..] {
                answer(stream).await;
            }
        }
        in_time(async {
            while served.counted("opswat_mock_open_connections").await < 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let since = Instant::now();
        in_time(served.mock.stop()).await;
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        for stream in &mut streams {
            assert_eq!(rest(stream).await, "");
        }
    }
}

/// A client that follows the journal gets the end of the stream, and does not delay the shutdown.
#[tokio::test]
async fn the_journal_stream_ends_when_the_server_stops() {
    let served = serve_with(|limits| limits.grace_seconds = Duration::from_secs(3600).into()).await;
    let mut stream =
        served.send("GET /_mock/accounts/default/requests/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut head = [0; 15];
    in_time(stream.read_exact(&mut head)).await.expect("a head");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    in_time(served.mock.stop()).await;
    assert!(rest(&mut stream).await.ends_with("0\r\n\r\n"), "the stream did not end with the last chunk");
}

#[tokio::test]
async fn requests_are_aborted_after_the_grace_time() {
    let served = serve_with(|limits| limits.grace_seconds = Duration::from_millis(100).into()).await;
    let delay =
        Fault { delay_ms: Some(1000), waits_on: opswat_mock::account::fault::WaitClock::Account, ..Fault::default() };
    served.mock.account().add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    // The clock is frozen, so the response never arrives.
    let mut waiting = served.send(&page("")).await;
    applied(served.mock.account(), 1).await;
    in_time(served.mock.stop()).await;
    assert_eq!(rest(&mut waiting).await, "");
}
