//! What people see of a space, made from the same input and plan that decide.

use crate::model::{Decision, ManagerName, SpaceSnapshot};

use super::words::listing_words;
use super::{Plan, PlanInput};

/// What a snapshot shows beside the plan.
#[derive(Debug, Clone)]
pub struct SnapshotFrame {
    /// Name of the provider.
    pub provider: String,
    /// Who owns the space.
    pub manager: ManagerName,
    /// The last decisions, newest first.
    pub decisions: Vec<Decision>,
}

/// The snapshot of a space after planning.
pub fn snapshot(input: &PlanInput<'_>, plan: &Plan, frame: SnapshotFrame) -> SpaceSnapshot {
    SpaceSnapshot {
        format: 1,
        space: input.policy.space.clone(),
        provider: frame.provider,
        manager: frame.manager,
        generation: input.generation,
        at: input.now,
        processors_limit: input.policy.processors_limit,
        processors: crate::model::Processors(0),
        foreign_machines: input.strangers.machines,
        foreign_processors: input.strangers.processors,
        listing: listing_words(input.listing),
        alarms: plan.report.alarms.clone(),
        machinetypes: Vec::new(),
        machines: Vec::new(),
        decisions: frame.decisions,
    }
}
