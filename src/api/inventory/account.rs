//! The account: `GET /o/api/v2/account` to `POST /o/api/v3.2/account`.

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::{Authenticated, RequestContext},
        encode,
        error::ApiError,
        ignored,
    },
    answer,
};
use crate::world::{ACCOUNT_MADE, DeviceCounts, Risk, Severity, Status, World};

/// The names of the severities of vulnerabilities in version 3.1 (D).
const SEVERITIES: [(&str, Option<Risk>); 5] = [
    ("critical", Some(Risk::Critical)),
    ("important", Some(Risk::Important)),
    ("moderate", Some(Risk::Moderate)),
    ("low", None),
    ("unknown", None),
];
/// Those in version 3.2 (D), with the score of the vendor, and with the others.
const SEVERITIES_OF_OPSWAT: [(&str, Option<Risk>); 7] =
    [SEVERITIES[0], SEVERITIES[1], SEVERITIES[2], SEVERITIES[3], SEVERITIES[4], ("high", None), ("medium", None)];
const SEVERITIES_OF_CVSS: [(&str, Option<Risk>); 7] = [
    SEVERITIES[0],
    ("important", None),
    ("moderate", None),
    SEVERITIES[3],
    SEVERITIES[4],
    ("high", Some(Risk::Important)),
    ("medium", Some(Risk::Moderate)),
];

/// What all versions have.
#[derive(Serialize)]
struct Common {
    name: String,
    email: String,
    /// The creation of the account before the first login of the owner (A).
    last_login: String,
    date_created: String,
    devices_allowed: u64,
    devices_used: u64,
}

#[derive(Serialize)]
struct AccountV2 {
    #[serde(flatten)]
    common: Common,
    devices_uncompliant: u64,
    devices_critical: u64,
    devices_issues: u64,
}

#[derive(Serialize)]
struct AccountV3 {
    #[serde(flatten)]
    v2: AccountV2,
    /// Every device has a status.
    devices_unknown: u64,
    license_key: String,
}

#[derive(Serialize)]
struct AccountV3_1 {
    #[serde(flatten)]
    common: Common,
    license_key: String,
    devices_by_status: [StatusCount; 4],
    devices_by_issue_severity: [SeverityCount; 3],
    devices_by_vulnerability_severity: Vec<SeverityCount>,
}

#[derive(Serialize)]
struct StatusCount {
    status: &'static str,
    number_of_devices: u64,
}

#[derive(Serialize)]
struct SeverityCount {
    severity: &'static str,
    number_of_devices: u64,
}

/// Returns the account as version 2 (D).
pub(super) async fn v2(caller: Authenticated) -> Result<Response, ApiError> {
    let context = &caller.context;
    answer::json(&answer::read(context, |world, devices| AccountV2::new(world, devices.counts(), context)))
}

/// Returns the account as version 3 (D).
pub(super) async fn v3(caller: Authenticated) -> Result<Response, ApiError> {
    let context = &caller.context;
    answer::json(&answer::read(context, |world, devices| AccountV3 {
        v2: AccountV2::new(world, devices.counts(), context),
        devices_unknown: 0,
        license_key: world.license_key(),
    }))
}

/// Returns the account as version 3.1 (D).
pub(super) async fn v3_1(caller: Authenticated) -> Result<Response, ApiError> {
    let context = &caller.context;
    answer::json(&answer::read(context, |world, devices| {
        AccountV3_1::new(world, devices.counts(), &SEVERITIES, context)
    }))
}

/// Returns the account as version 3.2 (D). The scores of a vulnerability are of the same severity in each system (A), but
/// the systems name the severities differently (D).
pub(super) async fn v3_2(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const WANTED: &str = "opswat_score, cvss2_score or cvss3_score";
    let context = &caller.context;
    let names = match fields.text("score_type", WANTED)?.as_deref() {
        None | Some("opswat_score") => SEVERITIES_OF_OPSWAT,
        Some("cvss2_score" | "cvss3_score") => SEVERITIES_OF_CVSS,
        Some(other) => return Err(ApiError::invalid("score_type", WANTED, Json::Text(other.to_owned()))),
    };
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["score_type"]))?;
    answer::json(&answer::read(context, |world, devices| AccountV3_1::new(world, devices.counts(), &names, context)))
}

impl Common {
    fn new(world: &World, counts: DeviceCounts, context: &RequestContext) -> Self {
        Self {
            name: world.company().to_owned(),
            email: world.owner().email,
            last_login: encode::iso_seconds(world.owner_login(context.now).unwrap_or(ACCOUNT_MADE)),
            date_created: encode::iso_seconds(ACCOUNT_MADE),
            devices_allowed: world.devices_allowed(),
            devices_used: counts.total(),
        }
    }
}

impl AccountV2 {
    fn new(world: &World, counts: DeviceCounts, context: &RequestContext) -> Self {
        let critical = counts.with_severity(Severity::Critical);
        Self {
            common: Common::new(world, counts, context),
            devices_uncompliant: counts.with_status(Status::NonCompliant),
            devices_critical: critical,
            devices_issues: critical + counts.with_severity(Severity::Warning),
        }
    }
}

impl AccountV3_1 {
    fn new(
        world: &World,
        counts: DeviceCounts,
        vulnerability_severities: &[(&'static str, Option<Risk>)],
        context: &RequestContext,
    ) -> Self {
        let with_status = |status: Option<Status>, code| StatusCount {
            status: code,
            number_of_devices: status.map_or(0, |status| counts.with_status(status)),
        };
        let with_severity =
            |severity, code| SeverityCount { severity: code, number_of_devices: counts.with_severity(severity) };
        let with_risk = |(severity, risk): &(&'static str, Option<Risk>)| SeverityCount {
            severity,
            number_of_devices: risk.map_or(0, |risk| with_worst(counts, risk)),
        };
        Self {
            common: Common::new(world, counts, context),
            license_key: world.license_key(),
            devices_by_status: [
                with_status(Some(Status::Compliant), "compliant"),
                with_status(Some(Status::NonCompliant), "non-compliant"),
                with_status(Some(Status::Exempted), "exempted"),
                with_status(None, "unknown"),
            ],
            devices_by_issue_severity: [
                with_severity(Severity::Critical, "critical"),
                with_severity(Severity::Warning, "warning"),
                with_severity(Severity::NoIssue, "no_issue"),
            ],
            devices_by_vulnerability_severity: vulnerability_severities.iter().map(with_risk).collect(),
        }
    }
}

/// The number of devices by their worst vulnerability.
fn with_worst(counts: DeviceCounts, risk: Risk) -> u64 {
    let has_it = |status, severity| Risk::worst(status, severity) == Some(risk);
    counts.iter().filter(|(status, severity, _)| has_it(*status, *severity)).map(|(.., number)| number).sum()
}
