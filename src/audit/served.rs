//! The pages that were served, derived from the journal: which page has which event, and why an event was on none.
//!
//! A page is an interval of events in their order. It is computed from the query that the journal stores; the journal
//! stores no events. For many events at once, a sweep in the order of the events keeps the set of pages whose interval,
//! and of windows whose span, contains the current event.

use std::{collections::HashMap, sync::Arc};

use super::{
    cause::{Cause, DuplicateCause},
    error::AuditError,
    expected::Expected,
    windows::Windows,
};
use crate::{
    account::{
        Account,
        fault::Entries,
        journal::{Outcome, Request, RequestedPage, ResponseChange},
        listing::{EventKey, PageEvent, PageQuery},
        profile::{EventCodes, RowFormat},
    },
    api_name::ApiName,
    world::{Cancellation, Category, Millis, Order, Window, World, WorldConfig},
};

/// The maximum number of requests in the cause of a duplicate.
const MAX_REQUESTS: usize = 10;
const TOO_LONG: &str =
    "The journal has too many pages for so many events; audit a shorter window, or reset the account earlier";
/// The maximum number of windows that are examined for the causes of one audit. The causes after that are unknown.
const MAX_STEPS: u64 = 50_000_000;

/// The pages of one category that requests asked for, in the order of the requests.
pub(super) struct ServedPages {
    pages: Vec<ServedPage>,
    /// The pages that the client received, by their first events.
    received: HashMap<EventKey, Vec<usize>>,
    cancellation: Cancellation,
    /// The journal may have dropped requests up to this time.
    dropped_until: Millis,
}

/// A page that a request asked for.
struct ServedPage {
    request: Arc<Request>,
    world: Arc<World>,
    /// The first and the last event of the page, in its order. `None` if the page has none.
    ends: Option<(EventKey, EventKey)>,
}

/// What a page does with an event of its window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selected {
    Yes,
    /// The event was not visible.
    NotYet,
    /// The filter excludes the event.
    Filtered,
}

/// The numbers of some requests, each once, at most [`MAX_REQUESTS`].
pub(super) fn numbers(requests: &[&Arc<Request>]) -> Vec<u64> {
    let mut numbers: Vec<u64> = requests.iter().map(|request| request.number).collect();
    numbers.dedup();
    numbers.truncate(MAX_REQUESTS);
    numbers
}

/// The ids of the events that a response delivered, in the order of the page before a fault reordered it. `None` if the
/// request asked for no page.
pub(crate) fn delivered_ids(
    account: &Account,
    request: &Arc<Request>,
    cancellation: &Cancellation,
) -> Option<Vec<String>> {
    let page = request.page.as_deref()?;
    if request.delivered().is_none() {
        return Some(Vec::new());
    }
    let world = account.world_of(page.config.settings.world);
    let injected_events = page.query.injected_events(&account.injected);
    let listing = page.query.list(&world, injected_events, cancellation);
    let keys: Vec<EventKey> = listing.events.iter().map(PageEvent::key).collect();
    let (Some(&first), Some(&last)) = (keys.first(), keys.last()) else { return Some(Vec::new()) };
    let ends = Some((first, last));
    let page = ServedPage { request: request.clone(), world, ends };
    let repeated = keys.iter().flat_map(|key| std::iter::repeat_n(key.id.to_string(), page.delivered(*key)));
    Some(repeated.collect())
}

