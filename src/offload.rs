//! Work that would hold a worker of the runtime for longer than other requests should wait.

use std::{future::pending, panic::resume_unwind};

use tokio::task::spawn_blocking;

/// Runs work on a thread for blocking work, and waits for it.
///
/// A panic in it goes on in the caller, where the layer that catches panics answers and counts it.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only the end of the runtime cancels it, and then nobody waits.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_goes_on_in_the_task_that_waits() {
        assert_eq!(offload(|| 1 + 1).await, 2);
        let waiting = tokio::spawn(offload(|| -> () { panic!("in the work") }));
        let panic = waiting.await.expect_err("a panic").into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"in the work"));
    }
}
