//! The journal, arranged for the rules: the requests of each query in order, and the polls of each query.

use std::{collections::HashMap, sync::Arc};

use crate::{
    account::{
        Account,
        fault::FaultStatus,
        injected::Snapshot,
        journal::{Outcome, PageChange, Request},
        listing::{PageQuery, PageStart, Position},
    },
    clock::Mode,
    world::{Cancellation, Category, Filter, Millis, Order, Window, World, WorldConfig},
};

/// The requests of a journal, as the rules see them.
pub(super) struct Seen {
    pub(super) requests: Vec<Arc<Request>>,
    /// Whether the journal has dropped no request.
    pub(super) is_whole: bool,
    /// The queries, in the order of their first requests.
    pub(super) queries: Vec<Query>,
    pub(super) faults: Vec<FaultStatus>,
    /// Whether the clock is frozen, so that the client's waits do not show.
    pub(super) is_frozen: bool,
    pub(super) token_life_ms: i64,
}

/// The requests for the pages of one query.
pub(super) struct Query {
    pub(super) category: Category,
    pub(super) filter: Filter,
    pub(super) api: Option<&'static str>,
    /// The window that the client requested, and the readable part of it.
    pub(super) asked: Window,
    pub(super) window: Window,
    pub(super) seen_at: Millis,
    /// The longest lag of an event, in milliseconds.
    pub(super) lag_ms: i64,
    pub(super) pages: Vec<PageRequest>,
    /// Whether a page of the query is not full, so that the client has seen its end; or whether there is nothing after the
    /// last page that it read.
    pub(super) is_read_to_end: bool,
}

/// A request for a page.
#[derive(Clone, Copy)]
pub(super) struct PageRequest {
    /// The index of the request.
    pub(super) request: usize,
    pub(super) begin: PageStart,
    pub(super) take: usize,
    /// The number of entries of the page, before faults; `None` if the API did not compute it.
    pub(super) entries: Option<usize>,
    /// Whether the client received the page.
    pub(super) is_delivered: bool,
}

/// What the pages of a query have in common. Page numbers have a new window for each request, so for them this is the
/// query itself.
#[derive(Clone, Eq, Hash, PartialEq)]
struct QueryKey {
    api: Option<&'static str>,
    category: Category,
    kinds: Option<u32>,
    agents: Vec<u8>,
    search: Option<String>,
    /// The window and the time of the first page, for page tokens.
    first_page: Option<(Millis, Millis, Millis)>,
    /// The maximum number of entries, for page numbers.
    take: Option<usize>,
}

impl Seen {
    pub(super) fn of(account: &Account) -> Self {
        let journal = account.journal.snapshot();
        let mut seen = Self {
            requests: journal.requests,
            is_whole: journal.is_whole,
            queries: Vec::new(),
            faults: account.faults(),
            is_frozen: account.clock().reading().mode == Mode::Frozen,
            token_life_ms: i64::from(account.config().profile().token_life_seconds.get()) * 1000,
        };
        let mut known: HashMap<QueryKey, usize> = HashMap::new();
        for (nth, request) in seen.requests.iter().enumerate() {
            let Some(page) = request.page.as_deref() else { continue };
            let query = &page.query;
            let key = QueryKey::of(request.api, query);
            let is_new = match (known.get(&key), query.begin) {
                (None, _) => true,
                // A first page of page numbers starts over, unless it repeats one that failed.
                (Some(&at), PageStart::Skip(0)) => seen.queries[at].has_first_page(),
                (Some(_), _) => false,
            };
            if is_new {
                known.insert(key.clone(), seen.queries.len());
                seen.queries.push(Query {
                    category: query.category,
                    filter: query.filter.clone(),
                    api: request.api,
                    asked: query.asked,
                    window: query.window,
                    seen_at: query.seen_at,
                    lag_ms: page.config.settings.world.lag.longest_ms(),
                    pages: Vec::new(),
                    is_read_to_end: false,
                });
            }
            let at = known[&key];
            seen.queries[at].pages.push(PageRequest {
                request: nth,
                begin: query.begin,
                take: query.take,
                entries: entries_of(request),
                is_delivered: request.delivered().is_some() || is_end(request),
            });
        }
        seen.find_ends(account);
        seen
    }

