//! The requests as such: quota, paths, parameters, faults.

use std::collections::HashMap;

use super::super::{
    finding::{Finding, api_requests, at, number, seconds},
    seen::{Seen, knew},
    settings::VerdictSettings,
};
use crate::{account::journal::Request, api_name::ApiName};

/// The number of different texts of a finding.
const MAX_TEXTS: usize = 5;

pub(in crate::verdict) fn within_quota(seen: &Seen, _: &VerdictSettings) -> Finding {
    Finding::of(api_requests(seen).map(|request| (request, request.is_over_quota)), "requests over the quota")
}

/// The first request of a token to an API that knows of a 429 must find the quota open; after a 429 of a fault, it must come
/// when that 429 said. A 429 for too many requests at once says nothing about the next one.
pub(in crate::verdict) fn waits_after_429(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut last: HashMap<(Option<ApiName>, Option<u64>), &Request> = HashMap::new();
    let mut finding = Finding::default();
    let mut shortest_ms = i64::MAX;
    for request in api_requests(seen) {
        let key = (request.api, request.token_hash);
        if let Some(refused) = last.get(&key).filter(|refused| knew(request, refused)) {
            // On a frozen clock, the wait after a fault does not show.
            if refused.is_over_quota || !refused.is_frozen && !request.is_frozen {
                let until = refused.quota.map_or(i64::MIN, |quota| quota.reset_seconds);
                // The header is rounded up to a second; who counts from the refusal is right, too.
                let is_before = at(request) <= until.saturating_mul(1000).saturating_sub(1000);
                let is_early = if refused.is_over_quota { request.is_over_quota } else { is_before };
                finding.is_seen = true;
                shortest_ms = shortest_ms.min(at(request) - at(refused));
                if is_early {
                    finding.requests.push(request.number);
                }
            }
            last.remove(&key);
        }
        if request.status == Some(429) && (request.is_over_quota || request.fault.is_some()) {
            last.insert(key, request);
        }
    }
    finding.measure(seconds(shortest_ms), "seconds, the shortest wait after a 429")
}

pub(in crate::verdict) fn valid_requests(seen: &Seen, _: &VerdictSettings) -> Finding {
    let is_refused = |request: &Request| {
        matches!(request.status, Some(400 | 406 | 415)) && request.fault.is_none() && !request.is_unforeseeable
    };
    let all = seen.requests.iter().map(|request| &**request).filter(|request| request.api.is_some());
    Finding::of(all.map(|request| (request, is_refused(request))), "refused requests")
}

pub(in crate::verdict) fn known_paths(seen: &Seen, _: &VerdictSettings) -> Finding {
    // A known API answers 404 for a device that left the account.
    let is_unknown = |request: &Request| match request.status {
        Some(404) => request.api.is_none() && request.fault.is_none(),
        Some(405) => request.fault.is_none(),
        _ => false,
    };
    Finding::of(seen.requests.iter().map(|request| (&**request, is_unknown(request))), "requests")
}

pub(in crate::verdict) fn no_ignored_input(seen: &Seen, _: &VerdictSettings) -> Finding {
    let mut finding = Finding::default();
    for request in &seen.requests {
        let Some(ignored) = &request.ignored else { continue };
        finding.is_seen = true;
        if !ignored.is_empty() {
            finding.requests.push(request.number);
        }
        for text in ignored {
            if finding.texts.len() < MAX_TEXTS && !finding.texts.contains(text) {
                finding.texts.push(text.clone());
            }
        }
    }
    finding.counted("requests with ignored input")
}

pub(in crate::verdict) fn faults_applied(seen: &Seen, _: &VerdictSettings) -> Finding {
    let never = seen.faults.iter().filter(|fault| fault.applied == 0);
    let names: Vec<String> = never.filter_map(|fault| fault.rule.name.clone()).collect();
    let count = names.len();
    Finding { is_seen: !seen.faults.is_empty(), names, ..Finding::default() }.measure(number(count), "rules")
}
