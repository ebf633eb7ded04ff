//! Writing: the next entry is made by put-if-absent, which is a compare-and-swap on the head. Whoever loses reads
//! what the other wrote, and decides again.

use std::io;

use vcycle_money::book::Sealed;
use vcycle_money::{Author, Book, Entry, Event};

use super::error::LedgerError;
use super::files::Files;
use super::open::From;
use super::state::State;
use crate::store::error::at;
use crate::store::{Mode, Proof, PutOutcome, StatePath, StoreError, layout};

/// How often others may be quicker. Each time one of them has got through.
const TRIES: u32 = 200;

/// How often a block may be packed while an entry is written into it.
const MOVES: u32 = 2;

/// How often the same entry is put again after an error: the same bytes are ours whenever they arrived.
const PUTS: u32 = 3;

/// In whose name an entry is written, and what must still hold when it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// The owner of a space.
    Owner(&'a Proof<'a>),
    /// Somebody else.
    Other(&'a Author),
}

impl By<'_> {
    fn author(self) -> Author {
        match self {
            Self::Owner(proof) => Author::Owner {
                manager: proof.manager().clone(),
                space: proof.space().clone(),
                generation: proof.generation(),
            },
            Self::Other(author) => author.clone(),
        }
    }

    /// Just before the entry is put.
    async fn allow(self) -> Result<(), StoreError> {
        match self {
            Self::Owner(proof) => proof.allow().await,
            Self::Other(_) => Ok(()),
        }
    }
}

/// What became of an entry.
enum Put {
    /// It stands.
    Ours,
    /// Another stands in its place.
    Theirs,
    /// Its block is over and packed: we were away for long.
    Packed,
}

impl Files {
    /// Brings the state to the end of the log.
    pub(super) async fn refresh(&self, state: &mut State) -> Result<(), LedgerError> {
        if state.is_open {
            match self.follow(state).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(LedgerError::Damaged(damaged)) => {
                    tracing::debug!(%damaged, "the ledger is read anew");
                }
                Err(other) => return Err(other),
            }
        }
        let read = self.open(From::Checkpoint).await?;
        if read.state.next() < state.next() {
            // Kept for display: it was true.
            state.is_open = false;
            return Err(read.damaged.unwrap_or_else(|| state.vanished(self, &read.state)).into());
        }
        *state = read.state;
        read.damaged.map_or(Ok(()), |damaged| Err(damaged.into()))
    }

    /// Appends what `decide` makes of the book as it then is; `None`: nothing. It is asked again when others were
    /// quicker.
    pub(super) async fn append(
        &self,
        state: &mut State,
        by: By<'_>,
        decide: &mut (dyn FnMut(&Book) -> Result<Vec<Event>, LedgerError> + Send),
    ) -> Result<Option<u64>, LedgerError> {
        let mut moved = 0;
        for _ in 0..TRIES {
            self.refresh(state).await?;
            let events = decide(&state.book)?;
            if events.is_empty() {
                return Ok(None);
            }
            let (sealed, bytes) = state.book.head().seal(self.entry(by.author(), events));
            let mut next = Book::clone(&state.book);
            next.apply(&sealed)?;
            if self.is_behind(state).await? {
                // One of them is missing, or we have an old look at it: reading anew tells.
                state.is_open = false;
                continue;
            }
            by.allow().await?;
            match self.put(state, &sealed, &bytes).await? {
                Put::Ours => {
                    state.accept(self, &sealed, next)?;
                    self.mark(state).await;
                    return Ok(Some(sealed.entry().number));
                }
                Put::Theirs => {}
                Put::Packed if moved < MOVES => {
                    moved += 1;
                    state.is_open = false;
                }
                Put::Packed => return Err(self.homeless(state).into()),
            }
        }
        Err(LedgerError::Busy)
    }

    /// Whether there are later entries in the block than the next one, which was not there when it was looked for.
    async fn is_behind(&self, state: &State) -> Result<bool, LedgerError> {
        let next = state.next();
        if self.is_first(next) {
            return Ok(false);
        }
        let dir = layout::ledger_block(self.block_of(next), &state.attempt);
        Ok(self.numbers_in(&dir).await?.last().is_some_and(|last| *last > next))
    }

    /// Notes outside of the ledger that there is one, once in the life of a process. A crash before that, or a failure, leaves
    /// it to the next.
    async fn mark(&self, state: &mut State) {
        if state.is_marked {
            return;
        }
        let note = serde_json::json!({ "format": 1, "noted": self.store.clock().now() });
        let note = note.to_string().into_bytes();
        let path = layout::ledger_begun();
        let put = self.store.fs().put_if_absent(&path, &note, Mode::Public);
        match put.await {
            Ok(PutOutcome::Ours | PutOutcome::Theirs) => state.is_marked = true,
            Err(error) => {
                tracing::debug!(%path, %error, "that the ledger was begun is noted later")
            }
        }
    }

    fn entry(&self, by: Author, events: Vec<Event>) -> Entry {
        Entry {
            // These three are put in by the seal.
            format: 0,
            number: 0,
            previous: String::new(),
            at: self.store.clock().now(),
            by,
            attempt: uuid::Uuid::new_v4().simple().to_string()[..16].to_owned(),
            events,
        }
    }

    async fn put(&self, state: &State, sealed: &Sealed, bytes: &[u8]) -> Result<Put, LedgerError> {
        let entry = sealed.entry();
        let path = state.next_path(self);
        let own = if self.is_first(entry.number) {
            let dir = self.directory_of(entry)?;
            self.store.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
            Some(dir)
        } else {
            None
        };
        let put = self.put_surely(&path, bytes).await?;
        if let (Put::Theirs, Some(dir)) = (&put, own)
            && let Err(error) = self.store.fs().remove(&dir).await
        {
            tracing::debug!(%dir, %error, "an empty directory stays until its block is packed");
        }
        Ok(put)
    }

    /// Puts an entry, and finds out what became of it. After an error of this it may still arrive.
    async fn put_surely(&self, path: &StatePath, bytes: &[u8]) -> Result<Put, LedgerError> {
        let dir = path.parent().unwrap_or_else(layout::ledger_log);
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.store.fs().put_if_absent(path, bytes, Mode::Public).await {
                Ok(PutOutcome::Ours) => return Ok(Put::Ours),
                Ok(PutOutcome::Theirs) => {
                    // So that the next read is of what is there: an old look said that nothing was.
                    let _ = self.store.fs().list(&dir).await;
                    return Ok(Put::Theirs);
                }
                Err(error) => error,
            };
            let names = self.store.fs().list(&dir).await;
            match self.store.fs().read(path).await {
                Ok(there) if there == bytes => return Ok(Put::Ours),
                Ok(_) => return Ok(Put::Theirs),
                Err(_) if error.kind() == io::ErrorKind::NotFound && is_empty(&names) => {
                    return Ok(Put::Packed);
                }
                Err(_) if tries < PUTS => {}
                Err(_) => return Err(at("append to the ledger", path)(error).into()),
            }
        }
    }
}

fn is_empty(names: &io::Result<Vec<String>>) -> bool {
    names.as_ref().is_ok_and(Vec::is_empty)
}