impl ServedPages {
    /// The pages of the journal of an account. Pages of another history, before a change of the seed or of the number of
    /// devices, are left out.
    pub(super) fn of(account: &Account, category: Category, cancellation: &Cancellation) -> Self {
        let current = account.config().settings.world;
        let journal = account.journal.snapshot();
        let mut worlds: HashMap<WorldConfig, Arc<World>> = HashMap::new();
        let mut pages: Vec<ServedPage> = Vec::new();
        for request in journal.requests {
            let Some(page) = request.page.as_deref().filter(|_| !cancellation.is_cancelled()) else { continue };
            let world = page.config.settings.world;
            if !page.query.categories.contains(category)
                || (world.seed, world.devices) != (current.seed, current.devices)
            {
                continue;
            }
            let world = worlds.entry(world).or_insert_with(|| account.world_of(world));
            let listing = page.query.list(world, page.query.injected_events(&account.injected), cancellation);
            let world = world.clone();
            let ends = match (listing.events.first(), listing.events.last()) {
                (Some(first), Some(last)) => Some((first.key(), last.key())),
                _ => None,
            };
            pages.push(ServedPage { request, world, ends });
        }
        // Without the injected events of a page, its places are not known any more.
        let dropped_until = if account.injected.has_dropped() { Millis(i64::MAX) } else { journal.dropped_until };
        let mut received: HashMap<EventKey, Vec<usize>> = HashMap::new();
        for (nth, page) in pages.iter().enumerate().filter(|(_, page)| !page.is_failed()) {
            if let Some((first, _)) = page.ends {
                received.entry(first).or_default().push(nth);
            }
        }
        Self { pages, received, cancellation: cancellation.clone(), dropped_until }
    }

    /// The format of the rows of the last page. If an API before v3.3 served any page, it is one with the codes of those
    /// versions.
    pub(super) fn row_format(&self) -> Option<RowFormat> {
        let row_format = self.pages.last()?.page().config.row_format;
        let is_earlier = |page: &ServedPage| page.request.api.is_some_and(ApiName::is_before_v3_3);
        let codes = if self.pages.iter().any(is_earlier) { EventCodes::Earlier } else { EventCodes::Current };
        Some(RowFormat { codes, ..row_format })
    }

    /// From the earliest start to the latest end of all windows, both ends included. `None` if no request asked for one.
    pub(super) fn span(&self) -> Option<Window> {
        let windows = || self.pages.iter().map(|page| page.query().past()).filter(|window| window.from <= window.to);
        let from = windows().map(|window| window.from).min()?;
        Some(Window { from, to: windows().map(|window| window.to).max()? })
    }

    /// Calls `found` for each of some events, in order, with the indexes of the pages that contain the event.
    ///
    /// # Errors
    ///
    /// If there are too many pages whose intervals contain an event.
    fn containing(
        &self,
        expected: &Expected,
        events: &[usize],
        mut found: impl FnMut(usize, &[usize]),
    ) -> Result<(), AuditError> {
        let mut steps = 0;
        let mut pages: Vec<(EventKey, EventKey, usize)> = Vec::with_capacity(self.pages.len());
        for (nth, page) in self.pages.iter().enumerate() {
            if let Some((first, last)) = page.ends {
                pages.push((first.min(last), first.max(last), nth));
            }
        }
        pages.sort_unstable();
        let mut next = pages.iter().peekable();
        let mut active: Vec<(EventKey, usize)> = Vec::new();
        let mut containing: Vec<usize> = Vec::new();
        for &event in events {
            let key = expected.keys[event];
            while let Some((_, end, nth)) = next.next_if(|(start, _, _)| *start <= key) {
                active.push((*end, *nth));
            }
            steps += active.len() as u64;
            if steps > MAX_STEPS || self.cancellation.is_cancelled() {
                return Err(AuditError::Invalid(TOO_LONG.to_owned()));
            }
            active.retain(|(end, _)| *end >= key);
            containing.clear();
            if !active.is_empty()
                && let Some(event) = expected.event(event)
            {
                let selected = |&(_, nth): &(EventKey, usize)| self.selects(nth, &event) == Selected::Yes;
                containing.extend(active.iter().filter(|page| selected(page)).map(|(_, nth)| *nth));
                containing.sort_unstable();
            }
            found(event, &containing);
        }
        Ok(())
    }

    /// How often each of some events was delivered, with the numbers of the requests.
    pub(super) fn deliveries(
        &self,
        expected: &Expected,
        events: &[usize],
        mut found: impl FnMut(usize, &[&Arc<Request>]),
    ) -> Result<(), AuditError> {
        self.containing(expected, events, |event, pages| {
            let mut requests: Vec<&Arc<Request>> = Vec::new();
            for &nth in pages {
                let page = &self.pages[nth];
                requests.extend(std::iter::repeat_n(&page.request, page.delivered(expected.keys[event])));
            }
            found(event, &requests);
        })
    }

