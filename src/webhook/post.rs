//! One request to a receiver.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::target::Target;

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
    match timeout(ANSWER_TIME, exchange(target, api_key, body)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => none(why),
        Err(_) => none(format!("no answer within {} s", ANSWER_TIME.as_secs())),
    }
}

async fn exchange(target: &Target, api_key: &str, body: Vec<u8>) -> Result<Answer, String> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|error| error.to_string())?;
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
        // A body that is too large or cut off is still an answer.
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
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
