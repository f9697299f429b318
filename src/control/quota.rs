//! `/_mock/accounts/{account}/quota`: how requests are counted, and where each bucket stands.

use axum::Json;
use serde::Serialize;

use super::{body::JsonBody, state::NamedAccount};
use crate::{
    account::{
        Account, QuotaDescription,
        journal::masked,
        quota::{Bucket, QuotaChange},
    },
    clock::Instant,
    world::Millis,
};

#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    quota: QuotaDescription,
    /// Those from which something was taken and that are not full again.
    buckets: Vec<ShownBucket>,
}

#[derive(Serialize)]
struct ShownBucket {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'static str>,
    remaining: u32,
    reset_at: Instant,
}

impl From<Bucket> for ShownBucket {
    fn from(bucket: Bucket) -> Self {
        Self {
            token: bucket.token.as_deref().map(masked),
            api: bucket.api,
            remaining: bucket.status.remaining,
            reset_at: Millis(bucket.status.reset_seconds * 1000).into(),
        }
    }
}

fn shown(account: &Account) -> Json<Shown> {
    let buckets = account.buckets().into_iter().map(Into::into).collect();
    Json(Shown { quota: account.quota(), buckets })
}

pub(super) async fn show(NamedAccount(account): NamedAccount) -> Json<Shown> {
    shown(&account)
}

pub(super) async fn change(
    NamedAccount(account): NamedAccount,
    JsonBody(change): JsonBody<QuotaChange>,
) -> Json<Shown> {
    account.set_quota(change);
    shown(&account)
}
