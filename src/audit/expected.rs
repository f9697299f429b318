//! The events that a connector should have: those of a window that are visible now.

use std::{collections::HashMap, sync::Arc};

use super::{
    fields::ComparedFields,
    query::AuditQuery,
    record::{hash_texts, split_v2_line},
    report::EventRow,
};
use crate::{
    account::{
        Account, TrueEvent,
        injected::Injected,
        listing::{EventKey, PageEvent},
        profile::RowFormat,
    },
    api::rows,
    world::{Cancellation, Category, Event, EventId, Filter, Millis, Record, Renderer, Window, World},
};

/// The number of events that are generated at once.
const CHUNK_EVENTS: usize = 4_096;

/// The form of the compared values.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Form {
    /// Rows of v3.3 or of activities.
    Rows,
    /// Lines of v2.
    Lines,
    /// Entries of v3, which has device and administrator events together.
    V3,
}

impl Form {
    /// The number of forms.
    pub(super) const COUNT: usize = 3;
}

/// The events of a window, ordered by key.
pub(super) struct Expected {
    pub(super) world: Arc<World>,
    /// The format of the rows that the connector was served.
    pub(super) row_format: RowFormat,
    pub(super) category: Category,
    pub(super) keys: Vec<EventKey>,
    /// Whether each event is required. Others may be among the records, but need not: they are not visible yet, do not
    /// pass the filter, or were injected and deleted again.
    pub(super) required: Vec<bool>,
    /// The number of required events.
    pub(super) count: u64,
    injected: HashMap<EventId, Arc<Injected>>,
}

/// The hashes of the compared values of all events.
#[derive(Default)]
pub(super) struct Hashes {
    pub(super) texts: Vec<u64>,
    /// `last_seen` in milliseconds, if it is compared.
    pub(super) last_seen: Vec<i64>,
}

impl Expected {
    /// Finds the events of a window, both ends included. The records of the events are not rendered.
    pub(super) fn find(
        account: &Account,
        query: &AuditQuery,
        window: Window,
        now: Millis,
        row_format: RowFormat,
    ) -> Self {
        let world = account.world();
        let AuditQuery { category, filter, .. } = query;
        let injected = account.injected.present_and_deleted(*category, window);
        let events = world.events(*category, window, CHUNK_EVENTS);
        // At most five million.
        let count = usize::try_from(events.left()).unwrap_or_default();
        let (mut keys, mut required) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for event in events.flatten() {
            keys.push(EventKey { at: event.at(), id: event.id() });
            required.push(
                world.visible_at(&event) <= now && (*filter == Filter::default() || world.passes(&event, filter)),
            );
        }
        if !injected.is_empty() {
            let generated = keys.into_iter().zip(required);
            let is_required =
                |event: &Injected| event.forgotten.is_none() && event.visible_at <= now && event.passes(filter);
            let added = injected.iter().map(|event| (EventKey { at: event.at, id: event.id() }, is_required(event)));
            let mut all: Vec<(EventKey, bool)> = generated.chain(added).collect();
            all.sort_unstable_by_key(|(key, _)| *key);
            (keys, required) = all.into_iter().unzip();
        }
        let count = required.iter().filter(|is_required| **is_required).count() as u64;
        let injected = injected.into_iter().map(|event| (event.id(), event)).collect();
        Self { world, row_format, category: *category, keys, required, count, injected }
    }

    /// The hashes of all events. Renders each event once. After a cancellation, the rest of the hashes is 0.
    pub(super) fn hashes(&self, compared: &ComparedFields, form: Form, cancellation: &Cancellation) -> Hashes {
        let mut hashes = Hashes::default();
        hashes.texts.reserve_exact(self.keys.len());
        let mut renderer = Renderer::new(&self.world);
        for key in &self.keys {
            if cancellation.is_cancelled() {
                hashes.texts.resize(self.keys.len(), 0);
                break;
            }
            match self.record(*key, &mut renderer) {
                Some(record) => {
                    self.with_values(&record, form, |values| {
                        hashes.texts.push(hash_texts(compared.texts.iter().map(|&nth| values.get(nth).copied())));
                    });
                    if let (Some(_), Record::Report(report)) = (compared.last_seen, &record) {
                        hashes.last_seen.push(report.last_seen.0);
                    }
                }
                None => hashes.texts.push(0),
            }
        }
        hashes
    }

    /// Renders the event with a key.
    fn record(&self, key: EventKey, renderer: &mut Renderer<'_>) -> Option<Record> {
        match Event::from_id(key.at, key.id) {
            Some(event) => Some(renderer.render(&event)),
            None => self.injected_event(key.id).map(|event| event.entry.clone()),
        }
    }

    /// Calls `read` with the values of an event in a form.
    fn with_values(&self, record: &Record, form: Form, read: impl FnOnce(&[&str])) {
        let format = self.row_format;
        match form {
            Form::Rows => rows::with_row(record, format, |_, values| read(values)),
            Form::Lines => {
                let (day, line) = rows::v2_line(record, format).unwrap_or_default();
                let (time, rest) = split_v2_line(&day, &line);
                read(&[&time, rest.unwrap_or_default()]);
            }
            Form::V3 => {
                rows::with_v3_row(record, &self.world, format, |texts, mac_addresses| {
                    let [timestamp, event, device_id, device_name, details] = *texts;
                    read(&[timestamp, event, details, device_id, device_name, &mac_addresses.join(",")]);
                });
            }
        }
    }

    /// The values of the event with an index.
    pub(super) fn values(&self, nth: usize, form: Form) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(record) = self.true_event(nth).map(|event| event.entry) {
            self.with_values(&record, form, |values| all = values.iter().map(ToString::to_string).collect());
        }
        all
    }

    fn injected_event(&self, id: EventId) -> Option<&Arc<Injected>> {
        self.injected.get(&id)
    }

    /// The event with an index, for the listing of pages.
    pub(super) fn event(&self, nth: usize) -> Option<PageEvent> {
        let key = self.keys[nth];
        match Event::from_id(key.at, key.id) {
            Some(event) => Some(PageEvent::Generated(event)),
            None => self.injected_event(key.id).cloned().map(PageEvent::Injected),
        }
    }

    fn true_event(&self, nth: usize) -> Option<TrueEvent> {
        let id = self.keys[nth].id;
        Some(match self.event(nth)? {
            PageEvent::Generated(event) => TrueEvent {
                id,
                at: event.at(),
                visible_at: self.world.visible_at(&event),
                is_injected: false,
                entry: self.world.render(&event),
            },
            PageEvent::Injected(event) => TrueEvent {
                id,
                at: event.at,
                visible_at: event.visible_at,
                is_injected: true,
                entry: event.entry.clone(),
            },
        })
    }

    /// The row of the event with an index, for a report.
    pub(super) fn row(&self, nth: usize) -> Option<EventRow> {
        let TrueEvent { id, at, visible_at, is_injected, entry } = self.true_event(nth)?;
        let fields = rows::with_row(&entry, self.row_format, |names, values| {
            rows::fields(self.category)
                .iter()
                .filter_map(|name| {
                    let nth = names.iter().position(|known| known == name)?;
                    Some((*name, (*values.get(nth)?).to_owned()))
                })
                .collect()
        });
        Some(EventRow { id: id.to_string(), at: at.into(), visible_at: visible_at.into(), is_injected, fields })
    }
}
