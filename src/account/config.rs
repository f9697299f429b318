//! The effective configuration of an account.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    profile::{Profile, RowFormat, TimeZone},
    settings::Settings,
};
use crate::world::{Millis, Window, World, WorldConfig};

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// What of an account can be changed while it serves. A request is answered by what it was when it came.
#[derive(Debug)]
pub(crate) struct AccountConfig {
    pub(crate) settings: Settings,
    pub(crate) row_format: RowFormat,
    page_token_key: Hmac<Sha256>,
}

impl AccountConfig {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { name, client_secret, retention_days, world, profile, .. } = &settings;
        let WorldConfig { seed, devices, lag } = world;
        // Whatever decides which history a page token points into is part of the key: a token that was made for another
        // history is refused rather than misread.
        let secret = format!("{name}\n{client_secret}\n{seed}\n{devices}\n{lag}\n{retention_days}");
        let page_token_key = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        let zone_hours = if profile.time_zone == TimeZone::Account { World::zone_of(*seed) } else { 0 };
        let row_format = RowFormat { details: profile.details, hour: profile.activity_hour, zone_hours };
        Self { settings, row_format, page_token_key }
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.settings.profile
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
