//! The files of the ledger: where each entry lies, and what is there.
//!
//! Entries come in blocks. The first entry of each block lies in `log/` and stays for ever; the others lie in a directory
//! that is named after the first one's `attempt`. When a block is packed, its directory goes. So a process that slept
//! for days cannot write into a hole: a first entry's name is taken, and the directory for any other is gone and
//! will never be made again.

use std::collections::BTreeSet;
use std::io;

use vcycle_money::Entry;

use super::error::{Damaged, LedgerError};
use crate::store::error::at;
use crate::store::{StatePath, Store, StoreError, layout};

/// Entries in a block, and between checkpoints.
pub(super) const BLOCK: u64 = 1000;

/// How often a look at one file or directory is tried.
const TRIES: u32 = 3;

/// The files of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) store: Store,
    /// Entries in a block; fewer in tests.
    pub(super) block: u64,
}

/// What the listing of `log/` shows.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Numbers of first entries.
    pub(super) firsts: BTreeSet<u64>,
    /// Directories, by their names.
    pub(super) directories: BTreeSet<String>,
}

impl Files {
    /// The block that an entry is in.
    pub(super) fn block_of(&self, number: u64) -> u64 {
        (number - 1) / self.block
    }

    /// The number of the first entry of a block.
    pub(super) fn first_of(&self, block: u64) -> u64 {
        block * self.block + 1
    }

    pub(super) fn is_first(&self, number: u64) -> bool {
        self.first_of(self.block_of(number)) == number
    }

    /// Where an entry lies in the log. `attempt` is that of the first entry of its block; a first entry needs none.
    pub(super) fn path_of(&self, number: u64, attempt: &str) -> StatePath {
        if self.is_first(number) {
            return layout::ledger_first(number);
        }
        layout::ledger_entry(&layout::ledger_block(self.block_of(number), attempt), number)
    }

    /// The directory of the rest of the block that this entry begins.
    pub(super) fn directory_of(&self, first: &Entry) -> Result<StatePath, Damaged> {
        let block = self.block_of(first.number);
        match is_plain(&first.attempt) {
            true => Ok(layout::ledger_block(block, &first.attempt)),
            false => Err(Damaged {
                entry: first.number,
                path: layout::ledger_first(first.number).to_string(),
                why: format!("its attempt {:?} cannot be the name of a directory", first.attempt),
            }),
        }
    }

    /// What is in `log/`.
    pub(super) async fn listed(&self) -> Result<Listed, StoreError> {
        let dir = layout::ledger_log();
        let mut listed = Listed::default();
        for name in self.list(&dir).await? {
            match number_in(&name) {
                Some(number) => _ = listed.firsts.insert(number),
                None => _ = listed.directories.insert(name),
            }
        }
        Ok(listed)
    }

    /// The numbers of entries or checkpoints in a directory.
    pub(super) async fn numbers_in(&self, dir: &StatePath) -> Result<BTreeSet<u64>, StoreError> {
        let names = self.list(dir).await?;
        Ok(names.iter().filter_map(|name| number_in(name)).collect())
    }

    /// The blocks that are packed.
    pub(super) async fn packed(&self) -> Result<BTreeSet<u64>, StoreError> {
        let dir = layout::ledger_packed();
        let names = self.list(&dir).await?;
        let blocks = names.iter().filter_map(|name| name.strip_suffix(".jsonl")?.parse().ok());
        Ok(blocks.collect())
    }

    /// A file; `None`: it is not there, or is not seen yet.
    pub(super) async fn read(&self, path: &StatePath) -> Result<Option<Vec<u8>>, LedgerError> {
        match patiently(|| self.store.fs().read(path)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(at("read", path)(error).into()),
        }
    }

    async fn list(&self, dir: &StatePath) -> Result<Vec<String>, StoreError> {
        patiently(|| self.store.fs().list(dir)).await.map_err(at("list", dir))
    }
}

/// A look that fails is repeated: of thousands one may fail, and all would be done anew for it.
async fn patiently<T, F>(look: impl Fn() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    for _ in 1..TRIES {
        match look().await {
            Err(error) if !is_absent(&error) => {}
            answer => return answer,
        }
    }
    look().await
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn number_in(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok().filter(|number| *number > 0)
}

/// Whether it can be part of a name: it comes from a file.
fn is_plain(attempt: &str) -> bool {
    (1..=64).contains(&attempt.len()) && attempt.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vcycle_api::{ManualClock, Timestamp};

    use super::*;
    use crate::store::testing::MemoryFs;

    #[test]
    fn entries_have_their_places() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(0)));
        let store = Store::new(Arc::new(MemoryFs::new(clock.clone())), clock);
        let files = Files { store, block: BLOCK };
        let path = |number| files.path_of(number, "a1").to_string();
        assert_eq!(path(1), "ledger/log/0000000001.json");
        assert_eq!(path(2), "ledger/log/000000-a1/0000000002.json");
        assert_eq!(path(1000), "ledger/log/000000-a1/0000001000.json");
        assert_eq!(path(1001), "ledger/log/0000001001.json");
        assert_eq!(path(400_002), "ledger/log/000400-a1/0000400002.json");
        assert!(["", "..", "a/b", "a.b", &"a".repeat(65)].iter().all(|name| !is_plain(name)));
    }
}
