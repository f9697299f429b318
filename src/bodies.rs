//! Bodies of requests: read whole, within the server's limits.
//!
//! What a test or a connector sends is small and passes at once. Large bodies share a budget of bytes, however many clients send
//! them, and wait for it no longer than a body may take.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::{sync::Semaphore, time::timeout};

use crate::limits::Seconds;

/// Up to so many bytes a body takes nothing from the budget.
const SMALL_BYTES: u64 = 4 * 1024;
/// How many KiB of large bodies are read at a time.
const BUDGET_KIB: u32 = 64 * 1024;

/// How the bodies of a surface are read.
#[derive(Debug)]
pub(crate) struct Bodies {
    most_bytes: u32,
    time: Seconds,
    budget: Arc<BodyBudget>,
}

/// The bytes of large bodies that a server holds at a time, of both surfaces.
#[derive(Debug)]
pub(crate) struct BodyBudget(Semaphore);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Semaphore::new(BUDGET_KIB as usize))
    }
}

/// Why a body was not read. The text is a sentence for the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyError {
    /// It has more bytes than it may have.
    TooLarge(u32),
    /// It was not complete in time.
    Late(Seconds),
    /// It ended before its end.
    Broken,
}

impl Bodies {
    /// Bodies of up to so many bytes, at most 64 MiB, that come within a time.
    pub(crate) fn new(most_bytes: u32, time: Seconds, budget: Arc<BodyBudget>) -> Self {
        Self { most_bytes, time, budget }
    }

    /// Reads a body to its end.
    pub(crate) async fn read<B>(&self, body: B) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let most = u64::from(self.most_bytes);
        let announced = body.size_hint();
        // Not even asked for, where the client waits to be told to go on.
        if announced.lower() > most {
            return Err(BodyError::TooLarge(self.most_bytes));
        }
        let bytes = announced.upper().unwrap_or(most).min(most);
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(BUDGET_KIB).min(BUDGET_KIB);
        let read = async {
            // The budget is never closed.
            let _share = if bytes > SMALL_BYTES { self.budget.0.acquire_many(kib).await.ok() } else { None };
            Limited::new(body, self.most_bytes as usize).collect().await
        };
        let read = timeout(self.time.get(), read).await.map_err(|_| BodyError::Late(self.time))?;
        match read {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(self.most_bytes)),
            Err(_) => Err(BodyError::Broken),
        }
    }
}

impl BodyError {
    /// The limit that was met, by the name of its flag.
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

    /// A body that never comes, of so many bytes.
    fn silent() -> impl Body<Data = Bytes, Error = std::io::Error> + Send {
        StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>())
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_a_budget_and_small_ones_need_none() {
        const MOST: u32 = 16 * 1024 * 1024;
        let bodies = Arc::new(Bodies::new(MOST, Duration::from_secs(30).into(), Arc::default()));
        let whole = |bytes: usize| Full::new(Bytes::from(vec![b' '; bytes]));
        assert_eq!(bodies.read(whole(MOST as usize)).await.map(|read| read.len()), Ok(MOST as usize));
        assert_eq!(bodies.read(whole(MOST as usize + 1)).await, Err(BodyError::TooLarge(MOST)));
        // Four that say nothing of their length hold all of it.
        let held: Vec<_> = (0..4)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read(silent()).await })
            })
            .collect();
        while bodies.budget.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bodies.read(whole(4096)).await.map(|read| read.len()), Ok(4096));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(bodies.read(whole(5000)).await.is_ok(), "it gets its share when the others have had their time");
        for one in held {
            assert_eq!(one.await.expect("no panic"), Err(BodyError::Late(Duration::from_secs(30).into())));
        }
    }
}
