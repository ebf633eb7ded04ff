//! Reading: from the newest checkpoint that can be used, over whole blocks, to the last entry; and from there on one
//! entry after the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, stream};
use vcycle_money::Book;
use vcycle_money::book::verify::sha256;

use super::error::{Damaged, LedgerError};
use super::files::{Files, Listed};
use super::state::State;
use crate::store::{StatePath, layout};

/// Files that are read at once: enough to hide the latency of a file server.
const PARALLEL: usize = 32;

/// How often it is read anew because a block was packed meanwhile.
const TRIES: u32 = 3;

/// A reading that came to its end, or to a damage: what is before it is known all the same.
pub(super) struct Read {
    pub(super) state: State,
    pub(super) damaged: Option<Damaged>,
}

/// Where a reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The newest checkpoint that can be used.
    Checkpoint,
    /// The first entry.
    Beginning,
}

impl Files {
    /// Reads the whole ledger. What looks like a damage is read again: blocks are packed while others read them.
    pub(super) async fn open(&self, from: From) -> Result<Read, LedgerError> {
        let mut last = None;
        for _ in 0..TRIES {
            let mut state = match from {
                From::Checkpoint => self.newest_checkpoint().await?,
                From::Beginning => State::default(),
            };
            match self.catch_up(&mut state).await {
                Ok(()) => {
                    let is_lost = state.book.head().number == 0
                        && self.read(&layout::ledger_begun()).await?.is_some();
                    if is_lost {
                        return Ok(Read { state, damaged: Some(Self::lost()) });
                    }
                    state.is_open = true;
                    return Ok(Read { state, damaged: None });
                }
                Err(LedgerError::Damaged(damaged)) => {
                    last = Some(Read { state, damaged: Some(damaged) });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(last.expect("each try that did not return left this"))
    }

    /// Reads what others have written since. `false`: what follows is not where it was; open it anew.
    pub(super) async fn follow(&self, state: &mut State) -> Result<bool, LedgerError> {
        loop {
            let path = state.next_path(self);
            let Some(bytes) = self.read(&path).await? else { break };
            state.take(self, &path, &bytes)?;
        }
        let listed = self.listed().await?;
        Ok(!self.has_later(state, &listed).await?)
    }

    /// The newest checkpoint that can be used, or the beginning. Those that cannot are told.
    async fn newest_checkpoint(&self) -> Result<State, LedgerError> {
        let mut state = State::default();
        let numbers = self.numbers_in(&layout::ledger_checkpoints()).await?;
        for number in numbers.into_iter().rev().filter(|number| number.is_multiple_of(self.block)) {
            let path = layout::ledger_checkpoint(number);
            let Some(bytes) = self.read(&path).await? else { continue };
            match Book::from_checkpoint(&bytes) {
                Ok(book) if book.head().number == number => {
                    state.book = Arc::new(book);
                    return Ok(state);
                }
                Ok(book) => state
                    .alarms
                    .push(told(&path, &format!("it is that of entry {}", book.head().number))),
                Err(damage) => state.alarms.push(told(&path, &damage.to_string())),
            }
        }
        Ok(state)
    }

    async fn catch_up(&self, state: &mut State) -> Result<(), LedgerError> {
        let listed = self.listed().await?;
        let packed = self.packed().await?;
        self.must_follow(state, &packed).await?;
        while packed.contains(&self.block_of(state.next())) {
            self.read_pack(state, self.block_of(state.next())).await?;
        }
        while self.read_block(state).await? {}
        if self.has_later(state, &listed).await? {
            return Err(Self::missing(state, &state.next_path(self)).into());
        }
        Ok(())
    }

    /// Whether a checkpoint belongs to this log: the entry that it ends with, where it can be had, must be the one that
    /// it names. (If there is a next entry, it tells too.)
    async fn must_follow(&self, state: &State, packed: &BTreeSet<u64>) -> Result<(), LedgerError> {
        let head = state.book.head();
        if head.number == 0 || packed.contains(&self.block_of(head.number)) {
            return Ok(());
        }
        let first = layout::ledger_first(self.first_of(self.block_of(head.number)));
        let Some(attempt) = self.read(&first).await?.and_then(|bytes| attempt_in(&bytes)) else {
            return Ok(());
        };
        let path = self.path_of(head.number, &attempt);
        match self.read(&path).await? {
            Some(bytes) if sha256(&bytes) != head.hash => {
                let why = "it is not the entry that the checkpoint after it was made from";
                Err(Damaged { entry: head.number, path: path.to_string(), why: why.to_owned() }
                    .into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there are entries of later blocks than the last one that was read. (A directory that has nothing in it is that of
    /// an author who was not the first.)
    async fn has_later(&self, state: &State, listed: &Listed) -> Result<bool, LedgerError> {
        if listed.firsts.last().is_some_and(|newest| *newest >= state.next()) {
            return Ok(true);
        }
        let present = (state.next() - 1).checked_sub(1).map(|head| head / self.block);
        for name in &listed.directories {
            let block = name.split_once('-').and_then(|(block, _)| block.parse().ok());
            if block.is_none() || block <= present {
                continue;
            }
            if !self.numbers_in(&layout::ledger_log().join(name)).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A packed block, from the next entry on.
    async fn read_pack(&self, state: &mut State, block: u64) -> Result<(), LedgerError> {
        let path = layout::ledger_pack(block);
        let Some(bytes) = self.read(&path).await? else {
            return Err(Self::missing(state, &path).into());
        };
        let skipped = state.next() - self.first_of(block);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for line in lines.skip(usize::try_from(skipped).unwrap_or(usize::MAX)) {
            state.take(self, &path, line)?;
        }
        if self.block_of(state.next()) == block {
            return Err(Self::missing(state, &path).into());
        }
        Ok(())
    }

    /// The rest of the block that the next entry is in. `false`: there is nothing after it.
    async fn read_block(&self, state: &mut State) -> Result<bool, LedgerError> {
        let block = self.block_of(state.next());
        if self.is_first(state.next()) {
            let path = state.next_path(self);
            let Some(bytes) = self.read(&path).await? else { return Ok(false) };
            state.take(self, &path, &bytes)?;
        }
        let dir = layout::ledger_block(block, &state.attempt);
        let mut numbers = self.numbers_in(&dir).await?;
        numbers.retain(|number| *number >= state.next());
        let last = numbers.last().copied();
        let read = stream::iter(numbers).map(|number| {
            let path = layout::ledger_entry(&dir, number);
            async move { (number, self.read(&path).await, path) }
        });
        let mut read = std::pin::pin!(read.buffered(PARALLEL));
        while let Some((number, bytes, path)) = read.next().await {
            let bytes = bytes?.filter(|_| number == state.next());
            let Some(bytes) = bytes else { break };
            state.take(self, &path, &bytes)?;
        }
        // What the listing does not show yet.
        while self.block_of(state.next()) == block {
            let path = state.next_path(self);
            let Some(bytes) = self.read(&path).await? else { break };
            state.take(self, &path, &bytes)?;
        }
        if last.is_some_and(|last| last >= state.next()) {
            return Err(Self::missing(state, &state.next_path(self)).into());
        }
        Ok(self.block_of(state.next()) != block)
    }

    fn missing(state: &State, path: &StatePath) -> Damaged {
        let why = "it is missing, and there are later ones".to_owned();
        Damaged { entry: state.next(), path: path.to_string(), why }
    }
}

fn told(path: &StatePath, why: &str) -> String {
    let told =
        format!("the checkpoint {path} of the ledger cannot be used: {why}; an older one is");
    tracing::warn!("{told}");
    told
}

/// The attempt of an entry that was read before: only to find its neighbours.
fn attempt_in(bytes: &[u8]) -> Option<String> {
    let line: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let attempt = line.get("entry")?.get("attempt")?.as_str()?;
    attempt.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| attempt.to_owned())
}
