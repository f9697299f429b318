//! One request to a receiver.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::target::{Target, is_loopback_or_private};

/// The time within which a receiver must answer. The vendor documents none (A).
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The part of an answer's body that is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What a receiver answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// The status; 0 if there was no answer.
    pub(super) status: u16,
    /// The body, or why there was no answer.
    pub(super) body: String,
}

/// Sends a notification. Redirects are not followed.
pub(super) async fn send(target: &Target, api_key: &str, body: Vec<u8>) -> Answer {
    let none = |why: String| Answer { status: 0, body: why };
    let deadline = Instant::now() + ANSWER_TIME;
    match timeout_at(deadline, exchange(target, api_key, body, deadline)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => none(why),
        Err(_) => none(format!("no answer within {} s", ANSWER_TIME.as_secs())),
    }
}

/// Connects to the receiver. A name must not lead out of the own network, unless the user named it.
async fn connect(target: &Target) -> Result<TcpStream, String> {
    let addresses = lookup_host((target.host.as_str(), target.port)).await.map_err(|error| error.to_string())?;
    let allowed: Vec<SocketAddr> =
        addresses.filter(|address| target.is_named || is_loopback_or_private(address.ip())).collect();
    if allowed.is_empty() {
        return Err(format!("{} has no loopback or private address", target.host));
    }
    TcpStream::connect(allowed.as_slice()).await.map_err(|error| error.to_string())
}

async fn exchange(target: &Target, api_key: &str, body: Vec<u8>, deadline: Instant) -> Result<Answer, String> {
    let stream = connect(target).await?;
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::CONTENT_TYPE, "application/json")
        // The key alone, without a scheme (D).
        .header(header::AUTHORIZATION, api_key)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = read(response.into_body(), deadline).await;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    };
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection can end before the answer is read from it.
        _ = &mut connection => exchange.await,
    }
}

/// The part of a body that arrives in time: one that is too large, slow or cut off is still an answer.
async fn read(mut body: Incoming, deadline: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Shortly before the end of the time for the whole answer.
    let deadline = deadline.checked_sub(Duration::from_millis(100)).unwrap_or(deadline);
    while bytes.len() < MAX_BODY_BYTES {
        let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await else { break };
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    bytes.truncate(MAX_BODY_BYTES);
    bytes
}
