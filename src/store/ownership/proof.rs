//! The proof that goes with every write and every mutating call.

use super::{Fenced, Ownership, Witness, log, reading};
use crate::model::{Generation, ManagerName, SpaceName};
use crate::store::StoreError;

/// The proof of an ownership, borrowed from it: it cannot be kept, copied, or made by others, and
/// while it is out the ownership cannot be given back.
#[derive(Debug)]
pub struct Proof<'a> {
    ownership: &'a Ownership,
}

impl<'a> Proof<'a> {
    /// Only the ownership makes it, after it has looked at its time.
    pub(super) fn of(ownership: &'a Ownership) -> Self {
        Self { ownership }
    }

    /// To be called just before every mutating call: still in time, and no higher generation.
    ///
    /// # Errors
    /// Any of [`Fenced`]: do not make the call.
    pub async fn check(&self) -> Result<(), Fenced> {
        self.allow().await.map_err(|error| match error {
            StoreError::Fenced(why) => why,
            other => Fenced::Unsure { generation: self.generation(), why: other.to_string() },
        })
    }

    /// As [`Proof::check`], for the store's own writes: a fault of the state directory is said as
    /// what it is.
    pub(in crate::store) async fn allow(&self) -> Result<(), StoreError> {
        let ownership = self.ownership;
        ownership.stands().await?;
        // Last, since looking may have taken a while.
        Ok(ownership.in_time(reading(ownership.store.clock()))?)
    }

    /// What the file server's clock showed at our last renewal, to compare ours with. `None`: it
    /// cannot be told now.
    pub async fn witness(&self) -> Option<Witness> {
        let Ownership { store, space, generation, .. } = self.ownership;
        // Read first: a renewal that is written meanwhile can only be younger.
        let begun = self.ownership.lease().renewed.monotonic;
        let modified = log::renewed_at(store, space, *generation).await?;
        let age_at_most = store.clock().monotonic().saturating_sub(begun);
        Some(Witness { modified, age_at_most })
    }

    /// The fencing token.
    pub fn generation(&self) -> Generation {
        self.ownership.generation
    }

    /// The space.
    pub fn space(&self) -> &SpaceName {
        &self.ownership.space
    }

    /// The manager that owns it.
    pub fn manager(&self) -> &ManagerName {
        &self.ownership.manager
    }
}
