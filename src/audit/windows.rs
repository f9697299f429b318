//! The windows that requests asked for, for a sweep over the events in the order of time.

use std::collections::BTreeSet;

use crate::{
    account::listing::PageQuery,
    world::{Millis, Window},
};

/// The windows of pages, for an instant that only advances. Pages are named by their indexes.
pub(super) struct Windows {
    /// The readable windows.
    pub(super) readable: OpenWindows,
    /// The parts of the requested windows that the retention hides.
    pub(super) hidden: OpenWindows,
}

/// A page: the time at which its query was read, and its index. Orders by time.
type Page = (Millis, usize);

/// Windows, and those of them that contain an instant, which only advances.
pub(super) struct OpenWindows {
    /// The starts, in order.
    starts: Vec<(Millis, Page)>,
    /// The ends, included, in order.
    ends: Vec<(Millis, Page)>,
    started: usize,
    ended: usize,
    /// The pages whose windows contain the instant.
    pub(super) open: BTreeSet<Page>,
}

impl Windows {
    pub(super) fn new<'q>(queries: impl Iterator<Item = &'q PageQuery> + Clone) -> Self {
        let page = |(nth, query): (usize, &PageQuery)| (query.seen_at, nth);
        let readable = queries.clone().enumerate().map(|query| (query.1.past(), page(query)));
        let hidden = queries.enumerate().map(|query| {
            let PageQuery { asked, window, .. } = query.1;
            (Window { from: asked.from, to: Millis(window.from.0 - 1).min(asked.to) }, page(query))
        });
        Self { readable: OpenWindows::new(readable), hidden: OpenWindows::new(hidden) }
    }

    pub(super) fn advance(&mut self, at: Millis) {
        self.readable.advance(at);
        self.hidden.advance(at);
    }

    /// The page whose window ends last before an instant that no window contains, and that whose window starts first
    /// after it.
    pub(super) fn around(&self, at: Millis) -> (Option<usize>, Option<usize>) {
        let OpenWindows { starts, ends, .. } = &self.readable;
        let before = ends.partition_point(|(to, _)| *to < at);
        let after = starts.partition_point(|(from, _)| *from <= at);
        let index = |(_, (_, nth)): &(Millis, Page)| *nth;
        (ends[..before].last().map(index), starts.get(after).map(index))
    }
}

impl OpenWindows {
    fn new(windows: impl Iterator<Item = (Window, Page)>) -> Self {
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for (window, page) in windows.filter(|(window, _)| window.from <= window.to) {
            starts.push((window.from, page));
            ends.push((window.to, page));
        }
        starts.sort_unstable();
        ends.sort_unstable();
        Self { starts, ends, started: 0, ended: 0, open: BTreeSet::new() }
    }

    fn advance(&mut self, at: Millis) {
        while let Some((_, page)) = self.starts.get(self.started).filter(|(from, _)| *from <= at) {
            self.open.insert(*page);
            self.started += 1;
        }
        while let Some((_, page)) = self.ends.get(self.ended).filter(|(to, _)| *to < at) {
            self.open.remove(page);
            self.ended += 1;
        }
    }
}
