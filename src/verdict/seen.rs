//! The journal, arranged for the rules: the reads of queries with their pages, and the reads that differ only in their
//! windows.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::FixedState;

use crate::{
    account::{
        Account,
        fault::{Entries, FaultStatus},
        injected::Snapshot,
        journal::{Outcome, Request},
        listing::{PageEvent, PageQuery, PageStart, Position},
    },
    api_name::ApiName,
    world::{Cancellation, Categories, Filter, Millis, Order, Window, World, WorldConfig},
};

/// The number of earlier reads that a request for a page may continue.
const OPEN_READS: usize = 16;
/// A window ends now if it ends at most this long before the time of the account, in milliseconds: clocks differ, and
/// requests take time.
pub(super) const NOW_TOLERANCE_MS: i64 = 10_000;
/// Windows have the same length if their lengths differ at most by this, in milliseconds.
const LENGTH_TOLERANCE_MS: i64 = 1_000;

/// The requests of a journal, as the rules see them.
pub(super) struct Seen {
    pub(super) requests: Vec<Arc<Request>>,
    /// Whether the journal has dropped no request.
    pub(super) is_whole: bool,
    /// The reads, in the order of their first requests.
    pub(super) reads: Vec<QueryRead>,
    /// The reads of each API that differ only in their windows, in order.
    pub(super) groups: Vec<Vec<usize>>,
    pub(super) faults: Vec<FaultStatus>,
}

/// One read of a query: the requests from its first page on. A later request for the first page begins another read, unless
/// it repeats one that failed.
pub(super) struct QueryRead {
    pub(super) api: Option<ApiName>,
    /// The window that the client requested, and the readable part of it. A repeated request for the first page replaces
    /// them.
    pub(super) asked: Window,
    pub(super) window: Window,
    pub(super) seen_at: Millis,
    order: Order,
    snapshot: Snapshot,
    /// The longest lag of an event, in milliseconds.
    pub(super) lag_ms: i64,
    pub(super) pages: Vec<PageRequest>,
    /// The starts of the pages that the client received.
    delivered: HashSet<PageStart, FixedState>,
    /// Whether the last response has the page token of its request.
    is_last_token_repeated: bool,
    /// What the client knows of the end.
    pub(super) end: ReadEnd,
    /// Whether pages between those that the client received are missing.
    pub(super) skips_pages: bool,
    /// The time of the last entry of the last page that the client received, if it is not the end.
    reached: Option<Millis>,
}

/// What a client knows of the end of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReadEnd {
    /// A page is not full, or there is nothing after the last page that it read.
    Seen,
    /// A fault hid the next page, or made the last one look like the end.
    HiddenByFault,
    /// There are further pages.
    Ahead,
}

/// A request for a page.
#[derive(Clone, Copy, Debug)]
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

/// What the reads of a group have in common.
#[derive(Clone, Eq, Hash, PartialEq)]
struct GroupKey {
    api: Option<ApiName>,
    categories: Categories,
    kinds: Option<u64>,
    agents: Vec<u8>,
    search: Option<String>,
}

impl Seen {
    pub(super) fn of(account: &Account, cancellation: &Cancellation) -> Self {
        let journal = account.journal.snapshot();
        let mut seen = Self {
            requests: journal.requests,
            is_whole: journal.is_whole,
            reads: Vec::new(),
            groups: Vec::new(),
            faults: account.faults(),
        };
        let mut groups: HashMap<GroupKey, usize> = HashMap::new();
        // Requests of workers end in another order than they are sent.
        let mut order: Vec<usize> = (0..seen.requests.len()).collect();
        order.sort_by_key(|&nth| seen.requests[nth].arrival);
        for nth in order {
            let request = &seen.requests[nth];
            let Some(page) = request.page.as_deref() else { continue };
            let query = &page.query;
            let group = *groups.entry(GroupKey::of(request.api, query)).or_insert_with(|| {
                seen.groups.push(Vec::new());
                seen.groups.len() - 1
            });
            let open = || seen.groups[group].iter().rev().take(OPEN_READS).map(|&at| (at, &seen.reads[at]));
            let found = match query.begin {
                begin if begin.is_first() => open().find(|(_, read)| read.is_repeated_by(query)),
                begin => {
                    let continued = || open().filter(|(_, read)| read.is_continued_by(query));
                    // A page number after the end belongs to another read, of which the first page may come later.
                    let again = || continued().next().filter(|(_, read)| begin.is_by_token() || !read.has_end());
                    continued().find(|(_, read)| !read.delivered.contains(&begin)).or_else(again)
                }
            };
            let found = found.map(|(at, _)| at);
            let at = found.unwrap_or_else(|| {
                seen.groups[group].push(seen.reads.len());
                seen.reads.push(QueryRead::new(request.api, query, page.config.settings.world.lag.longest_ms()));
                seen.reads.len() - 1
            });
            seen.reads[at].push(nth, request, query);
        }
        seen.find_ends(account, cancellation);
        seen
    }

