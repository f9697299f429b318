//! Ready bytes of pages that were asked for lately.
//!
//! Events are numbered from the beginning of their category, and [`CHUNK`] neighbours are rendered together, newest first.
//! A page without a filter is a slice of at most two chunks, whatever window it belongs to. The cache holds only what
//! follows from the seed and the shape of an account and from how its profile dresses rows, so it is never wrong, only full,
//! and all accounts of a server share it. An answer that is still being sent keeps its chunks alive beyond that.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::profile::RowFormat;
use crate::world::{Category, Event, Millis, Record, World};

/// How many events are rendered together.
pub(crate) const CHUNK: u64 = 256;
/// How many bytes of ready events a server keeps.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    chunks: Mutex<Chunks>,
}

#[derive(Debug, Default)]
struct Chunks {
    ready: HashMap<Address, Arc<Chunk>>,
    /// The keys of `ready`, in the order in which they were made.
    order: VecDeque<Address>,
    bytes: usize,
}

/// Which events, of which world, written how.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Address {
    seed: u64,
    devices: u32,
    row_format: RowFormat,
    category: Category,
    number: u64,
}

/// Appends a row.
type Render = fn(&Record, RowFormat, &mut Vec<u8>);

/// Neighbouring events, rendered newest first with commas between them.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// Where each event begins and ends in `bytes`, newest first.
    places: Vec<Range<u32>>,
}

impl PageCache {
    /// Appends the events at `places` of a category, newest first, with commas between them. Nothing is copied.
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
            // A lag changes when events are seen, not what they say.
            let (seed, devices) = (world.config().seed, world.config().devices);
            let chunk = self.chunk(world, Address { seed, devices, row_format, category, number }, hint, render);
            if end < places.end {
                into.push(Bytes::from_static(b","));
            }
            into.push(chunk.slice(start - first, end - first));
            end = start;
        }
    }

    fn chunk(&self, world: &World, address: Address, hint: Millis, render: Render) -> Arc<Chunk> {
        if let Some(chunk) = self.lock().ready.get(&address) {
            return chunk.clone();
        }
        // Made without the lock: two may make the same chunk at once, and it is the same.
        let Address { row_format, category, number, .. } = address;
        let events = world.slice(category, number * CHUNK..(number + 1) * CHUNK, hint);
        let chunk = Arc::new(Chunk::new(world, &events, row_format, render));
        self.lock().insert(address, chunk.clone());
        chunk
    }

    /// How many bytes are ready.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock()
    }
}

impl Chunks {
    fn insert(&mut self, key: Address, chunk: Arc<Chunk>) {
        self.bytes += chunk.bytes.len();
        if let Some(same) = self.ready.insert(key, chunk) {
            self.bytes -= same.bytes.len();
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
        // A chunk of 256 events stays far below 4 GiB.
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

    /// The events from one place to before another, counted from the oldest of the chunk.
    fn slice(&self, from: u64, to: u64) -> Bytes {
        // Both are at most `CHUNK`.
        let newest_first = |oldest_first: u64| self.places.len() - usize::try_from(oldest_first).unwrap_or(usize::MAX);
        let (newest, oldest) = (newest_first(to), newest_first(from) - 1);
        self.bytes.slice(self.places[newest].start as usize..self.places[oldest].end as usize)
    }
}
