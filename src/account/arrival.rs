//! What is done once when the next request of an account arrives, before it is answered.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

/// Something to be done once.
type Task = Box<dyn FnOnce() + Send>;

/// What is done at the next request.
#[derive(Default)]
pub(super) struct Arrival {
    /// Whether there is a task. Every request checks this without taking the lock.
    is_set: AtomicBool,
    task: Mutex<Option<Task>>,
}

impl Arrival {
    /// Sets what is done at the next request, or that nothing is.
    pub(super) fn set(&self, task: Option<Task>) {
        let mut current = self.task.lock();
        self.is_set.store(task.is_some(), Ordering::Release);
        *current = task;
    }

    /// A request has arrived.
    pub(super) fn happen(&self) {
        if self.is_set.load(Ordering::Acquire) {
            let task = self.task.lock().take();
            self.is_set.store(false, Ordering::Release);
            if let Some(task) = task {
                task();
            }
        }
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}
