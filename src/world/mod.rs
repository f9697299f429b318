//! Synthetic event generator: a simulated company whose history is computed on demand, not stored.
//!
//! A [`World`] is built from a [`WorldConfig`] with a seed. The configuration determines the whole history: which
//! events are in a window, how many there are, which one is the n-th, and the content of each. Counting and paging cost
//! about the same for any length of the history and any size of the fleet, because the generator *counts and finds*
//! events instead of generating them in order (see the modules `schedule` and `timeline`). A text search costs more: it
//! examines each device of the fleet, and reads events.
//!
//! This module is pure. It reads no clock, no file and no environment, a [`World`] is immutable, and nothing here
//! depends on HTTP. The caller passes the current time, as the end of a window or as `seen_at`.
//!
//! ```
//! use opswat_mock::world::{Filter, Lag, Millis, Order, WorldConfig, Category, Window, World};
//!
//! let world = World::new(WorldConfig { seed: 7, devices: 100, lag: Lag::NONE, webhook_since: None });
//! let day = Window { from: Millis(1_768_435_200_000), to: Millis(1_768_521_599_999) };
//! let events = world.select(Category::Device, day, Filter::default());
//! let newest = events.page(0, 10, Order::NewestFirst);
//! assert_eq!(newest, events.page(0, 3, Order::NewestFirst).into_iter()
//!     .chain(events.page(3, 7, Order::NewestFirst)).collect::<Vec<_>>());
//! ```

mod apps;
mod calendar;
mod codes;
mod company;
mod inventory;
mod kinds;
mod lag;
mod notifications;
mod owner;
mod processes;
mod query;
mod random;
mod records;
mod render;
mod reproducibility;
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
mod vulnerabilities;
mod window;

pub use self::{
    codes::{Action, AdminEvent, DeviceEvent, WebhookEvent},
    company::{MAX_DEVICES, World, WorldConfig},
    kinds::{AgentType, Categories, Category, Severity, Status},
    lag::Lag,
    query::{Events, Selection},
    records::{Activity, AdminRecord, DeviceRecord, DeviceReport, Record, WebhookRecord},
    render::Renderer,
    reproducibility::{ReproducibilityError, check_reproducibility},
    roster::{Device, Person},
    search::Found,
    term::{CancelOnDrop, Cancellation, SearchTerm},
    time::{ACCOUNT_MADE, Millis},
    window::{Event, EventId, Filter, Order, Window},
};
pub(crate) use self::{
    inventory::{DeviceCounts, DeviceState, EnrolmentCursor, Identifier, Inventory, Violation},
    notifications::Notification,
    text::reported,
    vulnerabilities::{PRODUCTS, Product, Risk, Vulnerability},
};
