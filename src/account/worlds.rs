//! A cache of the worlds of recently used accounts.
//!
//! A world takes about ten microseconds to create and about ten kilobytes of memory, so accounts do not own their
//! worlds. The server caches the most recently used ones, and accounts with the same configuration share one.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::world::{World, WorldConfig};

/// The maximum number of cached worlds.
const MAX_WORLDS: usize = 256;

/// The cache, see the module.
#[derive(Debug, Default)]
pub(crate) struct Worlds(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    /// Each world with the number of its last use.
    worlds: HashMap<WorldConfig, (u64, Arc<World>)>,
    uses: u64,
}

impl Worlds {
    /// The number of cached worlds.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().worlds.len()
    }

    /// The world of a configuration.
    pub(crate) fn of(&self, config: WorldConfig) -> Arc<World> {
        let mut cache = self.0.lock();
        cache.uses += 1;
        let use_number = cache.uses;
        if let Some((last_use, world)) = cache.worlds.get_mut(&config) {
            *last_use = use_number;
            return world.clone();
        }
        drop(cache);
        // Created without holding the lock. Two threads may create the same world at once; the results are equal.
        let world = Arc::new(World::new(config));
        let mut cache = self.0.lock();
        cache.worlds.insert(config, (use_number, world.clone()));
        if cache.worlds.len() > MAX_WORLDS
            && let Some(oldest) =
                cache.worlds.iter().min_by_key(|(_, (last_use, _))| *last_use).map(|(&config, _)| config)
        {
            cache.worlds.remove(&oldest);
        }
        world
    }
}
