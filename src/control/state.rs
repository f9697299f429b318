//! The shared state of the control API, and extractors for its paths.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts, Path},
    http::request::Parts,
};

use super::{
    guard::{Access, Guard},
    problem::Problem,
};
use crate::{
    account::{Account, Accounts},
    bodies::{Bodies, CONTROL_KIB},
    limits::{Limits, Seconds},
    metrics::Metrics,
    webhook::AllowedTargets,
};

/// The maximum size of a body, enough for ten thousand events.
pub(super) const MAX_BODY_BYTES: u32 = 16 * 1024 * 1024;

/// The state that all handlers share.
#[derive(Clone, Debug)]
pub(crate) struct ControlState {
    pub(super) accounts: Arc<Accounts>,
    pub(super) bodies: Arc<Bodies>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) guard: Guard,
    /// Where notifications may go.
    pub(super) targets: Arc<AllowedTargets>,
    /// The maximum time between two parts of a body that is read while it arrives.
    pub(super) body_seconds: Seconds,
}

impl FromRef<ControlState> for Arc<Accounts> {
    fn from_ref(control: &ControlState) -> Self {
        control.accounts.clone()
    }
}

impl ControlState {
    pub(crate) fn new(accounts: Arc<Accounts>, access: Access, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let bodies = Arc::new(Bodies::new(MAX_BODY_BYTES, limits.body_seconds, CONTROL_KIB));
        let targets = access.targets.clone();
        Self { accounts, bodies, metrics, targets, guard: Guard::new(access), body_seconds: limits.body_seconds }
    }
}

/// Extractor: the account in the path.
pub(super) struct NamedAccount(pub(super) Arc<Account>);

impl FromRequestParts<ControlState> for NamedAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, control: &ControlState) -> Result<Self, Problem> {
        let name = path_parameter(parts, "account").await?;
        control.accounts.get(&name).map(Self).ok_or_else(|| Problem::not_found(format!("There is no account {name}")))
    }
}

/// Extractor: the last parameter of the path.
pub(super) struct PathItem(pub(super) String);

impl FromRequestParts<ControlState> for PathItem {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ControlState) -> Result<Self, Problem> {
        let Ok(Path(names)) = Path::<Vec<(String, String)>>::from_request_parts(parts, &()).await else {
            return Err(Problem::invalid("The path is not UTF-8 when its escapes are decoded"));
        };
        let last = names.into_iter().next_back().map(|(_, value)| value);
        last.map(Self).ok_or_else(|| Problem::invalid("The path is not complete"))
    }
}

async fn path_parameter(parts: &mut Parts, wanted: &str) -> Result<String, Problem> {
    let names = Path::<Vec<(String, String)>>::from_request_parts(parts, &()).await;
    let Ok(Path(names)) = names else {
        return Err(Problem::invalid("The path is not UTF-8 when its escapes are decoded"));
    };
    let found = names.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    found.ok_or_else(|| Problem::invalid("The path is not complete"))
}
