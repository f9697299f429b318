//! The companies that accounts asked for lately.
//!
//! A world takes some ten microseconds to make and some ten kilobytes to keep, so an account has none of its own: those
//! that were used last are kept for all. Accounts of the same config share one.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::world::{World, WorldConfig};

/// How many worlds a server keeps.
const MAX_WORLDS: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Worlds(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Each with the number of its last use.
    worlds: HashMap<WorldConfig, (u64, Arc<World>)>,
    uses: u64,
}

impl Worlds {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().worlds.len()
    }

    /// The world of a config.
    pub(crate) fn of(&self, config: WorldConfig) -> Arc<World> {
        let mut kept = self.0.lock();
        kept.uses += 1;
        let use_ = kept.uses;
        if let Some((last_use, world)) = kept.worlds.get_mut(&config) {
            *last_use = use_;
            return world.clone();
        }
        drop(kept);
        // Made without the lock: two may make the same world at once, and it is the same.
        let world = Arc::new(World::new(config));
        let mut kept = self.0.lock();
        kept.worlds.insert(config, (use_, world.clone()));
        if kept.worlds.len() > MAX_WORLDS
            && let Some(oldest) =
                kept.worlds.iter().min_by_key(|(_, (last_use, _))| *last_use).map(|(&config, _)| config)
        {
            kept.worlds.remove(&oldest);
        }
        world
    }
}
