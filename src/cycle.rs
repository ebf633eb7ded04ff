//! One cycle of one space: ownership proven -> observe -> join -> prepare -> plan -> check -> act -> record -> snapshot.
//! Takes no hint of what has changed; does nothing when it cannot know.

mod alarms;
mod changes;
mod heartbeats;
mod input;
mod memory;
mod money;
mod plans;
mod prices;
mod waves;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use tracing::error;
use vcycle_api::{Act, Clock};

pub use input::{PlanFrame, Remembered, plan_input};
pub use money::{CAPS_UNWATCHED, CapsRead};
pub use plans::{Planner, habits, leaving, orders, paying, tried};
pub use prices::{costs, costs_unknown};

use crate::act::{Absence, ActContext, Home, Outcomes, StepOutcome, StepResult, prepare};
use crate::library::{Setup, SpaceSetup};
use crate::model::{
    ClockTrust, Decision, DeleteReason, DeploymentId, Doors, ErrorKind, ListingState,
    MachinetypeName, OperatorRequest, Processors, Readiness, SpaceSnapshot, Timestamp,
};
use crate::observe::{
    ClockLook, ClockReading, Observation, Sources, SpaceMemory, Stepped, observe,
};
use crate::plan::{
    Fact, Plan, PlanInput, QuotaStop, SnapshotFrame, Step, check, lets_absence_be_proven, plan,
    processors_in_use, refused_late_for_quota, snapshot,
};
use crate::store::{Fenced, Ledger, Proof, Store, StoreError};

use money::{Money, Seen};

/// With what a cycle runs.
#[derive(Clone, Copy)]
pub struct CycleContext<'a> {
    /// The cloud.
    pub provider: &'a dyn Act,
    /// The state directory.
    pub store: &'a Store,
    /// What was spent and is kept free.
    pub ledger: &'a Ledger,
    /// Whether the caps in force are those of the spend manager.
    pub caps: &'a CapsRead,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Ours.
    pub deployment: &'a DeploymentId,
    /// The whole instructions: one immutable snapshot for the whole cycle.
    pub setup: &'a Setup,
    /// Those of the space.
    pub space: &'a SpaceSetup,
    /// Who we are.
    pub home: &'a Home,
    /// Where machines are heard.
    pub doors: &'a Doors,
    /// Never the same twice: names of new machines follow from it.
    pub seed: u64,
    /// Set when the process is to end.
    pub stopping: &'a AtomicBool,
}

/// What came of a cycle.
#[derive(Debug)]
pub struct CycleEnd {
    /// What people see.
    pub snapshot: SpaceSnapshot,
    /// Every step with its outcome.
    pub outcomes: Outcomes,
    /// The standing requests of people, as they were read.
    pub requests: Vec<OperatorRequest>,
}

/// Runs one cycle. An error is the state directory's before anything was done; what failed later is in the
/// outcomes.
pub async fn run_cycle(
    context: &CycleContext<'_>,
    proof: &Proof<'_>,
    memory: &mut SpaceMemory,
) -> Result<CycleEnd, StoreError> {
    let CycleContext { provider, store, ledger, clock, deployment, setup, space, home, .. } =
        *context;
    let CycleContext { doors, seed, stopping, .. } = *context;
    proof.check().await?;
    if memory.must_be_read_again() {
        memory.refill(store.load_space(proof.space()).await?);
    }
    let from = Sources { provider, store, clock, deployment, doors, policy: &space.policy };
    let mut seen = look(&from, memory).await?;
    not_outrun(proof, &seen)?;
    let trust = tell_time(proof, clock, memory, &mut seen).await;
    let remembered = Remembered::of(memory, &space.policy, &seen);
    let generation = proof.generation();
    let readiness = &make_ready(context, proof, &seen).await?;
    memory.readiness.tell(proof.space(), readiness);
    let (policy, trust) = (&space.policy, &trust);
    let look = Seen { seen: &seen, trust };
    let money = Money::of(context, proof, look, memory).await?;
    let spending = money.as_ref().map(Money::view);
    let under =
        PlanFrame { seed, clock: trust, deployment, generation, policy, spending, readiness };
    let mut input = plan_input(&under, &seen, &remembered);
    let used = processors_in_use(&input);
    input.quota_stop = quota_stop(&input, (&seen, used), memory);
    let plan = lawful_plan(&input);
    let offerings = &seen.offerings;
    let absence = absence(&input);
    let unsettled = &seen.unsettled;
    let end = input.end().map(|end| end.at);
    let act = ActContext {
        provider,
        store,
        clock,
        setup,
        space,
        home,
        offerings,
        absence,
        unsettled,
        end,
        ledger,
        stopping,
    };
    let hands = waves::Hands { context, act: &act, proof, look, money: money.as_ref() };
    let (plan, mut outcomes) = waves::carry_out(&hands, (&input, plan), memory).await;
    remember(&outcomes, (&seen, used), memory);
    memory.tried(money.iter().flat_map(Money::tried), seen.now);
    let frame = frame(provider.capabilities().provider, home, memory.decisions());
    let mut snapshot = waves::shown(&input, (&plan, frame), memory);
    snapshot.continue_history(memory.saved.as_ref());
    snapshot.alarms.extend(money.iter().flat_map(|money| money.alarms().to_vec()));
    snapshot.alarms.extend(seen.problems.iter().cloned());
    if outcomes.fenced.is_none()
        && let Err(problem) = write_down(context, proof, (&seen, &snapshot), memory).await
    {
        memory.stale = true;
        outcomes.store_problem.get_or_insert_with(|| problem.to_string());
    }
    let trouble = outcomes.store_problem.iter().chain(&outcomes.fenced).cloned();
    snapshot.alarms.splice(0..0, trouble);
    Ok(CycleEnd { snapshot, outcomes, requests: seen.requests })
}

