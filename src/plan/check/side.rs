//! Only what a machine left behind is swept: counted anew, from the records and the listing alone.

use crate::model::{InstanceState, MachineView, Sighting, Tags};
use crate::plan::judge::{is_auth_failure, is_trusted};
use crate::plan::{Plan, PlanInput, Step};

use super::{Verdict, ensure};

/// A side resource is only removed when it is known, ours, unused, and no machine is left that could need it.
pub(super) fn only_left_behind(input: &PlanInput<'_>, plan: &Plan) -> Verdict {
    let swept = plan.steps.iter().filter_map(|step| match step {
        Step::Sweep { resource } => Some((resource, step)),
        Step::Learn { .. }
        | Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Create(_)
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::CloseRequest { .. } => None,
    });
    for (resource, step) in swept {
        let detail = || step.to_string();
        let tags = &resource.tags;
        let can_tell = is_trusted(input.listing) && !is_auth_failure(input.listing);
        ensure(can_tell, "nothing is swept on a listing that cannot be believed", detail)?;
        let is_ours = tags.deployment == *input.deployment && tags.space == input.policy.space;
        ensure(is_ours, "only side resources of this space are swept", detail)?;
        let is_unused = resource.attached_to.is_none() && input.side.proven.contains(resource);
        ensure(is_unused, "only what is proven unused is swept", detail)?;
        let stands = |view: &MachineView| view.record.gone.is_none() || shows_a_vm(view);
        let is_needed = input
            .machines
            .iter()
            .filter(|view| stands(view))
            .map(|view| &view.record.tags)
            .chain(input.orphans.iter().map(|orphan| &orphan.tags))
            .any(|machine| is_of(tags, machine));
        ensure(!is_needed, "nothing of a machine that may stand is swept", detail)?;
    }
    Ok(())
}

fn is_of(tags: &Tags, machine: &Tags) -> bool {
    tags.machine == machine.machine || tags.intent == machine.intent
}

fn shows_a_vm(view: &MachineView) -> bool {
    let seen = match &view.sighting {
        Sighting::Seen(instance) => instance.state != InstanceState::Gone,
        Sighting::ProvenAbsent | Sighting::NotSeen => false,
    };
    seen || !view.duplicates.is_empty()
}
