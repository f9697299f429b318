//! Access control of the control API.
//!
//! The threat is a browser on the same machine: any web page can make it send requests to this server. A page can only
//! read responses under its own host name (DNS rebinding), so `Host` must not be a public name. A page can only write
//! with an `Origin`, so writes from another origin are rejected. With a control token neither check is needed, because
//! no page has the token.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tower::ServiceExt;
#[cfg(feature = "cli")]
use tower_governor::{
    GovernorError, GovernorLayer, governor::GovernorConfigBuilder, key_extractor::GlobalKeyExtractor,
};

use super::problem::Problem;
use crate::webhook::AllowedTargets;

/// The protection of the control API.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The HMAC of the token. The time of its comparison reveals neither the length of the token nor a matching prefix.
    signature: Option<Vec<u8>>,
    /// Where notifications of webhooks may go.
    pub(super) targets: Arc<AllowedTargets>,
}

impl Access {
    /// With a token, only requests with this token are accepted. Without one, all requests are accepted that pass the
    /// checks of `Host` and `Origin`.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let signature = token.map(|token| signer(token).finalize().into_bytes().to_vec());
        Self { signature, targets: Arc::default() }
    }

    /// With further hosts that may receive the notifications of webhooks.
    #[cfg(feature = "cli")]
    pub(crate) fn with_webhook_hosts(self, hosts: Vec<String>) -> Self {
        Self { targets: Arc::new(AllowedTargets::new(hosts)), ..self }
    }

    fn accepts(&self, token: &str) -> bool {
        self.signature.as_ref().is_some_and(|signature| signer(token).verify_slice(signature).is_ok())
    }
}

fn signer(token: &str) -> Hmac<Sha256> {
    let key = Hmac::<Sha256>::new_from_slice(b"control token").expect("HMAC takes a key of any length");
    key.chain_update(token)
}

/// The state of the middleware [`check`].
#[derive(Clone, Debug)]
pub(super) struct Guard {
    access: Access,
    /// Handles requests with a wrong token.
    wrong_token: Router,
}

impl Guard {
    pub(super) fn new(access: Access) -> Self {
        Self { access, wrong_token: wrong_token() }
    }
}

/// Middleware: calls the handler, or returns an error.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.access.error(&request) {
        None => next.run(request).await,
        Some(Denied::WrongToken) => {
            let Ok(response) = guard.wrong_token.oneshot(request).await;
            response
        }
        Some(Denied::Other(problem)) => problem.into_response(),
    }
}

/// The reason for the rejection of a request.
enum Denied {
    /// The request has a wrong token.
    WrongToken,
    Other(Problem),
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

/// The burst of wrong tokens that get 401; after it, one per second does. This limits guessing.
#[cfg(feature = "cli")]
const WRONG_TOKENS: u32 = 10;

/// The service for requests with a wrong token: 401, or 429 if there are too many of them. It counts the requests of
/// all clients together, on the machine's clock. Requests with the right token are not limited.
fn wrong_token() -> Router {
    let answer = Router::new().fallback(async || Problem::unauthorized("This is not the token of --control-token"));
    #[cfg(feature = "cli")]
    let answer = {
        let mut limit = GovernorConfigBuilder::default().key_extractor(GlobalKeyExtractor);
        let limit = limit.per_second(1).burst_size(WRONG_TOKENS).finish().expect("neither number is 0");
        answer.layer(GovernorLayer::new(limit).error_handler(|error| {
            // The limiter rounds the wait time down.
            let wait_seconds = match error {
                GovernorError::TooManyRequests { wait_time, .. } => wait_time + 1,
                GovernorError::UnableToExtractKey | GovernorError::Other { .. } => 1,
            };
            Problem::too_many_requests(wait_seconds).into_response()
        }))
    };
    answer
}

impl Access {
    fn error(&self, request: &Request) -> Option<Denied> {
        let headers = request.headers();
        if self.signature.is_some() {
            let token = bearer(headers);
            return match token {
                None => {
                    let detail = "The control surface wants the token of --control-token as Authorization: Bearer";
                    Some(Problem::unauthorized(detail).into())
                }
                Some(token) if self.accepts(token) => None,
                Some(_) => Some(Denied::WrongToken),
            };
        }
        let hosts = match hosts(request) {
            Ok(hosts) => hosts,
            Err(problem) => return Some(problem.into()),
        };
        if let Some(foreign) = hosts.iter().find(|host| is_foreign(host.host()) || host.as_str().contains('@')) {
            let shown: String = foreign.host().chars().take(100).collect();
            return Some(Denied::Other(Problem::forbidden(format!(
                "Host must be an address, localhost, or a name without a dot, got {shown}; under any name with --control-token"
            ))));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) && is_cross_origin(headers, hosts.first()) {
            return Some(Denied::Other(Problem::forbidden(
                "A page of another origin may not write here; with --control-token whoever has the token may",
            )));
        }
        None
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The hosts that a request names, in `Host` and in its target.
fn hosts(request: &Request) -> Result<Vec<Authority>, Problem> {
    let unreadable = || Problem::forbidden("Host cannot be read as the name of a host");
    let named = request.headers().get_all(header::HOST).iter();
    let named = named.map(|host| host.to_str().ok().and_then(|host| host.parse().ok()).ok_or_else(unreadable));
    let mut hosts = named.collect::<Result<Vec<Authority>, Problem>>()?;
    if hosts.len() > 1 {
        return Err(Problem::forbidden("Host must be there once"));
    }
    hosts.extend(request.uri().authority().cloned());
    Ok(hosts)
}

/// Whether a host is a name that public DNS may resolve. Addresses, names with one label and reserved names are not.
fn is_foreign(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let is_reserved = [".localhost", ".local", ".internal", ".test"].iter().any(|end| host.ends_with(end));
    !(is_address || is_reserved || !host.contains('.'))
}

/// Whether a page of another origin sent the request. Browsers send `Origin` with every write.
fn is_cross_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return true;
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let of_page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        match (of_page, host) {
            (Some(page), Some(host)) => !page.eq_ignore_ascii_case(host.as_str()),
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_are_foreign() {
        for host in
            ["127.0.0.1", "[::1]", "192.168.1.5", "localhost", "LOCALHOST", "mock", "a.localhost", "mock.internal"]
        {
            assert!(!is_foreign(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example.", "1.2.3"] {
            assert!(is_foreign(host), "{host}");
        }
    }
}
