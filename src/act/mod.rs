//! Carries out a plan, without an opinion of its own: one match over `Step`, one outcome for each step,
//! nothing retried (the next cycle is the retry). The only code that makes mutating provider calls, each
//! under a proof of ownership that is checked just before it (invariant 5).
//!
//! Steps run in the plan's order, and those of one kind side by side; the steps of one machine never
//! overtake each other. After a failure of the state directory nothing more is created in this cycle and the
//! machine concerned is left alone; after a lost ownership nothing more is done at all.

mod apply;
mod create;
mod steps;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tracing::{info, warn};
use vcycle_api::{Act, Clock, ErrorKind, ProviderError};

use crate::library::{RenderError, Setup, SpaceSetup};
use crate::model::{MachineName, MachineRecord, ManagerName, Offering, Timestamp};
use crate::plan::{Plan, Step};
use crate::store::{Fenced, Proof, Store, StoreError};

/// Steps under way at once.
const STEPS_AT_ONCE: usize = 8;

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
    /// Set when the process is to end: steps that have not begun are left.
    pub stopping: &'a AtomicBool,
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
        let jobs = jobs_of(run, memory).into_iter();
        let jobs: Vec<BoxFuture<'_, Vec<Finished>>> =
            jobs.map(|job| carry_out_all(context, proof, &brake, job).boxed()).collect();
        let mut done = stream::iter(jobs).buffer_unordered(STEPS_AT_ONCE);
        let mut outcomes = Vec::with_capacity(run.len());
        while let Some(finished) = done.next().await {
            for Finished { position, outcome, changes } in finished {
                remember(memory, changes, outcome.at);
                outcomes.push((position, outcome));
            }
        }
        outcomes.sort_by_key(|(position, _)| *position);
        steps.extend(outcomes.into_iter().map(|(_, outcome)| outcome));
    }
    let Pulled {
        fenced,
        store_problem,
        quota_refused,
        auth_refused,
        no_more_creates: _,
        left_alone: _,
    } = brake.pulled();
    if store_problem.is_some() {
        memory.is_stale();
    }
    Outcomes { steps, quota_refused, auth_refused, store_problem, fenced }
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

async fn carry_out_all(
    context: &ActContext<'_>,
    proof: &Proof<'_>,
    brake: &Brake,
    job: Job,
) -> Vec<Finished> {
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

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Fenced(Fenced),
    #[error("{0}")]
    Store(StoreError),
    #[error("{0}")]
    Provider(ProviderError),
    #[error("{0}")]
    Render(#[from] RenderError),
    #[error("{0}")]
    Senseless(&'static str),
}

/// Whether one refusal tells what the next create of this cycle would be told.
fn stops_creation(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::QuotaExceeded | ErrorKind::Throttled { after: _ } | ErrorKind::AuthFailed => {
            true
        }
        ErrorKind::NotFound
        | ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => false,
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(fenced) => Self::Fenced(fenced),
            error => Self::Store(error),
        }
    }
}

impl From<Fenced> for Trouble {
    fn from(fenced: Fenced) -> Self {
        Self::Fenced(fenced)
    }
}

/// What keeps the rest of a plan from being carried out, shared by the steps that are under way.
#[derive(Default)]
struct Brake {
    pulled: Mutex<Pulled>,
    fenced: AtomicBool,
}

#[derive(Default, Clone)]
struct Pulled {
    fenced: Option<String>,
    store_problem: Option<String>,
    quota_refused: bool,
    auth_refused: Option<String>,
    no_more_creates: Option<String>,
    left_alone: HashSet<MachineName>,
}

impl Brake {
    fn pulled(&self) -> Pulled {
        self.with(|pulled| pulled.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Pulled) -> T) -> T {
        look(&mut self.pulled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refuses(&self, step: &Step, stopping: &AtomicBool) -> Option<String> {
        if stopping.load(Ordering::Relaxed) {
            return Some("this manager is being stopped".to_owned());
        }
        if self.fenced.load(Ordering::Relaxed) {
            return Some("the space is not ours any more".to_owned());
        }
        self.with(|pulled| match step {
            Step::Create(_) => pulled.no_more_creates.clone(),
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Drain { .. }
            | Step::Archive { .. }
            | Step::Expire { .. }
            | Step::CloseRequest { .. } => pulled.leaves_alone(step),
            // Nothing more is asked of a cloud that refuses our credentials.
            Step::Resolve { .. } | Step::Delete { .. } => {
                pulled.auth_refused.clone().or_else(|| pulled.leaves_alone(step))
            }
        })
    }

    /// Takes the consequences of a failure for the rest of the plan.
    fn pull(&self, step: &Step, trouble: Trouble) -> StepResult {
        let why = trouble.to_string();
        self.with(|pulled| match trouble {
            Trouble::Fenced(_) => {
                self.fenced.store(true, Ordering::Relaxed);
                pulled.fenced.get_or_insert_with(|| why.clone());
            }
            Trouble::Store(_) => {
                pulled.store_problem.get_or_insert_with(|| why.clone());
                pulled.no_more_creates.get_or_insert_with(|| format!("the state directory: {why}"));
                pulled.left_alone.extend(step.machine().cloned());
            }
            Trouble::Provider(error) => pulled.provider_said(step, &error),
            Trouble::Render(_) | Trouble::Senseless(_) => {}
        });
        StepResult::Failed { why }
    }
}

impl Pulled {
    fn leaves_alone(&self, step: &Step) -> Option<String> {
        let machine = step.machine().filter(|machine| self.left_alone.contains(*machine));
        machine.map(|_| "an earlier step of this machine failed".to_owned())
    }

    fn provider_said(&mut self, step: &Step, error: &ProviderError) {
        if matches!(step, Step::Create(_)) {
            self.quota_refused |= error.kind == ErrorKind::QuotaExceeded;
        }
        if error.kind == ErrorKind::AuthFailed {
            self.auth_refused.get_or_insert_with(|| error.to_string());
        }
        if stops_creation(&error.kind) {
            self.no_more_creates.get_or_insert_with(|| format!("the cloud refused one: {error}"));
        }
    }
}
