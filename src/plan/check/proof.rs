//! Nothing is taken for gone, and no folder put away, without proof.

use crate::model::{Evidence, InstanceState, MachineName, MachineView, Sighting};
use crate::plan::judge::lets_absence_be_proven;
use crate::plan::{Fact, Plan, PlanInput, Step};

use super::{Machines, Set, Verdict, ensure};

/// A machine is only taken for gone, and archived, with proof.
pub(super) fn gone_only_with_proof(
    input: &PlanInput<'_>,
    plan: &Plan,
    machines: &Machines<'_>,
) -> Verdict {
    let law = "a machine is only taken for gone with proof";
    let can_be_proven = lets_absence_be_proven(input);
    let mut learned: Set<&MachineName> = Set::default();
    for step in &plan.steps {
        match step {
            Step::Learn { machine, fact: Fact::Gone { at: _, evidence } } => {
                let view = machines[machine];
                let proven = match evidence {
                    Evidence::Tombstone => is_tombstone(view),
                    Evidence::NotFound => view.sighting == Sighting::ProvenAbsent && can_be_proven,
                    Evidence::Rejected => view.record.rejected.is_some(),
                    Evidence::DeleteSaidGone | Evidence::NeverMade => false,
                };
                ensure(proven, law, || step.to_string())?;
                learned.insert(machine);
            }
            Step::Archive { machine } => {
                let known = machines[machine].record.gone.is_some();
                ensure(known || learned.contains(machine), law, || step.to_string())?;
            }
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Resolve { .. }
            | Step::Drain { .. }
            | Step::Delete { .. }
            | Step::Create(_)
            | Step::Expire { .. }
            | Step::Sweep { .. }
            | Step::CloseRequest { .. } => {}
        }
    }
    Ok(())
}

fn is_tombstone(view: &MachineView) -> bool {
    match &view.sighting {
        Sighting::Seen(instance) => instance.state == InstanceState::Gone,
        Sighting::NotSeen | Sighting::ProvenAbsent => false,
    }
}
