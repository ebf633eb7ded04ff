//! From an observation to the input of the plan: one place, so that a dry run plans from the same as
//! a cycle.

use std::collections::BTreeMap;

use crate::model::{
    ClockTrust, DeploymentId, Ended, Generation, MachineName, MachinetypeName, Readiness,
    SpacePolicy, Timestamp,
};
use crate::observe::{Observation, SpaceMemory};
use crate::plan::{AskedTwice, Made, PlanInput, Spending};

/// What a plan depends on besides what was seen.
#[derive(Debug, Clone, Copy)]
pub struct PlanFrame<'a> {
    /// Names of new machines follow from it.
    pub seed: u64,
    /// Whether anything may follow from the time.
    pub clock: &'a ClockTrust,
    /// Ours.
    pub deployment: &'a DeploymentId,
    /// The ownership under which the plan will be carried out.
    pub generation: Generation,
    /// The rules of the space.
    pub policy: &'a SpacePolicy,
    /// What may be spent; `None`: that is not watched.
    pub spending: Option<Spending<'a>>,
    /// What machinetypes still lack; nothing, where the cloud was only looked at.
    pub readiness: &'a BTreeMap<MachinetypeName, Readiness>,
}

/// What is remembered of the space: the plan borrows it.
#[derive(Debug)]
pub struct Remembered {
    past: Vec<Ended>,
    archived: Vec<(MachineName, Timestamp)>,
    asked_twice: AskedTwice,
}

impl Remembered {
    /// By the rules of the space, and for what was seen.
    pub fn of(memory: &mut SpaceMemory, policy: &SpacePolicy, seen: &Observation) -> Self {
        Self {
            past: memory.past(policy),
            archived: memory.archive(),
            asked_twice: memory.standing_twice(&seen.machines),
        }
    }
}

/// The input of a plan. That the cloud has refused for quota is added by whoever remembers it.
pub fn plan_input<'a>(
    frame: &PlanFrame<'a>,
    seen: &'a Observation,
    remembered: &'a Remembered,
) -> PlanInput<'a> {
    let PlanFrame { seed, clock, deployment, generation, policy, spending, readiness } = *frame;
    PlanInput {
        now: seen.now,
        clock,
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
        asked_twice: &remembered.asked_twice,
        quota_stop: None,
        terms: &seen.terms,
        readiness,
        side: &seen.side,
        spending,
        interruptions: &seen.interruptions,
        made: Made::default(),
        archived: &remembered.archived,
    }
}
