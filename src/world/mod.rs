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

mod apps;
mod calendar;
mod company;
mod kinds;
mod lag;
mod processes;
mod query;
mod random;
mod records;
mod render;
mod roster;
mod schedule;
mod search;
mod status;
mod term;
mod text;
mod time;
mod timeline;
mod tracks;
mod variants;
mod window;

pub use self::{
    company::{MAX_DEVICES, World, WorldConfig},
    kinds::{Action, AdminEvent, AgentType, Category, DeviceEvent, Severity, Status, WebhookEvent},
    lag::Lag,
    query::{Events, Selection},
    records::{Activity, AdminRecord, DeviceRecord, DeviceReport, Record, WebhookRecord},
    render::Renderer,
    roster::{Device, Person},
    search::Found,
    term::{CancelOnDrop, Cancellation, SearchTerm},
    time::{ACCOUNT_MADE, Millis},
    window::{Event, Filter, Order, Window},
};
