//! The world: a company whose history is computed, not stored.
//!
//! A [`World`] is a seed and a [`Shape`]. Everything that ever happened or will happen in it follows from them: which
//! events lie in a window, how many there are, which one is the n-th, what each says. Any question costs about the same,
//! however long the history and however large the fleet, because events are *counted and found* rather than generated
//! in order (`rota` says how, `lifecycle` what).
//!
//! This module is pure. It reads no clock, no file and no environment, keeps nothing between two questions, and knows
//! nothing of HTTP. "Now" is the end of a window that the caller chooses.
//!
//! ```
//! use opswat_mock::world::{Filter, Lag, Millis, Order, Shape, Stream, Window, World};
//!
//! let world = World::new(Shape { seed: 7, devices: 100, lag: Lag::NONE });
//! let day = Window { from: Millis(1_768_435_200_000), to: Millis(1_768_521_599_999) };
//! let events = world.select(Stream::Device, day, Filter::default());
//! let newest = events.page(0, 10, Order::NewestFirst);
//! assert_eq!(newest, events.page(0, 3, Order::NewestFirst).into_iter()
//!     .chain(events.page(3, 7, Order::NewestFirst)).collect::<Vec<_>>());
//! ```

mod activity;
mod admin;
mod cast;
mod device;
mod device_report;
mod lag;
mod lifecycle;
mod query;
mod random;
mod rhythm;
mod roster;
mod rota;
mod search;
mod stories;
mod text;
mod webhook;

use std::sync::Arc;

pub use self::{
    activity::{Action, Activity},
    admin::{AdminEntry, AdminEvent},
    device::{DeviceEntry, DeviceEvent},
    device_report::{DeviceReport, Severity},
    lag::Lag,
    lifecycle::{Status, Stream},
    query::{Event, Events, Filter, Found, Order, Selection, Window},
    roster::{AgentType, Device, Person},
    search::{Needle, Patience, Waiting},
    webhook::{WebhookEntry, WebhookEvent},
};
use self::{
    lifecycle::{DeviceRef, Fleet, Happening, Kind, Lifecycle},
    random::{Key, Lane},
    roster::Roster,
};

/// The largest fleet that a world can have.
pub const MAX_DEVICES: u32 = 100_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Millis(pub i64);

/// 2013-10-04T08:00:00Z: the account was made. Nothing happened before.
pub const ACCOUNT_MADE: Millis = lifecycle::ACCOUNT_MADE;

/// What a world is made from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Shape {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many devices the company has at a time, up to [`MAX_DEVICES`].
    pub devices: u32,
    /// How long events take from happening to being visible.
    pub lag: Lag,
}

/// One company and its whole history. Cheap to make and to keep: a few kilobytes, whatever its shape.
#[derive(Clone, Debug)]
pub struct World {
    shape: Shape,
    roster: Roster,
    life: Lifecycle,
    /// The tracks of each stream.
    streams: [Vec<usize>; 5],
}

/// Tells many events one after the other, and remembers the devices that they are about.
#[derive(Clone, Debug)]
pub struct Teller<'w> {
    world: &'w World,
    /// The device of each place of the fleet that was told of last.
    devices: Vec<Option<(DeviceRef, Arc<Device>)>>,
}

impl<'w> Teller<'w> {
    /// Begins with nothing remembered.
    #[must_use]
    pub fn new(world: &'w World) -> Self {
        Self { world, devices: vec![None; world.shape.devices as usize] }
    }

    /// Tells an event in full, as [`World::tell`] does.
    pub fn tell(&mut self, event: &Event) -> Entry {
        let Event(happening) = event;
        let device = self.world.device_of(happening).map(|device| (device, self.device(device)));
        self.world.tell_of(happening, device)
    }

    fn device(&mut self, device: DeviceRef) -> Arc<Device> {
        let make = || Arc::new(self.world.roster.device(device));
        // The fleet is at most `MAX_DEVICES` large.
        let place = usize::try_from(device.slot).ok().and_then(|slot| self.devices.get_mut(slot));
        match place {
            None => make(),
            Some(Some((known, told))) if *known == device => told.clone(),
            Some(place) => place.insert((device, make())).1.clone(),
        }
    }
}

/// An event, told in full.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Of the device stream.
    Device(DeviceEntry),
    /// Of the admin stream.
    Admin(AdminEntry),
    /// Of the webhook stream.
    Webhook(WebhookEntry),
    /// Of the stream of device reports.
    Report(DeviceReport),
    /// Of the stream of accesses.
    Activity(Activity),
}