/// Nothing is done under a generation that the VMs of ours show to have been used before: the log is older than the
/// cloud.
fn not_outrun(proof: &Proof<'_>, seen: &Observation) -> Result<(), StoreError> {
    let generation = proof.generation();
    match seen.outrun(generation) {
        Some(by) => Err(Fenced::Outrun { generation, by }.into()),
        None => Ok(()),
    }
}

/// Observes. While the cloud refuses our credentials its listing counts for nothing, so that nothing is asked
/// of it.
async fn look(from: &Sources<'_>, memory: &mut SpaceMemory) -> Result<Observation, StoreError> {
    let mut seen = observe(from, memory).await?;
    if let Some(why) = memory.auth_stop(seen.now).filter(|_| !seen.listing.is_elsewhere()) {
        let kind = ErrorKind::AuthFailed.word().to_owned();
        seen.listing = ListingState::Failed { kind, message: why.to_owned() };
    }
    Ok(seen)
}

/// What machinetypes lack. A cloud that cannot be listed is not asked: nothing is made then anyway.
async fn make_ready(
    context: &CycleContext<'_>,
    proof: &Proof<'_>,
    seen: &Observation,
) -> Result<BTreeMap<MachinetypeName, Readiness>, StoreError> {
    match &seen.listing {
        ListingState::Failed { kind: _, message: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ } => Ok(BTreeMap::new()),
        ListingState::Complete { started: _ }
        | ListingState::Shrunken { expected: _, missing: _ }
        | ListingState::Partial { why: _ } => {
            prepare(context.provider, proof, &context.space.needs()).await
        }
    }
}

/// The time of the cycle, and whether it can be believed.
async fn tell_time(
    proof: &Proof<'_>,
    clock: &dyn Clock,
    memory: &mut SpaceMemory,
    seen: &mut Observation,
) -> ClockTrust {
    let witness = proof.witness().await;
    let reading = ClockReading { wall: clock.now(), monotonic: clock.monotonic(), witness };
    seen.now = reading.wall;
    let ClockLook { trust, stepped } = memory.clock.look(&reading);
    match stepped {
        // We begin to listen anew: how long we have is not known any more.
        Stepped::Yes => {
            memory.since = reading.wall;
            memory.believed_since = None;
        }
        Stepped::No => {}
    }
    memory.believed_since =
        trust.is_trusted().then(|| memory.believed_since.unwrap_or(reading.wall));
    trust
}

/// What a delete that finds nothing may conclude in this cycle.
fn absence(input: &PlanInput<'_>) -> Absence {
    if lets_absence_be_proven(input) { Absence::CanBeProven } else { Absence::ProvesNothing }
}

/// The standing refusal for quota: of a create, or of a machine that had been accepted, as the cloud shows it now.
fn quota_stop(
    input: &PlanInput<'_>,
    (seen, used): (&Observation, Processors),
    memory: &mut SpaceMemory,
) -> Option<QuotaStop> {
    if let Some(never_were) = refused_late_for_quota(input) {
        memory.quota_refused(seen.now, used.minus(never_were), seen.quota);
    }
    memory.quota_stop(seen.now, used, seen.quota)
}

/// Remembers what no record remembers.
fn remember(
    outcomes: &Outcomes,
    (seen, used): (&Observation, Processors),
    memory: &mut SpaceMemory,
) {
    if let Some(why) = &outcomes.auth_refused {
        memory.auth_refused(seen.now, why.clone());
    }
    if outcomes.quota_refused {
        memory.quota_refused(seen.now, used.plus(created(outcomes)), seen.quota);
    }
    asked_twice_again(outcomes, memory);
    let told = |outcome: &&StepOutcome| !is_one_of_many(outcome, outcomes);
    memory.decided(outcomes.steps.iter().filter(told).filter_map(decision));
}

