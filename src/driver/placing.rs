//! Where a space is to be worked on: whether this manager takes it, keeps it, or hands it over. Asks
//! `cooperate`, and does what it says; that it is safe is the affair of the ownership.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::Shared;
use super::membership::View;
use crate::cooperate::{Placing, Vacancy, best_other, place, turn};
use crate::model::{Board, Generation, ManagerName, OperatorRequest, RequestWhat, SpaceName};
use crate::store::{Acquire, Farewell, Look, Ownership, StoreError, Terms};

/// How many times within the TTL a space that is held by others is looked at.
pub(super) const LOOKS_PER_TTL: u32 = 5;
/// How long the first look at the other managers is waited for.
const FIRST_LOOK_LONGEST: Duration = Duration::from_secs(2);

/// What came of an attempt to own the space.
pub(super) enum Turn {
    Ours(Box<Ownership>),
    /// Not now.
    Wait {
        why: String,
        pause: Duration,
    },
}

/// Why a space waits whose last owner has our own name: this process lost it, or one before it did. A second
/// process of our name is told elsewhere.
fn lost(generation: Generation, ttl: Duration) -> String {
    format!(
        "nobody works on it: generation {generation} was this manager's own, and is over; it is taken again when \
         that has been silent for {} s",
        ttl.as_secs()
    )
}

/// Before the first attempt, so that the turn is right; not for long, since nothing rests on it.
pub(super) async fn know_the_others(members: &mut watch::Receiver<View>) {
    let looked = members.wait_for(|view| view.has_looked);
    let _ = tokio::time::timeout(FIRST_LOOK_LONGEST, looked).await;
}

/// One space among the managers.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) space: &'a SpaceName,
    pub(super) members: &'a watch::Receiver<View>,
}

impl Place<'_> {
    /// Takes the space if nobody has it and it is our turn.
    pub(super) async fn acquire(
        &self,
        ttl: Duration,
        above: Generation,
    ) -> Result<Turn, StoreError> {
        let (store, manager) = (&self.shared.store, &self.shared.home.manager);
        let held = |owner: &ManagerName, generation: Generation| Turn::Wait {
            why: if owner == manager {
                lost(generation, ttl)
            } else {
                format!("{}{owner} (generation {generation})", Board::OWNED_BY)
            },
            pause: ttl / LOOKS_PER_TTL,
        };
        let vacant = match Ownership::look(store, self.space, manager, ttl).await? {
            Look::HeldBy { manager, generation } => return Ok(held(&manager, generation)),
            Look::Vacant(vacant) => vacant,
        };
        let vacancy = Vacancy {
            left_by: vacant.left_by.clone(),
            to: vacant.farewell.as_ref().and_then(|farewell| farewell.to.clone()),
        };
        let live = self.members.borrow().live.clone();
        let turn = turn(self.space, manager, &live, &vacancy, ttl);
        if let Some(rest) = turn.checked_sub(vacant.lasts).filter(|rest| !rest.is_zero()) {
            let why = format!("{}nobody; another manager is to take it first", Board::OWNED_BY);
            return Ok(Turn::Wait { why, pause: rest.min(ttl / LOOKS_PER_TTL) });
        }
        let terms = Terms { manager, ttl, above };
        Ok(match Ownership::take_vacant(store, self.space, terms, &vacant).await? {
            Acquire::Owned(ownership) => Turn::Ours(Box::new(ownership)),
            Acquire::HeldBy { manager, generation } => held(&manager, generation),
        })
    }

    /// Whether a better placed manager should have the space.
    pub(super) fn misplaced(&self, ownership: &Ownership) -> Option<Farewell> {
        if ownership.is_kept() {
            return None;
        }
        let (me, now) = (&self.shared.home.manager, self.shared.clock.monotonic());
        let live = &self.members.borrow().live;
        match place(self.space, me, live, now, ownership.ttl()) {
            Placing::Keep => None,
            Placing::HandOver { to } => Some(Farewell { to: Some(to), keep_secs: 0 }),
        }
    }

    /// What comes of a person's wish to see the space elsewhere. `None`: nobody else can have it.
    fn wish(&self, to: Option<&ManagerName>, keep_secs: u64) -> Option<Farewell> {
        let (me, live) = (&self.shared.home.manager, &self.members.borrow().live);
        let to = match to {
            Some(to) => live.get(to).filter(|m| m.serves(self.space)).map(|_| to.clone()),
            None => best_other(self.space, me, live),
        }?;
        (to != *me).then_some(Farewell { to: Some(to), keep_secs })
    }

    /// Carries out what people have asked for: the request is closed first, so that the next owner does not hand
    /// it on.
    pub(super) async fn asked_to_hand_over(
        &self,
        ownership: &Ownership,
        requests: Vec<OperatorRequest>,
    ) -> Option<Farewell> {
        let mut farewell = None;
        for request in requests {
            let RequestWhat::HandOver { to, keep_secs } = &request.what else { continue };
            let proof = ownership.proof().ok()?;
            if let Err(problem) = self.shared.store.close_request(&proof, &request.id).await {
                warn!(space = %self.space, %problem, "the request stands, and is tried again");
                return None;
            }
            farewell = self.wish(to.as_ref(), *keep_secs);
            if farewell.is_none() {
                let to = to.as_ref().map_or("another manager", ManagerName::as_str);
                warn!(space = %self.space, to, who = request.who, "not handed over: no such manager lives");
            }
        }
        farewell
    }
}
