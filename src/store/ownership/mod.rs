//! Ownership of a space: a generation log (DESIGN section 6). The highest number owns; it is made by
//! put-if-absent, renewed by its owner alone, and given back by a mark.
//!
//! `machine.rs` decides, `log.rs` reads and writes the files, this file holds what the rest of the
//! program sees: [`Ownership`], and the [`Proof`] that every write and every mutating call takes.

mod answers;
mod log;
pub(super) mod machine;
mod proof;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vcycle_api::Clock;

use super::{Store, StoreError, locked};
use crate::model::{Generation, ManagerName, SpaceName, Timestamp};
pub use answers::{Acquire, Farewell, Fenced, Look, Lost, Terms, Vacant};
pub use log::Owner;
use machine::{Lease, Looked, Observation, Reading, Renewal, Seen, Verdict, judge};
pub use proof::Proof;

/// What this process has seen of the owners of spaces, by space and asking manager.
pub(super) type Observations = HashMap<(SpaceName, ManagerName), Known>;

/// What it has seen of one.
#[derive(Debug, Default)]
pub(super) struct Known {
    observation: Option<Observation>,
    /// The generation that could be made, and since when on our clock.
    vacant: Option<(Generation, Duration)>,
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
    /// Until when on our clock it is not to be handed over for its place alone.
    keep_until: Duration,
}

impl Ownership {
    /// Looks who owns a space, without trying to. It is vacant when nobody does, when it was given back, or when its
    /// owner has been silent for the TTL since we first looked; so it must be asked repeatedly. Writes nothing.
    ///
    /// # Errors
    /// What the state directory said.
    pub async fn look(
        store: &Store,
        space: &SpaceName,
        manager: &ManagerName,
        ttl: Duration,
    ) -> Result<Look, StoreError> {
        let (verdict, seen) = Self::judged(store, (space, manager), ttl).await?;
        Ok(match verdict {
            Verdict::Wait(Observation { seen, since: _ }) => {
                Look::HeldBy { manager: name_of(&seen), generation: seen.generation }
            }
            Verdict::Take(generation) => {
                let now = store.clock().monotonic();
                let mut known = locked(&store.0.observations);
                let known = known.entry((space.clone(), manager.clone())).or_default();
                let since = known.vacant.filter(|(other, _)| *other == generation);
                let (_, since) = *known.vacant.insert(since.unwrap_or((generation, now)));
                let lasts = now.saturating_sub(since);
                let (left_by, farewell) = seen.map_or((None, None), |seen| match seen.renewal {
                    Renewal::Released(farewell) => (seen.manager, Some(farewell)),
                    Renewal::None | Renewal::Counter(_) | Renewal::Unreadable(_) => {
                        (seen.manager, None)
                    }
                });
                Look::Vacant(Vacant { generation, left_by, farewell, lasts })
            }
        })
    }

    /// Tries to own a space that was seen vacant. A new owner has swept what crashes left, and stands above every
    /// generation that a record names.
    ///
    /// # Errors
    /// What the state directory said; the space is then not ours.
    pub async fn take_vacant(
        store: &Store,
        space: &SpaceName,
        terms: Terms<'_>,
        vacant: &Vacant,
    ) -> Result<Acquire, StoreError> {
        let Terms { manager, ttl, above } = terms;
        let generation = vacant.generation;
        if let Some(mut ownership) = Self::take(store, space, (manager, ttl), generation).await? {
            locked(&store.0.observations).remove(&(space.clone(), manager.clone()));
            if let Err(problem) = ownership.settle(above).await {
                // It has done nothing: so that nobody, we included, has to wait for its silence.
                ownership.release().await;
                return Err(problem);
            }
            if let Some(farewell) = &vacant.farewell {
                let keep = Duration::from_secs(farewell.keep_secs);
                ownership.keep_until = store.clock().monotonic().saturating_add(keep);
            }
            return Ok(Acquire::Owned(ownership));
        }
        // Somebody was quicker: the count of its silence begins here.
        Ok(match Self::judged(store, (space, manager), ttl).await?.0 {
            Verdict::Wait(observation) => held_by(&observation.seen),
            Verdict::Take(next) => held_by(&machine::Seen {
                generation: generation.max(Generation(next.0 - 1)),
                manager: None,
                ttl: None,
                renewal: Renewal::None,
            }),
        })
    }