/// Remembers the calls that no record remembers.
fn asked_twice_again(outcomes: &Outcomes, memory: &mut SpaceMemory) {
    for StepOutcome { step, at, result } in &outcomes.steps {
        if let Step::Delete { machine: _, instance, reason: DeleteReason::Duplicate } = step
            && was_tried(result)
        {
            memory.asked_twice(instance, *at);
        }
    }
}

fn was_tried(result: &StepResult) -> bool {
    match result {
        StepResult::Done { note: _ } | StepResult::Failed { why: _ } => true,
        StepResult::Skipped { because: _ } => false,
    }
}

fn frame(provider: &str, home: &Home, decisions: Vec<Decision>) -> SnapshotFrame {
    SnapshotFrame { provider: provider.to_owned(), manager: home.manager.clone(), decisions }
}

/// Writes what is about to be done, if anything is.
async fn announce(
    context: &CycleContext<'_>,
    proof: &Proof<'_>,
    (input, plan): (&PlanInput<'_>, &Plan),
    memory: &mut SpaceMemory,
) -> Result<(), StoreError> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    let provider = context.provider.capabilities().provider;
    let frame = frame(provider, context.home, announced(plan, input.now, memory));
    let mut announced = snapshot(input, plan, frame);
    announced.continue_history(memory.saved.as_ref());
    let saved = context.store.save_snapshot(proof, &announced).await;
    match &saved {
        Ok(()) => memory.saved = Some(announced),
        Err(_) => memory.stale = true,
    }
    saved
}

/// The steps of a plan that has not been carried out yet, before the decisions of earlier cycles.
fn announced(plan: &Plan, at: Timestamp, memory: &SpaceMemory) -> Vec<Decision> {
    let planned =
        |step: &Step| Decision { at, text: step.to_string(), outcome: "planned".to_owned() };
    plan.steps.iter().map(planned).chain(memory.decisions()).take(50).collect()
}

/// The plan, if it keeps its laws; else a plan to do nothing, with the violation as its alarm.
fn lawful_plan(input: &PlanInput<'_>) -> Plan {
    let mut plan = plan(input);
    if let Err(violation) = check(input, &plan) {
        error!(space = %input.policy.space, %violation, "the whole plan is refused");
        plan.steps.clear();
        plan.report.alarms.insert(0, violation.to_string());
    }
    plan
}

/// Writes what people and VMs read, if it has changed.
async fn write_down(
    context: &CycleContext<'_>,
    proof: &Proof<'_>,
    (seen, snapshot): (&Observation, &SpaceSnapshot),
    memory: &mut SpaceMemory,
) -> Result<(), StoreError> {
    heartbeats::save(context.store, proof, (context.space, seen), memory).await?;
    let unchanged = memory.saved.as_ref().is_some_and(|saved| changes::none(saved, snapshot));
    if !unchanged {
        context.store.save_snapshot(proof, snapshot).await?;
        memory.saved = Some(snapshot.clone());
    }
    Ok(())
}

/// Processors that this plan has taken.
fn created(outcomes: &Outcomes) -> Processors {
    let taken =
        outcomes.steps.iter().filter_map(|outcome| match (&outcome.step, &outcome.result) {
            (Step::Create(new), StepResult::Done { note: _ }) => Some(new.offering.processors),
            (_, _) => None,
        });
    taken.sum()
}

/// Of an offering that is out of stock the refusals are told, and not all that was left for them.
fn is_one_of_many(outcome: &StepOutcome, outcomes: &Outcomes) -> bool {
    match (&outcome.step, &outcome.result) {
        (Step::Create(new), StepResult::Skipped { because: _ }) => {
            outcomes.sold_out.contains(&new.offering.id)
        }
        (_, _) => false,
    }
}

/// What people are told of a step; nothing of housekeeping.
fn decision(outcome: &StepOutcome) -> Option<Decision> {
    let StepOutcome { step, at, result } = outcome;
    let shown = match step {
        Step::Learn { machine: _, fact } => {
            matches!(fact, Fact::Ended { .. } | Fact::RefusedLate(_))
        }
        Step::Archive { .. } | Step::Expire { .. } => !matches!(result, StepResult::Done { .. }),
        Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Create(_)
        | Step::Sweep { .. }
        | Step::CloseRequest { .. } => true,
    };
    shown.then(|| Decision { at: *at, text: step.to_string(), outcome: result.to_string() })
}
