//! What must hold always, and what must hold when nothing is left to do (DESIGN section 5).

use std::collections::{BTreeMap, BTreeSet};

use vcycle::model::{
    DeploymentId, Identity, InstanceId, InstanceState, IntentToken, Processors, SpaceName,
};
use vcycle::store::Store;
use vcycle_sim::{LogEntry, LogEvent, SimCloud};

use super::site::space;
use super::world::World;

/// Invariants 3, 4 and 6 of one space, read off the cloud's own log entry by entry: one machine of an intent at
/// most; the limit is never crossed by a create of ours; nothing is touched that is not ours.
#[derive(Debug, Clone)]
pub struct Books {
    deployment: DeploymentId,
    space: SpaceName,
    made: BTreeSet<IntentToken>,
    sizes: BTreeMap<InstanceId, Processors>,
    foreign: BTreeSet<InstanceId>,
    used: Processors,
}

impl Books {
    /// Nothing has happened.
    pub fn new(deployment: DeploymentId, space: SpaceName) -> Self {
        Self {
            deployment,
            space,
            made: BTreeSet::new(),
            sizes: BTreeMap::new(),
            foreign: BTreeSet::new(),
            used: Processors(0),
        }
    }

    /// Processors that hold a place, of strangers too.
    pub fn used(&self) -> Processors {
        self.used
    }

    /// One more entry; a create may fill up to `limit`. `Err`: the law that is broken.
    pub fn take(&mut self, entry: &LogEntry, limit: Processors) -> Result<(), String> {
        let at = entry.at;
        match &entry.event {
            LogEvent::Created { instance, tags, processors, .. } => {
                self.sizes.insert(instance.clone(), *processors);
                self.used = self.used.plus(*processors);
                if !self.made.insert(tags.intent) {
                    return Err(format!("two machines of {} at {at}", tags.machine));
                }
                if (&tags.deployment, &tags.space) != (&self.deployment, &self.space) {
                    return Err(format!("{} was made elsewhere at {at}", tags.machine));
                }
                if self.used > limit {
                    return Err(format!("{} processors at {at} of {limit}", self.used));
                }
            }
            LogEvent::StrangerMade { instance, processors } => {
                self.used = self.used.plus(*processors);
                self.foreign.insert(instance.clone());
                self.sizes.insert(instance.clone(), *processors);
            }
            LogEvent::Removed { instance } => {
                self.used = self.used.minus(self.sizes.remove(instance).unwrap_or_default());
            }
            LogEvent::DeleteAsked { instance, tags, .. } => {
                if self.foreign.contains(instance) {
                    return Err(format!("a stranger was touched: {instance}"));
                }
                let ours = |tags: &vcycle_api::Tags| {
                    tags.deployment == self.deployment && tags.space == self.space
                };
                if tags.as_ref().is_some_and(|tags| !ours(tags)) {
                    return Err(format!("another's machine was touched: {tags:?}"));
                }
            }
            LogEvent::CreatedAlready { .. }
            | LogEvent::CreateRefused { .. }
            | LogEvent::PoweredOn { .. }
            | LogEvent::PoweredOff { .. } => {}
        }
        Ok(())
    }
}

/// The whole log keeps the laws.
pub fn always(world: &World) {
    let mut books = Books::new(world.deployment.clone(), space());
    for entry in world.cloud.log() {
        if let Err(broken) = books.take(&entry, world.limit) {
            panic!("{broken}");
        }
    }
}

/// Every machine has its record and every live record its machine. Gives their number.
pub async fn at_peace(world: &World) -> usize {
    always(world);
    match machines_and_records(&world.cloud, &world.store(), (&world.deployment, &space())).await {
        Ok(machines) => machines.len(),
        Err(broken) => panic!("{broken}"),
    }
}

/// The intents of all machines of a space, when they are those of its live records.
pub async fn machines_and_records(
    cloud: &SimCloud,
    store: &Store,
    (deployment, space): (&DeploymentId, &SpaceName),
) -> Result<BTreeSet<IntentToken>, String> {
    let loaded = store.load_space(space).await.map_err(|problem| problem.to_string())?;
    if !loaded.corrupt.is_empty() {
        return Err(format!("records that cannot be read: {:?}", loaded.corrupt));
    }
    let live = loaded.records.iter().filter(|r| r.gone.is_none() && r.rejected.is_none());
    let records: BTreeSet<_> = live.map(|record| *record.intent()).collect();
    let exist = cloud.machines().into_iter().filter(|m| m.state != InstanceState::Gone);
    // A ghost is listed and does not exist.
    let real = |intent: &IntentToken| cloud.machines_of(intent) > 0;
    let machines: BTreeSet<_> = exist
        .filter_map(|machine| match machine.identity {
            Identity::Vcycle(tags)
                if tags.deployment == *deployment && tags.space == *space && real(&tags.intent) =>
            {
                Some(tags.intent)
            }
            Identity::Vcycle(_) | Identity::Foreign => None,
        })
        .collect();
    if records == machines {
        Ok(machines)
    } else {
        Err(format!("records {records:?} and machines {machines:?} of {space} differ"))
    }
}
