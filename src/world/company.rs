//! One simulated company: what it is made from, and what stands behind every question.

use super::{
    kinds::{AgentType, Category, Status},
    lag::Lag,
    processes::Processes,
    random::{Key, RngStream},
    roster::{Device, Person, Roster},
    time::Millis,
    tracks::{DeviceRef, Fleet},
};

/// The largest fleet that a world can have.
pub const MAX_DEVICES: u32 = 100_000;

/// What a world is made from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct WorldConfig {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many devices the company has at a time, up to [`MAX_DEVICES`].
    pub devices: u32,
    /// How long events take from event_ref to being visible.
    pub lag: Lag,
}

/// One company and its whole history. Cheap to make and to keep: a few kilobytes, whatever its shape.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) config: WorldConfig,
    pub(super) roster: Roster,
    pub(super) processes: Processes,
    /// The tracks of each category.
    pub(super) categories: [Vec<usize>; 5],
}

impl World {
    /// The world of a shape. A fleet larger than [`MAX_DEVICES`] is cut to it.
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

    /// What the world was made from.
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

    /// The time zone of a seed's company, in hours ahead of UTC.
    #[must_use]
    pub fn zone_of(seed: u64) -> i64 {
        Roster::zone_hours(seed)
    }

    /// Somebody who administers the company's account, in turn.
    #[must_use]
    pub fn admin(&self, nth: u64) -> Person {
        self.roster.admin(nth % self.roster.admins())
    }

    /// The device that is at a slot of the fleet at an instant, in turn, and its status; `None` when the fleet has no
    /// devices.
    #[must_use]
    pub fn device_at(&self, nth: u64, at: Millis) -> Option<(Device, Status)> {
        let devices = u64::from(self.config.devices);
        (devices > 0).then(|| self.known(self.processes.device_at(nth % devices, at), at))
    }

    /// The slot in the fleet of the device that has an id at an instant. Looks at every device.
    #[must_use]
    pub fn place_of_device(&self, id: &str, at: Millis) -> Option<u64> {
        (0..u64::from(self.config.devices))
            .find(|&slot| self.roster.device_id(self.processes.device_at(slot, at)) == id)
    }

    fn known(&self, device: DeviceRef, at: Millis) -> (Device, Status) {
        (self.roster.device(device), self.processes.status(device, at).0)
    }

    /// Randomness for what a test asked to happen by chance: 64 bits for the `nth` decision of a matter, the same in every
    /// run.
    #[must_use]
    pub fn chance(seed: u64, matter: u64, nth: u64) -> u64 {
        Key::new(seed, RngStream::Chance).sub(matter).at(nth)
    }

    /// Randomness for names that are made up one after the other, such as tokens: the `nth` 128 bits of a seed, the same
    /// in every run. Predictable by design; it protects nothing.
    #[must_use]
    pub fn token_bits(seed: u64, nth: u64) -> u128 {
        let key = Key::new(seed, RngStream::Token);
        u128::from(key.at(2 * nth)) << 64 | u128::from(key.at(2 * nth + 1))
    }
}
