//! The access tokens.

use std::collections::{HashMap, HashSet};

use super::super::{
    finding::{Finding, api_requests, at, client_of},
    seen::{Seen, knew},
    settings::VerdictSettings,
};
use crate::{
    account::journal::{Request, ResponseChange, TokenLife},
    api_name::ApiName,
};

/// A token request is premature if the client's last token was not refused since, and lives for longer than a tenth of its
/// life: good clients fetch the next token a little early.
pub(in crate::verdict) fn keeps_token(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut issued: HashMap<Option<String>, &Request> = HashMap::new();
    // Each 401 allows one token: workers may get one each.
    let mut refusals: u32 = 0;
    let mut finding = Finding::default();
    for request in &seen.requests {
        if request.status == Some(401) && request.api != Some(ApiName::Token) {
            refusals = refusals.saturating_add(1);
        }
        if request.api != Some(ApiName::Token) || !is_issued(request) {
            continue;
        }
        finding.is_seen = true;
        let is_after_401 = refusals > 0;
        refusals = refusals.saturating_sub(1);
        let client = client_of(request);
        let Some(previous) = issued.insert(client, request) else { continue };
        let Some(TokenLife { expires_at, life_ms }) = previous.token_life else { continue };
        // A valid token may have been issued again, with the rest of its life.
        let is_premature = expires_at.0 - at(request) > life_ms / 10;
        // A client may refuse a response with another content type.
        let is_usable = previous.change == ResponseChange::default();
        if !is_after_401 && is_usable && is_premature && knew(request, previous) {
            finding.requests.push(request.number);
        }
    }
    finding.counted("token requests too many")
}

/// The client received a token.
fn is_issued(request: &Request) -> bool {
    request.token_life.is_some() && request.is_whole_200()
}

/// After a 401, each client that got one must fetch one token, and must not repeat the refused one. A 401 counts for a token
/// only that was accepted before, or that a fault refused: a client can do nothing about a wrong one.
pub(in crate::verdict) fn one_token_after_expiry(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    let mut accepted: HashSet<u64> = HashSet::new();
    // The first 401 of each token at each API, which workers of their own may read.
    let mut refused: HashMap<(u64, Option<ApiName>), &Request> = HashMap::new();
    let mut refused_tokens: HashSet<u64> = HashSet::new();
    // The 401 after which the client has no other token yet, and the tokens that may and that were fetched since.
    let mut waiting: Option<&Request> = None;
    let (mut allowed, mut fetched) = (0, 0);
    for request in &seen.requests {
        let request = &**request;
        if request.api == Some(ApiName::Token) {
            if allowed > 0 && is_issued(request) {
                // A client may refuse a response with another content type.
                fetched += u32::from(request.change == ResponseChange::default());
                waiting = None;
                if fetched > allowed {
                    finding.requests.push(request.number);
                }
            }
            continue;
        }
        let Some(token) = request.token_hash.filter(|_| request.api.is_some()) else { continue };
        if request.status != Some(401) {
            if request.status.is_some() && !refused_tokens.contains(&token) {
                (waiting, allowed, fetched) = (None, 0, 0);
            }
            accepted.insert(token);
            continue;
        }
        match refused.get(&(token, request.api)) {
            Some(first) if knew(request, first) => finding.requests.push(request.number),
            // Another worker got the same 401 at the same time.
            Some(_) => allowed += 1,
            None => {
                finding.is_seen = true;
                refused.insert((token, request.api), request);
                refused_tokens.insert(token);
                allowed += 1;
                if accepted.contains(&token) || request.fault.is_some() {
                    waiting = Some(request);
                }
            }
        }
    }
    finding.requests.extend(waiting.map(|request| request.number));
    finding.counted("requests too many or too few after a 401")
}

pub(in crate::verdict) fn token_in_header(seen: &Seen, _: &VerdictSettings) -> Finding {
    let judged = api_requests(seen).filter(|request| request.token.is_some());
    let in_url = |request: &Request| request.parameters.has_pair("access_token");
    Finding::of(judged.map(|request| (request, in_url(request))), "requests with the token in the URL")
}
