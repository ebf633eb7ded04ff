//! The ledger: what was spent and is kept free, for all managers of the deployment. One log of entries in the state
//! directory, each made by put-if-absent on the number after the last; what it says is decided by the pure
//! [`Book`] (`money/src/book`). An entry that cannot be read or does not follow stops all reservations.

mod append;
mod error;
mod files;
mod keep;
mod open;
mod rules;
mod state;

use std::sync::{Arc, Mutex};

use vcycle_money::{Author, Book, Cap, Currency, Event, Refusal, ReleaseReason, Reservation};

pub use error::{Damaged, LedgerError};

use append::By;
use files::{BLOCK, Files};
use open::From;
use state::State;

use super::ownership::Fenced;
use super::{Proof, Store, locked};
use crate::model::{IntentToken, ManagerName};

/// A reservation that stands in the ledger. Only the ledger makes one: whoever has it may ask for the machine, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved and not asked for is to be released"]
pub struct Reserved {
    intent: IntentToken,
    entry: u64,
}

impl Reserved {
    /// For which intent.
    pub fn intent(&self) -> &IntentToken {
        &self.intent
    }

    /// The entry that made it.
    pub fn entry(&self) -> u64 {
        self.entry
    }
}

/// The ledger as one process sees it. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    files: Files,
    /// One writes at a time.
    state: tokio::sync::Mutex<State>,
    shown: Mutex<Shown>,
}

/// For whoever must not wait.
#[derive(Debug, Clone, Default)]
struct Shown {
    book: Arc<Book>,
    problem: Option<String>,
    alarms: Vec<String>,
}

impl Ledger {
    /// The ledger of a state directory. Does nothing yet.
    pub fn new(store: &Store) -> Self {
        Self::with_blocks(store, BLOCK)
    }

    /// With blocks of another length: for tests, where a thousand entries are many. All that share a state directory must
    /// have the same.
    pub(super) fn with_blocks(store: &Store, block: u64) -> Self {
        Self(Arc::new(Inner {
            files: Files { store: store.clone(), block },
            state: tokio::sync::Mutex::default(),
            shown: Mutex::default(),
        }))
    }

