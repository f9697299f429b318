//! The lists of devices: `GET /o/api/v2.2/devices`, `POST /o/api/v3.3/devices`, `POST /o/api/v3.4/devices`.

use axum::{extract::RawQuery, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::{Authenticated, RequestContext},
        encode,
        error::ApiError,
        ignored,
        limits::{Limits, PageNumber},
        params::Params,
    },
    answer::{self, Issues, Seen, ViolatedCategory, remediation_link},
    request::{LISTS, NumberedPage},
};
use crate::{
    account::{self, AccountConfig, devices::Devices},
    world::{DeviceState, EnrolmentCursor, Millis, Status},
};

/// The bounds of `limit` of version 2.2 (D).
const LIMITS_V2_2: Limits = Limits { max: 50, default: 1 };
/// The first byte of a token of this list; those of the logs have another one.
const TOKEN_VERSION: u8 = 129;
const SIGNATURE_BYTES: usize = 16;

/// A device of version 2.2. The status is a number (D).
#[derive(Serialize)]
struct DeviceV2_2 {
    hwid: String,
    status: u8,
    hostname: String,
    nickname: &'static str,
    agent_version: String,
    last_seen: String,
    remediation_link: String,
}

#[derive(Serialize)]
struct DeviceV3_3 {
    device_id: String,
    device_name: String,
    nickname: &'static str,
    device_type: &'static str,
    status: &'static str,
    severity: &'static str,
    enrolled_at: String,
    last_seen: String,
    agent_version: String,
    group_name: String,
    issue: Issues,
    categories: Vec<ViolatedCategory>,
}

#[derive(Serialize)]
struct DeviceV3_4 {
    device_id: String,
    host_name: String,
    status: &'static str,
    severity: &'static str,
    enrolled_at: String,
    last_seen: String,
    device_type: &'static str,
    agent_version: String,
    group_name: String,
}

/// A page of version 3.4. `next_token` is empty on the last page (C: a client loops while it is not).
#[derive(Serialize)]
struct PageV3_4 {
    next_token: String,
    devices: Vec<DeviceV3_4>,
}

/// Returns a page as an array.
pub(super) async fn v2_2(caller: Authenticated, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let context = &caller.context;
    let params = Params::parse(query.as_deref().unwrap_or_default(), context.config.profile().repeated_parameter)?;
    let number: PageNumber = params.integer("page", PageNumber::WANTED, 1)?.try_into()?;
    let limit = params.integer("limit", &LIMITS_V2_2.wanted(), LIMITS_V2_2.default.into())?;
    let page = NumberedPage::new(number, LIMITS_V2_2.check(limit)?);
    ignored::check(context, || ignored::unknown_params(&params, &["limit", "page", "access_token"]))?;
    let found = answer::read(context, |_, devices| {
        let device = |state: DeviceState| DeviceV2_2 {
            // The vendor documents no number for an exemption (A).
            status: u8::from(state.status == Status::NonCompliant),
            nickname: "",
            agent_version: state.device.agent_version(context.now),
            last_seen: Seen::of(&state, devices).last_seen,
            remediation_link: remediation_link(&state.device.id),
            hwid: state.device.id,
            hostname: state.device.name,
        };
        devices.page(page.skip(), page.take()).into_iter().map(device).collect::<Vec<_>>()
    });
    page.check(&found, context)?;
    answer::json(&found)
}

/// Returns a page as an array.
pub(super) async fn v3_3(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let page = NumberedPage::read(&fields, LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page"]))?;
    let found = answer::read(context, |_, devices| {
        let device = |state: DeviceState| DeviceV3_3 {
            nickname: "",
            device_type: answer::device_type(&state),
            status: answer::status(state.status),
            severity: answer::severity(state.severity),
            enrolled_at: encode::iso_seconds(state.enrolled_at),
            last_seen: Seen::of(&state, devices).last_seen,
            agent_version: state.device.agent_version(context.now),
            issue: Issues::of(&state),
            categories: ViolatedCategory::of(&state),
            group_name: state.device.group.into_owned(),
            device_id: state.device.id,
            device_name: state.device.name,
        };
        devices.page(page.skip(), page.take()).into_iter().map(device).collect::<Vec<_>>()
    });
    page.check(&found, context)?;
    answer::json(&found)
}

/// Returns the devices after a token, in the order of enrolment.
pub(super) async fn v3_4(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let cursor = token(&fields, context)?;
    let limit = LISTS.read(&fields)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "token"]))?;
    let page = answer::read(context, |_, devices| {
        let (found, next) = devices.after(cursor, limit.entries());
        PageV3_4 {
            next_token: next.map_or_else(String::new, |next| seal(next, &context.config)),
            devices: found.into_iter().map(|state| device_v3_4(state, devices, context.now)).collect(),
        }
    });
    answer::json(&page)
}

fn device_v3_4(state: DeviceState, devices: &Devices<'_>, now: Millis) -> DeviceV3_4 {
    DeviceV3_4 {
        status: answer::status(state.status),
        severity: answer::severity(state.severity),
        enrolled_at: encode::iso_seconds(state.enrolled_at),
        last_seen: Seen::of(&state, devices).last_seen,
        device_type: answer::device_type(&state),
        agent_version: state.device.agent_version(now),
        group_name: state.device.group.into_owned(),
        device_id: state.device.id,
        host_name: state.device.name,
    }
}

/// The place that the token of a request leads to; `None` for the first page.
fn token(fields: &Fields, context: &RequestContext) -> Result<Option<EnrolmentCursor>, ApiError> {
    const WANTED: &str = "the next_token of the page before, as it was answered, of the same account and configuration";
    let Some(text) = fields.text("token", WANTED)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let cursor = open(&text, &context.config);
    cursor.map(Some).ok_or_else(|| ApiError::invalid("token", WANTED, Json::Text(text.into_owned())))
}

/// Encodes and signs a token.
fn seal(EnrolmentCursor { at, source, occurrence }: EnrolmentCursor, config: &AccountConfig) -> String {
    let mut bytes = vec![TOKEN_VERSION, source];
    bytes.extend(at.0.to_be_bytes());
    bytes.extend(occurrence.to_be_bytes());
    let signature = config.page_token_signer().chain_update(&bytes).finalize().into_bytes();
    bytes.extend(&signature[..SIGNATURE_BYTES]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Verifies and decodes a token of this account.
fn open(text: &str, config: &AccountConfig) -> Option<EnrolmentCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (content, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
    let is_signed = account::is_signed(config.page_token_signer().chain_update(content), signature);
    let ([TOKEN_VERSION, source], rest) = content.split_first_chunk().filter(|_| is_signed)? else { return None };
    let (at, occurrence) = rest.split_first_chunk()?;
    Some(EnrolmentCursor {
        at: Millis(i64::from_be_bytes(*at)),
        source: *source,
        occurrence: u64::from_be_bytes(occurrence.try_into().ok()?),
    })
}
