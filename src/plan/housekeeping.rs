//! Steps that touch records only: adopting, resolving, archiving, expiring, closing requests.

use std::collections::BTreeSet;

use crate::model::{
    EntryName, EntryRef, ListingState, MachineName, Market, Megabytes, OfferingId, Phase,
    RequestWhat,
};

use super::judge::{Judged, Sight, is_trusted};
use super::usage::{Count, of_orphan};
use super::{Fact, Orphan, PlanInput, Step};

/// A record for a VM of ours that has none.
pub(super) fn plan_adoption(input: &PlanInput<'_>, orphan: &Orphan) -> Step {
    let machinetype = &orphan.tags.machinetype;
    let entry = match input.policy.machinetypes.get(machinetype) {
        Some(policy) => {
            EntryRef { name: policy.entry.clone(), version: policy.entry_version.clone() }
        }
        None => EntryRef {
            name: EntryName::parse(machinetype.as_str())
                .expect("names of machinetypes and entries have one alphabet and length"),
            version: "unknown".to_owned(),
        },
    };
    let unknown = || OfferingId {
        flavour: "unknown".to_owned(),
        zone: String::new(),
        market: Market::OnDemand,
    };
    let Count { machines: _, processors, megabytes } = of_orphan(input, orphan);
    Step::Adopt {
        tags: orphan.tags.clone(),
        instance: orphan.instance.id.clone(),
        offering: orphan.instance.offering.clone().unwrap_or_else(unknown),
        processors,
        memory: Megabytes(megabytes),
        entry,
    }
}

/// Asking what became of an intent that nothing is known of. Not while the provider does not
/// even list: the next cycle is the retry.
pub(super) fn plan_resolve(input: &PlanInput<'_>, judged: &Judged<'_>) -> Option<Step> {
    let record = judged.record();
    let is_open = match (judged.phase, judged.sight) {
        (Phase::Gone { since: _ }, _) | (_, Sight::Seen(_) | Sight::Absent) => false,
        (_, Sight::Nothing) => record.instance.is_none(),
    };
    let can_answer = match input.listing {
        ListingState::Failed { kind: _, message: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ } => false,
        ListingState::Complete { started: _ }
        | ListingState::Shrunken { expected: _, missing: _ }
        | ListingState::Partial { why: _ } => true,
    };
    // Whether an intent has had the time to settle is a question of the clock.
    (is_open && can_answer && input.clock.is_trusted()).then(|| Step::Resolve {
        machine: record.machine().clone(),
        intent: *record.intent(),
        asked: record.asked,
    })
}

/// Whether the record says, or will say after this cycle's facts, that the machine is gone.
pub(super) fn is_gone(judged: &Judged<'_>) -> bool {
    let learned = judged.facts.iter().any(|fact| match fact {
        Fact::Gone { at: _, evidence: _ } => true,
        Fact::Created { .. } | Fact::Started { .. } | Fact::RefusedLate(_) | Fact::Ended { .. } => {
            false
        }
    });
    judged.record().gone.is_some() || learned
}

/// Requests about one machine that have nothing left to do.
pub(super) fn plan_closings(
    input: &PlanInput<'_>,
    judged: &[Judged<'_>],
    orphans: &[&Orphan],
) -> Vec<Step> {
    let about = |what: &RequestWhat| match what {
        RequestWhat::DrainMachine { machine, by: _ } | RequestWhat::DeleteMachine { machine } => {
            Some(machine.clone())
        }
        RequestWhat::DrainMachinetype { .. }
        | RequestWhat::DrainSpace { .. }
        | RequestWhat::HandOver { .. } => None,
    };
    if input.requests.iter().all(|request| about(&request.what).is_none()) {
        return Vec::new();
    }
    let mut standing: BTreeSet<&MachineName> =
        orphans.iter().map(|orphan| &orphan.tags.machine).collect();
    let mut gone: BTreeSet<&MachineName> = BTreeSet::new();
    for machine in judged {
        let set = if is_gone(machine) { &mut gone } else { &mut standing };
        set.insert(machine.record().machine());
    }
    let mut closings = Vec::new();
    for request in input.requests {
        let Some(machine) = about(&request.what).filter(|machine| !standing.contains(machine))
        else {
            continue;
        };
        let because = if gone.contains(&machine) {
            format!("{machine} is gone")
        } else if is_trusted(input.listing) {
            format!("there is no machine {machine} in this space any more")
        } else {
            // Its record may be unreadable, or its VM hidden: the request stands.
            continue;
        };
        closings.push(Step::CloseRequest { id: request.id.clone(), because });
    }
    closings
}

/// Archived folders whose time is over.
pub(super) fn plan_expiries(input: &PlanInput<'_>) -> impl Iterator<Item = Step> {
    input
        .archived
        .iter()
        .filter(|(_, at)| input.clock.is_trusted() && input.now.since(*at) >= input.policy.cleanup)
        // What it cost is not settled: its record is still needed.
        .filter(|(machine, _)| input.spending.is_none_or(|spending| !spending.is_open(machine)))
        .map(|(machine, _)| Step::Expire { machine: machine.clone() })
}
