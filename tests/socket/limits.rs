//! The limits of the server: a client that exceeds one is rejected in time, without effect on other clients.

use std::time::{Duration, Instant};

use opswat_mock::{
    account::fault::{Fault, FaultRule},
    limits::Seconds,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{interval, timeout},
};

use crate::harness::{activities, answer, applied, builder, in_time, page, rest, serve_with};

/// A short time limit for tests, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(300);
/// Shorter than each default time limit except the grace time.
const DEFAULTS: Duration = Duration::from_secs(8);

fn short() -> Seconds {
    SHORT.into()
}

/// Asserts that the server closes the connection without a response, after `SHORT` and before any default time limit.
async fn ends(stream: &mut TcpStream, since: Instant) {
    assert_eq!(rest(stream).await, "");
    assert!((SHORT..DEFAULTS).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_disconnected() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let since = Instant::now();
    ends(&mut served.connect().await, since).await;
    assert_eq!(served.limited("header-seconds").await, 1);
    assert!(served.is_healthy().await);
}

/// Single bytes do not extend the deadline of the head, and other clients are served meanwhile.
#[tokio::test]
async fn a_client_with_a_slow_head_is_disconnected_and_delays_no_other_client() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let since = Instant::now();
    let stream = served.send("GET /o/api/v2/logs HTTP/1.1\r\nx-slow: ").await;
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        let mut tick = interval(SHORT / 10);
        while writing.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    });
    assert!(served.is_healthy().await);
    let mut received = Vec::new();
    let _ = in_time(reading.read_to_end(&mut received)).await;
    assert_eq!(String::from_utf8_lossy(&received), "");
    assert!((SHORT..DEFAULTS).contains(&since.elapsed()), "{:?}", since.elapsed());
    in_time(dripping).await.expect("an end");
    assert!(served.is_healthy().await);
}

#[tokio::test]
async fn the_header_limit_applies_to_later_requests_of_a_connection() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let mut stream = served.send(&page("")).await;
    answer(&mut stream).await;
    let since = Instant::now();
    stream.write_all(b"GET ").await.expect("written");
    ends(&mut stream, since).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_limit() {
    let served = serve_with(|limits| limits.idle_seconds = short()).await;
    let mut stream = served.send(&page("")).await;
    answer(&mut stream).await;
    // The idle time counts from the last response.
    let since = Instant::now();
    stream.write_all(page("").as_bytes()).await.expect("written");
    answer(&mut stream).await;
    ends(&mut stream, since).await;
    assert_eq!(served.limited("idle-seconds").await, 1);
}

#[tokio::test]
async fn a_slow_body_gets_400_with_a_description() {
    let served = serve_with(|limits| limits.body_seconds = short()).await;
    for (request, status, words) in [
        (activities(100, "{\"limit\""), "400", r#""error_description":"The body was not complete after 0.3 s""#),
        (
            "POST /_mock/accounts HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{".to_owned(),
            "400",
            r#""detail":"The body was not complete after 0.3 s""#,
        ),
        (
            "POST /o/oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\ngrant_type=".to_owned(),
            "400",
            r#""error_description":"The body was not complete after 0.3 s""#,
        ),
    ] {
        let since = Instant::now();
        let mut stream = served.send(&request).await;
        let (head, body) = answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(body.contains(words), "{body}");
        assert!(since.elapsed() >= SHORT);
        assert!(served.is_healthy().await);
    }
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="body-seconds"}"#).await, 3);
}

