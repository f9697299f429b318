//! What a check sees of the requests of an account, at the moment at which it happens.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

/// A moment of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// It arrived, and is not answered yet.
    Arrived,
    /// It is refused with 429, and may be repeated after so many seconds.
    Refused {
        wait_seconds: u64,
        /// Whether no other request of the account is in flight.
        is_alone: bool,
    },
}

/// Something that is done at each moment.
type Watcher = Arc<dyn Fn(Moment) + Send + Sync>;

/// The watcher of an account, if there is one.
#[derive(Default)]
pub(crate) struct Watch {
    /// Whether there is a watcher. Every request checks this without taking the lock.
    is_set: AtomicBool,
    watcher: Mutex<Option<Watcher>>,
}

impl Watch {
    /// Sets the watcher.
    pub(crate) fn set(&self, watcher: impl Fn(Moment) + Send + Sync + 'static) {
        *self.watcher.lock() = Some(Arc::new(watcher));
        self.is_set.store(true, Ordering::Release);
    }

    /// Notifies the watcher.
    pub(super) fn notify(&self, moment: Moment) {
        if self.is_set.load(Ordering::Acquire) {
            let watcher = self.watcher.lock().clone();
            if let Some(watcher) = watcher {
                watcher(moment);
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}
