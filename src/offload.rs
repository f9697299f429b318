//! Runs long computations off the runtime's workers.

use std::{future::pending, panic::resume_unwind};

use tokio::task::spawn_blocking;

/// Runs work on a thread for blocking work, and awaits its result.
///
/// A panic in the work resumes in the caller, where the panic layer responds and counts it.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only the shutdown of the runtime cancels the work; then no task awaits it.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_resumes_in_the_awaiting_task() {
        assert_eq!(offload(|| 1 + 1).await, 2);
        let waiting = tokio::spawn(offload(|| -> () { panic!("in the work") }));
        let panic = waiting.await.expect_err("a panic").into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"in the work"));
    }
}