    /// The book as it was last read or written; empty before that. After a damage: the book before it.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&locked(&self.0.shown).book)
    }

    /// Why nothing can be reserved now; `None`: the last look was a success.
    pub fn problem(&self) -> Option<String> {
        locked(&self.0.shown).problem.clone()
    }

    /// What people should know beside: checkpoints that cannot be used.
    pub fn alarms(&self) -> Vec<String> {
        locked(&self.0.shown).alarms.clone()
    }

    /// Reads what others have written.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], or what the state directory said; the book stays as it was, or is the one before the
    /// damage.
    pub async fn refresh(&self) -> Result<Arc<Book>, LedgerError> {
        let mut state = self.0.state.lock().await;
        let refreshed = self.0.files.refresh(&mut state).await;
        self.show(&state, refreshed.as_ref().err());
        refreshed.map(|()| Arc::clone(&state.book))
    }

    /// Reserves a wave in one entry: the answers are in the order of the questions. What is refused does not keep the
    /// others back. An intent that is reserved already, in the same way, is.
    ///
    /// # Errors
    /// Then nothing is reserved; after [`LedgerError::Store`] it may be all the same, for nobody: as after a crash it is
    /// released by whoever finds a reservation without a record.
    pub async fn reserve(
        &self,
        proof: &Proof<'_>,
        wave: Vec<Reservation>,
    ) -> Result<Vec<Result<Reserved, Refusal>>, LedgerError> {
        rules::must_be_of(proof.space(), proof.generation(), &wave)?;
        let mut answers = Vec::new();
        let mut decide = |book: &Book| {
            if let Some(by) = book.generation(proof.space()).filter(|by| *by > proof.generation()) {
                let generation = proof.generation();
                return Err(LedgerError::Store(Fenced::Superseded { generation, by }.into()));
            }
            let (decided, events) = rules::wave(book, &wave);
            answers = decided;
            Ok(events)
        };
        let number = self.append(By::Owner(proof), &mut decide).await?;
        let reserved = |(reservation, answer): (&Reservation, Result<Option<u64>, Refusal>)| {
            answer.map(|before| Reserved {
                intent: reservation.intent,
                entry: before.or(number).unwrap_or_default(),
            })
        };
        Ok(wave.iter().zip(answers).map(reserved).collect())
    }

    /// Releases what nobody has asked for: whoever had it gives it away, and can make no machine of it.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub async fn give_back(
        &self,
        proof: &Proof<'_>,
        unused: Vec<Reserved>,
    ) -> Result<(), LedgerError> {
        if unused.is_empty() {
            return Ok(());
        }
        let is_open = |book: &Book, intent| book.reservation(intent).is_some();
        let released = |intent| Event::Released { intent, reason: ReleaseReason::NotAsked };
        let decide = |book: &Book| {
            let open = unused.iter().map(Reserved::intent).filter(|intent| is_open(book, intent));
            open.copied().map(released).collect()
        };
        self.write(proof, decide).await.map(drop)
    }

    /// Writes what an owner has to say of its machines: `decide` makes the events from the book as it then is, and is asked
    /// again when others were quicker. No events: nothing is written. Gives the number of the entry.
    ///
    /// # Errors
    /// Then nothing was written; after [`LedgerError::Store`] it may have been all the same.
    pub async fn write(
        &self,
        proof: &Proof<'_>,
        mut decide: impl FnMut(&Book) -> Vec<Event> + Send,
    ) -> Result<Option<u64>, LedgerError> {
        let mut decide = |book: &Book| {
            let events = decide(book);
            rules::must_concern(proof.space(), book, &events)?;
            Ok(events)
        };
        self.append(By::Owner(proof), &mut decide).await
    }

    /// Writes what does not concern machines (caps, corrections, stages), in the name of a manager or a person.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub async fn write_as(
        &self,
        author: &Author,
        mut decide: impl FnMut(&Book) -> Vec<Event> + Send,
    ) -> Result<Option<u64>, LedgerError> {
        let mut decide = |book: &Book| {
            let events = decide(book);
            rules::must_concern_nobody(author, &events)?;
            Ok(events)
        };
        self.append(By::Other(author), &mut decide).await
    }

    /// Says of which currency the amounts are, if nobody has.
    ///
    /// # Errors
    /// As [`Ledger::write`]; [`LedgerError::Refused`] when the ledger is in another one.
    pub async fn set_currency(
        &self,
        manager: &ManagerName,
        currency: Currency,
    ) -> Result<Option<u64>, LedgerError> {
        let author = Author::Manager { manager: manager.clone() };
        let set = |book: &Book| {
            let is_known = book.currency() == Some(currency);
            if is_known { Vec::new() } else { vec![Event::CurrencySet { currency }] }
        };
        self.write_as(&author, set).await
    }

    /// Sets the caps that `due` wants in place of those in force, if it wants any: it is asked anew when somebody else was
    /// quicker. `source` tells people where they come from.
    ///
    /// # Errors
    /// As [`Ledger::write`]; [`LedgerError::Refused`] when one of them cannot be reckoned with.
    pub async fn set_caps(
        &self,
        manager: &ManagerName,
        due: impl Fn(&[Cap]) -> Option<Vec<Cap>> + Send + Sync,
        source: &str,
    ) -> Result<Option<u64>, LedgerError> {
        let author = Author::Manager { manager: manager.clone() };
        let set = |book: &Book| {
            let next = due(book.caps()).filter(|next| next != book.caps());
            let event = |caps| Event::CapsSet { caps, source: source.to_owned() };
            next.map(event).into_iter().collect()
        };
        self.write_as(&author, set).await
    }

    /// Reads the whole ledger from its first entry, without checkpoints: for whoever wants to check them.
    ///
    /// # Errors
    /// As [`Ledger::refresh`].
    pub async fn replay(&self) -> Result<Arc<Book>, LedgerError> {
        let read = self.0.files.open(From::Beginning).await?;
        read.damaged.map_or(Ok(read.state.book), |damaged| Err(damaged.into()))
    }

    async fn append(
        &self,
        by: By<'_>,
        decide: &mut (dyn FnMut(&Book) -> Result<Vec<Event>, LedgerError> + Send),
    ) -> Result<Option<u64>, LedgerError> {
        let mut state = self.0.state.lock().await;
        let appended = self.0.files.append(&mut state, by, decide).await;
        self.show(&state, appended.as_ref().err());
        if let Ok(Some(_)) = appended {
            self.0.files.keep(&mut state).await;
        }
        appended
    }

    fn show(&self, state: &State, error: Option<&LedgerError>) {
        let mut shown = locked(&self.0.shown);
        shown.book = Arc::clone(&state.book);
        shown.alarms.clone_from(&state.alarms);
        shown.problem = error.filter(|error| rules::stops_spending(error)).map(ToString::to_string);
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("head", &self.book().head().number).finish_non_exhaustive()
    }
}