    /// Looks, judges what is seen, and remembers it for the next time.
    async fn judged(
        store: &Store,
        (space, manager): (&SpaceName, &ManagerName),
        ttl: Duration,
    ) -> Result<(Verdict, Option<Seen>), StoreError> {
        let key = (space.clone(), manager.clone());
        // Before and after: whoever is stopped in between judges by what was so long ago.
        let asked = store.clock().monotonic();
        let seen = log::look(store, space).await?;
        let looked = Looked { asked, answered: store.clock().monotonic() };
        let mut known = locked(&store.0.observations);
        let known = known.entry(key).or_default();
        let verdict = judge(known.observation.as_ref(), seen.clone(), looked, ttl);
        // What led to `Take` is kept: should the taking fail, its silence is not counted anew.
        if let Verdict::Wait(observation) = &verdict {
            *known = Known { observation: Some(observation.clone()), vacant: None };
        }
        Ok((verdict, seen))
    }

    /// Makes one generation. `None`: somebody else did.
    async fn take(
        store: &Store,
        space: &SpaceName,
        (manager, ttl): (&ManagerName, Duration),
        generation: Generation,
    ) -> Result<Option<Self>, StoreError> {
        log::prepare(store, space).await?;
        let begun = reading(store.clock());
        if !log::claim(store, space, (manager, ttl), generation).await? {
            return Ok(None);
        }
        // The first renewal comes before the first action: who does not see it waits longer.
        let lease = Lease::first(begun, ttl);
        log::renew(store, space, generation, lease.counter).await?;
        let ownership = Self {
            store: store.clone(),
            space: space.clone(),
            manager: manager.clone(),
            generation,
            lease: Mutex::new(lease),
            trouble: Mutex::new(None),
            alarms: Vec::new(),
            keep_until: Duration::ZERO,
        };
        // Our listing may have been old: then there is a higher one, and ours counts for nothing.
        let highest = log::highest(store, space).await?;
        Ok(machine::counts(generation, highest).then_some(ownership))
    }

    /// Looks at the records before the first action, and tidies up. `above` is the highest generation that was
    /// seen elsewhere, on a VM.
    async fn settle(&mut self, above: Generation) -> Result<(), StoreError> {
        log::clean(&self.store, &self.space, self.generation).await;
        log::refresh(&self.store, &self.space, self.generation).await?;
        let written = self.store.highest_written(&self.space).await?.max(above);
        if written > self.generation {
            // If we were stopped since we took it, these may be the records of who came after us.
            self.renew().await.map_err(|Lost(why)| why)?;
            // The log is older than the records: it was restored from a backup, or removed. A
            // generation at or below what they name could be that of a manager still alive.
            let problem = format!(
                "the generation log of {} says {}, but records or VMs were made by generation {written}: was the \
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
        } else if above > Generation::default() {
            self.alarms.push(format!(
                "VMs of ours were made by generation {above}, of which the generation log of {} knew nothing: was the \
                 state directory restored from a backup? they are adopted",
                self.space
            ));
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
        Ok(Proof::of(self))
    }

    /// Gives the space back, so that another manager takes it at once.
    pub async fn release(self) {
        self.hand_over(Farewell::default()).await;
    }

    /// Gives the space back, and says to whom.
    pub async fn hand_over(self, farewell: Farewell) {
        let life = (self.lease().counter + 1, farewell);
        // If it cannot be told, the others find out by our silence.
        if let Err(error) = log::release(&self.store, &self.space, self.generation, life).await {
            tracing::warn!(space = %self.space, %error, "could not give the space back");
        }
    }

    /// The fencing token.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a person has put it here, and not long ago.
    pub fn is_kept(&self) -> bool {
        self.store.clock().monotonic() < self.keep_until
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

/// When the owner's last renewal was written, by the file server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The modification time that the file server gave it.
    pub modified: Timestamp,
    /// How long ago that can be at most, on our monotonic clock.
    pub age_at_most: Duration,
}

fn reading(clock: &dyn Clock) -> Reading {
    Reading { monotonic: clock.monotonic(), wall: clock.now() }
}

fn held_by(seen: &machine::Seen) -> Acquire {
    Acquire::HeldBy { manager: name_of(seen), generation: seen.generation }
}

fn name_of(seen: &machine::Seen) -> ManagerName {
    let unknown = || ManagerName::parse("unknown").expect("a valid name");
    seen.manager.clone().unwrap_or_else(unknown)
}
