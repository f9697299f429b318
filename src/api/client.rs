//! Middleware of the OAuth routes. It finds the account by the client id before the handler runs, so that the clock,
//! the faults and the journal of this account apply.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{body, context::RequestContext, error::ApiError, fault, head, params::Params, state::ApiState};
use crate::{
    account::{InFlightGuard, fault::Gate},
    api_name::ApiName,
};

/// Sets the request context of the client's account, and applies the faults of this account.
pub(super) async fn identify(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let identified = match IdentifiedRequest::read(&state, request).await {
        Ok(identified) => identified,
        Err(error) => return error.into_response(),
    };
    // The guard keeps the request in flight until the response is ready.
    let IdentifiedRequest { context, request, in_flight: _in_flight } = identified;
    let api = ApiName::at(request.uri().path());
    let applied = api.and_then(|api| fault::applying(&context, Some(api), &request, Gate::Behind));
    match applied {
        Some(applied) if applied.fault.answers_itself() => fault::answer(&applied, &context, None, None, request).await,
        Some(applied) => fault::apply_fault(&applied, &context, None, None, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// The body of a token request, as it was read for the client id in it.
#[derive(Clone)]
pub(super) struct FormBytes(pub(super) Bytes);

/// A request with its body in memory and the context of its account.
struct IdentifiedRequest {
    context: RequestContext,
    request: Request,
    /// Counts the request as in flight for its account. `None` if no account has the client id.
    in_flight: Option<InFlightGuard>,
}

impl IdentifiedRequest {
    async fn read(state: &ApiState, request: Request) -> Result<Self, ApiError> {
        head::check(&request)?;
        let (mut parts, body) = request.into_parts();
        let first = parts.extensions.get::<RequestContext>().cloned().ok_or(ApiError::ServerError)?;
        // A fault may delay the answer. Only the bytes are kept, so that it does not hold a part of the budget.
        let form = body::read(body, &first).await?.bytes;
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
        parts.extensions.insert(FormBytes(form.clone()));
        Ok(Self { context, in_flight, request: Request::from_parts(parts, Body::from(form)) })
    }
}

impl RequestContext {
    /// The client id and secret: from HTTP Basic, or else from the parameters.
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
