//! Carrying out the plan of a cycle. When the cloud had none of an offering, what is still wanted is planned and made
//! again in the same cycle, of the next offerings: a wave.
//!
//! Nothing is tried twice. A refusal counts once it stands in the record of its intent; then the offering is parked, and
//! the planner, which sees all records as they are now, chooses another one under new intents. Each wave is a plan like
//! any other: checked against the laws, announced, and only then carried out. The pace of the cycle stands for all
//! waves together; their number and their time are bounded.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::info;

use super::money::{Money, Seen};
use super::{CycleContext, announce, lawful_plan};
use crate::act::{ActContext, Outcomes, StepOutcome, execute};
use crate::model::{Hearing, MachineRecord, MachineView, MachinetypeName, Sighting, SpaceSnapshot};
use crate::observe::SpaceMemory;
use crate::plan::{
    Made, NewMachine, Orphan, Plan, PlanInput, Reason, Report, SnapshotFrame, Step, snapshot,
};
use crate::store::{Proof, StoreError};

/// Waves after the first plan. Offerings that are out of stock are parked for minutes, so that with this many a cycle
/// dozens are known before the first of them is tried again.
const WAVES_MOST: u64 = 8;

/// No wave begins later than this after the first plan was carried out: other work of the space waits.
const WAVES_LONGEST: Duration = Duration::from_secs(30);

/// Far from every other seed, so that no name is drawn twice.
const ANOTHER_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// With what plans are carried out.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) context: &'a CycleContext<'a>,
    pub(super) act: &'a ActContext<'a>,
    pub(super) proof: &'a Proof<'a>,
    pub(super) look: Seen<'a>,
    /// `None`: spending is not watched.
    pub(super) money: Option<&'a Money>,
}

/// Carries out a plan and what follows from it. Gives what was planned in all, and what came of it.
pub(super) async fn carry_out(
    hands: &Hands<'_>,
    (input, plan): (&PlanInput<'_>, Plan),
    memory: &mut SpaceMemory,
) -> (Plan, Outcomes) {
    let (mut whole, mut outcomes) = one(hands, (input, plan), memory).await;
    let clock = hands.context.clock;
    let (begun, mut last) = (clock.monotonic(), outcomes.clone());
    for wave in 1..=WAVES_MOST {
        let in_time = clock.monotonic().saturating_sub(begun) < WAVES_LONGEST;
        if !in_time || !calls_for_more(hands, &last, memory) {
            break;
        }
        // What the refused ones had reserved is free again before others are chosen.
        let Ok(money) = hands.money_again(memory).await else { break };
        let machines = as_they_are_now(input, memory);
        let made = taken(&outcomes, memory);
        let next = PlanInput {
            seed: input.seed.wrapping_add(ANOTHER_SEED.wrapping_mul(wave)),
            machines: &machines,
            made: made.values().fold(input.made, |sum, made| sum.with(*made)),
            spending: money.as_ref().map(Money::view),
            ..input.clone()
        };
        let plan = creates_of(lawful_plan(&next));
        info!(space = %input.policy.space, wave, machines = plan.steps.len(), "trying other offerings");
        let (planned, came) = one(hands, (&next, plan), memory).await;
        whole.steps.extend(planned.steps);
        tell(&mut whole.report, planned.report, &made);
        outcomes = outcomes.and(came.clone());
        last = came;
    }
    (whole, outcomes)
}

impl Hands<'_> {
    /// An error is a fence: the next cycle finds it.
    async fn money_again(&self, memory: &SpaceMemory) -> Result<Option<Money>, StoreError> {
        let Some(money) = self.money else { return Ok(None) };
        money.again(self.context, self.proof, self.look, memory).await.map(Some)
    }
}

