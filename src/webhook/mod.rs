//! Delivers the notifications of an account to the receiver of its webhook.
//!
//! One task for each receiver follows the account's clock. It makes the first attempt of a notification when the clock
//! reaches it, repeats a failed one 4 s and 60 s later on the same clock (D), and stores in the account what the receiver
//! answered. A receiver that is slow or dead holds up only its own task.

mod post;
mod queue;
mod target;

use std::{pin::pin, sync::Arc};

pub(crate) use self::target::{AllowedTargets, Target};
use self::{
    post::Answer,
    queue::{Attempt, Queue},
};
use crate::{
    account::{
        Account,
        webhook::{Delivery, WebhookSettings},
    },
    clock::LAST,
    world::{Millis, World},
};

/// The maximum number of characters of an answer that the account stores.
const MAX_ANSWER: usize = 1_000;
/// The delays before the second and the third attempt, in milliseconds of the account's clock (D).
const RETRIES_MS: [i64; 2] = [4_000, 60_000];

/// Starts the task that delivers to a receiver. It ends when the account has another receiver, or none. Returns `false` if
/// the account is deleted.
pub(crate) fn start(account: Arc<Account>, receiver: WebhookSettings, target: Target) -> bool {
    let Some((generation, since)) = account.set_webhook(receiver) else { return false };
    let queue = Queue::new(&account, since);
    tokio::spawn(run(account, generation, target, queue));
    true
}

async fn run(account: Arc<Account>, generation: u64, target: Target, mut queue: Queue) {
    loop {
        let mut changed = pin!(account.webhook.changed());
        // From here on, no change is missed.
        changed.as_mut().enable();
        let Some((receiver, event_changes)) = account.webhook.receiver(generation) else { return };
        let now = account.clock().now();
        queue.fill(&account, &receiver, now);
        if let Some(attempt) = queue.due(&account, &receiver, now) {
            let answer = post::send(&target, &receiver.api_key, attempt.body()).await;
            let is_success = (200..300).contains(&answer.status);
            store(&account, generation, &queue.world, &attempt, &answer);
            if let (false, Some(delay_ms)) = (is_success, RETRIES_MS.get(usize::from(attempt.nth))) {
                queue.retry(attempt, *delay_ms);
            }
            continue;
        }
        let next = queue.next_at(&account);
        let until = next.map_or(Millis(i64::MAX), |next| Millis(next.0 - 1));
        account.webhook.delivered_until((generation, event_changes), until);
        let epoch = account.epoch();
        match next.filter(|next| *next <= LAST) {
            // The clock ends the wait when it is reset; the receiver is gone then.
            Some(next) => tokio::select! {
                () = account.clock().wait_until(next, epoch) => {}
                () = changed => {}
            },
            None => changed.await,
        }
    }
}

/// Stores an attempt in the logs and in the report of the webhook, unless the account was reset since it began.
fn store(account: &Account, generation: u64, world: &World, attempt: &Attempt, answer: &Answer) {
    let Attempt { notification, nth, at, .. } = attempt;
    let response_body: String = answer.body.chars().take(MAX_ANSWER).collect();
    let delivery = Delivery {
        number: 0,
        at: (*at).into(),
        event: notification.event.code(),
        device_id: notification.device.id.clone(),
        attempt: nth + 1,
        response_code: answer.status,
        response_body: response_body.clone(),
    };
    let record = world.attempt_record(notification, (*nth, *at), answer.status, response_body);
    let now = account.clock().now();
    if account.injected.add_delivery(record, now, || account.webhook.keeps(generation)) {
        account.webhook.record(generation, delivery);
    }
}
