//! A manager without a place among others: it takes a space as soon as that can be had.

use std::time::Duration;

use vcycle::model::{Generation, ManagerName, SpaceName};
use vcycle::store::{Acquire, Look, Ownership, Store, StoreError, Terms};

/// One look, and one attempt if the space is vacant.
pub(crate) async fn acquire(
    store: &Store,
    space: &SpaceName,
    manager: &ManagerName,
    ttl: Duration,
) -> Result<Acquire, StoreError> {
    match Ownership::look(store, space, manager, ttl).await? {
        Look::HeldBy { manager, generation } => Ok(Acquire::HeldBy { manager, generation }),
        Look::Vacant(vacant) => {
            let terms = Terms { manager, ttl, above: Generation::default() };
            Ownership::take_vacant(store, space, terms, &vacant).await
        }
    }
}
