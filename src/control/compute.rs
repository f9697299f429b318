//! Computations that take a while: they take turns, and end when their clients leave.

use std::sync::Arc;

use crate::{account::Account, offload::offload, world::Cancellation};

/// Runs work for an account on a thread for blocking work, when it is its turn. Drop the future to cancel the work.
pub(super) async fn compute<T: Send + 'static>(
    account: Arc<Account>,
    work: impl FnOnce(&Arc<Account>, &Cancellation) -> T + Send + 'static,
) -> T {
    // The semaphore is never closed.
    let permit = account.shared.audits.clone().acquire_owned().await;
    let cancellation = Cancellation::default();
    let _cancelled = cancellation.cancel_on_drop();
    offload(move || {
        let done = work(&account, &cancellation);
        drop(permit);
        done
    })
    .await
}
