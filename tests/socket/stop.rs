//! The end: what is under way is finished, and nobody is waited for longer than that.

use std::time::{Duration, Instant};

use opswat_mock::{
    account::fault::{Fault, FaultRule},
    limits::Limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Served, TOKEN, answer, applied, builder, page, rest, serve, serve_with, soon};

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

/// Who asks for nothing, has not yet asked, or sends what was refused long ago, is not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_request_do_not_hold_up_the_end() {
    for tls in [false, true] {
        let long = Limits { grace_seconds: Duration::from_secs(3600).into(), ..Limits::default() };
        let builder = builder().limits(long);
        let mock = if tls { builder.tls() } else { builder }.start().await.expect("a mock");
        let served = Served { mock };
        let refused = "POST /o/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\nx";
        let between = page("");
        let mut streams = Vec::new();
        for said in if tls { ["", "\x16", "\x16\x03\x01\x02\x00\x01", ""] } else { ["", "GET / HT", refused, &between] }
        {
            streams.push(served.say(said).await);
        }
        if !tls {
            for stream in &mut streams[2..] {
                answer(stream).await;
            }
        }
        soon(async {
            while served.counted("opswat_mock_open_connections").await < 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let since = Instant::now();
        soon(served.mock.stop()).await;
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        for stream in &mut streams {
            assert_eq!(rest(stream).await, "");
        }
    }
}

/// Whoever follows a journal is told that there is no more, and does not hold up the end.
#[tokio::test]
async fn a_stream_of_events_ends_with_the_server() {
    let served = serve_with(|limits| limits.grace_seconds = Duration::from_secs(3600).into()).await;
    let mut stream =
        served.say("GET /_mock/accounts/default/requests/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut head = [0; 15];
    soon(stream.read_exact(&mut head)).await.expect("a head");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    soon(served.mock.stop()).await;
    assert!(rest(&mut stream).await.ends_with("0\r\n\r\n"), "a stream that ended as it should");
}

#[tokio::test]
async fn what_is_not_finished_in_the_time_of_grace_is_cut() {
    let served = serve_with(|limits| limits.grace_seconds = Duration::from_millis(100).into()).await;
    let delay = Fault { delay_ms: Some(1000), ..Fault::default() };
    served.mock.account().add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    // The clock stands still: the answer never comes.
    let mut waiting = served.say(&page("")).await;
    applied(served.mock.account(), 1).await;
    soon(served.mock.stop()).await;
    assert_eq!(rest(&mut waiting).await, "");
}
