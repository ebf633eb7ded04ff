//! Which machines are deleted, why, and when a delete is repeated.
//!
//! Nothing here follows from absence. A delete rests on a durable fact of our own record (an
//! end, a start time, a deadline, a request, a decided delete) or on a VM that is seen now with
//! its own tags; and only a VM whose id is known can be deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    DeleteReason, Drain, DrainReason, EndState, InstanceState, MachineName, Phase, RequestWhat,
    SpacePolicy, Timestamp,
};

use super::blast::{Looks, looks};
use super::judge::{Judged, Sight, is_auth_failure, is_trusted};
use super::{Asked, Fact, PlanInput, Step};

/// How long after it should have taken a machine back the cloud may still show it.
const INTERRUPTION_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Who asked for the deletion of which machine.
pub(super) type Wanted<'a> = BTreeMap<&'a MachineName, &'a str>;

/// The standing requests for deletion; of several for one machine the first one made counts.
pub(super) fn wanted_by_people<'a>(input: &PlanInput<'a>) -> Wanted<'a> {
    let mut requests: Vec<_> = input.requests.iter().collect();
    requests.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let mut wanted = Wanted::new();
    for request in requests {
        match &request.what {
            RequestWhat::DeleteMachine { machine } => {
                wanted.entry(machine).or_insert(request.who.as_str());
            }
            RequestWhat::DrainMachine { .. }
            | RequestWhat::DrainMachinetype { .. }
            | RequestWhat::DrainSpace { .. }
            | RequestWhat::HandOver { .. } => {}
        }
    }
    wanted
}

/// The deletes of one machine: its own, and those of further VMs of its intent.
pub(super) fn plan_deletes(
    input: &PlanInput<'_>,
    judged: &Judged<'_>,
    wanted: &Wanted<'_>,
    hold_back: Hold,
) -> Vec<Step> {
    if is_auth_failure(input.listing) || judged.record().deployment() != input.deployment {
        return Vec::new();
    }
    let machine = judged.record().machine();
    let delete = |instance, reason| Step::Delete { machine: machine.clone(), instance, reason };
    let own = judged.instance.filter(|_| !judged.is_impostor()).and_then(|instance| {
        let reason = reason(input, judged, wanted, hold_back)?;
        Some(delete(instance.clone(), reason))
    });
    let seen_id = match judged.sight {
        Sight::Seen(instance) => Some(&instance.id),
        Sight::Absent | Sight::Nothing => None,
    };
    let others = judged
        .duplicates()
        .filter(|duplicate| Some(&duplicate.id) != seen_id)
        .filter(|duplicate| duplicate.state != InstanceState::Deleting)
        .filter(|duplicate| {
            let asked = input.asked_twice.get(&duplicate.id);
            asked.is_none_or(|asked| is_due(input.policy, *asked, input.now))
        })
        .map(|duplicate| delete(duplicate.id.clone(), DeleteReason::Duplicate));
    own.into_iter().chain(others).collect()
}

/// Whether deletes for silence are held back in this cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// They are.
    Back,
    /// They are not.
    Nothing,
}

/// Why a machine's VM is to be deleted now, if it is.
fn reason(
    input: &PlanInput<'_>,
    judged: &Judged<'_>,
    wanted: &Wanted<'_>,
    hold_back: Hold,
) -> Option<DeleteReason> {
    let record = judged.record();
    let now = input.now;
    if matches!(judged.phase, Phase::Gone { since: _ }) {
        return None;
    }
    if let Some(deletion) = &record.deletion {
        let asked = Asked { attempts: deletion.attempts, last: deletion.last };
        let due = is_due(input.policy, asked, now);
        return due.then(|| deletion.reason.clone());
    }
    let is_clock_right = input.clock.is_trusted();
    if matches!(judged.phase, Phase::Ended { since: _ }) {
        // Its end is learned first, and that waits for a clock that is right.
        if record.ended.is_none() && !is_clock_right {
            return None;
        }
        return Some(if ended_by_fault(judged) {
            DeleteReason::CloudFault
        } else {
            DeleteReason::Ended
        });
    }
    if let Some(who) = wanted.get(record.machine()) {
        return Some(DeleteReason::Operator { who: (*who).to_owned() });
    }
    if !is_clock_right {
        return None;
    }
    let told_to_end = record.drain.as_ref().map(told_to_end);
    if [input.ends_at(), told_to_end].into_iter().flatten().any(|end| now >= end) {
        return Some(DeleteReason::ShutdownTime);
    }
    if now >= record.tags.deadline {
        return Some(DeleteReason::Deadline);
    }
    let policy = judged.policy?;
    if judged.started.is_some_and(|started| now >= started + policy.max_wallclock) {
        return Some(DeleteReason::MaxWallclock);
    }
    match judged.sight {
        Sight::Seen(instance) if instance.state == InstanceState::Pending => {
            let late = record.started.is_none() && now > record.asked + policy.start_timeout;
            late.then_some(DeleteReason::StartTimeout)
        }
        Sight::Seen(_) if hold_back == Hold::Nothing && is_trusted(input.listing) => {
            let silent = looks_silent(input, judged);
            silent.then_some(DeleteReason::Heartbeat)
        }
        Sight::Seen(_) | Sight::Absent | Sight::Nothing => None,
    }
}

/// When a machine that was told to end is deleted. What the cloud wants back it takes itself, and then says so: we
/// wait for that, but not for ever.
fn told_to_end(drain: &Drain) -> Timestamp {
    match drain.reason {
        DrainReason::Interruption => drain.by + INTERRUPTION_PATIENCE,
        DrainReason::Operator { who: _ }
        | DrainReason::SpaceShutdown
        | DrainReason::SpendingCap { cap: _ }
        | DrainReason::SpendingPlan { budget: _, why: _ } => drain.by,
    }
}

/// A machine that has said its last words but still runs is not held back with the others, yet
/// its heartbeat is judged all the same.
fn looks_silent(input: &PlanInput<'_>, judged: &Judged<'_>) -> bool {
    match looks(judged.sighted(), input.now) {
        Looks::Silent => true,
        Looks::Alive | Looks::Missing | Looks::Vanished => false,
        Looks::NotInQuestion => {
            let started = judged
                .record()
                .started
                .filter(|_| matches!(judged.phase, Phase::Running { since: _ }));
            started.zip(judged.policy).is_some_and(|(started, policy)| {
                super::blast::is_silent(policy, started, judged.view, input.now)
            })
        }
    }
}

fn ended_by_fault(judged: &Judged<'_>) -> bool {
    let learned = judged.facts.iter().find_map(|fact| match fact {
        Fact::Ended { at: _, state, message: _ } => Some(state),
        Fact::Created { .. } | Fact::Started { .. } | Fact::RefusedLate(_) | Fact::Gone { .. } => {
            None
        }
    });
    let known = judged.record().ended.as_ref().map(|ended| &ended.state);
    known.or(learned) == Some(&EndState::Failed)
}

/// Whether a decided delete is to be repeated: the pause doubles with each call.
fn is_due(policy: &SpacePolicy, asked: Asked, now: crate::model::Timestamp) -> bool {
    let Asked { attempts, last } = asked;
    // A last call in the future means that a clock was set back: repeating is harmless.
    attempts == 0 || last > now || now.since(last) >= pause_after(policy, attempts)
}

/// The pause after so many delete calls.
pub(super) fn pause_after(policy: &SpacePolicy, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(31);
    policy.delete_pause.saturating_mul(1 << doublings).min(policy.delete_pause_max)
}
