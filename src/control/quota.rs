//! `/_mock/accounts/{account}/quota`: the quota settings of an account, and the state of its buckets.

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
pub(super) struct QuotaView {
    #[serde(flatten)]
    quota: QuotaDescription,
    /// The buckets that are not full.
    buckets: Vec<BucketView>,
}

#[derive(Serialize)]
struct BucketView {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'static str>,
    remaining: u32,
    reset_at: Instant,
}

impl From<Bucket> for BucketView {
    fn from(bucket: Bucket) -> Self {
        Self {
            token: bucket.token.as_deref().map(masked),
            api: bucket.api,
            remaining: bucket.status.remaining,
            reset_at: Millis(bucket.status.reset_seconds * 1000).into(),
        }
    }
}

fn view(account: &Account) -> Json<QuotaView> {
    let buckets = account.buckets().into_iter().map(Into::into).collect();
    Json(QuotaView { quota: account.quota(), buckets })
}

pub(super) async fn show(NamedAccount(account): NamedAccount) -> Json<QuotaView> {
    view(&account)
}

pub(super) async fn change(
    NamedAccount(account): NamedAccount,
    JsonBody(change): JsonBody<QuotaChange>,
) -> Json<QuotaView> {
    account.set_quota(change);
    view(&account)
}
