//! Carries out a plan, without an opinion of its own: one match over `Step`, one outcome for each step,
//! nothing retried (the next cycle is the retry). The only code that makes mutating provider calls, each
//! under a proof of ownership that is checked just before it (invariant 5).
//!
//! Steps run in the plan's order, and those of one kind side by side; the steps of one machine never
//! overtake each other. After a failure of the state directory nothing more is created in this cycle and the
//! machine concerned is left alone; after a lost ownership nothing more is done at all.

mod apply;
mod brake;
mod create;
mod pay;
mod prepare;
mod steps;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::atomic::AtomicBool;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tracing::{info, warn};
use vcycle_api::{Act, Clock};

use crate::library::{Setup, SpaceSetup};
use crate::model::{MachineName, MachineRecord, ManagerName, Offering, OfferingId, Timestamp};
use crate::plan::{Plan, Step};
use crate::store::{Ledger, Proof, Store};
pub use prepare::prepare;

use brake::{Brake, Pulled, Trouble};
use pay::Payments;

/// Steps under way at once. Fewer than the request budget lets be under way, so that on a slow cloud no create waits for
/// the end of another: it would be refused when its patience is over, and one refusal ends the creates of a cycle.
const STEPS_AT_ONCE: usize = 6;

/// What VMs are told of the manager that makes them.
#[derive(Debug, Clone)]
pub struct Home {
    /// This manager.
    pub manager: ManagerName,
    /// `vcycle VERSION`.
    pub version: String,
    /// Its host name.
    pub hostname: String,
    /// `https://HOST:PORT` of the server for VMs, without a slash at the end.
    pub base_url: String,
    /// PEM of the CA of that server; empty: a public one.
    pub manager_ca: String,
}

/// With what a plan is carried out.
#[derive(Clone, Copy)]
pub struct ActContext<'a> {
    /// The cloud.
    pub provider: &'a dyn Act,
    /// The state directory.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The whole instructions (for the site).
    pub setup: &'a Setup,
    /// Those of the space.
    pub space: &'a SpaceSetup,
    /// Who we are.
    pub home: &'a Home,
    /// What can be made, for the memory of adopted machines.
    pub offerings: &'a [Offering],
    /// Whether a delete that finds nothing may conclude anything.
    pub absence: Absence,
    /// Machines that the cloud may not show yet.
    pub unsettled: &'a HashSet<MachineName>,
    /// When the space ends.
    pub end: Option<Timestamp>,
    /// Where what machines may cost is reserved.
    pub ledger: &'a Ledger,
    /// Set when the process is to end: steps that have not begun are left.
    pub stopping: &'a AtomicBool,
}

/// What this cycle's listing lets follow from "there is none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// We look at the right place, at the right time: it is gone.
    CanBeProven,
    /// Nothing: perhaps the credentials lead to another project.
    ProvesNothing,
}

/// What the owner of a space remembers, as far as carrying out changes it. Only told of what is durable.
pub trait Memory {
    /// The record of a machine that is not archived.
    fn record(&self, machine: &MachineName) -> Option<&MachineRecord>;
    /// The record of a machine that was archived.
    fn archived(&self, machine: &MachineName) -> Option<&MachineRecord>;
    /// A record was written.
    fn wrote(&mut self, record: MachineRecord);
    /// A machine's folder was moved to the archive.
    fn moved_to_archive(&mut self, machine: &MachineName, at: Timestamp);
    /// An archived folder was removed.
    fn expired(&mut self, machine: &MachineName);
    /// The state directory has failed us: what stands there must be read again.
    fn is_stale(&mut self);
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// The step.
    pub step: Step,
    /// When it was over.
    pub at: Timestamp,
    /// What came of it.
    pub result: StepResult,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepResult {
    /// Done; with what there is to say about it.
    Done {
        /// For people; `None`: nothing special.
        note: Option<String>,
    },
    /// Tried, and failed.
    Failed {
        /// For people.
        why: String,
    },
    /// Not tried.
    Skipped {
        /// For people.
        because: String,
    },
}

impl fmt::Display for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { note: None } => f.write_str("done"),
            Self::Done { note: Some(note) } => write!(f, "done: {note}"),
            Self::Failed { why } => write!(f, "failed: {why}"),
            Self::Skipped { because } => write!(f, "not tried: {because}"),
        }
    }
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes {
    /// One for each step, in the plan's order.
    pub steps: Vec<StepOutcome>,
    /// Offerings of which the cloud had none when a machine was asked for, with that certainly written.
    pub sold_out: BTreeSet<OfferingId>,
    /// Why nothing more can be created in this cycle, whatever it is made of.
    pub no_more_creates: Option<String>,
    /// The cloud refused a machine for quota.
    pub quota_refused: bool,
    /// The cloud refused our credentials: what it said.
    pub auth_refused: Option<String>,
    /// The state directory failed: the first error.
    pub store_problem: Option<String>,
    /// The ownership was lost.
    pub fenced: Option<String>,
}

