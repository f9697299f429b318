//! The text of a search, and which devices it names.

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
    kinds::{Category, Kind},
    records::Record,
    time::Millis,
    tracks::DeviceRef,
    window::Window,
};

/// How many devices are few: so many, and one more for each [`RARE`] that were looked at.
const FEW: usize = 256;
/// Of so many devices one is so rare that following it is cheaper than reading past all others.
const RARE: usize = 64;
/// How long whoever asked will wait: until they say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

/// Ends a cancellation when it is dropped.
#[derive(Debug)]
#[must_use = "the cancellation ends when this is dropped"]
pub struct CancelOnDrop(Cancellation);

impl Cancellation {
    /// As long as the answer is waited for.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A text that is looked for in any case.
#[derive(Clone, Debug)]
pub struct SearchTerm(String);

/// A text, and the devices that it names.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) term: SearchTerm,
    /// `None` when they are many, or when the text may name something else.
    pub(super) few: Option<HashSet<DeviceRef>>,
    pub(super) cancellation: Cancellation,
}

impl SearchTerm {
    /// What occurs where the text does, in any case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether the text occurs in a field.
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
        category: Category,
        tracks: &[usize],
        window: Window,
        term: SearchTerm,
        cancellation: Cancellation,
    ) -> Self {
        // Only what the chosen tracks can say counts: nothing that was blocked says «Zoom», which everybody may use.
        let elsewhere = tracks.iter().any(|&track| {
            let track = world.processes.track(track);
            let Kind::Access(action) = track.kind else { return false };
            apps::words(track.process, action).into_iter().any(|word| term.is_in(word))
        });
        let all = elsewhere || category == Category::Admin;
        let few = if all { None } else { world.few_named(category, window, &term, &cancellation) };
        Self { term, few, cancellation }
    }
}

impl Record {
    /// Whether a text occurs in one of the fields by which an record's category is searched.
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
    /// The devices heard of in a window that a text names, if they are few.
    fn few_named(
        &self,
        category: Category,
        window: Window,
        term: &SearchTerm,
        cancellation: &Cancellation,
    ) -> Option<HashSet<DeviceRef>> {
        let (after, until) = (self.processes.after(Millis(window.from.0 - 1)), self.processes.after(window.to));
        let mut named = HashSet::new();
        let mut looked_at = 0;
        for slot in 0..u64::from(self.config.devices) {
            if cancellation.is_cancelled() {
                break;
            }
            for generation in self.processes.generations(slot, after, until) {
                let device = DeviceRef { slot, generation };
                looked_at += 1;
                if self.names(category, device, term) {
                    if named.len() > FEW + looked_at / RARE {
                        return None;
                    }
                    named.insert(device);
                }
            }
        }
        Some(named)
    }

    /// Whether a text names a device, in one of the fields of a device by which a category is searched.
    fn names(&self, category: Category, device: DeviceRef, term: &SearchTerm) -> bool {
        term.is_in(&self.roster.hostname(device))
            || term.is_in(&self.roster.device_id(device))
            || (category == Category::Activity
                && (term.is_in(self.roster.group(device.slot)) || term.is_in(&self.roster.person(device.slot).email)))
    }
}
