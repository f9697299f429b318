//! The text of a search, and the devices that match it.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    apps,
    company::World,
    kinds::{Categories, Category, Kind},
    records::Record,
    time::Millis,
    tracks::DeviceRef,
    window::Window,
};

/// The number of matching devices that still count as few. It grows by one for every [`RARE`] examined devices.
const FEW: usize = 256;
/// If at most one device in this number matches, reading the events per device is cheaper than reading all events.
const RARE: usize = 64;

/// Cancels running searches. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

/// Guard that cancels the [`Cancellation`] when it is dropped.
#[derive(Debug)]
#[must_use = "dropping this guard cancels the search"]
pub struct CancelOnDrop(Cancellation);

impl Cancellation {
    /// Returns a guard that cancels when it is dropped, for example because the client disconnects.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// The text of a search. Matching ignores case.
#[derive(Clone, Debug)]
pub struct SearchTerm(String);

/// A search text and the devices that match it.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) term: SearchTerm,
    /// `None` if there are many, or if the text can match other fields.
    pub(super) few: Option<HashSet<DeviceRef>>,
    pub(super) cancellation: Cancellation,
}

impl SearchTerm {
    /// Creates the term for a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether the text occurs in a field, in upper or lower case.
    pub(super) fn is_in(&self, field: &str) -> bool {
        if !(self.0.is_ascii() && field.is_ascii()) {
            return field.to_lowercase().contains(&self.0);
        }
        let (field, text) = (field.as_bytes(), self.0.as_bytes());
        text.is_empty() || field.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
    }
}

impl Search {
    pub(super) fn new(
        world: &World,
        categories: Categories,
        tracks: &[usize],
        window: Window,
        term: SearchTerm,
        cancellation: Cancellation,
    ) -> Self {
        // Only texts that the selected tracks can contain count. For example, a blocked access never contains "Zoom",
        // because no rule blocks it.
        let matches_other_field = tracks.iter().any(|&track| {
            let track = world.processes.track(track);
            let Kind::Access(action) = track.kind else { return false };
            apps::words(track.process, action).into_iter().any(|word| term.is_in(word))
        });
        let few = match categories.single() {
            Some(category) if category != Category::Admin && !matches_other_field => {
                world.few_matching_devices(category, window, &term, &cancellation)
            }
            _ => None,
        };
        Self { term, few, cancellation }
    }
}

impl Record {
    /// Whether the text occurs in a search field of the record's category. Always true for admin records, which have no
    /// search fields.
    #[must_use]
    pub fn mentions(&self, term: &SearchTerm) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::Device(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Webhook(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Report(record) => term.is_in(&record.device.name) || term.is_in(&record.device.id),
            Self::Activity(record) => [
                record.device.name.as_str(),
                &record.device.id,
                &record.device.group,
                &record.app_user,
                &record.app_name,
                &record.access_rule,
                record.device_status.label(),
            ]
            .into_iter()
            .any(|field| term.is_in(field)),
        }
    }
}

impl World {
    /// The devices with possible events in a window that match a text; `None` if there are many.
    fn few_matching_devices(
        &self,
        category: Category,
        window: Window,
        term: &SearchTerm,
        cancellation: &Cancellation,
    ) -> Option<HashSet<DeviceRef>> {
        let (after, until) = (self.processes.after(Millis(window.from.0 - 1)), self.processes.after(window.to));
        let mut matching = HashSet::new();
        let mut examined = 0;
        for slot in 0..u64::from(self.config.devices) {
            if cancellation.is_cancelled() {
                break;
            }
            for generation in self.processes.generations(slot, after, until) {
                let device = DeviceRef { slot, generation };
                examined += 1;
                if self.matches_device(category, device, term) {
                    if matching.len() > FEW + examined / RARE {
                        return None;
                    }
                    matching.insert(device);
                }
            }
        }
        Some(matching)
    }

    /// Whether a text occurs in a device field that a search in the category examines.
    fn matches_device(&self, category: Category, device: DeviceRef, term: &SearchTerm) -> bool {
        term.is_in(&self.roster.hostname(device))
            || term.is_in(&self.roster.device_id(device))
            || (category == Category::Activity
                && (term.is_in(self.roster.group(device.slot)) || term.is_in(&self.roster.person(device.slot).email)))
    }
}
