//! Ownership of a space: a generation log (DESIGN section 6). The highest number owns; it is made by
//! put-if-absent, renewed by its owner alone, and given back by a mark.
//!
//! `machine.rs` decides, `log.rs` reads and writes the files, this file holds what the rest of the
//! program sees: [`Ownership`], and the [`Proof`] that every write and every mutating call takes.

mod log;
mod machine;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vcycle_api::Clock;

use super::{Store, StoreError, locked};
use crate::model::{Generation, ManagerName, SpaceName};
use machine::{Lease, Look, Observation, Reading, Renewal, Verdict, judge};

/// What this process has seen of the owners of spaces, by space and asking manager.
pub(super) type Observations = HashMap<(SpaceName, ManagerName), Observation>;

/// Why the space may not be changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// The ownership was not renewed in time. It does not come back: acquire again.
    #[error("generation {generation} was not renewed in time, {late:?} too late")]
    Expired {
        /// Ours.
        generation: Generation,
        /// Since when.
        late: Duration,
    },
    /// There is a newer owner.
    #[error("generation {generation} was superseded by generation {by}")]
    Superseded {
        /// Ours.
        generation: Generation,
        /// The newest.
        by: Generation,
    },
    /// The log does not know our generation any more: it was removed, or restored from a backup.
    #[error(
        "generation {generation} is not in the log any more: was the state directory restored from a backup?"
    )]
    Forgotten {
        /// Ours.
        generation: Generation,
    },
    /// The log could not be read just now. The ownership may still stand: ask again.
    #[error("cannot tell whether generation {generation} still owns the space: {why}")]
    Unsure {
        /// Ours.
        generation: Generation,
        /// What came back.
        why: String,
    },
}

/// The ownership is over for good: drop it and acquire again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lost the ownership: {0}")]
pub struct Lost(pub Fenced);

/// The answer of [`Ownership::acquire`].
#[derive(Debug)]
pub enum Acquire {
    /// We own the space now.
    Owned(Ownership),
    /// Somebody else does, or may; ask again, at least twice within the TTL.
    HeldBy {
        /// Who.
        manager: ManagerName,
        /// Under which generation.
        generation: Generation,
    },
}

/// The right to change one space. Ends by [`Ownership::release`], or by not being renewed.
#[derive(Debug)]
pub struct Ownership {
    store: Store,
    space: SpaceName,
    manager: ManagerName,
    generation: Generation,
    lease: Mutex<Lease>,
    /// Why the last renewal failed, if it did.
    trouble: Mutex<Option<String>>,
    alarms: Vec<String>,
}

impl Ownership {
    /// Tries to own a space: at once when nobody does, when it was given back, or when its owner has
    /// been silent for the TTL since we first looked; so it must be asked repeatedly. A new owner
    /// has swept what crashes left, and stands above every generation that a record names.
    ///
    /// # Errors
    /// What the state directory said; the space is then not ours.
    pub async fn acquire(
        store: &Store,
        space: &SpaceName,
        manager: &ManagerName,
        ttl: Duration,
    ) -> Result<Acquire, StoreError> {
        log::prepare(store, space).await?;
        let begun = store.clock().monotonic();
        let seen = log::look(store, space).await?;
        let generation = match Self::judged(store, (space, manager), (seen, begun), ttl) {
            Verdict::Wait(observation) => return Ok(held_by(&observation.seen)),
            Verdict::Take(generation) => generation,
        };
        if let Some(mut ownership) = Self::take(store, space, (manager, ttl), generation).await? {
            ownership.settle().await?;
            return Ok(Acquire::Owned(ownership));
        }
        // Somebody was quicker: the count of its silence begins here.
        let begun = store.clock().monotonic();
        let seen = log::look(store, space).await?;
        Ok(match Self::judged(store, (space, manager), (seen, begun), ttl) {
            Verdict::Wait(observation) => held_by(&observation.seen),
            Verdict::Take(next) => held_by(&machine::Seen {
                generation: generation.max(Generation(next.0 - 1)),
                manager: None,
                renewal: Renewal::None,
            }),
        })
    }

    /// Judges what a look that was begun then has shown, and remembers it for the next time.
    fn judged(
        store: &Store,
        (space, manager): (&SpaceName, &ManagerName),
        (seen, begun): (Option<machine::Seen>, Duration),
        ttl: Duration,
    ) -> Verdict {
        let key = (space.clone(), manager.clone());
        let look = Look { begun, done: store.clock().monotonic() };
        let mut known = locked(&store.0.observations);
        let verdict = judge(known.get(&key), seen, look, ttl);
        match &verdict {
            Verdict::Wait(observation) => known.insert(key, observation.clone()),
            Verdict::Take(_) => known.remove(&key),
        };
        verdict
    }

    /// Makes one generation. `None`: somebody else did.
    async fn take(
        store: &Store,
        space: &SpaceName,
        (manager, ttl): (&ManagerName, Duration),
        generation: Generation,
    ) -> Result<Option<Self>, StoreError> {
        let begun = reading(store.clock());
        if !log::claim(store, space, manager, generation).await? {
            return Ok(None);
        }
        // The first renewal comes before the first action: who does not see it waits longer.
        let counter = 1;
        log::renew(store, space, generation, counter).await?;
        let lease = Lease { renewed: begun, ttl, counter };
        let ownership = Self {
            store: store.clone(),
            space: space.clone(),
            manager: manager.clone(),
            generation,
            lease: Mutex::new(lease),
            trouble: Mutex::new(None),
            alarms: Vec::new(),
        };
        // Our listing may have been old: then there is a higher one, and ours counts for nothing.
        match log::highest(store, space).await? {
            Some(highest) if highest > generation => Ok(None),
            Some(_) | None => Ok(Some(ownership)),
        }
    }

