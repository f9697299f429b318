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

use super::{body, context::RequestContext, error::ApiError, fault, head, params::Params, state::ApiState};
use crate::{account::InFlightGuard, api_name::ApiName};

/// The gate of the routes that need no token.
pub(super) async fn identify(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let arrived = match Arrived::read(&state, request).await {
        Ok(arrived) => arrived,
        Err(error) => return error.into_response(),
    };
    // Under way until it is answered.
    let Arrived { context, request, in_flight: _in_flight } = arrived;
    let api = ApiName::at(request.uri().path());
    let seed = context.config.settings.world.seed;
    match api.and_then(|api| context.account.faults.apply(api, seed, context.now)) {
        Some(applied) => fault::answered(&applied, &context, None, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// A request whose body was read, and whose account is known.
struct Arrived {
    context: RequestContext,
    request: Request,
    /// One of the account's that are under way, if a client of its asks.
    in_flight: Option<InFlightGuard>,
}

impl Arrived {
    async fn read(state: &ApiState, request: Request) -> Result<Self, ApiError> {
        head::check(&request)?;
        let (mut parts, body) = request.into_parts();
        let first = parts.extensions.get::<RequestContext>().cloned().ok_or(ApiError::ServerError)?;
        let form = body::read(body, &first).await?;
        let text = String::from_utf8_lossy(&form);
        first.recorder.form(&text);
        let id = basic(&parts.headers)
            .map(|(id, _)| id)
            .or_else(|| Params::first_lossy(parts.uri.query().unwrap_or_default(), "client_id"))
            .or_else(|| Params::first_lossy(&text, "client_id"));
        let account = id.and_then(|id| state.accounts.of_client(&id));
        let context =
            account.as_ref().map(|account| RequestContext::new(account, first.recorder.clone(), first.bodies.clone()));
        let context = context.unwrap_or(first);
        context.recorder.target(context.target.clone());
        let in_flight = account.map(|_| state.begin_request(&context.account)).transpose()?;
        parts.extensions.insert(context.clone());
        Ok(Self { context, in_flight, request: Request::from_parts(parts, Body::from(form)) })
    }
}

impl RequestContext {
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
