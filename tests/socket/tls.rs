//! HTTPS: the generated certificate, HTTP/1.1 and HTTP/2, and clients with the wrong protocol.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opswat_mock::{
    account::fault::{Close, Fault, FaultRule},
    limits::Limits,
};
use tokio::{net::TcpStream, time::interval};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::harness::{Served, TOKEN, applied, builder, in_time, page, serve};

async fn serve_tls(change: impl FnOnce(&mut Limits)) -> Served {
    let mut limits = Limits::default();
    change(&mut limits);
    Served { mock: builder().limits(limits).tls().start().await.expect("a mock") }
}

impl Served {
    /// A TLS handshake. The client trusts the mock's authority, or no authority.
    async fn handshake(&self, name: &str, speaks: &[u8], trusts: bool) -> Result<TlsStream<TcpStream>, std::io::Error> {
        let mut roots = RootCertStore::empty();
        if let (Some(pem), true) = (self.mock.ca_pem(), trusts) {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a certificate");
        }
        let with = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let mut config = with
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![speaks.to_vec()];
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        in_time(TlsConnector::from(Arc::new(config)).connect(name, self.connect().await)).await
    }

    async fn http2(&self) -> (http2::SendRequest<Full<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
        let stream = TokioIo::new(self.handshake("127.0.0.1", b"h2", true).await.expect("a handshake"));
        let mut with = http2::Builder::new(TokioExecutor::new());
        // A small window: the server can send little before the client reads.
        with.initial_stream_window_size(1024);
        let (client, connection) = with.handshake(stream).await.expect("HTTP/2");
        (client, tokio::spawn(connection))
    }
}