    /// Looks at the records before the first action, and tidies up.
    async fn settle(&mut self) -> Result<(), StoreError> {
        log::clean(&self.store, &self.space, self.generation).await;
        log::look_anew(&self.store, &self.space, self.generation).await?;
        let written = self.store.highest_written(&self.space).await?;
        if written > self.generation {
            // If we were stopped since we took it, these may be the records of who came after us.
            self.renew().await.map_err(|Lost(why)| why)?;
            // The log is older than the records: it was restored from a backup, or removed. A
            // generation at or below what they name could be that of a manager still alive.
            let problem = format!(
                "the generation log of {} says {}, but records were written by generation {written}: was the \
                 state directory restored from a backup? going on above it",
                self.space, self.generation
            );
            tracing::error!(space = %self.space, %written, log = %self.generation, "{problem}");
            let terms = (&self.manager, self.ttl());
            let above = Self::take(&self.store, &self.space, terms, written.next()).await?;
            let Some(above) = above else {
                return Err(
                    Fenced::Superseded { generation: self.generation, by: written.next() }.into()
                );
            };
            *self = above;
            self.alarms.push(problem);
        }
        // Reading may have taken a while.
        self.renew().await.map_err(|Lost(why)| why)?;
        let proof = self.proof()?;
        let swept = self.store.sweep(&proof).await?;
        if swept != super::Swept::default() {
            tracing::info!(
                space = %self.space, machines = ?swept.machines, files = swept.temporary_files,
                "swept what never reached the cloud"
            );
        }
        Ok(())
    }

    /// Renews: to be called every third of the TTL, also while proofs are out. `Ok` when the
    /// ownership still stands; if the writing itself failed, [`Ownership::trouble`] says why, and the
    /// next call tries again.
    ///
    /// # Errors
    /// [`Lost`]: it is over for good.
    pub async fn renew(&self) -> Result<(), Lost> {
        let begun = reading(self.store.clock());
        self.in_time(begun).map_err(Lost)?;
        let counter = {
            let mut lease = self.lease();
            lease.counter += 1;
            lease.counter
        };
        let written = log::renew(&self.store, &self.space, self.generation, counter).await;
        let checked = match written {
            Ok(()) => self.stands().await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => {
                let done = reading(self.store.clock());
                let mut lease = self.lease();
                *lease = lease
                    .renewed(begun, done)
                    .map_err(|late| Lost(Fenced::Expired { generation: self.generation, late }))?;
                *locked(&self.trouble) = None;
                Ok(())
            }
            Err(StoreError::Fenced(why)) => Err(Lost(why)),
            Err(error) => {
                let why = error.to_string();
                tracing::warn!(space = %self.space, generation = %self.generation, %why, "renewal failed");
                *locked(&self.trouble) = Some(why);
                self.in_time(reading(self.store.clock())).map_err(Lost)
            }
        }
    }

    /// The proof that goes with every write and every mutating call.
    ///
    /// # Errors
    /// [`Fenced::Expired`] when the renewal is overdue.
    pub fn proof(&self) -> Result<Proof<'_>, Fenced> {
        self.in_time(reading(self.store.clock()))?;
        Ok(Proof { ownership: self })
    }

    /// Gives the space back, so that another manager takes it at once.
    pub async fn release(self) {
        let counter = self.lease().counter + 1;
        // If it cannot be told, the others find out by our silence.
        if let Err(error) = log::release(&self.store, &self.space, self.generation, counter).await {
            tracing::warn!(space = %self.space, %error, "could not give the space back");
        }
    }

    /// The fencing token.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The space.
    pub fn space(&self) -> &SpaceName {
        &self.space
    }

    /// How often to renew.
    pub fn renew_every(&self) -> Duration {
        self.ttl() / 3
    }

    /// Why the last renewal failed, if it did.
    pub fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }

    /// What a person must know of how this ownership came about.
    pub fn alarms(&self) -> &[String] {
        &self.alarms
    }

    /// The TTL under which it was acquired.
    pub fn ttl(&self) -> Duration {
        self.lease().ttl
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_time(&self, now: Reading) -> Result<(), Fenced> {
        match self.lease().left(now) {
            Ok(_) => Ok(()),
            Err(late) => Err(Fenced::Expired { generation: self.generation, late }),
        }
    }

    /// Whether the log still has us at its top.
    async fn stands(&self) -> Result<(), StoreError> {
        let highest = log::highest(&self.store, &self.space).await?;
        Ok(machine::superseded(self.generation, highest)?)
    }
}

/// The proof of an ownership, borrowed from it: it cannot be kept, copied, or made by others, and
/// while it is out the ownership cannot be given back.
#[derive(Debug)]
pub struct Proof<'a> {
    ownership: &'a Ownership,
}

impl Proof<'_> {
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
    pub(super) async fn allow(&self) -> Result<(), StoreError> {
        let ownership = self.ownership;
        ownership.stands().await?;
        // Last, since looking may have taken a while.
        Ok(ownership.in_time(reading(ownership.store.clock()))?)
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

fn reading(clock: &dyn Clock) -> Reading {
    Reading { monotonic: clock.monotonic(), wall: clock.now() }
}

fn held_by(seen: &machine::Seen) -> Acquire {
    let unknown = || ManagerName::parse("unknown").expect("a valid name");
    Acquire::HeldBy {
        manager: seen.manager.clone().unwrap_or_else(unknown),
        generation: seen.generation,
    }
}