/// Carries out a plan. Memory follows what became durable.
pub async fn execute(
    plan: &Plan,
    context: &ActContext<'_>,
    proof: &Proof<'_>,
    memory: &mut impl Memory,
) -> Outcomes {
    let brake = Brake::default();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for run in plan.steps.chunk_by(|a, b| a.word() == b.word()) {
        let payments = Payments::of(run, context.ledger, proof).await;
        let common = Common { context, proof, brake: &brake, payments: &payments };
        let jobs = jobs_of(run, memory).into_iter();
        let jobs: Vec<BoxFuture<'_, Vec<Finished>>> =
            jobs.map(|job| carry_out_all(common, job).boxed()).collect();
        let mut done = stream::iter(jobs).buffer_unordered(STEPS_AT_ONCE);
        let mut outcomes = Vec::with_capacity(run.len());
        while let Some(finished) = done.next().await {
            for Finished { position, outcome, changes } in finished {
                remember(memory, changes, outcome.at);
                outcomes.push((position, outcome));
            }
        }
        drop(done);
        payments.give_back(context.ledger, proof).boxed().await;
        outcomes.sort_by_key(|(position, _)| *position);
        steps.extend(outcomes.into_iter().map(|(_, outcome)| outcome));
    }
    let Pulled {
        fenced,
        store_problem,
        sold_out,
        quota_refused,
        auth_refused,
        no_more_creates,
        left_alone: _,
    } = brake.pulled();
    if store_problem.is_some() {
        memory.is_stale();
    }
    Outcomes {
        steps,
        sold_out,
        no_more_creates,
        quota_refused,
        auth_refused,
        store_problem,
        fenced,
    }
}

impl Outcomes {
    /// With those of what was done after it.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        let Self {
            steps,
            sold_out,
            no_more_creates,
            quota_refused,
            auth_refused,
            store_problem,
            fenced,
        } = later;
        self.steps.extend(steps);
        self.sold_out.extend(sold_out);
        self.quota_refused |= quota_refused;
        Self {
            no_more_creates: self.no_more_creates.or(no_more_creates),
            auth_refused: self.auth_refused.or(auth_refused),
            store_problem: self.store_problem.or(store_problem),
            fenced: self.fenced.or(fenced),
            ..self
        }
    }
}

/// The steps of one machine in one run, in order, with its record as it is now.
struct Job {
    steps: Vec<(usize, Step)>,
    record: Option<MachineRecord>,
    /// It has a folder in the archive already: it came back after it was proven gone.
    archived: Option<MachineRecord>,
}

fn jobs_of(run: &[Step], memory: &impl Memory) -> Vec<Job> {
    let mut places: BTreeMap<&MachineName, usize> = BTreeMap::new();
    let mut jobs: Vec<Job> = Vec::new();
    for (position, step) in run.iter().enumerate() {
        let place = match step.machine() {
            Some(machine) => *places.entry(machine).or_insert(jobs.len()),
            None => jobs.len(),
        };
        if place == jobs.len() {
            let record = step.machine().and_then(|machine| memory.record(machine)).cloned();
            let archived = step.machine().and_then(|machine| memory.archived(machine)).cloned();
            jobs.push(Job { steps: Vec::new(), record, archived });
        }
        jobs[place].steps.push((position, step.clone()));
    }
    jobs
}

struct Finished {
    position: usize,
    outcome: StepOutcome,
    changes: Vec<Change>,
}

/// What became durable.
enum Change {
    Wrote(Box<MachineRecord>),
    Archived(MachineName),
    Expired(MachineName),
}

fn remember(memory: &mut impl Memory, changes: Vec<Change>, at: Timestamp) {
    for change in changes {
        match change {
            Change::Wrote(record) => memory.wrote(*record),
            Change::Archived(machine) => memory.moved_to_archive(&machine, at),
            Change::Expired(machine) => memory.expired(&machine),
        }
    }
}

/// What all jobs of a run have in common.
#[derive(Clone, Copy)]
struct Common<'a> {
    context: &'a ActContext<'a>,
    proof: &'a Proof<'a>,
    brake: &'a Brake,
    payments: &'a Payments,
}

async fn carry_out_all(common: Common<'_>, job: Job) -> Vec<Finished> {
    let Common { context, proof, brake, payments } = common;
    let Job { steps, mut record, archived } = job;
    let mut finished = Vec::with_capacity(steps.len());
    for (position, step) in steps {
        let mut changes = Vec::new();
        let result = match brake.refuses(&step, context.stopping) {
            Some(because) => StepResult::Skipped { because },
            None => {
                let mut hands = steps::Hands {
                    context,
                    proof,
                    record: &mut record,
                    archived: archived.as_ref(),
                    payments,
                    changes: &mut changes,
                };
                match hands.carry_out(&step).await {
                    Ok(note) => StepResult::Done { note },
                    Err(trouble) => brake.pull(&step, trouble),
                }
            }
        };
        let outcome = StepOutcome { step, at: context.clock.now(), result };
        report(context, &outcome);
        finished.push(Finished { position, outcome, changes });
    }
    finished
}

fn report(context: &ActContext<'_>, outcome: &StepOutcome) {
    let StepOutcome { step, at: _, result } = outcome;
    let space = &context.space.policy.space;
    match result {
        StepResult::Done { note } => info!(%space, %step, note, "did"),
        StepResult::Failed { why } => warn!(%space, %step, why, "could not do"),
        StepResult::Skipped { because } => info!(%space, %step, because, "did not try"),
    }
}

#[cfg(test)]
mod tests {
    use vcycle_api::BudgetSettings;
    use vcycle_api::budget::Priority;

    use super::STEPS_AT_ONCE;

    #[test]
    fn no_create_of_a_plan_waits_for_the_end_of_another() {
        let slots = BudgetSettings::DEFAULT.slots(Priority::Create);
        let steps = u32::try_from(STEPS_AT_ONCE).unwrap();
        assert!(
            steps < slots,
            "{steps} steps at once, and {slots} calls: one is for a read meanwhile"
        );
    }
}