/// One plan: what is about to be done, and why, is known even if we die of it; else nothing is done.
async fn one(
    hands: &Hands<'_>,
    (input, plan): (&PlanInput<'_>, Plan),
    memory: &mut SpaceMemory,
) -> (Plan, Outcomes) {
    let Hands { context, act, proof, .. } = *hands;
    let announced = async {
        keep_tenancy(hands, &plan, memory).await?;
        announce(context, proof, (input, &plan), memory).await
    };
    let unannounced = announced.await.err();
    let plan = match &unannounced {
        Some(_) => Plan { steps: Vec::new(), ..plan },
        None => plan,
    };
    let mut outcomes = execute(&plan, act, proof, memory).await;
    outcomes.store_problem =
        unannounced.map(|problem| problem.to_string()).or(outcomes.store_problem);
    (plan, outcomes)
}

/// Keeps which tenancy the space is in: before the first machine is made there, or when one of its machines is
/// seen there. That none is seen tells nothing of where they are.
async fn keep_tenancy(
    hands: &Hands<'_>,
    plan: &Plan,
    memory: &mut SpaceMemory,
) -> Result<(), StoreError> {
    let Hands { context, proof, look: Seen { seen, trust: _ }, .. } = *hands;
    let Some(tenancy) = seen.tenancy.as_ref().filter(|_| memory.home.is_none()) else {
        return Ok(());
    };
    let makes = plan.steps.iter().any(|step| matches!(step, Step::Create(_)));
    if !(seen.shows_ours() || makes && memory.places_held() == 0) {
        return Ok(());
    }
    let kept = context.store.keep_tenancy(proof, tenancy).await;
    match &kept {
        Ok(()) => memory.home = Some(tenancy.clone()),
        Err(_) => memory.stale = true,
    }
    kept
}

/// Whether something that was wanted was out of stock, and nothing else speaks against a further try.
fn calls_for_more(hands: &Hands<'_>, last: &Outcomes, memory: &SpaceMemory) -> bool {
    let Outcomes {
        steps: _,
        sold_out,
        no_more_creates,
        quota_refused,
        auth_refused,
        store_problem,
        fenced,
    } = last;
    let is_stopping = hands.context.stopping.load(Ordering::Relaxed);
    !sold_out.is_empty()
        && no_more_creates.is_none()
        && !quota_refused
        && auth_refused.is_none()
        && store_problem.is_none()
        && fenced.is_none()
        && !memory.must_be_read_again()
        && !is_stopping
}

/// What people see: what was done in this cycle, and not what was there before it.
pub(super) fn shown(
    input: &PlanInput<'_>,
    (plan, frame): (&Plan, SnapshotFrame),
    memory: &SpaceMemory,
) -> SpaceSnapshot {
    if plan.steps.is_empty() {
        return snapshot(input, plan, frame);
    }
    let machines = as_they_are_now(input, memory);
    let is_adopted = |orphan: &&Orphan| memory.records().contains_key(&orphan.tags.machine);
    let orphans: Vec<Orphan> =
        input.orphans.iter().filter(|orphan| !is_adopted(orphan)).cloned().collect();
    let now = PlanInput { machines: &machines, orphans: &orphans, ..input.clone() };
    snapshot(&now, plan, frame)
}

/// The machines with their records as they are now, and those that were asked for meanwhile: the listing is older.
fn as_they_are_now(input: &PlanInput<'_>, memory: &SpaceMemory) -> Vec<MachineView> {
    let records = memory.records();
    let known = input.machines.iter().filter_map(|view| {
        let record = records.get(view.record.machine())?.clone();
        Some(MachineView { record, ..view.clone() })
    });
    let before: BTreeMap<_, _> =
        input.machines.iter().map(|view| (view.record.machine(), ())).collect();
    let new = records.values().filter(|record| !before.contains_key(record.machine()));
    let unseen = |record: &MachineRecord| MachineView {
        record: record.clone(),
        sighting: Sighting::NotSeen,
        duplicates: Vec::new(),
        heartbeat: None,
        hearing: Hearing::Since(input.now),
        message: None,
    };
    known.chain(new.map(unseen)).collect()
}

/// What was asked for in this cycle and not refused, by machinetype: it exists, or nobody knows.
fn taken(outcomes: &Outcomes, memory: &SpaceMemory) -> BTreeMap<MachinetypeName, Made> {
    let mut taken: BTreeMap<MachinetypeName, Made> = BTreeMap::new();
    for StepOutcome { step, at: _, result: _ } in &outcomes.steps {
        if let Step::Create(NewMachine { tags, offering, .. }) = step
            && memory.records().get(&tags.machine).is_some_and(|record| record.rejected.is_none())
        {
            let made = taken.entry(tags.machinetype.clone()).or_default();
            *made = made.and(offering.processors);
        }
    }
    taken
}

/// A plan that does nothing but make machines: all else was done, or belongs to the next cycle.
fn creates_of(plan: Plan) -> Plan {
    let Plan { mut steps, report } = plan;
    steps.retain(|step| matches!(step, Step::Create(_)));
    Plan { steps, report }
}

/// The reasons of a wave replace those before it; what was taken before still counts.
fn tell(report: &mut Report, wave: Report, taken: &BTreeMap<MachinetypeName, Made>) {
    for (machinetype, reason) in wave.machinetypes {
        let before = taken.get(&machinetype).copied().unwrap_or_default();
        let reason = match reason {
            Reason::Created { machines, processors } => {
                let all = before.with(Made { machines, processors });
                Reason::Created { machines: all.machines, processors: all.processors }
            }
            _ if before.machines > 0 => {
                Reason::Created { machines: before.machines, processors: before.processors }
            }
            reason => reason,
        };
        report.machinetypes.insert(machinetype, reason);
    }
    for alarm in wave.alarms {
        if !report.alarms.contains(&alarm) {
            report.alarms.push(alarm);
        }
    }
}