impl World {
    /// The world of a shape. A fleet larger than [`MAX_DEVICES`] is cut to it.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let shape = Shape { devices: shape.devices.min(MAX_DEVICES), ..shape };
        let devices = u64::from(shape.devices);
        let roster = Roster::new(shape.seed, devices);
        let controllers = roster.controllers_from();
        let fleets = [
            Fleet { agent: AgentType::Endpoint, first: 0, devices: controllers },
            Fleet { agent: AgentType::DomainController, first: controllers, devices: devices - controllers },
        ];
        let life = Lifecycle::new(shape.seed, Roster::zone_hours(shape.seed), &fleets, roster.admins());
        let streams = Stream::ALL.map(|stream| {
            life.tracks().filter(|(_, track)| track.kind.stream() == Some(stream)).map(|(nth, _)| nth).collect()
        });
        Self { shape, roster, life, streams }
    }

    /// What the world was made from.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// When an event can be seen: when it happened, and its lag after that.
    #[must_use]
    pub fn visible_at(&self, event: &Event) -> Millis {
        let Event(happening) = event;
        let delay_ms = self.lag().draw(self.life.lag_key(happening.track), happening.index);
        Millis(happening.at.0 + delay_ms)
    }

    fn lag(&self) -> Lag {
        self.shape.lag
    }

    /// The name of the company.
    #[must_use]
    pub fn company(&self) -> &str {
        self.roster.company()
    }

    /// Tells an event in full.
    #[must_use]
    pub fn tell(&self, event: &Event) -> Entry {
        let Event(happening) = event;
        let device = self.device_of(happening).map(|device| (device, Arc::new(self.roster.device(device))));
        self.tell_of(happening, device)
    }

    /// The device that an event is about; a login is about none, even when it leads to an act on one.
    fn device_of(&self, happening: &Happening) -> Option<DeviceRef> {
        let is_admins = matches!(self.life.track(happening.track).kind, Kind::Admin(_));
        if is_admins { None } else { self.life.device(happening) }
    }

    fn tell_of(&self, happening: &Happening, device: Option<(DeviceRef, Arc<Device>)>) -> Entry {
        // Only the events of administrators are about no device.
        let device = || device.unwrap_or_else(|| unreachable!("an event of a device has a device"));
        match self.life.track(happening.track).kind {
            Kind::Admin(event) => Entry::Admin(self.tell_admin(happening, event)),
            Kind::Device(event) => Entry::Device(self.tell_device(happening, event, device().1)),
            Kind::Webhook(event) => Entry::Webhook(self.tell_webhook(happening, event, device().1)),
            Kind::Report => Entry::Report(self.tell_report(happening, device())),
            Kind::Access(action) => Entry::Activity(self.tell_activity(happening, action, device())),
            Kind::Silent => unreachable!("no stream has it"),
        }
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

    /// The device that is at a place of the fleet at an instant, in turn, and its status; `None` when the fleet has no
    /// devices.
    #[must_use]
    pub fn device_at(&self, nth: u64, at: Millis) -> Option<(Device, Status)> {
        let devices = u64::from(self.shape.devices);
        (devices > 0).then(|| self.known(self.life.device_at(nth % devices, at), at))
    }

    /// The place in the fleet of the device that has an id at an instant. Looks at every device.
    #[must_use]
    pub fn place_of_device(&self, id: &str, at: Millis) -> Option<u64> {
        (0..u64::from(self.shape.devices)).find(|&slot| self.roster.device_id(self.life.device_at(slot, at)) == id)
    }

    fn known(&self, device: DeviceRef, at: Millis) -> (Device, Status) {
        (self.roster.device(device), self.life.status(device, at).0)
    }

    /// Randomness for what a test asked to happen by chance: 64 bits for the `nth` decision of a matter, the same in every
    /// run.
    #[must_use]
    pub fn chance(seed: u64, matter: u64, nth: u64) -> u64 {
        Key::new(seed, Lane::Chance).sub(matter).at(nth)
    }

    /// Randomness for names that are made up one after the other, such as tokens: the `nth` 128 bits of a seed, the same
    /// in every run. Predictable by design; it protects nothing.
    #[must_use]
    pub fn token_bits(seed: u64, nth: u64) -> u128 {
        let key = Key::new(seed, Lane::Token);
        u128::from(key.at(2 * nth)) << 64 | u128::from(key.at(2 * nth + 1))
    }
}
