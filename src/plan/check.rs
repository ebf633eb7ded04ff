//! The laws that every finished plan must keep. A violation is a bug of the planner: the cycle
//! refuses the whole plan, changes nothing and says so.
//!
//! Counts are made anew here, from the machines alone, so that a mistake in the planner's own
//! counting cannot hide itself. Every check is linear in the number of machines.

mod creates;
mod money;
mod places;
mod proof;
mod side;
mod silence;
mod touch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::model::{MachineName, MachineView, MachinetypeName, Processors};

use super::{NewMachine, Plan, PlanInput, Reason, Step, doubt};

/// A law that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks a law ({law}): {detail}; it is refused as a whole, please report this")]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// What breaks it.
    pub detail: String,
}

pub(super) type Verdict = Result<(), Violation>;

pub(super) fn ensure(holds: bool, law: &'static str, detail: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { law, detail: detail() }) }
}

/// Hashes alike in every run. Maps and sets of it are only looked up, never walked.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// The machines of an input by name.
type Machines<'a> = HashMap<&'a MachineName, &'a MachineView, Hasher>;

type Set<T> = HashSet<T, Hasher>;

/// Checks a plan against the laws.
pub fn check(input: &PlanInput<'_>, plan: &Plan) -> Result<(), Violation> {
    reasons(input, plan)?;
    order(plan)?;
    let Some(first) = plan.steps.first() else { return Ok(()) };
    let law = "in another tenancy than the space's nothing is done";
    ensure(!input.listing.is_elsewhere(), law, || first.to_string())?;
    let machines: Machines<'_> =
        input.machines.iter().map(|view| (view.record.machine(), view)).collect();
    touch::only_ours(input, plan, &machines)?;
    doubt::law(input, plan)?;
    proof::gone_only_with_proof(input, plan, &machines)?;
    silence::deletes_are_few(input, plan, &machines)?;
    side::only_left_behind(input, plan)?;
    creates::all(input, plan, &machines)
}

/// Every machinetype has exactly one reason, and it says `created` exactly if something is made.
fn reasons(input: &PlanInput<'_>, plan: &Plan) -> Verdict {
    let law = "every machinetype has exactly one reason";
    let known: Vec<_> = input.policy.machinetypes.keys().collect();
    let told: Vec<_> = plan.report.machinetypes.keys().collect();
    ensure(known == told, law, || format!("configured {known:?}, explained {told:?}"))?;
    let mut made: BTreeMap<&MachinetypeName, (u32, Processors)> = BTreeMap::new();
    for new in news(plan) {
        let (machines, processors) = made.entry(&new.tags.machinetype).or_default();
        *machines += 1;
        *processors = processors.plus(new.offering.processors);
    }
    for (machinetype, reason) in &plan.report.machinetypes {
        let told = match reason {
            Reason::Created { machines, processors } => Some((*machines, *processors)),
            _ => None,
        };
        ensure(told == made.get(machinetype).copied(), "the reason tells what is made", || {
            format!("{machinetype}: {reason}")
        })?;
    }
    Ok(())
}

/// Facts, housekeeping, resolves, drains, deletes, sweeps, creates.
fn order(plan: &Plan) -> Verdict {
    let rank = |step: &Step| match step {
        Step::Learn { .. } => 0,
        Step::Adopt { .. }
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::CloseRequest { .. } => 1,
        Step::Resolve { .. } => 2,
        Step::Drain { .. } => 3,
        Step::Delete { .. } => 4,
        Step::Sweep { .. } => 5,
        Step::Create(_) => 6,
    };
    ensure(plan.steps.is_sorted_by_key(rank), "steps come in their order", || {
        "out of order".to_owned()
    })
}

fn news(plan: &Plan) -> impl Iterator<Item = &NewMachine> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Create(new) => Some(new),
        Step::Learn { .. }
        | Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::Sweep { .. }
        | Step::CloseRequest { .. } => None,
    })
}