    /// The causes of duplicates of some events, given in order.
    pub(super) fn duplicate_causes(
        &self,
        expected: &Expected,
        events: &[usize],
    ) -> Result<HashMap<usize, DuplicateCause>, AuditError> {
        let mut causes = HashMap::new();
        self.deliveries(expected, events, |event, requests| {
            let numbers = numbers(requests);
            let cause = match (requests, &*numbers) {
                ([] | [_], _) if self.may_have_dropped(expected, event) => DuplicateCause::Unknown,
                ([], _) => DuplicateCause::Connector { request: None },
                ([one], _) => DuplicateCause::Connector { request: Some(one.number) },
                ([one, ..], [number]) => {
                    DuplicateCause::Fault { request: *number, rule: one.fault.clone().unwrap_or_default() }
                }
                ([first, .., _], _) if first.change.is_token_repeated => {
                    DuplicateCause::Fault { request: first.number, rule: first.fault.clone().unwrap_or_default() }
                }
                _ => DuplicateCause::Overlap { requests: numbers },
            };
            causes.insert(event, cause);
        })?;
        Ok(causes)
    }

    /// The causes for which some events are missing. The events are given in order, and so are the causes.
    pub(super) fn causes(&self, expected: &Expected, events: &[usize]) -> Result<Vec<Cause>, AuditError> {
        let mut causes = Vec::with_capacity(events.len());
        let mut windows = Windows::new(self.pages.iter().map(ServedPage::query));
        let mut steps = 0;
        self.containing(expected, events, |event, pages| {
            let key = expected.keys[event];
            windows.advance(key.at);
            let delivered = || pages.iter().rev().map(|&nth| &self.pages[nth]).filter(|page| page.delivered(key) > 0);
            let is_plain = |page: &&ServedPage| !page.request.change.is_type_changed;
            causes.push(if let Some(page) = delivered().find(is_plain) {
                Cause::Served { request: page.request.number }
            } else if let Some(page) = delivered().next() {
                page.failure()
            } else if self.may_have_dropped(expected, event) || steps > MAX_STEPS {
                Cause::Unknown
            } else if let Some(&nth) = pages.last() {
                self.pages[nth].failure()
            } else {
                self.cause_off_page(expected, event, &windows, &mut steps)
            });
        })?;
        Ok(causes)
    }

    /// The cause for which an event that is on no requested page is missing.
    fn cause_off_page(&self, expected: &Expected, event: usize, windows: &Windows, steps: &mut u64) -> Cause {
        let key = expected.keys[event];
        let Some(page_event) = expected.event(event) else { return Cause::Unknown };
        let (mut other_page, mut late, mut filtered) = (None, None, None);
        for &(_, nth) in windows.readable.open.iter().rev() {
            *steps += 1;
            let page = &self.pages[nth];
            let request = page.request.number;
            match self.selects(nth, &page_event) {
                Selected::Filtered => {
                    filtered.get_or_insert(Cause::Filtered { request });
                }
                Selected::NotYet => {
                    let lag_ms = self.visible_at(nth, &page_event).0 - key.at.0;
                    late.get_or_insert(Cause::Late { request, lag_ms });
                    // The windows are in the order of the times at which they were read: no earlier one has the event.
                    break;
                }
                Selected::Yes if page.is_before(key) => {
                    // The page of the event comes after this page.
                    if page.request.change.is_token_repeated {
                        return page.failure();
                    }
                    if !page.is_failed() {
                        return Cause::NotPaged { request };
                    }
                    // The failure is of no matter if the client has read the same page in another read.
                    let other = page.ends.and_then(|(first, _)| self.read_elsewhere(first, key, &page_event));
                    return other.map_or_else(|| page.failure(), |request| Cause::NotPaged { request });
                }
                Selected::Yes => {
                    other_page.get_or_insert(Cause::NotPaged { request });
                }
            }
        }
        let expired = || {
            let &(_, nth) = windows.hidden.open.last()?;
            Some(Cause::Expired { request: self.pages[nth].request.number })
        };
        other_page.or(late).or(filtered).or_else(expired).unwrap_or_else(|| {
            let (before, after) = windows.around(key.at);
            let number = |nth: usize| self.pages[nth].request.number;
            Cause::Gap { after_request: before.map(number), before_request: after.map(number) }
        })
    }

