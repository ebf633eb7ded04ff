//! Keeping the ledger small and quick: checkpoints, and packs of blocks that are long over. Nothing here changes what
//! the ledger says, and whatever fails is tried again after the next block.

use std::time::Duration;

use vcycle_money::book::Head;

use super::error::{Damaged, LedgerError};
use super::files::Files;
use super::state::State;
use crate::model::Timestamp;
use crate::store::error::at;
use crate::store::{Mode, PutOutcome, StatePath, layout};

/// Checkpoints that are kept.
const KEPT: usize = 3;
/// A block is packed when so many are after it ...
const LATER_BLOCKS: u64 = 2;
/// ... and its last entry is so much older than the head.
const AGE: Duration = Duration::from_secs(86_400);
/// Blocks that are packed at once: the author of an entry waits for it.
const PACKED_AT_ONCE: usize = 4;
/// Directories that are being removed.
const REMOVED: &str = "removed-";

impl Files {
    /// After an entry of ours, at the end of a block: writes the checkpoint, removes old ones, packs old blocks.
    pub(super) async fn keep(&self, state: &mut State) {
        let Some(book) = state.due.take() else { return };
        let kept = async {
            self.write_checkpoint(book.head().number, || book.checkpoint()).await?;
            self.pack_old(state.book.head().number, state.book.at()).await
        };
        if let Err(problem) = kept.await {
            tracing::warn!(%problem, "the ledger could not be tidied up; it is tried again after the next block");
        }
    }

    async fn write_checkpoint(
        &self,
        number: u64,
        content: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), LedgerError> {
        let dir = layout::ledger_checkpoints();
        self.store.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
        let mut numbers = self.numbers_in(&dir).await?;
        if numbers.insert(number) {
            let path = layout::ledger_checkpoint(number);
            let put = self.store.fs().put_if_absent(&path, &content(), Mode::Public).await;
            put.map_err(at("make", &path))?;
        }
        for old in numbers.into_iter().rev().skip(KEPT) {
            let path = layout::ledger_checkpoint(old);
            self.store.fs().remove(&path).await.map_err(at("remove", &path))?;
        }
        Ok(())
    }

    async fn pack_old(&self, head: u64, now: Timestamp) -> Result<(), LedgerError> {
        let listed = self.listed().await?;
        let packed = self.packed().await?;
        let mut left = PACKED_AT_ONCE;
        for name in &listed.directories {
            let Some((block, attempt)) = name.split_once('-') else { continue };
            let Ok(block) = block.parse::<u64>() else {
                // A removal that was interrupted.
                if name.starts_with(REMOVED) {
                    self.remove(&layout::ledger_log().join(name)).await?;
                }
                continue;
            };
            if block + LATER_BLOCKS > self.block_of(head) || left == 0 {
                continue;
            }
            if packed.contains(&block) || self.pack(block, now).await? {
                left -= 1;
                self.remove_block(block, attempt).await?;
            }
        }
        Ok(())
    }

    /// Packs a block if it is old enough. `false`: it is not.
    async fn pack(&self, block: u64, now: Timestamp) -> Result<bool, LedgerError> {
        let first = layout::ledger_first(self.first_of(block));
        let Some(mut content) = self.read(&first).await? else { return Ok(false) };
        let damaged = |number: u64, path: &StatePath, why: String| Damaged {
            entry: number,
            path: path.to_string(),
            why,
        };
        let (mut head, attempt) =
            beginning(&content).map_err(|why| damaged(self.first_of(block), &first, why))?;
        let mut last = Timestamp::default();
        for number in self.first_of(block)..self.first_of(block + 1) {
            let path = self.path_of(number, &attempt);
            // What is missing is found by whoever opens the ledger.
            let Some(bytes) = self.read(&path).await? else { return Ok(false) };
            let sealed =
                head.open(&bytes).map_err(|why| damaged(number, &path, why.to_string()))?;
            last = sealed.entry().at;
            head = sealed.head().clone();
            if !self.is_first(number) {
                content.extend(bytes);
            }
        }
        if last + AGE > now {
            return Ok(false);
        }
        let dir = layout::ledger_packed();
        self.store.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
        let path = layout::ledger_pack(block);
        let put = self.store.fs().put_if_absent(&path, &content, Mode::Public).await;
        // Whoever packs it puts the same.
        Ok(put.map_err(at("make", &path))? == PutOutcome::Ours)
    }

    /// Removes the directory of a packed block: first its name, so that nobody puts anything into it any more.
    async fn remove_block(&self, block: u64, attempt: &str) -> Result<(), LedgerError> {
        let dir = layout::ledger_block(block, attempt);
        let aside = layout::ledger_log().join(&format!("{REMOVED}{block:06}-{attempt}"));
        self.store.fs().rename(&dir, &aside).await.map_err(at("rename", &dir))?;
        self.remove(&aside).await
    }

    async fn remove(&self, path: &StatePath) -> Result<(), LedgerError> {
        Ok(self.store.fs().remove(path).await.map_err(at("remove", path))?)
    }
}

/// What the first entry of a block follows, by its own word, and its attempt. The entry after the block tells whether
/// the chain goes on.
fn beginning(first: &[u8]) -> Result<(Head, String), String> {
    #[derive(serde::Deserialize)]
    struct Line {
        entry: Beginning,
    }
    #[derive(serde::Deserialize)]
    struct Beginning {
        number: u64,
        previous: String,
        attempt: String,
    }
    let Line { entry } = serde_json::from_slice(first).map_err(|error| error.to_string())?;
    let head = Head { number: entry.number.saturating_sub(1), hash: entry.previous };
    Ok((head, entry.attempt))
}
