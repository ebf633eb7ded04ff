//! Silence and absence never end more machines at once than the blast radius: counted anew, from the
//! machines alone.

use crate::model::{
    BlastRadius, DeleteReason, EndKind, Evidence, InstanceState, MachineView, Timestamp,
};
use crate::plan::blast::{LATELY, is_silent};
use crate::plan::judge::{Sight, own_message, sight};
use crate::plan::{Fact, Plan, PlanInput, Step};

use super::{Machines, Verdict, ensure};

/// No more new deletes for silence, and no more conclusions from absence, than the blast radius allows.
pub(super) fn deletes_are_few(
    input: &PlanInput<'_>,
    plan: &Plan,
    machines: &Machines<'_>,
) -> Verdict {
    let mut silenced = 0_u32;
    let mut concluded = 0_u32;
    for step in &plan.steps {
        match step {
            Step::Delete { machine, instance: _, reason } => {
                let held_back = plan.report.held_back.contains_key(machine);
                let is_own = *reason != DeleteReason::Duplicate;
                let law = "held-back machines are not deleted";
                ensure(!(held_back && is_own), law, || step.to_string())?;
                let is_silence = *reason == DeleteReason::Heartbeat;
                silenced += u32::from(is_silence && is_in_question(machines[machine]));
            }
            Step::Learn { machine, fact: Fact::Gone { at: _, evidence: Evidence::NotFound } } => {
                concluded += u32::from(is_in_question(machines[machine]))
            }
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Resolve { .. }
            | Step::Drain { .. }
            | Step::Create(_)
            | Step::Archive { .. }
            | Step::Expire { .. }
            | Step::Sweep { .. }
            | Step::CloseRequest { .. } => {}
        }
    }
    if silenced == 0 && concluded == 0 {
        return Ok(());
    }
    let radius = Radius::of(input);
    let words = || radius.words();
    ensure(
        silenced == 0 || !radius.is_passed(),
        "silence deletes nothing beyond the blast radius",
        || format!("{silenced} deletes for silence, {}", words()),
    )?;
    ensure(
        !radius.is_passed() || f64::from(concluded) <= radius.limit,
        "beyond the blast radius only as many as it allows are taken for gone",
        || format!("{concluded} are taken for gone, {}", words()),
    )
}

/// Nothing is made while more machines look dead than the blast radius.
pub(super) fn is_not_suspicious(input: &PlanInput<'_>) -> Verdict {
    let radius = Radius::of(input);
    let law = "nothing is made while we suspect ourselves";
    ensure(!radius.is_passed(), law, || radius.words())
}

/// How many machines look dead, and how many may.
struct Radius {
    running: u32,
    doubtful: u32,
    limit: f64,
}

impl Radius {
    fn of(input: &PlanInput<'_>) -> Self {
        let lately = silenced_lately(input);
        let (mut running, mut doubtful) = (lately, lately);
        for view in input.machines.iter().filter(|view| is_in_question(view)) {
            if let Some(alive) = is_confirmed(input, view) {
                running += 1;
                doubtful += u32::from(!alive);
            }
        }
        let BlastRadius { machines, fraction } = input.policy.blast_radius;
        Self { running, doubtful, limit: f64::from(machines).max(fraction * f64::from(running)) }
    }

    fn is_passed(&self) -> bool {
        f64::from(self.doubtful) > self.limit
    }

    fn words(&self) -> String {
        let Self { running, doubtful, limit } = self;
        format!("{doubtful} of {running} running machines look dead, {limit} may")
    }
}

/// Whether our record says that it runs, and nothing says that it has ended.
fn is_in_question(view: &MachineView) -> bool {
    let record = &view.record;
    record.started.is_some()
        && record.ended.is_none()
        && record.deletion.is_none()
        && record.gone.is_none()
        && record.rejected.is_none()
        && own_message(view).is_none()
}

/// Whether a machine in question is seen alive. `None`: the cloud says that it has ended.
fn is_confirmed(input: &PlanInput<'_>, view: &MachineView) -> Option<bool> {
    let instance = match sight(input, view) {
        Sight::Seen(instance) => instance,
        Sight::Absent | Sight::Nothing => return Some(false),
    };
    match &instance.state {
        InstanceState::Running => {
            let policy = input.policy.machinetypes.get(view.record.machinetype());
            let silent = policy
                .zip(view.record.started)
                .is_some_and(|(policy, started)| is_silent(policy, started, view, input.now));
            Some(!silent)
        }
        InstanceState::Pending => Some(true),
        InstanceState::Unknown { word: _ } => Some(false),
        InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Failed { refusal: _, fault: _ }
        | InstanceState::Deleting
        | InstanceState::Gone => None,
    }
}

/// Machines that were deleted for silence lately. The past has those too that still have a record.
fn silenced_lately(input: &PlanInput<'_>) -> u32 {
    let is_late = |at: Timestamp| input.now.since(at) < LATELY;
    let deletions = input.machines.iter().filter_map(|view| view.record.deletion.as_ref());
    let (mut standing, mut past) = (0_u32, 0_u32);
    for deletion in deletions {
        standing +=
            u32::from(deletion.reason == DeleteReason::Heartbeat && is_late(deletion.since));
    }
    for end in input.past {
        past += u32::from(match &end.kind {
            EndKind::Killed { reason: DeleteReason::Heartbeat } => is_late(end.at),
            EndKind::Killed { reason: _ }
            | EndKind::Message { message: _ }
            | EndKind::Fizzled
            | EndKind::Silent
            | EndKind::NeverStarted
            | EndKind::CloudFault
            | EndKind::Preempted
            | EndKind::Rejected { kind: _ }
            | EndKind::NeverMade => false,
        });
    }
    standing.max(past)
}
