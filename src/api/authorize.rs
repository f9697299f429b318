//! `GET /o/oauth/authorize`: replaces the vendor's login and consent pages, and consents immediately.

use axum::{
    extract::RawQuery,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{context::RequestContext, error::ApiError, params::Params};

/// Redirects to `redirect_uri` with a code of six characters and the `state` of the request.
pub(super) async fn consent(context: RequestContext, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref().unwrap_or_default(), context.config.profile().repeated_parameter)?;
    let settings = &context.config.settings;
    if params.get("client_id") != Some(settings.client_id.as_str()) {
        return Err(ApiError::BadClient);
    }
    let wanted = "an address of this machine, or one that --redirect-uri names";
    let Some(redirect_uri) = params.get("redirect_uri").filter(|uri| !uri.is_empty()) else {
        return Err(ApiError::Missing { parameter: "redirect_uri", wanted });
    };
    let registered = settings.redirect_uris.iter().any(|known| known.as_str() == redirect_uri);
    if !(registered || is_loopback(redirect_uri)) {
        return Err(ApiError::invalid("redirect_uri", wanted, redirect_uri));
    }
    match params.get("response_type") {
        Some("code") => {}
        None => return Err(ApiError::Missing { parameter: "response_type", wanted: "code" }),
        Some(other) => return Err(ApiError::UnsupportedResponseType(other.to_owned())),
    }
    if HeaderValue::from_str(redirect_uri).is_err() || !redirect_uri.is_ascii() {
        return Err(ApiError::invalid("redirect_uri", "an address that can stand in a header", redirect_uri));
    }
    let code = context.account.tokens.make_code(redirect_uri, context.now);
    let location = with_code(redirect_uri, &code, params.get("state"));
    // This cannot fail: the URI is checked above, the code has only letters and digits, and `state` is percent-encoded.
    let location = HeaderValue::try_from(location).map_err(|_| ApiError::ServerError)?;
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

/// Appends the code and the client's `state` to the query of a URI, before its fragment.
fn with_code(redirect_uri: &str, code: &str, state: Option<&str>) -> String {
    let (address, fragment) = match redirect_uri.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (redirect_uri, None),
    };
    let mut location = format!("{address}{}code={code}", if address.contains('?') { '&' } else { '?' });
    if let Some(state) = state {
        location.push_str("&state=");
        location.extend(utf8_percent_encode(state, NON_ALPHANUMERIC));
    }
    if let Some(fragment) = fragment {
        location.push('#');
        location.push_str(fragment);
    }
    location
}

/// Whether a URI is a loopback address, where native clients receive their code (RFC 8252).
fn is_loopback(redirect_uri: &str) -> bool {
    let Ok(uri) = redirect_uri.parse::<Uri>() else { return false };
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    is_web
        && uri.host().is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost")
                || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        })
}
