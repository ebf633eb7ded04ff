//! Why the ledger cannot be read or written.

use vcycle_money::Violation;

use crate::store::StoreError;

/// Where the ledger is damaged. Everything before it is known and is shown; nothing is reserved any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger is damaged at entry {entry} ({path}): {why}; spending stops: nothing is made where spending is watched, \
     deletes go on; restore the file from a backup, or see docs/STATE-DIR.md"
)]
pub struct Damaged {
    /// The first entry that cannot be used.
    pub entry: u64,
    /// Its file.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// Why nothing was written. Only after [`LedgerError::Store`] it may have been written all the same: the next look tells.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The state directory said no, or the space is not ours (any more).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The events break a rule of the ledger: a fault of the program.
    #[error("the ledger refuses an entry: {0}")]
    Refused(#[from] Violation),
    /// An author may not write such an event, or not about this space: a fault of the program.
    #[error("the ledger refuses an entry: {why}")]
    NotTheirs {
        /// Why.
        why: String,
    },
    /// Others were quicker each time, or the files moved under our hands.
    #[error(
        "the ledger was written by others too often to get in between; it is tried again in the next cycle"
    )]
    Busy,
}
