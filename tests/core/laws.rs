//! What must hold always, and what must hold when nothing is left to do (DESIGN section 5).

use std::collections::{BTreeMap, BTreeSet};

use vcycle::model::{Identity, InstanceState, IntentToken, Processors};
use vcycle_sim::LogEvent;

use super::site::space;
use super::world::World;

/// Invariants 3, 4 and 6, from the cloud's own log: one machine of an intent at most; the limit is never
/// crossed by a create of ours; nothing is touched that is not ours.
pub fn always(world: &World) {
    let mut made: BTreeMap<IntentToken, u32> = BTreeMap::new();
    let mut sizes = BTreeMap::new();
    let mut foreign = BTreeSet::new();
    let mut used = Processors(0);
    for entry in world.cloud.log() {
        match entry.event {
            LogEvent::Created { instance, tags, processors, .. } => {
                let count = made.entry(tags.intent).or_default();
                *count += 1;
                assert_eq!(*count, 1, "two machines of {} at {}", tags.machine, entry.at);
                assert_eq!((&tags.deployment, &tags.space), (&world.deployment, &space()));
                used = used.plus(processors);
                assert!(
                    used <= world.limit,
                    "{used} processors at {} of {}",
                    entry.at,
                    world.limit
                );
                sizes.insert(instance, processors);
            }
            LogEvent::StrangerMade { instance, processors } => {
                used = used.plus(processors);
                foreign.insert(instance.clone());
                sizes.insert(instance, processors);
            }
            LogEvent::Removed { instance } => {
                used = used.minus(sizes.remove(&instance).unwrap_or_default());
            }
            LogEvent::DeleteAsked { instance, tags, .. } => {
                assert!(!foreign.contains(&instance), "a stranger was touched: {instance}");
                if let Some(tags) = tags {
                    assert_eq!(tags.deployment, world.deployment, "another deployment's: {tags:?}");
                    assert_eq!(tags.space, space(), "another space's: {tags:?}");
                }
            }
            LogEvent::CreatedAlready { .. }
            | LogEvent::CreateRefused { .. }
            | LogEvent::PoweredOn { .. }
            | LogEvent::PoweredOff { .. } => {}
        }
    }
}

/// Every machine has its record and every live record its machine. Gives their number.
pub async fn at_peace(world: &World) -> usize {
    always(world);
    let loaded = world.store().load_space(&space()).await.expect("the state directory works");
    assert_eq!(loaded.corrupt, []);
    let live = loaded.records.iter().filter(|r| r.gone.is_none() && r.rejected.is_none());
    let records: BTreeSet<_> = live.map(|record| *record.intent()).collect();
    let exist = world.cloud.machines().into_iter().filter(|m| m.state != InstanceState::Gone);
    // A ghost is listed and does not exist.
    let real = |intent: &IntentToken| world.cloud.machines_of(intent) > 0;
    let machines: BTreeSet<_> = exist
        .filter_map(|machine| match machine.identity {
            Identity::Vcycle(tags)
                if tags.deployment == world.deployment
                    && tags.space == space()
                    && real(&tags.intent) =>
            {
                Some(tags.intent)
            }
            Identity::Vcycle(_) | Identity::Foreign => None,
        })
        .collect();
    assert_eq!(records, machines, "records (left) and machines (right) differ");
    machines.len()
}
