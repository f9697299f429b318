//! The limits of the server: whoever meets one is refused clearly, alone, and in time.

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

use crate::harness::{activities, answer, applied, builder, page, rest, serve_with, soon};

/// Short enough for a test, long enough for a machine with other things to do.
const SHORT: Duration = Duration::from_millis(300);
/// Less than all limits are that are not set.
const DEFAULTS: Duration = Duration::from_secs(8);

fn short() -> Seconds {
    SHORT.into()
}

/// Asserts that a connection is ended without a word, not before a limit, and long before the default of any.
async fn ends(stream: &mut TcpStream, since: Instant) {
    assert_eq!(rest(stream).await, "");
    assert!((SHORT..DEFAULTS).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let since = Instant::now();
    ends(&mut served.connect().await, since).await;
    assert_eq!(served.limited("header-seconds").await, 1);
    assert!(served.is_well().await);
}

/// A byte now and then does not make the time longer, and others are served meanwhile.
#[tokio::test]
async fn slow_headers_are_cut_in_time_and_hold_nobody_up() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let since = Instant::now();
    let stream = served.say("GET /o/api/v2/logs HTTP/1.1\r\nx-slow: ").await;
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        let mut tick = interval(SHORT / 10);
        while writing.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    });
    assert!(served.is_well().await);
    let mut came = Vec::new();
    let _ = soon(reading.read_to_end(&mut came)).await;
    assert_eq!(String::from_utf8_lossy(&came), "");
    assert!((SHORT..DEFAULTS).contains(&since.elapsed()), "{:?}", since.elapsed());
    soon(dripping).await.expect("an end");
    assert!(served.is_well().await);
}

#[tokio::test]
async fn a_head_that_is_slow_on_a_connection_that_was_used_is_cut_by_the_limit_of_heads() {
    let served = serve_with(|limits| limits.header_seconds = short()).await;
    let mut stream = served.say(&page("")).await;
    answer(&mut stream).await;
    let since = Instant::now();
    stream.write_all(b"GET ").await.expect("written");
    ends(&mut stream, since).await;
}

#[tokio::test]
async fn a_connection_is_idle_for_so_long_and_no_longer() {
    let served = serve_with(|limits| limits.idle_seconds = short()).await;
    let mut stream = served.say(&page("")).await;
    answer(&mut stream).await;
    // The time is counted from the last answer.
    let since = Instant::now();
    stream.write_all(page("").as_bytes()).await.expect("written");
    answer(&mut stream).await;
    ends(&mut stream, since).await;
    assert_eq!(served.limited("idle-seconds").await, 1);
}

#[tokio::test]
async fn a_slow_body_is_refused_in_words() {
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
        let mut stream = served.say(&request).await;
        let (head, body) = answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(body.contains(words), "{body}");
        assert!(since.elapsed() >= SHORT);
        assert!(served.is_well().await);
    }
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="body-seconds"}"#).await, 3);
}

