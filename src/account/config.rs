//! The effective configuration of an account.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    profile::{EventCodes, Profile, RowFormat, TimeZone},
    settings::Settings,
};
use crate::world::{Millis, Window, World, WorldConfig};

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// The effective configuration of an account. Each request keeps the configuration that was current when it started.
#[derive(Debug)]
pub(crate) struct AccountConfig {
    pub(crate) settings: Settings,
    pub(crate) row_format: RowFormat,
    page_token_key: Hmac<Sha256>,
}

impl AccountConfig {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { name, client_secret, retention_days, world, profile, .. } = &settings;
        let WorldConfig { seed, devices, lag, .. } = world;
        // The key covers every setting that changes the history. A page token of another history is rejected instead of
        // being misread.
        let secret = format!("{name}\n{client_secret}\n{seed}\n{devices}\n{lag}\n{retention_days}");
        let page_token_key = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        let zone_hours = if profile.time_zone == TimeZone::Account { World::zone_of(*seed) } else { 0 };
        let row_format =
            RowFormat { details: profile.details, hour: profile.activity_hour, zone_hours, codes: EventCodes::Current };
        Self { settings, row_format, page_token_key }
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.settings.profile
    }

    /// The readable part of a window at a point in time: not older than the retention and not later than `until`.
    pub(crate) fn readable(&self, window: Window, now: Millis, until: Millis) -> Window {
        let oldest = now.0 - i64::from(self.settings.retention_days) * DAY_MS;
        Window { from: Millis(window.from.0.max(oldest)), ..window.until(until) }
    }

    /// A signer for page tokens, with the key of this configuration.
    pub(crate) fn page_token_signer(&self) -> Hmac<Sha256> {
        self.page_token_key.clone()
    }
}

/// Verifies a signature of what was fed to the signer, in constant time.
pub(crate) fn is_signed(signer: Hmac<Sha256>, signature: &[u8]) -> bool {
    signer.verify_truncated_left(signature).is_ok()
}
