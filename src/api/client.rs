//! Whose client asks at the token service: found out before anything else, so that its account's clock, faults and journal
//! are the ones that count.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    admission::House,
    body,
    error::Refusal,
    fault,
    gate::{self, Visit},
    params::Params,
};
use crate::account::Entered;

/// The gate of the routes that need no token.
pub(super) async fn known(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    let arrived = match Arrived::read(&house, request).await {
        Ok(arrived) => arrived,
        Err(refusal) => return refusal.into_response(),
    };
    // Under way until it is answered.
    let Arrived { visit, request, entered: _entered } = arrived;
    let api = super::api_at(request.uri().path());
    let seed = visit.setup.settings.shape.seed;
    match api.and_then(|api| visit.account.faults.apply(api, seed, visit.now)) {
        Some(applied) => fault::answered(&applied, &visit, None, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// A request whose body was read, and whose account is known.
struct Arrived {
    visit: Visit,
    request: Request,
    /// One of the account's that are under way, if a client of its asks.
    entered: Option<Entered>,
}

impl Arrived {
    async fn read(house: &House, request: Request) -> Result<Self, Refusal> {
        gate::check_lines(&request)?;
        let (mut parts, body) = request.into_parts();
        let first = parts.extensions.get::<Visit>().cloned().ok_or(Refusal::ServerError)?;
        let form = body::read(body, &first).await?;
        let text = String::from_utf8_lossy(&form);
        first.notes.form(&text);
        let id = basic(&parts.headers)
            .map(|(id, _)| id)
            .or_else(|| Params::first_lossy(parts.uri.query().unwrap_or_default(), "client_id"))
            .or_else(|| Params::first_lossy(&text, "client_id"));
        let account = id.and_then(|id| house.accounts.of_client(&id));
        let visit = account.as_ref().map(|account| Visit::of(account, first.notes.clone(), first.bodies.clone()));
        let visit = visit.unwrap_or(first);
        visit.notes.visit(&visit);
        let entered = account.map(|_| house.enter(&visit)).transpose()?;
        parts.extensions.insert(visit.clone());
        Ok(Self { visit, entered, request: Request::from_parts(parts, Body::from(form)) })
    }
}

impl Visit {
    /// The client's id and secret: by HTTP Basic, or as parameters.
    pub(super) fn client(headers: &HeaderMap, params: &Params<'_>) -> Option<(String, String)> {
        basic(headers).or_else(|| {
            let id = params.get("client_id")?;
            Some((id.to_owned(), params.get("client_secret").unwrap_or_default().to_owned()))
        })
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
