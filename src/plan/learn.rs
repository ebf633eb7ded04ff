//! Facts that a sighting adds to a record. Each is learned once: a fact that the record has is
//! never learned again, so that a steady cycle writes nothing.

use std::time::Duration;

use crate::model::{
    EndState, Evidence, Instance, InstanceState, LateRejection, MachineRecord, MachineView, Market,
    Timestamp,
};

use super::judge::{Sight, own_message};
use super::{Fact, PlanInput};

/// When a VM got power, if it did. Never in the future: clouds have clocks of their own.
pub(super) fn start_of(instance: &Instance, now: Timestamp) -> Option<Timestamp> {
    let started = match &instance.state {
        InstanceState::Running => Some(instance.started.unwrap_or(now)),
        InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Failed { refusal: _, fault: _ }
        | InstanceState::Deleting
        | InstanceState::Gone => instance.started,
        InstanceState::Pending | InstanceState::Unknown { word: _ } => None,
    };
    started.map(|at| at.min(now))
}

/// That the cloud refuses what it had accepted, as it shows the machine now. What has run was made.
pub(super) fn refused_late(record: &MachineRecord, instance: &Instance) -> Option<LateRejection> {
    let has_run = record.started.is_some() || instance.started.is_some();
    match &instance.state {
        InstanceState::Failed { refusal: Some(kind), fault } if !has_run => {
            Some(LateRejection { kind: *kind, message: fault.clone() })
        }
        InstanceState::Failed { refusal: _, fault: _ }
        | InstanceState::Pending
        | InstanceState::Running
        | InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Deleting
        | InstanceState::Gone
        | InstanceState::Unknown { word: _ } => None,
    }
}

/// New facts about a machine, in the order in which they must be written.
pub(super) fn facts(input: &PlanInput<'_>, view: &MachineView, sight: Sight<'_>) -> Vec<Fact> {
    let now = input.now;
    let record = &view.record;
    let mut facts = Vec::new();
    if record.gone.is_some() {
        return facts;
    }
    if let Some(rejection) = &record.rejected {
        facts.push(Fact::Gone { at: rejection.at, evidence: Evidence::Rejected });
        return facts;
    }
    if let Sight::Seen(instance) = sight {
        if record.instance.is_none() || record.created.is_none() {
            let at = instance.created.unwrap_or(now).min(now);
            facts.push(Fact::Created { instance: instance.id.clone(), at });
        }
        if record.started.is_none() {
            facts.extend(start_of(instance, now).map(|at| Fact::Started { at }));
        }
        if record.refused_late.is_none() {
            facts.extend(refused_late(record, instance).map(Fact::RefusedLate));
        }
    }
    facts.extend(end(input, view, sight));
    match sight {
        Sight::Seen(instance) if instance.state == InstanceState::Gone => {
            // Its own end is when it lost its power: until it was removed it may have cost all the same.
            facts.push(Fact::Gone { at: now, evidence: Evidence::Tombstone });
        }
        Sight::Absent => facts.push(Fact::Gone { at: now, evidence: Evidence::NotFound }),
        Sight::Seen(_) | Sight::Nothing => {}
    }
    facts
}

/// The end, if it is new, or last words that came after it.
fn end(input: &PlanInput<'_>, view: &MachineView, sight: Sight<'_>) -> Option<Fact> {
    let (record, now) = (&view.record, input.now);
    let message = || own_message(view).cloned();
    if let Some(known) = &record.ended {
        let late_words = if known.message.is_none() { message() } else { None }?;
        return Some(Fact::Ended {
            at: known.at,
            state: known.state.clone(),
            message: Some(late_words),
        });
    }
    let (state, at) = match sight {
        Sight::Seen(instance) => (end_state(&instance.state)?, instance.ended.unwrap_or(now)),
        Sight::Absent => (EndState::Vanished, now),
        Sight::Nothing => return None,
    };
    let message = message();
    let state = match (state, &record.deletion) {
        // Our own delete made it disappear: no end of its own, unless it said last words.
        (EndState::Vanished, Some(_)) if message.is_none() => return None,
        (EndState::Vanished, Some(_)) => EndState::Stopped,
        (EndState::Vanished, None) if was_taken_back(input, record, at) => EndState::Preempted,
        (state, _) => state,
    };
    Some(Fact::Ended { at: at.min(now), state, message })
}

/// Whether a machine that is not there any more was taken back by the provider. It had said so; or it takes machines
/// back without a word, where that is known of it.
fn was_taken_back(input: &PlanInput<'_>, record: &MachineRecord, at: Timestamp) -> bool {
    let is_announced =
        input.interruptions.iter().any(|notice| record.instance.as_ref() == Some(&notice.instance));
    is_announced || record.had_notice() || vanished_as_promised(input, record, at)
}

/// Where a site takes preemptible machines back by deleting them, nothing else tells (docs/decisions/0011). One
/// that is gone before its guaranteed time has ended in some other way.
fn vanished_as_promised(input: &PlanInput<'_>, record: &MachineRecord, at: Timestamp) -> bool {
    let since = record.started.or(record.created).unwrap_or(record.intended);
    let is_old_enough = |guaranteed: Duration| at.since(since) >= guaranteed;
    match record.offering.market {
        Market::Preemptible => input.policy.taken_back_after.is_some_and(is_old_enough),
        Market::OnDemand => false,
    }
}

fn end_state(state: &InstanceState) -> Option<EndState> {
    match state {
        InstanceState::Stopped => Some(EndState::Stopped),
        InstanceState::Preempted => Some(EndState::Preempted),
        InstanceState::Failed { refusal: _, fault: _ } => Some(EndState::Failed),
        InstanceState::Gone => Some(EndState::Vanished),
        InstanceState::Pending
        | InstanceState::Running
        | InstanceState::Deleting
        | InstanceState::Unknown { word: _ } => None,
    }
}
