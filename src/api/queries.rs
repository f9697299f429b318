//! The page that a request asks for, for requests that are answered without the API: with 401, 429 or by a fault.
//!
//! The journal records the page of every request, so that an audit knows which events a refused request would have
//! returned.

use axum::{
    extract::Request,
    http::{Method, Uri},
};

use super::{
    activities_v3,
    body::Fields,
    context::RequestContext,
    logs::{self, V3_1, V3_2, V3_3},
    logs_v2, logs_v3,
};
use crate::{account::listing::PageQuery, api_name::ApiName};

/// Records the body and the page of a request.
pub(super) async fn record(api: ApiName, request: Request, context: &RequestContext) {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = context.recorder.refused_body(request).await;
    if let Some(query) = read(api, &method, &uri, &body, context) {
        context.recorder.page(query);
    }
}

/// The page, if the parameters are valid.
fn read(api: ApiName, method: &Method, uri: &Uri, body: &[u8], context: &RequestContext) -> Option<PageQuery> {
    let fields = || Fields::read(body, context).ok();
    let of_version = |version| logs::query(version, &fields()?, context).ok().map(|query| query.page);
    match (api, method) {
        (ApiName::LogsV2, &Method::GET) => {
            logs_v2::query(uri.query().unwrap_or_default(), context).ok().map(|(query, _)| query)
        }
        (ApiName::ActivitiesV3, &Method::POST) => {
            activities_v3::query(&fields()?, context).ok().map(|(query, _)| query)
        }
        (ApiName::LogsV3, &Method::POST) => logs_v3::query(&fields()?, context).ok(),
        (ApiName::LogsV3_1, &Method::POST) => of_version(&V3_1),
        (ApiName::LogsV3_2, &Method::POST) => of_version(&V3_2),
        (ApiName::LogsV3_3, &Method::POST) => of_version(&V3_3),
        _ => None,
    }
}
