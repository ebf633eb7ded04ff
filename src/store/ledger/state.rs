//! What one process knows of the ledger, and how entries that are read come into it.

use std::sync::Arc;

use vcycle_money::Book;
use vcycle_money::book::Sealed;

use super::error::Damaged;
use super::files::Files;
use crate::store::{StatePath, layout};

/// What one process knows.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// After the last entry that was read or written.
    pub(super) book: Arc<Book>,
    /// The `attempt` of the first entry of the block that the head is in.
    pub(super) attempt: String,
    /// The book at the end of the last block, if it may have no checkpoint yet.
    pub(super) due: Option<Arc<Book>>,
    /// It was opened: from now on entries are read one after the other.
    pub(super) is_open: bool,
    /// That there is a ledger is noted outside of it.
    pub(super) is_marked: bool,
    /// What people should know: checkpoints that cannot be used.
    pub(super) alarms: Vec<String>,
}

impl State {
    /// The number of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.book.head().number + 1
    }

    /// Where the next entry lies.
    pub(super) fn next_path(&self, files: &Files) -> StatePath {
        files.path_of(self.next(), &self.attempt)
    }

    /// Takes the bytes of the next entry.
    pub(super) fn take(
        &mut self,
        files: &Files,
        path: &StatePath,
        bytes: &[u8],
    ) -> Result<(), Damaged> {
        let damaged = |why: String| Damaged { entry: self.next(), path: path.to_string(), why };
        let sealed = self.book.head().open(bytes).map_err(|damage| damaged(damage.to_string()))?;
        let mut book = Book::clone(&self.book);
        book.apply(&sealed).map_err(|violation| damaged(violation.to_string()))?;
        self.accept(files, &sealed, book)
    }

    /// The book with the next entry, which is in the log.
    pub(super) fn accept(
        &mut self,
        files: &Files,
        sealed: &Sealed,
        book: Book,
    ) -> Result<(), Damaged> {
        let entry = sealed.entry();
        if files.is_first(entry.number) {
            files.directory_of(entry)?;
            self.attempt.clone_from(&entry.attempt);
        }
        self.book = Arc::new(book);
        if entry.number.is_multiple_of(files.block) {
            self.due = Some(Arc::clone(&self.book));
        }
        Ok(())
    }
}

impl State {
    /// Entries that this process has read or written are not there any more.
    pub(super) fn vanished(&self, files: &Files, read: &Self) -> Damaged {
        Damaged {
            entry: read.next(),
            path: read.next_path(files).to_string(),
            why: format!(
                "this manager has read the ledger up to entry {}: was the state directory restored from a backup?",
                self.book.head().number
            ),
        }
    }
}

impl Files {
    /// Nothing is there, and there was something once.
    pub(super) fn lost() -> Damaged {
        let why = format!(
            "there was a ledger, and nothing of it is left: bring {} back from a backup. (To begin anew with nothing spent, remove {})",
            layout::ledger(),
            layout::ledger_begun(),
        );
        Damaged { entry: 1, path: layout::ledger_log().to_string(), why }
    }

    /// The next entry has no place.
    pub(super) fn homeless(&self, state: &State) -> Damaged {
        let path = state.next_path(self);
        let why = "the directory of its block is missing, and the block is not packed".to_owned();
        Damaged { entry: state.next(), path: path.to_string(), why }
    }
}
