//! What a doubted clock holds back: everything that follows from the time. A delete that was decided before, one
//! that a person asked for, and that of a second VM go on.

use crate::model::{DeleteReason, Evidence};

use super::check::{Verdict, ensure};
use super::{Fact, Plan, PlanInput, Step};

/// Whether a delete is decided by the time.
pub(super) fn rests_on_time(reason: &DeleteReason) -> bool {
    match reason {
        DeleteReason::StartTimeout
        | DeleteReason::MaxWallclock
        | DeleteReason::Heartbeat
        | DeleteReason::ShutdownTime
        | DeleteReason::Deadline => true,
        DeleteReason::Ended
        | DeleteReason::CloudFault
        | DeleteReason::Duplicate
        | DeleteReason::Operator { who: _ } => false,
    }
}

/// Whether a fact may be learned by a clock that is doubted. A start, an end or a creation with a wrong time would
/// kill the machine, stop its machinetype or hide its absence when the clock is right again; they are learned
/// then. A refusal has its time from the record.
pub(super) fn can_be_learned(fact: &Fact) -> bool {
    match fact {
        Fact::Created { instance: _, at: _ }
        | Fact::Started { at: _ }
        // It has its time from the end.
        | Fact::RefusedLate(_)
        | Fact::Ended { at: _, state: _, message: _ } => false,
        Fact::Gone { at: _, evidence } => *evidence == Evidence::Rejected,
    }
}

/// The law: a doubted clock never adds a step that follows from the time.
pub(super) fn law(input: &PlanInput<'_>, plan: &Plan) -> Verdict {
    if input.clock.is_trusted() {
        return Ok(());
    }
    for step in &plan.steps {
        let follows_from_time = match step {
            Step::Create(_)
            | Step::Adopt { .. }
            | Step::Expire { machine: _ }
            | Step::Resolve { .. }
            | Step::Sweep { .. }
            | Step::Drain { .. } => true,
            Step::Delete { machine, instance: _, reason } => {
                let record = input.machines.iter().map(|view| &view.record);
                let decided = record
                    .filter(|record| record.machine() == machine)
                    .any(|record| record.deletion.as_ref().is_some_and(|d| d.reason == *reason));
                rests_on_time(reason) && !decided
            }
            Step::Learn { machine: _, fact } => !can_be_learned(fact),
            Step::Archive { .. } | Step::CloseRequest { .. } => false,
        };
        ensure(!follows_from_time, "nothing follows from a clock that is doubted", || {
            step.to_string()
        })?;
    }
    Ok(())
}
