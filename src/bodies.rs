//! Reads whole request bodies within the server's limits.
//!
//! Small bodies, as tests and connectors send them, are read at once. Large bodies share a budget of bytes across all
//! clients of a surface, and wait for it no longer than the time limit of a body. Each surface has a budget of its own, so that
//! clients of one cannot hold up the other.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::limits::Seconds;

/// Bodies up to this size do not need the budget.
const SMALL_BYTES: u64 = 4 * 1024;
/// The budget for large bodies of the emulated surface at the same time, in KiB. A single body may be larger.
pub(crate) const EMULATED_KIB: u32 = 16 * 1024;
/// The same of the control surface: three of the largest bodies.
pub(crate) const CONTROL_KIB: u32 = 48 * 1024;

/// Reads the bodies of one surface.
#[derive(Debug)]
pub(crate) struct Bodies {
    max_bytes: u32,
    time: Seconds,
    budget_kib: u32,
    budget: Arc<Semaphore>,
}

/// A whole body. A large one holds its part of the budget until this is dropped.
#[derive(Debug)]
pub(crate) struct WholeBody {
    pub(crate) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read. `Display` is a sentence for the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyError {
    /// The body exceeds this maximum number of bytes.
    TooLarge(u32),
    /// The body was not complete within this time.
    Late(Seconds),
    /// The body ended before it was complete.
    Broken,
}

impl Bodies {
    /// Creates a reader for bodies of at most `max_bytes`, with a time limit and a budget for all large bodies together.
    pub(crate) fn new(max_bytes: u32, time: Seconds, budget_kib: u32) -> Self {
        Self { max_bytes, time, budget_kib, budget: Arc::new(Semaphore::new(budget_kib as usize)) }
    }

    /// Reads a body to its end.
    pub(crate) async fn read<B>(&self, body: B) -> Result<WholeBody, BodyError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let most = u64::from(self.max_bytes);
        let announced = body.size_hint();
        // Checked before the first read, so that a client that expects `100 Continue` does not send the body.
        if announced.lower() > most {
            return Err(BodyError::TooLarge(self.max_bytes));
        }
        let bytes = announced.upper().unwrap_or(most).min(most);
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.budget_kib);
        let read = async {
            // The semaphore is never closed.
            let permit =
                if bytes > SMALL_BYTES { self.budget.clone().acquire_many_owned(kib).await.ok() } else { None };
            (Limited::new(body, self.max_bytes as usize).collect().await, permit)
        };
        let (read, permit) = timeout(self.time.get(), read).await.map_err(|_| BodyError::Late(self.time))?;
        match read {
            Ok(whole) => Ok(WholeBody { bytes: whole.to_bytes(), _permit: permit }),
            Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(self.max_bytes)),
            Err(_) => Err(BodyError::Broken),
        }
    }
}

impl BodyError {
    /// The flag name of the exceeded limit.
    pub(crate) fn limit(self) -> Option<&'static str> {
        match self {
            Self::TooLarge(_) => Some("max-body-bytes"),
            Self::Late(_) => Some("body-seconds"),
            Self::Broken => None,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(most) => write!(f, "The body must have at most {most} bytes, got more"),
            Self::Late(time) => write!(f, "The body was not complete after {time}"),
            Self::Broken => f.write_str("The body ended before it was complete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{Full, StreamBody};

    use super::*;

    /// A body of unknown length that never sends a byte.
    fn silent() -> impl Body<Data = Bytes, Error = std::io::Error> + Send {
        StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>())
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_a_budget_and_small_bodies_need_none() {
        const MOST: u32 = 16 * 1024 * 1024;
        let bodies = Arc::new(Bodies::new(MOST, Duration::from_secs(30).into(), 64 * 1024));
        let whole = |bytes: usize| Full::new(Bytes::from(vec![b' '; bytes]));
        assert_eq!(bodies.read(whole(MOST as usize)).await.map(|read| read.bytes.len()), Ok(MOST as usize));
        assert_eq!(bodies.read(whole(MOST as usize + 1)).await.err(), Some(BodyError::TooLarge(MOST)));
        // Four bodies of unknown length hold the whole budget.
        let held: Vec<_> = (0..4)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read(silent()).await })
            })
            .collect();
        while bodies.budget.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bodies.read(whole(4096)).await.map(|read| read.bytes.len()), Ok(4096));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(bodies.read(whole(5000)).await.is_ok(), "it gets its permits when the others time out");
        for one in held {
            assert_eq!(one.await.expect("no panic").err(), Some(BodyError::Late(Duration::from_secs(30).into())));
        }
    }
}
