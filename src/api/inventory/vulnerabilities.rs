//! Vulnerabilities: of a device (`POST /o/api/v3/get_cves`), and of the whole account (`POST /o/api/v3/cves`).

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::Authenticated,
        encode,
        error::ApiError,
        ignored,
        limits::Limits,
    },
    answer,
    request::{self, LONG_LISTS, NumberedPage},
};
use crate::world::{DeviceCounts, Risk, Vulnerability, World};

/// The bounds of `limit` for the vulnerabilities of a device (D).
pub(in crate::api) const CVES: Limits = Limits { max: 100, default: 100 };

/// A vulnerability.
#[derive(Serialize)]
pub(super) struct Cve {
    #[serde(rename = "cve_id")]
    id: String,
    severity: &'static str,
    summary: String,
    update_date: String,
    publish_date: String,
    opswat_score: String,
    cvss2_score: String,
    cvss3_score: f32,
    remediation: String,
    cwe_id: String,
}

#[derive(Serialize)]
struct CountedCve {
    #[serde(flatten)]
    cve: Cve,
    total_devices: u64,
}

/// What a request without `verbose` gets (D: the ids only).
#[derive(Serialize)]
struct CveId {
    #[serde(rename = "cve_id")]
    id: String,
}

/// Returns the vulnerabilities of a device, an array; 404 for a device that is not in the account (C).
pub(super) async fn of_device(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let id = request::required(&fields, "id", "a device id")?;
    let is_verbose = request::is_verbose(&fields)?;
    let severities = severities(&fields)?;
    let page = NumberedPage::read(&fields, CVES)?;
    ignored::check(context, || {
        let mut texts = ignored::unknown_fields(&fields, "", &["id", "verbose", "limit", "page", "filter"]);
        if let Some(Json::Object(filter)) = fields.get("filter") {
            texts.extend(ignored::unknown_fields(filter, "filter.", &["severity"]));
        }
        texts
    })?;
    let found = answer::read_some(context, std::slice::from_ref(&id), |world, devices| {
        let risk = devices.with_id(&id).map(|state| state.risk());
        risk.map(|risk| (risk, world.vulnerabilities(context.now)))
    });
    let (risk, all) = found.ok_or(ApiError::NoSuchDevice(id))?;
    let has_it = |found: &Vulnerability| {
        risk.is_some_and(|risk| risk.includes(found.risk))
            && severities.as_ref().is_none_or(|severities| severities.contains(&found.risk.code()))
    };
    let found = page.of(all.into_iter().filter(has_it));
    page.check(&found, context)?;
    if is_verbose {
        answer::json(&found.into_iter().map(Cve::new).collect::<Vec<_>>())
    } else {
        answer::json(&found.into_iter().map(|found| CveId { id: found.id }).collect::<Vec<_>>())
    }
}

/// Returns the vulnerabilities of all devices, an array, each with the number of devices that have it.
pub(super) async fn list(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let page = NumberedPage::read(&fields, LONG_LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page"]))?;
    let found = answer::read(context, |world, devices| {
        let counts = devices.counts();
        let counted =
            |found: Vulnerability| CountedCve { total_devices: affected(counts, found.risk), cve: Cve::new(found) };
        let all = world.vulnerabilities(context.now).into_iter().map(counted);
        page.of(all.filter(|found| found.total_devices > 0))
    });
    page.check(&found, context)?;
    answer::json(&found)
}

/// The number of devices that have the vulnerabilities of a severity.
pub(super) fn affected(counts: DeviceCounts, risk: Risk) -> u64 {
    let has_it = |status, severity| Risk::worst(status, severity).is_some_and(|worst: Risk| worst.includes(risk));
    counts.iter().filter(|(status, severity, _)| has_it(*status, *severity)).map(|(.., number)| number).sum()
}

/// The severities that a request asks for; `None` means all.
fn severities(fields: &Fields) -> Result<Option<Vec<&'static str>>, ApiError> {
    const KNOWN: [&str; 5] = ["critical", "important", "moderate", "low", "unknown"];
    const WANTED: &str = "an array of critical, important, moderate, low, unknown";
    let list = match fields.get("filter") {
        None => return Ok(None),
        Some(Json::Object(filter)) => match filter.get("severity") {
            None => return Ok(None),
            Some(Json::List(list)) => list,
            Some(other) => return Err(ApiError::invalid("filter.severity", WANTED, other)),
        },
        Some(Json::List(list)) if list.is_empty() => return Ok(None),
        Some(other) => return Err(ApiError::invalid("filter", "an object", other)),
    };
    let known = |value: &Json| {
        let code = KNOWN.into_iter().find(|code| matches!(value, Json::Text(text) if text == code));
        code.ok_or_else(|| ApiError::invalid("filter.severity", WANTED, value))
    };
    let codes: Vec<&str> = list.iter().map(known).collect::<Result<_, _>>()?;
    Ok((!codes.is_empty()).then_some(codes))
}

impl Cve {
    pub(super) fn new(found: Vulnerability) -> Self {
        let Vulnerability { id, risk, product, published_at, updated_at, weakness, score_tenths, fixed_in } = found;
        Self {
            summary: format!("{} before {fixed_in} has a weakness of class {weakness}", product.name),
            remediation: format!("Update {} to {fixed_in}", product.name),
            severity: risk.code(),
            update_date: encode::iso_seconds(updated_at),
            publish_date: encode::iso_seconds(published_at),
            // The documented types (D): two texts and a number.
            opswat_score: score_tenths.to_string(),
            cvss2_score: format!("{}.{}", score_tenths / 10, score_tenths % 10),
            cvss3_score: f32::from(score_tenths) / 10.0,
            cwe_id: format!("CWE-{weakness}"),
            id,
        }
    }
}

/// The vulnerabilities of a product.
pub(super) fn of_product(world: &World, product: i64, at: crate::world::Millis) -> Vec<Vulnerability> {
    world.vulnerabilities(at).into_iter().filter(|found| found.product.id == product).collect()
}