    /// The request of a page with the same first event that the client received, of a query that has another event.
    fn read_elsewhere(&self, first: EventKey, key: EventKey, event: &PageEvent) -> Option<u64> {
        let pages = self.received.get(&first)?;
        let has_event = |&&nth: &&usize| {
            let window = self.pages[nth].query().window;
            (window.from..=window.to).contains(&key.at) && self.selects(nth, event) == Selected::Yes
        };
        pages.iter().rev().take(MAX_REQUESTS).find(has_event).map(|&nth| self.pages[nth].request.number)
    }

    /// Whether a request that the journal has dropped may have returned the event.
    fn may_have_dropped(&self, expected: &Expected, event: usize) -> bool {
        expected.event(event).is_none_or(|event| match &event {
            PageEvent::Generated(generated) => expected.world.visible_at(generated) <= self.dropped_until,
            PageEvent::Injected(injected) => injected.visible_at <= self.dropped_until,
        })
    }

    fn selects(&self, nth: usize, event: &PageEvent) -> Selected {
        let query = self.pages[nth].query();
        if self.visible_at(nth, event) > query.seen_at {
            return Selected::NotYet;
        }
        let passes = match event {
            PageEvent::Generated(event) => self.pages[nth].world.passes(event, &query.filter),
            PageEvent::Injected(event) if !event.is_in(query.snapshot) => return Selected::NotYet,
            PageEvent::Injected(event) => event.passes(&query.filter),
        };
        if passes { Selected::Yes } else { Selected::Filtered }
    }

    fn visible_at(&self, nth: usize, event: &PageEvent) -> Millis {
        match event {
            PageEvent::Generated(event) => self.pages[nth].world.visible_at(event),
            PageEvent::Injected(event) => event.visible_at,
        }
    }
}

impl ServedPage {
    fn page(&self) -> &RequestedPage {
        // `ServedPages::of` takes only requests with a page.
        self.request.page.as_deref().expect("a request with a page")
    }

    fn query(&self) -> &PageQuery {
        &self.page().query
    }

    /// How often the response has an event of the page.
    fn delivered(&self, key: EventKey) -> usize {
        let (Some(_), Some((first, last))) = (self.request.delivered(), self.ends) else { return 0 };
        match self.request.change.entries {
            Some(Entries::Empty) => 0,
            Some(Entries::Drop) => usize::from(key != first),
            Some(Entries::Duplicate) => 1 + usize::from(key == last),
            // In another order, or with other fields.
            Some(_) | None => 1,
        }
    }

    /// Whether the response is not the page.
    fn is_failed(&self) -> bool {
        self.request.delivered().is_none()
    }

    /// Why the response lacks an event of the page.
    fn failure(&self) -> Cause {
        let Request { number, status, outcome, fault, change, .. } = &*self.request;
        let request = *number;
        // The content type and the page token of a refusal by the API are of no matter.
        let is_harmless = !change.is_broken && change.entries.is_none() && *status != Some(200);
        let is_by_fault = *change != ResponseChange::default() && !is_harmless;
        if *outcome != Outcome::Abandoned && (is_by_fault || *outcome == Outcome::Cut) {
            return Cause::Fault { request, rule: fault.clone().unwrap_or_default() };
        }
        match (outcome, status) {
            (Outcome::Abandoned, _) | (_, None) => Cause::Abandoned { request },
            (_, Some(status)) => Cause::Refused { request, status: *status },
        }
    }

    /// Whether an event that is not on this page comes after its start, in the order of the pages.
    fn is_before(&self, key: EventKey) -> bool {
        self.ends.is_some_and(|(first, _)| match self.query().order {
            Order::NewestFirst => key <= first,
            Order::OldestFirst => key >= first,
        })
    }
}