    /// Finds whether each query was read to its end.
    fn find_ends(&mut self, account: &Account, cancellation: &Cancellation) {
        let mut worlds: HashMap<WorldConfig, Arc<World>> = HashMap::new();
        for read in &mut self.reads {
            if cancellation.is_cancelled() {
                return;
            }
            let delivered = || read.pages.iter().filter(|page| page.is_delivered);
            read.skips_pages = skips_pages(delivered(), self.is_whole);
            if delivered().any(|page| page.entries.is_some_and(|entries| entries < page.take)) {
                read.end = ReadEnd::Seen;
                continue;
            }
            // All pages are full. The last one may end where the query ends. Page numbers may be read in any order.
            let number = |page: &&PageRequest| match page.begin {
                PageStart::Skip(skip) => skip,
                PageStart::At(_) => 0,
            };
            let Some(final_page) = delivered().max_by_key(number) else { continue };
            let request = &self.requests[final_page.request];
            let Some(page) = request.page.as_deref() else { continue };
            let is_by_number = !final_page.begin.is_by_token();
            let looks_like_the_end = matches!(request.change.entries, Some(Entries::Empty | Entries::Drop));
            let is_by_fault = request.change.is_token_repeated || is_by_number && looks_like_the_end;
            let config = page.config.settings.world;
            let world = worlds.entry(config).or_insert_with(|| account.world_of(config));
            let listed = |begin: PageStart, take: usize| {
                let query = PageQuery { begin, take, ..page.query.clone() };
                query.list(world, query.injected_events(&account.injected), cancellation)
            };
            let last = listed(final_page.begin, final_page.take);
            read.end = match listed(PageStart::At(last.end), 1).events.len() {
                0 => ReadEnd::Seen,
                _ if is_by_fault => ReadEnd::HiddenByFault,
                _ => ReadEnd::Ahead,
            };
            read.reached = last.events.last().map(PageEvent::at);
        }
    }

    /// Whether the last request of a read failed, so that the next read may repeat it at once.
    pub(super) fn is_failed(&self, read: &QueryRead) -> bool {
        read.pages.last().is_some_and(|page| is_failure(self.request(page)))
    }

    pub(super) fn request(&self, page: &PageRequest) -> &Request {
        &self.requests[page.request]
    }

    /// The reads of each group of which the client received a page, in order.
    pub(super) fn polls(&self) -> impl Iterator<Item = Vec<&QueryRead>> {
        self.groups.iter().map(|group| {
            group.iter().map(|&at| &self.reads[at]).filter(|read| !read.delivered.is_empty()).collect::<Vec<_>>()
        })
    }
}

/// Whether pages by number are missing before the last one. Without the earlier part of the journal, the first pages may be
/// missing there.
fn skips_pages<'p>(delivered: impl Iterator<Item = &'p PageRequest>, is_whole: bool) -> bool {
    let by_number = |page: &PageRequest| match page.begin {
        PageStart::Skip(skip) => Some((skip, page.take as u64)),
        PageStart::At(_) => None,
    };
    let has_entries = |page: &&PageRequest| page.entries != Some(0);
    let mut pages: Vec<(u64, u64)> = delivered.filter(has_entries).filter_map(by_number).collect();
    pages.sort_unstable();
    let Some(&(first, _)) = pages.first() else { return false };
    let mut end = if is_whole { 0 } else { first };
    pages.into_iter().any(|(skip, take)| {
        let starts_late = skip > end;
        end = end.max(skip.saturating_add(take));
        starts_late
    })
}

/// The number of entries of the page of a request, before faults.
fn entries_of(request: &Request) -> Option<usize> {
    if is_end(request) {
        return Some(0);
    }
    let page = request.page.as_deref()?;
    match (request.entries, request.change.entries) {
        // A fault has changed the number of entries.
        (Some(_), Some(_)) => Some(page.query.take),
        (Some(entries), _) => usize::try_from(entries).ok(),
        (None, _) => None,
    }
}

/// Whether the API refused a page with 413 because there is nothing on it.
fn is_end(request: &Request) -> bool {
    request.status == Some(413) && request.fault.is_none() && request.outcome == Outcome::Refused
}

impl GroupKey {
    fn of(api: Option<ApiName>, query: &PageQuery) -> Self {
        let Filter { kinds, agents, search } = &query.filter;
        Self {
            api,
            categories: query.categories,
            kinds: *kinds,
            agents: agents.iter().flatten().map(|agent| *agent as u8).collect(),
            search: search.clone(),
        }
    }
}

impl QueryRead {
    fn new(api: Option<ApiName>, query: &PageQuery, lag_ms: i64) -> Self {
        let PageQuery { asked, window, order, seen_at, snapshot, .. } = query;
        Self {
            api,
            asked: *asked,
            window: *window,
            seen_at: *seen_at,
            order: *order,
            snapshot: *snapshot,
            lag_ms,
            pages: Vec::new(),
            delivered: HashSet::default(),
            is_last_token_repeated: false,
            end: ReadEnd::Ahead,
            skips_pages: false,
            reached: None,
        }
    }