/// A v3.3 request for a page that is larger than the client's HTTP/2 window.
fn asked(version: Version) -> Request<Full<Bytes>> {
    let host = if version == Version::HTTP_2 { "https://127.0.0.1" } else { "" };
    Request::post(format!("{host}/o/api/v3.3/logs"))
        .version(version)
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Full::from(r#"{"event_category":"device","start_time":1766000000000,"limit":100}"#))
        .expect("a request")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_http_serve_the_same_body() {
    let served = serve_tls(|_| {}).await;
    assert!(served.mock.base_url().starts_with("https://127.0.0.1:"));
    let stream = TokioIo::new(served.handshake("gears.opswat.com", b"http/1.1", true).await.expect("a handshake"));
    let (mut client, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
    let connection = tokio::spawn(connection);
    let first = in_time(client.send_request(asked(Version::HTTP_11))).await.expect("an answer");
    assert_eq!((first.status().as_u16(), first.version()), (200, Version::HTTP_11));
    let first = first.into_body().collect().await.expect("a body").to_bytes();
    connection.abort();
    let (mut client, _connection) = served.http2().await;
    let second = in_time(client.send_request(asked(Version::HTTP_2))).await.expect("an answer");
    assert_eq!((second.status().as_u16(), second.version()), (200, Version::HTTP_2));
    assert_eq!(second.into_body().collect().await.expect("a body").to_bytes(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_must_trust_the_authority_and_use_a_name_of_the_certificate() {
    let served = serve_tls(|_| {}).await;
    for name in ["localhost", "127.0.0.1", "gears.opswat.com", "opswat-mock", "host.docker.internal"] {
        assert!(served.handshake(name, b"http/1.1", true).await.is_ok(), "{name}");
    }
    let foreign = served.handshake("example.com", b"http/1.1", true).await.expect_err("another name");
    assert!(foreign.to_string().contains("not valid for name"), "{foreign}");
    let unknown = served.handshake("localhost", b"http/1.1", false).await.expect_err("an unknown authority");
    assert!(unknown.to_string().contains("UnknownIssuer"), "{unknown}");
    assert!(served.handshake("localhost", b"http/1.1", true).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_http_client_gets_400_on_a_tls_port() {
    let served = serve_tls(|_| {}).await;
    let response = served.exchange(page("").as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
    assert!(
        response
            .ends_with(r#"{"error":"invalid_request","error_description":"This port serves HTTPS (--tls), not HTTP"}"#),
        "{response}"
    );
    for garbage in [&b"\x16\x03\x01garbage that is no handshake at all, and goes on"[..], b"\x16", b"\x00", b""] {
        assert!(!served.exchange(garbage).await.contains("200"));
    }
    assert!(served.handshake("localhost", b"http/1.1", true).await.is_ok());
    served.wait_until_disconnected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_client_on_a_plain_port_fails_without_effect_on_others() {
    let served = serve().await;
    let failed = served.handshake("localhost", b"http/1.1", false).await.expect_err("no TLS");
    assert!(failed.to_string().contains("corrupt message"), "{failed}");
    assert!(served.is_healthy().await);
    served.wait_until_disconnected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_handshake_is_closed_after_the_header_limit() {
    let served = serve_tls(|limits| limits.header_seconds = Duration::from_millis(300).into()).await;
    for beginning in ["", "\x16", "\x16\x03\x01\x02\x00\x01"] {
        let mut stream = served.send(beginning).await;
        assert_eq!(crate::harness::rest(&mut stream).await, "");
    }
    assert_eq!(served.limited("header-seconds").await, 3);
}

/// A fault that closes an HTTP/1.1 connection resets a stream of HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_ends_the_connection_resets_the_stream() {
    let served = serve_tls(|_| {}).await;
    let (mut client, _connection) = served.http2().await;
    for close in [Close::BeforeHeaders, Close::MidBody] {
        let fault = Fault { close: Some(close), ..Fault::default() };
        let rule = FaultRule { fault, times: Some(1), ..FaultRule::default() };
        served.mock.account().add_faults(vec![rule]).expect("a rule");
        let answer = in_time(client.send_request(asked(Version::HTTP_2))).await;
        let whole = match answer {
            Ok(answer) => in_time(answer.into_body().collect()).await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{close:?}");
        let next = in_time(client.send_request(asked(Version::HTTP_2))).await.expect("the connection is still open");
        assert_eq!(next.status(), 200);
    }
}

/// The write limit applies to small responses, too, and while the client reads other responses of the same connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_client_that_does_not_read_is_disconnected() {
    for limit in [100, 20] {
        let served = serve_tls(|limits| limits.write_seconds = Duration::from_millis(300).into()).await;
        let (mut client, connection) = served.http2().await;
        let asked = |limit: u64| {
            let body = format!(r#"{{"event_category":"device","start_time":1766000000000,"limit":{limit}}}"#);
            asked(Version::HTTP_2).map(|_| Full::from(body))
        };
        let since = Instant::now();
        let unread = in_time(client.send_request(asked(limit))).await.expect("a head");
        // The body is larger than the window, and the client does not read it.
        let mut tick = interval(Duration::from_millis(50));
        let active = tokio::spawn(async move {
            while let Ok(answer) = client.send_request(asked(1)).await {
                if answer.into_body().collect().await.is_err() {
                    break;
                }
                tick.tick().await;
            }
        });
        in_time(connection).await.expect("no panic").expect_err("a closed connection");
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        in_time(active).await.expect("an end");
        drop(unread);
        assert_eq!(served.limited("write-seconds").await, 1, "{limit}");
        served.wait_until_disconnected().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_and_idle_limits_apply_to_http_2() {
    for (limit, change) in [
        ("max-requests-per-connection", (|limits| limits.max_requests_per_connection = 1) as fn(&mut Limits)),
        ("idle-seconds", |limits| limits.idle_seconds = Duration::from_millis(300).into()),
    ] {
        let served = serve_tls(change).await;
        let (mut client, connection) = served.http2().await;
        let answer = in_time(client.send_request(asked(Version::HTTP_2))).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a body");
        in_time(connection).await.expect("no panic").expect("a graceful end");
        served.wait_until_disconnected().await;
        assert_eq!(served.limited(limit).await, 1, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_requests_in_flight_finish_when_the_server_stops() {
    let served = serve_tls(|_| {}).await;
    let account = served.mock.account().clone();
    let delay =
        Fault { delay_ms: Some(1000), waits_on: opswat_mock::account::fault::WaitClock::Account, ..Fault::default() };
    account.add_faults(vec![FaultRule { fault: delay, ..FaultRule::default() }]).expect("a rule");
    let (mut client, _connection) = served.http2().await;
    let answer = tokio::spawn(client.send_request(asked(Version::HTTP_2)));
    applied(&account, 1).await;
    let stopping = tokio::spawn(served.mock.stop());
    account.advance(Duration::from_secs(1));
    let answer = in_time(answer).await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.expect("a body");
    in_time(stopping).await.expect("an end");
}
