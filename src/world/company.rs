//! One simulated company: its configuration, and the data that all queries use.

use super::{
    kinds::{AgentType, Category, Status},
    lag::Lag,
    processes::Processes,
    random::{Key, RngStream},
    roster::{Device, Person, Roster},
    time::Millis,
    tracks::{DeviceRef, Fleet},
};

/// The maximum number of slots in a fleet.
pub const MAX_DEVICES: u32 = 100_000;

/// The configuration of a simulated company. Equal configurations have equal histories.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct WorldConfig {
    /// The seed of all random draws.
    pub seed: u64,
    /// The number of slots in the fleet, up to [`MAX_DEVICES`]. A slot has one device, or two during a replacement.
    pub devices: u32,
    /// The delay between an event and its visibility.
    pub lag: Lag,
    /// The instant after which a receiver gets the notifications to the webhook. The history has no webhook events after
    /// it, because only the receiver knows what it answers. `None` for a simulated receiver.
    pub webhook_since: Option<Millis>,
}

/// A simulated company and its whole history. A value takes some tens of kilobytes, for any size of the fleet.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) config: WorldConfig,
    pub(super) roster: Roster,
    pub(super) processes: Processes,
    /// The indexes of the tracks of each category, in the order of [`Category::ALL`].
    pub(super) categories: [Vec<usize>; 5],
}

impl World {
    /// Creates the company of a configuration. A fleet larger than [`MAX_DEVICES`] is reduced to that size.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        let config = WorldConfig { devices: config.devices.min(MAX_DEVICES), ..config };
        let devices = u64::from(config.devices);
        let roster = Roster::new(config.seed, devices);
        let controllers = roster.controllers_from();
        let fleets = [
            Fleet { agent: AgentType::Endpoint, first: 0, devices: controllers },
            Fleet { agent: AgentType::DomainController, first: controllers, devices: devices - controllers },
        ];
        let processes = Processes::new(config.seed, Roster::zone_hours(config.seed), &fleets, roster.admins());
        let categories = Category::ALL.map(|category| {
            processes
                .tracks()
                .filter(|(_, track)| track.kind.category() == Some(category))
                .map(|(nth, _)| nth)
                .collect()
        });
        Self { config, roster, processes, categories }
    }

    /// The effective configuration.
    #[must_use]
    pub fn config(&self) -> WorldConfig {
        self.config
    }

    pub(super) fn lag(&self) -> Lag {
        self.config.lag
    }

    /// The name of the company.
    #[must_use]
    pub fn company(&self) -> &str {
        self.roster.company()
    }

    /// The UTC offset of the company of a seed, in hours.
    #[must_use]
    pub fn zone_of(seed: u64) -> i64 {
        Roster::zone_hours(seed)
    }

    /// The administrator with the number `nth`, modulo the number of administrators.
    #[must_use]
    pub fn admin(&self, nth: u64) -> Person {
        self.roster.admin(nth % self.roster.admins())
    }

    /// The device at slot `nth`, modulo the size of the fleet, at an instant, and its status. Before its enrolment, a
    /// slot already has its first device. `None` if the fleet has no devices.
    #[must_use]
    pub fn device_at(&self, nth: u64, at: Millis) -> Option<(Device, Status)> {
        let devices = u64::from(self.config.devices);
        (devices > 0).then(|| self.device_and_status(self.processes.device_at(nth % devices, at), at))
    }

    /// The device with an id and its status, if it is or was in the account at an instant.
    #[must_use]
    pub fn device_with_id(&self, id: &str, at: Millis) -> Option<(Device, Status)> {
        let device = self.roster.with_id(id)?;
        let has_arrived = device.generation <= self.processes.device_at(device.slot, at).generation;
        has_arrived.then(|| self.device_and_status(device, at))
    }

    /// The MAC addresses of a device. A device that was added with a duplicate MAC address has those of the device that it
    /// replaced. A device outside of the fleet has none.
    #[must_use]
    pub fn mac_addresses(&self, device: &Device) -> Vec<String> {
        device.place.map_or_else(Vec::new, |place| self.roster.mac_addresses(self.processes.mac_owner(place)))
    }

    fn device_and_status(&self, device: DeviceRef, at: Millis) -> (Device, Status) {
        (self.roster.device(device), self.processes.status(device, at).0)
    }

    /// 64 random bits for the `nth` decision of `purpose`, for example of a fault rule with a probability.
    /// Deterministic.
    #[must_use]
    pub fn chance(seed: u64, purpose: u64, nth: u64) -> u64 {
        Key::new(seed, RngStream::Chance).sub(purpose).at(nth)
    }

    /// The `nth` 128 random bits of a seed, for generated values such as tokens. Deterministic, so predictable: they
    /// are not secret.
    #[must_use]
    pub fn token_bits(seed: u64, nth: u64) -> u128 {
        let key = Key::new(seed, RngStream::Token);
        u128::from(key.at(2 * nth)) << 64 | u128::from(key.at(2 * nth + 1))
    }
}
