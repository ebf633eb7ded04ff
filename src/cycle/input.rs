//! From an observation to the input of the plan: one place, so that a dry run plans from the same as
//! a cycle.

use crate::model::{DeploymentId, Ended, Generation, MachineName, SpacePolicy, Timestamp};
use crate::observe::{Observation, SpaceMemory};
use crate::plan::PlanInput;

/// What a plan depends on besides what was seen.
#[derive(Debug, Clone, Copy)]
pub struct PlanFrame<'a> {
    /// Names of new machines follow from it.
    pub seed: u64,
    /// Ours.
    pub deployment: &'a DeploymentId,
    /// The ownership under which the plan will be carried out.
    pub generation: Generation,
    /// The rules of the space.
    pub policy: &'a SpacePolicy,
}

/// What is remembered of the space: the plan borrows it.
#[derive(Debug)]
pub struct Remembered {
    past: Vec<Ended>,
    archived: Vec<(MachineName, Timestamp)>,
}

impl Remembered {
    /// By the rules of the space.
    pub fn of(memory: &mut SpaceMemory, policy: &SpacePolicy) -> Self {
        Self { past: memory.past(policy), archived: memory.archive() }
    }
}

/// The input of a plan. That the cloud has refused for quota is added by whoever remembers it.
pub fn plan_input<'a>(
    frame: &PlanFrame<'a>,
    seen: &'a Observation,
    remembered: &'a Remembered,
) -> PlanInput<'a> {
    let PlanFrame { seed, deployment, generation, policy } = *frame;
    PlanInput {
        now: seen.now,
        seed,
        deployment,
        generation,
        policy,
        machines: &seen.machines,
        orphans: &seen.orphans,
        strangers: seen.strangers,
        listing: &seen.listing,
        quota: seen.quota,
        offerings: &seen.offerings,
        past: &remembered.past,
        requests: &seen.requests,
        quota_stop: None,
        archived: &remembered.archived,
    }
}