/// The refused body ends in another task than the one that looks at the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_refused_body_dribbles_is_idle_afterwards() {
    let served = serve_with(|limits| (limits.header_seconds, limits.idle_seconds) = (short(), short())).await;
    let refused = "POST /o/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n";
    let mut stream = served.say(refused).await;
    let (head, _) = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let mut tick = interval(SHORT / 5);
    for _ in 0..20 {
        tick.tick().await;
        stream.write_all(b"x").await.expect("it is read to its end, however slowly");
    }
    let since = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(since.elapsed() < DEFAULTS, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_large_body_is_refused_in_words() {
    let served = serve_with(|limits| limits.max_body_bytes = 10).await;
    let (head, body) = answer(&mut served.say(&activities(11, "{\"limit\":1}")).await).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(body.contains("The body must have at most 10 bytes, got more"), "{body}");
    let (head, _) = answer(&mut served.say(&activities(10, "{\"page\":1}")).await).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-body-bytes"}"#).await, 1);
}

#[tokio::test]
async fn a_large_head_is_refused_and_counted() {
    let served = serve_with(|limits| limits.max_header_bytes = 8192).await;
    let line = |bytes: usize| format!("x-long: {}\r\n", "x".repeat(bytes));
    assert!(served.exchange(page(&line(7000)).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(served.exchange(page(&line(9000)).as_bytes()).await.starts_with("HTTP/1.1 431 "));
    served.are_all_gone().await;
    assert_eq!(served.limited("max-header-bytes").await, 1);
}

/// A client asks and asks, and reads nothing of what it is answered.
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let served = serve_with(|limits| limits.write_seconds = short()).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    let stream = socket.connect(served.mock.address()).await.expect("a connection");
    let (mut reading, mut writing) = stream.into_split();
    let asking = tokio::spawn(async move {
        let asked = page("").repeat(100);
        while writing.write_all(asked.as_bytes()).await.is_ok() {}
    });
    // The server stops reading when it cannot write, and then ends the connection.
    soon(asking).await.expect("an end");
    assert_eq!(served.limited("write-seconds").await, 1);
    assert!(served.is_well().await);
    let mut came = Vec::new();
    let _ = soon(reading.read_to_end(&mut came)).await;
    assert!(came.starts_with(b"HTTP/1.1 200 OK"));
    served.are_all_gone().await;
}

/// Where a fault lets an answer drip, the client waits, and it is not to blame.
#[tokio::test]
async fn an_answer_that_drips_is_not_cut() {
    let served = serve_with(|limits| (limits.write_seconds, limits.idle_seconds) = (short(), short())).await;
    let drip = Fault { drip_bytes_per_second: Some(10), ..Fault::default() };
    served.mock.account().add_faults(vec![FaultRule { fault: drip, ..FaultRule::default() }]).expect("a rule");
    let mut stream = served.say(&page("connection: close\r\n").replace("limit=50", "limit=1")).await;
    let mut came = vec![0; 15];
    soon(stream.read_exact(&mut came)).await.expect("a head");
    let waited = timeout(4 * SHORT, async { while stream.read_u8().await.is_ok() {} }).await;
    assert!(waited.is_err(), "the connection stays while the clock stands still");
    served.mock.account().advance(Duration::from_secs(3600));
    assert!(rest(&mut stream).await.ends_with('}'));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let served = serve_with(|limits| limits.max_connections = 2).await;
    let (mut first, mut second) = (served.say(&page("")).await, served.say(&page("")).await);
    answer(&mut first).await;
    answer(&mut second).await;
    let mut third = served.say(&page("")).await;
    let (head, body) = answer(&mut third).await;
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && head.contains("connection: close\r\n"),
        "{head}"
    );
    assert_eq!(
        body,
        r#"{"error":"service_unavailable","error_description":"The server holds as many connections as it may: 2"}"#
    );
    assert_eq!(rest(&mut third).await, "");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-connections"}"#).await, 1);
    // Those that are held go on, and a place that gets free is somebody else's.
    first.write_all(page("").as_bytes()).await.expect("written");
    answer(&mut first).await;
    drop((first, second));
    served.are_all_gone().await;
    assert!(served.is_well().await);
}

#[tokio::test]
async fn a_connection_has_so_many_requests() {
    let served = serve_with(|limits| limits.max_requests_per_connection = 2).await;
    let mut stream = served.say(&page("").repeat(3)).await;
    let (head, _) = answer(&mut stream).await;
    assert!(!head.contains("connection:"), "{head}");
    let (head, _) = answer(&mut stream).await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(served.counted(r#"opswat_mock_limited_total{limit="max-requests-per-connection"}"#).await, 1);
}

#[tokio::test]
async fn an_account_has_so_many_requests_under_way() {
    let served = serve_with(|limits| limits.max_concurrent_requests = 2).await;
    let account = served.mock.account();
    let delay = Fault { delay_ms: Some(1000), ..Fault::default() };
    account.add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    let (mut first, mut second) = (served.say(&page("")).await, served.say(&page("")).await);
    applied(account, 2).await;
    let (head, body) = answer(&mut served.say(&page("")).await).await;
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
    assert!(served.is_well().await);
}

/// The clock stands still, so the delay itself never ends.
#[tokio::test]
async fn clients_that_leave_during_a_delay_free_their_place_and_are_noted_as_gone() {
    const MANY: u32 = 20;
    let served = serve_with(|limits| limits.max_concurrent_requests = MANY).await;
    let account = served.mock.account();
    let delay = Fault { delay_ms: Some(500), ..Fault::default() };
    account.add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    let mut clients = Vec::new();
    for nth in 0..MANY {
        let get = page("");
        let post = activities(2, "{}");
        clients.push(served.say(if nth % 2 == 0 { &get } else { &post }).await);
    }
    applied(account, MANY.into()).await;
    for (nth, client) in clients.into_iter().enumerate() {
        // Some end with a reset, as a process that is killed does.
        if nth % 3 == 0 {
            client.set_zero_linger().expect("an option");
        }
    }
    served.are_all_gone().await;
    account.forget_faults(None);
    assert!(served.is_well().await);
    let journal = account.requests(0, 100).requests;
    let statuses: Vec<_> = journal.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [vec![None; MANY as usize], vec![Some(200)]].concat());
    assert!(journal[0].entries.is_none(), "nothing was served");
}

/// Both ends of them are in this process.
#[tokio::test]
async fn five_thousand_idle_connections_are_held_and_let_go() {
    const MANY: usize = 5_000;
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    // Where the machine allows fewer files, fewer connections show the same.
    let many = usize::try_from(files.saturating_sub(200) / 2).unwrap_or(MANY).min(MANY);
    assert!(many >= 100, "this machine allows {files} files only");
    let served = serve_with(|limits| limits.header_seconds = Duration::from_secs(3600).into()).await;
    let mut held = Vec::with_capacity(many);
    for _ in 0..many {
        held.push(served.connect().await);
    }
    soon(async {
        while served.counted("opswat_mock_open_connections").await < many as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(served.is_well().await);
    drop(held);
    served.are_all_gone().await;
    assert!(served.is_well().await);
}

#[tokio::test]
async fn what_an_embedder_sets_is_what_holds() {
    let limits = opswat_mock::limits::Limits { max_body_bytes: 1, ..Default::default() };
    let local = builder().limits(limits).local().expect("a mock");
    let request = http::Request::post("/o/api/v3/activities")
        .header("authorization", format!("Bearer {}", crate::harness::TOKEN))
        .header("content-type", "application/json")
        .body(bytes::Bytes::from_static(b"{}"))
        .expect("a request");
    assert_eq!(local.answer(request).await.expect("an answer").status(), 400);
}
