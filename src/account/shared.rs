//! State that the accounts of a server share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{journal, pages::PageCache, tokens::TokenIndex, worlds::Worlds};

/// The number of searches of all accounts that run at once: half of the binary's threads for blocking work, so that
/// searches never block the control surface.
const MAX_SEARCHES_OF_ALL: usize = 16;
/// The number of audits of all accounts that compute at once.
const MAX_AUDITS: usize = 2;
/// The number of audits of all accounts that receive records at once. Each may take some hundred megabytes.
const MAX_AUDIT_UPLOADS: usize = 8;

/// The state that the accounts of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tokens: Arc<TokenIndex>,
    pub(crate) pages: PageCache,
    pub(crate) worlds: Worlds,
    pub(crate) journals: Arc<journal::Total>,
    /// Permits for the searches of all accounts.
    pub(crate) searches: Arc<Semaphore>,
    /// Permits for the audits of all accounts, to compute.
    pub(crate) audits: Arc<Semaphore>,
    /// Permits for the audits of all accounts, to receive records.
    pub(crate) audit_uploads: Arc<Semaphore>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            tokens: Arc::default(),
            pages: PageCache::default(),
            worlds: Worlds::default(),
            journals: Arc::default(),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES_OF_ALL)),
            audits: Arc::new(Semaphore::new(MAX_AUDITS)),
            audit_uploads: Arc::new(Semaphore::new(MAX_AUDIT_UPLOADS)),
        }
    }
}
