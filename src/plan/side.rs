//! Volumes and ports that outlived their machine: paid for, and counted in a quota, by nobody's wish.
//!
//! Their tags say whose they were. One is only removed when the cloud shows it unused for longer than the settle
//! time, and neither a record nor a VM of its machine is left that could still need it.

use std::collections::BTreeSet;

use crate::model::{InstanceState, IntentToken, MachineName, Sighting, Tags};

use super::judge::{is_auth_failure, is_trusted};
use super::{PlanInput, Step};

/// Most of them in one cycle: what is left behind by the hundred is rather a fault of ours to look into.
const AT_ONCE: usize = 20;

/// What is removed now. Nothing, when we may not see all machines, or the time cannot be believed.
pub(super) fn plan_sweeps(input: &PlanInput<'_>) -> Vec<Step> {
    let can_tell =
        is_trusted(input.listing) && input.clock.is_trusted() && !is_auth_failure(input.listing);
    if !can_tell || input.side.proven.is_empty() {
        return Vec::new();
    }
    let needed = Needed::of(input);
    let mut orphans: Vec<_> = input
        .side
        .proven
        .iter()
        .filter(|resource| is_ours(input, &resource.tags) && resource.attached_to.is_none())
        .filter(|resource| !needed.has(&resource.tags))
        .collect();
    orphans.sort_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
    orphans.dedup_by(|a, b| (&a.kind, &a.id) == (&b.kind, &b.id));
    let sweep = |resource: &crate::model::SideResource| Step::Sweep { resource: resource.clone() };
    orphans.into_iter().take(AT_ONCE).map(sweep).collect()
}

/// Whether the owner of this space answers for it.
pub(super) fn is_ours(input: &PlanInput<'_>, tags: &Tags) -> bool {
    tags.deployment == *input.deployment && tags.space == input.policy.space
}

/// Machines that may still need what is theirs.
struct Needed<'a> {
    machines: BTreeSet<&'a MachineName>,
    intents: BTreeSet<&'a IntentToken>,
}

impl<'a> Needed<'a> {
    fn of(input: &PlanInput<'a>) -> Self {
        let records = input.machines.iter().filter(|view| {
            let is_seen = match &view.sighting {
                Sighting::Seen(instance) => instance.state != InstanceState::Gone,
                Sighting::ProvenAbsent | Sighting::NotSeen => false,
            };
            view.record.gone.is_none() || is_seen || !view.duplicates.is_empty()
        });
        let records = records.map(|view| &view.record.tags);
        let tags: Vec<&Tags> =
            records.chain(input.orphans.iter().map(|orphan| &orphan.tags)).collect();
        Self {
            machines: tags.iter().map(|tags| &tags.machine).collect(),
            intents: tags.iter().map(|tags| &tags.intent).collect(),
        }
    }

    fn has(&self, tags: &Tags) -> bool {
        self.machines.contains(&tags.machine) || self.intents.contains(&tags.intent)
    }
}
