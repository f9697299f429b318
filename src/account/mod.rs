//! What one account owns: a world, a clock, tokens, a quota, the key of its page tokens.
//!
//! Nothing is shared between two accounts.

pub(crate) mod pages;
pub(crate) mod quota;
pub(crate) mod tokens;

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Semaphore;

pub use self::quota::QuotaLimit;
use self::{pages::PageCache, quota::Quota, tokens::Tokens};
use crate::{
    clock::Clock,
    world::{Millis, Shape, Window, World},
};

/// How many searches of an account run at once; others wait.
const MAX_SEARCHES: usize = 2;
/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// What an account is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account's name, for people.
    pub name: String,
    /// What its company is made from.
    pub shape: Shape,
    /// The access token that is valid from the start and never expires.
    pub access_token: String,
    /// Names the client that asks for tokens.
    pub client_id: String,
    /// Proves it.
    pub client_secret: String,
    /// Where a browser may be sent back to after consent, besides loopback addresses.
    pub redirect_uris: Vec<String>,
    /// How many requests are let through.
    pub quota: QuotaLimit,
    /// How many days back the history can be read.
    pub retention_days: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Account {
    settings: Settings,
    clock: Clock,
    world: World,
    pub(crate) tokens: Tokens,
    pub(crate) quota: Quota,
    pub(crate) pages: PageCache,
    /// Places for searches: they compute for longer than other requests.
    pub(crate) searches: Arc<Semaphore>,
    page_token_key: Hmac<Sha256>,
}

impl Account {
    /// Makes an account that lives by a clock.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let Shape { seed, devices, lag } = settings.shape;
        // Whatever decides which history a page token points into is part of the key: a token that was made for another
        // history is refused rather than misread.
        let Settings { name, client_secret, retention_days, .. } = &settings;
        let secret = format!("{name}\n{client_secret}\n{seed}\n{devices}\n{lag}\n{retention_days}");
        let page_token_key = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        Self {
            clock,
            world: World::new(settings.shape),
            tokens: Tokens::new(&settings),
            quota: Quota::new(settings.quota),
            pages: PageCache::new(),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
            page_token_key,
            settings,
        }
    }

    /// What the account was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The account's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The account's company.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The part of a window that can be read at an instant: what retention keeps and what has happened.
    pub(crate) fn readable(&self, window: Window, now: Millis) -> Window {
        let oldest = now.0 - i64::from(self.settings.retention_days) * DAY_MS;
        Window { from: Millis(window.from.0.max(oldest)), to: window.to.min(now) }
    }

    /// Begins the signature of a page token.
    pub(crate) fn page_token_signer(&self) -> Hmac<Sha256> {
        self.page_token_key.clone()
    }
}

/// Signs what was fed to a signer, for comparison in constant time.
pub(crate) fn is_signed(signer: Hmac<Sha256>, signature: &[u8]) -> bool {
    signer.verify_truncated_left(signature).is_ok()
}
