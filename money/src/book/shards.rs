//! A sorted map in shards that copies share: a copy costs a pointer for each shard, and a change copies one shard. So an
//! entry can be tried on a copy of the whole book, and planners can look at a book that stands still.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A key that says in which shard it lives. Shards are in the order of keys.
pub(super) trait Sharded: Ord + Clone {
    /// Never smaller for a greater key.
    fn shard(&self) -> i64;
}

/// The map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shards<K, V>(BTreeMap<i64, Arc<BTreeMap<K, V>>>);

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Sharded, V: Clone> Shards<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(&key.shard())?.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        Arc::make_mut(self.0.entry(key.shard()).or_default()).insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let shard = self.0.get_mut(&key.shard())?;
        // Not copied for nothing.
        shard.get(key)?;
        let value = Arc::make_mut(shard).remove(key);
        if shard.is_empty() {
            self.0.remove(&key.shard());
        }
        value
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.values().flat_map(|shard| shard.iter())
    }

    /// From one key to another, both inside.
    pub(super) fn range(&self, keys: RangeInclusive<K>) -> impl Iterator<Item = (&K, &V)> {
        let shards = keys.start().shard()..=keys.end().shard();
        // An interval that is turned round has nothing in it; `BTreeMap` would panic.
        let shards = (keys.start() <= keys.end()).then(|| self.0.range(shards));
        shards.into_iter().flatten().flat_map(move |(_, shard)| shard.range(keys.clone()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(|shard| shard.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sharded for i64 {
        fn shard(&self) -> i64 {
            self.div_euclid(4)
        }
    }

    #[test]
    fn it_is_a_sorted_map_and_a_copy_stands_still() {
        let mut shards = Shards::default();
        for key in [9_i64, -3, 4, 0, 5, 3] {
            shards.insert(key, key * 10);
        }
        let before = shards.clone();
        assert_eq!(shards.remove(&4), Some(40));
        assert_eq!((shards.remove(&4), shards.get(&4), before.get(&4)), (None, None, Some(&40)));
        let keys = |shards: &Shards<i64, i64>| shards.iter().map(|(k, _)| *k).collect::<Vec<_>>();
        assert_eq!((keys(&before), before.len()), (vec![-3, 0, 3, 4, 5, 9], 6));
        assert_eq!((keys(&shards), shards.len()), (vec![-3, 0, 3, 5, 9], 5));
        assert_eq!(before.range(0..=4).map(|(k, _)| *k).collect::<Vec<_>>(), [0, 3, 4]);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let turned = before.range(4..=0);
        assert_eq!(turned.count(), 0);
    }
}
