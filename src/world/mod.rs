//! The world: a company whose history is computed, not stored.
//!
//! A [`World`] is a seed and a [`WorldConfig`]. Everything that ever happened or will happen in it follows from them: which
//! events lie in a window, how many there are, which one is the n-th, what each says. Any question costs about the same,
//! however long the history and however large the fleet, because events are *counted and found* rather than generated
//! in order (`schedule` says how, `lifecycle` what).
//!
//! This module is pure. It reads no clock, no file and no environment, keeps nothing between two questions, and knows
//! nothing of HTTP. "Now" is the end of a window that the caller chooses.
//!
//! ```
//! use opswat_mock::world::{Filter, Lag, Millis, Order, WorldConfig, Category, Window, World};
//!
//! let world = World::new(WorldConfig { seed: 7, devices: 100, lag: Lag::NONE });
//! let day = Window { from: Millis(1_768_435_200_000), to: Millis(1_768_521_599_999) };
//! let events = world.select(Category::Device, day, Filter::default());
//! let newest = events.page(0, 10, Order::NewestFirst);
//! assert_eq!(newest, events.page(0, 3, Order::NewestFirst).into_iter()
//!     .chain(events.page(3, 7, Order::NewestFirst)).collect::<Vec<_>>());
//! ```

mod activity;
mod admin;
mod calendar;
mod device;
mod device_report;
mod lag;
mod processes;
mod query;
mod random;
mod roster;
mod schedule;
mod search;
mod text;
mod timeline;
mod variants;
mod webhook;

use std::sync::Arc;

pub use self::{
    activity::{Action, Activity},
    admin::{AdminEvent, AdminRecord},
    device::{DeviceEvent, DeviceRecord},
    device_report::{DeviceReport, Severity},
    lag::Lag,
    query::{Event, Events, Filter, Found, Order, Selection, Window},
    roster::{AgentType, Device, Person},
    search::{Cancellation, SearchTerm, Waiting},
    timeline::{Category, Status},
    webhook::{WebhookEvent, WebhookRecord},
};
use self::{
    random::{Key, RngStream},
    roster::Roster,
    timeline::{DeviceRef, EventRef, Fleet, Kind, Timeline},
};

/// The largest fleet that a world can have.
pub const MAX_DEVICES: u32 = 100_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Millis(pub i64);

/// 2013-10-04T08:00:00Z: the account was made. Nothing happened before.
pub const ACCOUNT_MADE: Millis = timeline::ACCOUNT_MADE;

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
    shape: WorldConfig,
    roster: Roster,
    timeline: Timeline,
    /// The tracks of each category.
    categories: [Vec<usize>; 5],
}

/// Tells many events one after the other, and remembers the devices that they are about.
#[derive(Clone, Debug)]
pub struct Renderer<'w> {
    world: &'w World,
    /// The device of each slot of the fleet that was spec of last.
    devices: Vec<Option<(DeviceRef, Arc<Device>)>>,
}

impl<'w> Renderer<'w> {
    /// Begins with nothing remembered.
    #[must_use]
    pub fn new(world: &'w World) -> Self {
        Self { world, devices: vec![None; world.shape.devices as usize] }
    }

    /// Tells an event in full, as [`World::render`] does.
    pub fn render(&mut self, event: &Event) -> Record {
        let Event(event_ref) = event;
        let device = self.world.device_of(event_ref).map(|device| (device, self.device(device)));
        self.world.render_with(event_ref, device)
    }

    fn device(&mut self, device: DeviceRef) -> Arc<Device> {
        let make = || Arc::new(self.world.roster.device(device));
        // The fleet is at most `MAX_DEVICES` large.
        let place = usize::try_from(device.slot).ok().and_then(|slot| self.devices.get_mut(slot));
        match place {
            None => make(),
            Some(Some((known, spec))) if *known == device => spec.clone(),
            Some(place) => place.insert((device, make())).1.clone(),
        }
    }
}