    fn push(&mut self, nth: usize, request: &Request, query: &PageQuery) {
        let PageQuery { begin, take, .. } = query;
        if begin.is_first() && !self.delivered.contains(begin) {
            (self.asked, self.window, self.seen_at, self.snapshot) =
                (query.asked, query.window, query.seen_at, query.snapshot);
        }
        let is_delivered = request.delivered().is_some() || is_end(request);
        if is_delivered {
            self.delivered.insert(*begin);
        }
        self.is_last_token_repeated = request.change.is_token_repeated;
        let entries = entries_of(request);
        self.pages.push(PageRequest { request: nth, begin: *begin, take: *take, entries, is_delivered });
    }

    /// Whether a request for the first page repeats one of this read that failed, with the same window or one that has
    /// moved with the time.
    fn is_repeated_by(&self, query: &PageQuery) -> bool {
        let firsts = [PageStart::At(Position::default()), PageStart::Skip(0)];
        if firsts.iter().any(|first| self.delivered.contains(first)) {
            // A fault sent the client back to the first page.
            return self.is_last_token_repeated && self.is_continued_by(query);
        }
        self.has_window_of(query.asked, query.seen_at)
    }

    /// Whether a request for another page can belong to this read. A page token has the window and the time of the first
    /// page; a page number has those of its own request.
    fn is_continued_by(&self, query: &PageQuery) -> bool {
        match query.begin {
            PageStart::At(_) => {
                (self.window, self.seen_at, self.snapshot) == (query.window, query.seen_at, query.snapshot)
            }
            PageStart::Skip(_) => self.has_window_of(query.asked, query.seen_at),
        }
    }

    /// Whether a window is that of this read, apart from the time that has passed.
    pub(super) fn has_window_of(&self, asked: Window, seen_at: Millis) -> bool {
        let ends_now = asked.to.0 >= seen_at.0 - NOW_TOLERANCE_MS;
        let length_ms = |window: Window| window.to.0 - window.from.0;
        let is_from_same =
            self.asked.from == asked.from || (length_ms(self.asked) - length_ms(asked)).abs() <= LENGTH_TOLERANCE_MS;
        is_from_same && (self.asked.to == asked.to || self.ends_now() && ends_now)
    }

    /// Whether the window ends now, as that of a poll does.
    pub(super) fn ends_now(&self) -> bool {
        self.asked.to.0 >= self.seen_at.0 - NOW_TOLERANCE_MS
    }

    /// Whether the window ends now or, for a client that leaves out what may come late, the lag before now.
    pub(super) fn is_poll(&self) -> bool {
        let settled = self.seen_at.0 - self.lag_ms;
        self.ends_now() || (self.asked.to.0 - settled).abs() <= NOW_TOLERANCE_MS
    }

    /// Whether the client has received a page that is not full.
    fn has_end(&self) -> bool {
        self.pages.iter().any(|page| page.is_delivered && page.entries.is_some_and(|entries| entries < page.take))
    }

    /// Whether the client can choose a window.
    pub(super) fn has_window(&self) -> bool {
        !self.api.is_some_and(ApiName::has_no_window)
    }

    /// The requested window, without what the retention hides at its start. Both ends are included.
    pub(super) fn covered(&self) -> (Millis, Millis) {
        (self.asked.from.min(self.window.from), self.past().to)
    }

    /// The same as [`PageQuery::past`].
    fn past(&self) -> Window {
        self.window.until(self.seen_at)
    }

    /// The part of the window that the client received, both ends included.
    pub(super) fn received(&self) -> (Millis, Millis) {
        let Window { from, to } = self.past();
        match (self.end == ReadEnd::Seen, self.reached, self.order) {
            (true, ..) => (from, to),
            // Other events of the last millisecond may be on the next page.
            (false, Some(reached), Order::NewestFirst) => (Millis(reached.0 + 1), to),
            (false, Some(reached), Order::OldestFirst) => (from, Millis(reached.0 - 1)),
            (false, None, _) => (to, Millis(to.0 - 1)),
        }
    }

    /// The part of the window that the client did not receive, both ends included.
    pub(super) fn unread(&self) -> (Millis, Millis) {
        let Window { from, to } = self.past();
        let (first, last) = self.received();
        match self.order {
            Order::NewestFirst => (from, Millis(first.0 - 1)),
            Order::OldestFirst => (Millis(last.0 + 1), to),
        }
    }
}

/// Whether a response is a failure that a client should repeat: a 5xx, or a response that is cut or cannot be read.
pub(super) fn is_failure(request: &Request) -> bool {
    match request.status {
        _ if request.outcome == Outcome::Abandoned => false,
        None | Some(500..) => true,
        Some(200) => request.outcome == Outcome::Cut || request.change.is_broken,
        Some(_) => false,
    }
}

/// Whether the client could know the result of a request when it sent another one.
pub(super) fn knew(request: &Request, earlier: &Request) -> bool {
    earlier.number <= request.arrived_after
}