    /// Finds whether each query was read to its end.
    fn find_ends(&mut self, account: &Account) {
        let mut worlds: HashMap<WorldConfig, Arc<World>> = HashMap::new();
        for query in &mut self.queries {
            let delivered = || query.pages.iter().filter(|page| page.is_delivered);
            if delivered().any(|page| page.entries.is_some_and(|entries| entries < page.take)) {
                query.is_read_to_end = true;
                continue;
            }
            // All pages are full. The last one may end where the query ends.
            let Some(final_page) = delivered().next_back() else { continue };
            let Some(page) = self.requests[final_page.request].page.as_deref() else { continue };
            let config = page.config.settings.world;
            let world = worlds.entry(config).or_insert_with(|| account.world_of(config));
            let listed = |begin: PageStart, take: usize| {
                let query = PageQuery { begin, take, ..page.query.clone() };
                query.list(world, query.injected_events(&account.injected), &Cancellation::default())
            };
            let end = listed(final_page.begin, final_page.take).end;
            query.is_read_to_end = listed(PageStart::At(end), 1).events.is_empty();
        }
    }

    pub(super) fn request(&self, page: &PageRequest) -> &Request {
        &self.requests[page.request]
    }

    /// The polls of each query that differ only in their windows, in order: the queries of which the first page was read.
    pub(super) fn polls(&self) -> Vec<Vec<&Query>> {
        let mut groups: HashMap<QueryKey, Vec<&Query>> = HashMap::new();
        for query in self.queries.iter().filter(|query| query.pages.iter().any(|page| page.is_delivered)) {
            groups.entry(query.poll_key()).or_default().push(query);
        }
        let mut polls: Vec<Vec<&Query>> = groups.into_values().collect();
        polls.sort_by_key(|polls| polls.first().and_then(|query| query.pages.first()).map(|page| page.request));
        polls
    }
}

/// The number of entries of the page of a request, before faults.
fn entries_of(request: &Request) -> Option<usize> {
    if is_end(request) {
        return Some(0);
    }
    let page = request.page.as_deref()?;
    match (request.entries, page.change) {
        // A fault has changed the number of entries.
        (Some(_), PageChange::Entries(_)) => Some(page.query.take),
        (Some(entries), _) => usize::try_from(entries).ok(),
        (None, _) => None,
    }
}

/// Whether the API refused a page with 413 because there is nothing on it.
fn is_end(request: &Request) -> bool {
    request.status == Some(413) && request.fault.is_none() && request.outcome == Outcome::Refused
}

impl QueryKey {
    fn of(api: Option<&'static str>, query: &PageQuery) -> Self {
        let Filter { kinds, agents, search } = &query.filter;
        let is_by_token = matches!(query.begin, PageStart::At(_));
        let PageQuery { category, window, seen_at, take, .. } = query;
        Self {
            api,
            category: *category,
            kinds: *kinds,
            agents: agents.iter().flatten().map(|agent| *agent as u8).collect(),
            search: search.clone(),
            first_page: is_by_token.then_some((window.from, window.to, *seen_at)),
            take: (!is_by_token).then_some(*take),
        }
    }
}

impl Query {
    fn has_first_page(&self) -> bool {
        self.pages.iter().any(|page| page.begin.is_first() && page.is_delivered)
    }

    fn poll_key(&self) -> QueryKey {
        let query = PageQuery {
            category: self.category,
            asked: self.asked,
            window: self.window,
            filter: self.filter.clone(),
            order: Order::NewestFirst,
            begin: PageStart::At(Position::default()),
            take: 0,
            seen_at: self.seen_at,
            snapshot: Snapshot::default(),
        };
        QueryKey { first_page: None, ..QueryKey::of(self.api, &query) }
    }
}

/// Whether a response is a failure that a client should repeat: a 5xx, or a response that is cut or cannot be read.
pub(super) fn is_failure(request: &Request) -> bool {
    let is_broken = request.page.as_deref().is_some_and(|page| page.change == PageChange::Broken);
    match request.status {
        _ if request.outcome == Outcome::Abandoned => false,
        None | Some(500..) => true,
        Some(200) => request.outcome == Outcome::Cut || is_broken,
        Some(_) => false,
    }
}