/// An event, spec in full.
#[derive(Clone, Debug)]
pub enum Record {
    /// Of the device category.
    Device(DeviceRecord),
    /// Of the admin category.
    Admin(AdminRecord),
    /// Of the webhook category.
    Webhook(WebhookRecord),
    /// Of the category of device reports.
    Report(DeviceReport),
    /// Of the category of accesses.
    Activity(Activity),
}

impl World {
    /// The world of a shape. A fleet larger than [`MAX_DEVICES`] is cut to it.
    #[must_use]
    pub fn new(shape: WorldConfig) -> Self {
        let shape = WorldConfig { devices: shape.devices.min(MAX_DEVICES), ..shape };
        let devices = u64::from(shape.devices);
        let roster = Roster::new(shape.seed, devices);
        let controllers = roster.controllers_from();
        let fleets = [
            Fleet { agent: AgentType::Endpoint, first: 0, devices: controllers },
            Fleet { agent: AgentType::DomainController, first: controllers, devices: devices - controllers },
        ];
        let timeline = Timeline::new(shape.seed, Roster::zone_hours(shape.seed), &fleets, roster.admins());
        let categories = Category::ALL.map(|category| {
            timeline.tracks().filter(|(_, track)| track.kind.category() == Some(category)).map(|(nth, _)| nth).collect()
        });
        Self { shape, roster, timeline, categories }
    }

    /// What the world was made from.
    #[must_use]
    pub fn shape(&self) -> WorldConfig {
        self.shape
    }

    /// When an event can be seen: when it happened, and its lag after that.
    #[must_use]
    pub fn visible_at(&self, event: &Event) -> Millis {
        let Event(event_ref) = event;
        let delay_ms = self.lag().draw(self.timeline.lag_key(event_ref.track), event_ref.index);
        Millis(event_ref.at.0 + delay_ms)
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
    pub fn render(&self, event: &Event) -> Record {
        let Event(event_ref) = event;
        let device = self.device_of(event_ref).map(|device| (device, Arc::new(self.roster.device(device))));
        self.render_with(event_ref, device)
    }

    /// The device that an event is about; a login is about none, even when it leads to an act on one.
    fn device_of(&self, event_ref: &EventRef) -> Option<DeviceRef> {
        let is_admins = matches!(self.timeline.track(event_ref.track).kind, Kind::Admin(_));
        if is_admins { None } else { self.timeline.device(event_ref) }
    }

    fn render_with(&self, event_ref: &EventRef, device: Option<(DeviceRef, Arc<Device>)>) -> Record {
        // Only the events of administrators are about no device.
        let device = || device.unwrap_or_else(|| unreachable!("an event of a device has a device"));
        match self.timeline.track(event_ref.track).kind {
            Kind::Admin(event) => Record::Admin(self.admin_record(event_ref, event)),
            Kind::Device(event) => Record::Device(self.device_record(event_ref, event, device().1)),
            Kind::Webhook(event) => Record::Webhook(self.webhook_record(event_ref, event, device().1)),
            Kind::Report => Record::Report(self.report_record(event_ref, device())),
            Kind::Access(action) => Record::Activity(self.activity_record(event_ref, action, device())),
            Kind::Silent => unreachable!("no category has it"),
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

    /// The device that is at a slot of the fleet at an instant, in turn, and its status; `None` when the fleet has no
    /// devices.
    #[must_use]
    pub fn device_at(&self, nth: u64, at: Millis) -> Option<(Device, Status)> {
        let devices = u64::from(self.shape.devices);
        (devices > 0).then(|| self.known(self.timeline.device_at(nth % devices, at), at))
    }

    /// The slot in the fleet of the device that has an id at an instant. Looks at every device.
    #[must_use]
    pub fn place_of_device(&self, id: &str, at: Millis) -> Option<u64> {
        (0..u64::from(self.shape.devices)).find(|&slot| self.roster.device_id(self.timeline.device_at(slot, at)) == id)
    }

    fn known(&self, device: DeviceRef, at: Millis) -> (Device, Status) {
        (self.roster.device(device), self.timeline.status(device, at).0)
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