/// The drain of the rejected body ends in another task than the one that checks the deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_idle_after_a_slow_rejected_body() {
    let served = serve_with(|limits| (limits.header_seconds, limits.idle_seconds) = (short(), short())).await;
    let refused = "POST /o/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n";
    let mut stream = served.send(refused).await;
    let (head, _) = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let mut tick = interval(SHORT / 5);
    for _ in 0..20 {
        tick.tick().await;
        stream.write_all(b"x").await.expect("the server drains the body");
    }
    let since = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(since.elapsed() < DEFAULTS, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_large_body_gets_400_with_a_description() {
    let served = serve_with(|limits| limits.max_body_bytes = 10).await;
    let (head, body) = answer(&mut served.send(&activities(11, "{\"limit\":1}")).await).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(body.contains("The body must have at most 10 bytes, got more"), "{body}");
    let (head, _) = answer(&mut served.send(&activities(10, "{\"page\":1}")).await).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-body-bytes"}"#).await, 1);
}

#[tokio::test]
async fn a_large_head_gets_431_and_is_counted() {
    let served = serve_with(|limits| limits.max_header_bytes = 8192).await;
    let line = |bytes: usize| format!("x-long: {}\r\n", "x".repeat(bytes));
    assert!(served.exchange(page(&line(7000)).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(served.exchange(page(&line(9000)).as_bytes()).await.starts_with("HTTP/1.1 431 "));
    served.wait_until_disconnected().await;
    assert_eq!(served.limited("max-header-bytes").await, 1);
}

/// The client keeps sending requests, and never reads a response.
#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    let served = serve_with(|limits| limits.write_seconds = short()).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    let stream = socket.connect(served.mock.address()).await.expect("a connection");
    let (mut reading, mut writing) = stream.into_split();
    let asking = tokio::spawn(async move {
        let asked = page("").repeat(100);
        while writing.write_all(asked.as_bytes()).await.is_ok() {}
    });
    // The server stops reading when it cannot write, and then closes the connection.
    in_time(asking).await.expect("an end");
    assert_eq!(served.limited("write-seconds").await, 1);
    assert!(served.is_healthy().await);
    let mut received = Vec::new();
    let _ = in_time(reading.read_to_end(&mut received)).await;
    assert!(received.starts_with(b"HTTP/1.1 200 OK"));
    served.wait_until_disconnected().await;
}

/// While a fault slows down the body, the client waits for the server, so the write limit does not apply.
#[tokio::test]
async fn a_slow_response_of_a_fault_is_not_aborted() {
    let served = serve_with(|limits| (limits.write_seconds, limits.idle_seconds) = (short(), short())).await;
    let drip = Fault {
        drip_bytes_per_second: Some(10),
        waits_on: opswat_mock::account::fault::WaitClock::Account,
        ..Fault::default()
    };
    served.mock.account().add_faults(vec![FaultRule { fault: drip, ..FaultRule::default() }]).expect("a rule");
    let mut stream = served.send(&page("connection: close\r\n").replace("limit=50", "limit=1")).await;
    let mut received = vec![0; 15];
    in_time(stream.read_exact(&mut received)).await.expect("a head");
    let waited = timeout(4 * SHORT, async { while stream.read_u8().await.is_ok() {} }).await;
    assert!(waited.is_err(), "the server closed the connection while the clock was frozen");
    served.mock.account().advance(Duration::from_secs(3600));
    assert!(rest(&mut stream).await.ends_with('}'));
}

#[tokio::test]
async fn a_connection_above_the_limit_gets_503() {
    let served = serve_with(|limits| limits.max_connections = 2).await;
    let (mut first, mut second) = (served.send(&page("")).await, served.send(&page("")).await);
    answer(&mut first).await;
    answer(&mut second).await;
    let mut third = served.send(&page("")).await;
    let (head, body) = answer(&mut third).await;
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && head.contains("connection: close\r\n"),
        "{head}"
    );
    assert_eq!(
        body,
        r#"{"error":"service_unavailable","error_description":"The server has its maximum number of open connections: 2"}"#
    );
    assert_eq!(rest(&mut third).await, "");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-connections"}"#).await, 1);
    // Open connections still work, and a closed one frees its permit.
    first.write_all(page("").as_bytes()).await.expect("written");
    answer(&mut first).await;
    drop((first, second));
    served.wait_until_disconnected().await;
    assert!(served.is_healthy().await);
}

#[tokio::test]
async fn a_connection_is_closed_after_its_maximum_number_of_requests() {
    let served = serve_with(|limits| limits.max_requests_per_connection = 2).await;
    let mut stream = served.send(&page("").repeat(3)).await;
    let (head, _) = answer(&mut stream).await;
    assert!(!head.contains("connection:"), "{head}");
    let (head, _) = answer(&mut stream).await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-requests-per-connection"}"#).await, 1);
}

#[tokio::test]
async fn an_account_has_a_maximum_number_of_requests_in_flight() {
    let served = serve_with(|limits| limits.max_concurrent_requests = 2).await;
    let account = served.mock.account();
    let delay =
        Fault { delay_ms: Some(1000), waits_on: opswat_mock::account::fault::WaitClock::Account, ..Fault::default() };
    account.add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    let (mut first, mut second) = (served.send(&page("")).await, served.send(&page("")).await);
    applied(account, 2).await;
    let (head, body) = answer(&mut served.send(&page("")).await).await;
    assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{head}");
    assert_eq!(
        body,
        r#"{"error":"too_many_requests","error_description":"2 requests of this account are under way, as many as the server takes at once"}"#
    );
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-concurrent-requests"}"#).await, 1);
    assert_eq!(served.counted(r#"opswat_mock_rate_limited_total{route="/o/api/v2/logs"}"#).await, 0);
    // Another account has requests of its own.
    let other = page("").replace(crate::harness::TOKEN, "sandbox-other");
    assert!(served.exchange(other.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    account.advance(Duration::from_secs(1));
    for stream in [&mut first, &mut second] {
        assert!(answer(stream).await.0.starts_with("HTTP/1.1 200 "));
    }
    account.forget_faults(None);
    assert!(served.is_healthy().await);
}

/// The clock is frozen, so the delay is never over.
#[tokio::test]
async fn clients_that_disconnect_during_a_delay_free_their_slot_and_are_recorded_without_a_status() {
    const MANY: u32 = 20;
    let served = serve_with(|limits| limits.max_concurrent_requests = MANY).await;
    let account = served.mock.account();
    let delay =
        Fault { delay_ms: Some(500), waits_on: opswat_mock::account::fault::WaitClock::Account, ..Fault::default() };
    account.add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    let mut clients = Vec::new();
    for nth in 0..MANY {
        let get = page("");
        let post = activities(2, "{}");
        clients.push(served.send(if nth % 2 == 0 { &get } else { &post }).await);
    }
    applied(account, MANY.into()).await;
    for (nth, client) in clients.into_iter().enumerate() {
        // Some connections end with a reset, as those of a killed process.
        if nth % 3 == 0 {
            client.set_zero_linger().expect("an option");
        }
    }
    served.wait_until_disconnected().await;
    account.forget_faults(None);
    assert!(served.is_healthy().await);
    let journal = account.requests(0, 100).requests;
    let statuses: Vec<_> = journal.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [vec![None; MANY as usize], vec![Some(200)]].concat());
    assert!(journal[0].entries.is_none(), "nothing was served");
}

/// Both sides of each connection are in this process.
#[tokio::test]
async fn thousands_of_idle_connections_stay_open_until_the_clients_close_them() {
    const MANY: usize = 5_000;
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    // Where the machine allows fewer files, fewer connections show the same.
    let many = usize::try_from(files.saturating_sub(200) / 2).unwrap_or(MANY).min(MANY);
    assert!(many >= 100, "this machine allows {files} files only");
    if many < MANY {
        eprintln!("{many} connections instead of {MANY}: the limit of open files is {files}");
    }
    let served = serve_with(|limits| limits.header_seconds = Duration::from_secs(3600).into()).await;
    let mut held = Vec::with_capacity(many);
    for _ in 0..many {
        held.push(served.connect().await);
    }
    in_time(async {
        while served.counted("opswat_mock_open_connections").await < many as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(served.is_healthy().await);
    drop(held);
    served.wait_until_disconnected().await;
    assert!(served.is_healthy().await);
}

#[tokio::test]
async fn the_limits_of_the_builder_apply() {
    let limits = opswat_mock::limits::Limits { max_body_bytes: 1, ..Default::default() };
    let local = builder().limits(limits).local().expect("a mock");
    let request = http::Request::post("/o/api/v3/activities")
        .header("authorization", format!("Bearer {}", crate::harness::TOKEN))
        .header("content-type", "application/json")
        .body(bytes::Bytes::from_static(b"{}"))
        .expect("a request");
    assert_eq!(local.answer(request).await.expect("an answer").status(), 400);
}
