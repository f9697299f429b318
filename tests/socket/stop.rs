//! The end: what is under way is finished, and nobody is waited for longer than that.

use std::time::Duration;

use opswat_mock::account::fault::{Fault, FaultRule};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{TOKEN, page, rest, serve, serve_with, soon};

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

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let served = serve().await;
    let mut silent = served.connect().await;
    let mut between = served.say(&page("")).await;
    crate::harness::answer(&mut between).await;
    soon(served.mock.stop()).await;
    assert_eq!(rest(&mut silent).await + &rest(&mut between).await, "");
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
    while served.mock.account().faults()[0].applied == 0 {
        tokio::task::yield_now().await;
    }
    soon(served.mock.stop()).await;
    assert_eq!(rest(&mut waiting).await, "");
}
