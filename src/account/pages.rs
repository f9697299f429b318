//! A cache of rendered pages.
//!
//! Events are numbered from the start of their category, and [`CHUNK`] consecutive events are rendered together, newest
//! first. A page without a filter is a slice of at most two chunks, regardless of its window. The cache key covers
//! everything that the rows depend on: the seed and the number of devices of the account, and the row format of its
//! profile. Cached chunks therefore never become invalid, and all accounts of a server share them. A response that is
//! still being sent keeps its chunks alive after their eviction.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::profile::RowFormat;
use crate::world::{Category, Event, Millis, Record, World};

/// The number of events in a chunk.
pub(crate) const CHUNK: u64 = 256;
/// The maximum size of the cache, in bytes of rendered events.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// The page cache, see the module.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    chunks: Mutex<Chunks>,
}

#[derive(Debug, Default)]
struct Chunks {
    ready: HashMap<ChunkKey, Arc<Chunk>>,
    /// The keys of `ready`, in the order of insertion.
    order: VecDeque<ChunkKey>,
    bytes: usize,
}

/// The key of a chunk: which events of which world, in which row format.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct ChunkKey {
    seed: u64,
    devices: u32,
    row_format: RowFormat,
    category: Category,
    number: u64,
}

/// Appends a rendered row.
type Render = fn(&Record, RowFormat, &mut Vec<u8>);

/// Consecutive events, rendered newest first and separated by commas.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// The range of each event in `bytes`, newest first.
    places: Vec<Range<u32>>,
}

impl PageCache {
    /// Appends the events at `places` of a category, newest first and separated by commas. Rendered bytes are not
    /// copied.
    pub(crate) fn append(
        &self,
        world: &World,
        (category, places): (Category, Range<u64>),
        hint: Millis,
        (row_format, render): (RowFormat, Render),
        into: &mut Vec<Bytes>,
    ) {
        let mut end = places.end;
        while end > places.start {
            let number = (end - 1) / CHUNK;
            let first = number * CHUNK;
            let start = places.start.max(first);
            // The lag changes when events become visible, not their rows.
            let (seed, devices) = (world.config().seed, world.config().devices);
            let chunk = self.chunk(world, ChunkKey { seed, devices, row_format, category, number }, hint, render);
            if end < places.end {
                into.push(Bytes::from_static(b","));
            }
            into.push(chunk.slice(start - first, end - first));
            end = start;
        }
    }

    fn chunk(&self, world: &World, key: ChunkKey, hint: Millis, render: Render) -> Arc<Chunk> {
        if let Some(chunk) = self.lock().ready.get(&key) {
            return chunk.clone();
        }
        // Rendered without holding the lock. Two threads may render a chunk at once; the results are equal.
        let ChunkKey { row_format, category, number, .. } = key;
        let events = world.slice(category, number * CHUNK..(number + 1) * CHUNK, hint);
        let chunk = Arc::new(Chunk::new(world, &events, row_format, render));
        self.lock().insert(key, chunk.clone());
        chunk
    }

    /// The size of the cache, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock()
    }
}

impl Chunks {
    fn insert(&mut self, key: ChunkKey, chunk: Arc<Chunk>) {
        self.bytes += chunk.bytes.len();
        if let Some(replaced) = self.ready.insert(key, chunk) {
            self.bytes -= replaced.bytes.len();
            return;
        }
        self.order.push_back(key);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.ready.remove(&oldest).map_or(0, |chunk| chunk.bytes.len());
        }
    }
}

impl Chunk {
    fn new(world: &World, events: &[Event], row_format: RowFormat, render: Render) -> Self {
        let mut bytes = Vec::with_capacity(events.len() * 256);
        let mut places = Vec::with_capacity(events.len());
        // The size of a chunk of 256 events is far below 4 GiB.
        let place = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for event in events.iter().rev() {
            if !bytes.is_empty() {
                bytes.push(b',');
            }
            let start = place(&bytes);
            render(&world.render(event), row_format, &mut bytes);
            places.push(start..place(&bytes));
        }
        Self { bytes: bytes.into_boxed_slice().into(), places }
    }

    /// The events in the range `from..to`, counted from the oldest event of the chunk.
    fn slice(&self, from: u64, to: u64) -> Bytes {
        // Both numbers are at most `CHUNK`.
        let newest_first = |oldest_first: u64| self.places.len() - usize::try_from(oldest_first).unwrap_or(usize::MAX);
        let (newest, oldest) = (newest_first(to), newest_first(from) - 1);
        self.bytes.slice(self.places[newest].start as usize..self.places[oldest].end as usize)
    }
}
