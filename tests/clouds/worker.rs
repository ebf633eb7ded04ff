//! One manager of one space, cycle by cycle: for tests that strike it at one of its operations.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vcycle::act::Home;
use vcycle::cycle::{CapsRead, CycleContext, CycleEnd, run_cycle};
use vcycle::library::Setup;
use vcycle::model::{DeploymentId, Doors, ManagerName, SpaceName};
use vcycle::observe::SpaceMemory;
use vcycle::plan::Step;
use vcycle::store::{Acquire, Ledger, Ownership, Store, StoreError};
use vcycle_api::{Act, BudgetSettings, Budgeted, Clock};

use super::time::Time;
use super::world::{World, home};
use crate::support::acquire::acquire;
use crate::support::mortal::{Fate, MortalFs};
use crate::support::world::alive;

/// A cycle.
pub const CYCLE: Duration = Duration::from_secs(20);
/// Of ownerships; they are renewed once a cycle.
const TTL: Duration = Duration::from_secs(60);

/// The manager.
pub struct Worker {
    store: Store,
    provider: Arc<dyn Act>,
    ownership: Ownership,
    memory: SpaceMemory,
    fate: Arc<Fate>,
    setup: Arc<Setup>,
    deployment: DeploymentId,
    space: SpaceName,
    home: Home,
    time: Arc<Time>,
    number: u64,
}

impl Worker {
    /// Owns the space, as soon as it can be had. `None`: it died on the way.
    pub async fn start(
        world: &World,
        (name, space): (&str, &SpaceName),
        fate: &Arc<Fate>,
    ) -> Option<Self> {
        let disk = Arc::new(MortalFs::new(Arc::new(world.disk.clone()), fate.clone()));
        let store = Store::new(disk, world.time.clone());
        let line = world.line(space, fate);
        let provider: Arc<dyn Act> = Arc::new(Budgeted::new(line, BudgetSettings::DEFAULT));
        let (manager, mut tries) = (ManagerName::parse(name).unwrap(), 0);
        let ownership = loop {
            tries += 1;
            assert!(tries < 50, "{name} cannot acquire the space");
            let acquired = acquire(&store, space, &manager, TTL);
            match alive(fate, acquired).await? {
                Ok(Acquire::Owned(ownership)) => break ownership,
                Ok(Acquire::HeldBy { .. }) | Err(_) => tokio::time::sleep(TTL / 4).await,
            }
        };
        let loaded = alive(fate, store.load_space(space)).await?.ok()?;
        Some(Self {
            store,
            provider,
            ownership,
            memory: SpaceMemory::new(loaded, None, world.time.now()),
            fate: fate.clone(),
            setup: world.setup.clone(),
            deployment: world.deployment.clone(),
            space: space.clone(),
            home: home(name),
            time: world.time.clone(),
            number: 0,
        })
    }

    /// One cycle, after a renewal. `None`: the process died.
    pub async fn cycle(&mut self) -> Option<Result<CycleEnd, StoreError>> {
        self.number += 1;
        let fate = self.fate.clone();
        alive(&fate, self.cycle_of_the_living()).await
    }

    async fn cycle_of_the_living(&mut self) -> Result<CycleEnd, StoreError> {
        self.ownership.renew().await.map_err(|lost| lost.0)?;
        let proof = self.ownership.proof()?;
        let context = CycleContext {
            ledger: &Ledger::new(&self.store),
            caps: &CapsRead::Unwatched,
            provider: self.provider.as_ref(),
            store: &self.store,
            clock: self.time.as_ref(),
            deployment: &self.deployment,
            setup: &self.setup,
            space: &self.setup.spaces[&self.space],
            home: &self.home,
            doors: &Doors::NotLookedAt,
            seed: (proof.generation().0 << 32) ^ self.number,
            stopping: &AtomicBool::new(false),
        };
        run_cycle(&context, &proof, &mut self.memory).await
    }

    /// Cycles until nothing was done in three of them.
    pub async fn until_quiet(&mut self, world: &World) {
        let mut quiet = 0;
        for _ in 0..100 {
            let end = self.cycle().await.expect("a kind fate");
            world.check().await;
            let idle = |step: &Step| matches!(step, Step::Expire { .. });
            let done = end.is_ok_and(|end| end.outcomes.steps.iter().all(|o| idle(&o.step)));
            quiet = if done { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
            tokio::time::sleep(CYCLE).await;
        }
        panic!("no peace: {:#?}", self.memory.records().values().collect::<Vec<_>>());
    }
}
