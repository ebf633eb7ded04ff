//! The state directory: the only code that knows a path in it. Durable writes, records, ownership,
//! what VMs read and write. It decides nothing about machines. `docs/STATE-DIR.md` is its contract.

mod authority;
mod caps;
mod codec;
mod deployment;
mod error;
mod example;
mod features;
mod fs;
mod layout;
mod ledger;
mod machines;
mod outputs;
mod ownership;
mod people;
mod sweep;
mod tenancy;
mod visitors;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use vcycle_api::Clock;

pub use caps::CapsFile;
pub use codec::CorruptRecord;
pub use deployment::Deployment;
pub use error::{Fault, StoreError};
pub use features::{FeaturePolicy, MachineFiles, features};
pub use fs::{ManagerLock, Mode, NewFile, PutOutcome, RealFs, SharedFs, Vanished};
pub use layout::StatePath;
pub use ledger::{Damaged, Ledger, LedgerError, Reserved};
pub use machines::{Archived, LoadedSpace};
pub use outputs::{FeatureKind, OutputName, PutError};
pub use ownership::{
    Acquire, Farewell, Fenced, Look, Lost, Owner, Ownership, Proof, Terms, Vacant, Witness,
};
pub use people::{IdleSpace, ManagerInfo};
pub use sweep::Swept;

use codec::Extras;
use ownership::Observations;

/// Filesystems for tests and for the deterministic simulation.
pub mod testing {
    pub use super::example::example_record;

    /// A ledger whose blocks have another length than in production.
    pub fn ledger_of_blocks(store: &super::Store, block: u64) -> super::Ledger {
        super::Ledger::with_blocks(store, block)
    }
    /// The rules of ownership, for the model that checks them (`tests/protocol.rs`).
    pub mod ownership {
        pub use crate::store::ownership::machine::{
            Lease, Looked, Observation, Reading, Renewal, STALE_LOOKS, Seen, Verdict, counts,
            judge, superseded,
        };
    }
    pub use super::fs::{Effect, FaultyFs, MemoryFs, Rates, Rule, Vanishing, When};
}

/// The state directory as one manager sees it. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    fs: Arc<dyn SharedFs>,
    clock: Arc<dyn Clock>,
    /// What is known of the owners of spaces, on our own clock.
    observations: Mutex<Observations>,
    /// Fields of records that a newer minor version wrote: kept when we rewrite the record.
    extras: Mutex<Extras>,
    /// One at a time per machine, so that its limit is not passed by two at once.
    puts: Mutex<HashMap<String, std::sync::Weak<tokio::sync::Mutex<()>>>>,
}

impl Store {
    /// A store on a filesystem. Does nothing yet.
    pub fn new(fs: Arc<dyn SharedFs>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            fs,
            clock,
            observations: Mutex::default(),
            extras: Mutex::default(),
            puts: Mutex::default(),
        }))
    }

    fn fs(&self) -> &dyn SharedFs {
        self.0.fs.as_ref()
    }

    fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A lock whose holder cannot panic half-way: the guarded maps stay consistent.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
