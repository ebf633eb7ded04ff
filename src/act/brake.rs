//! Why a step could not be done, and what follows from that for the rest of the plan.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use vcycle_api::{ErrorKind, ProviderError};

use super::StepResult;
use crate::library::RenderError;
use crate::model::{MachineName, OfferingId};
use crate::plan::Step;
use crate::store::{Fenced, StoreError};

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Fenced(Fenced),
    #[error("{0}")]
    Store(StoreError),
    #[error("{0}")]
    Provider(ProviderError),
    #[error("{0}")]
    Render(#[from] RenderError),
    #[error("what it may cost could not be reserved: {0}")]
    Unpaid(String),
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
pub(super) struct Brake {
    pulled: Mutex<Pulled>,
    fenced: AtomicBool,
}

#[derive(Default, Clone)]
pub(super) struct Pulled {
    pub(super) fenced: Option<String>,
    pub(super) store_problem: Option<String>,
    pub(super) sold_out: BTreeSet<OfferingId>,
    pub(super) quota_refused: bool,
    pub(super) auth_refused: Option<String>,
    pub(super) no_more_creates: Option<String>,
    pub(super) left_alone: HashSet<MachineName>,
}

impl Brake {
    pub(super) fn pulled(&self) -> Pulled {
        self.with(|pulled| pulled.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Pulled) -> T) -> T {
        look(&mut self.pulled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn refuses(&self, step: &Step, stopping: &AtomicBool) -> Option<String> {
        if stopping.load(Ordering::Relaxed) {
            return Some("this manager is being stopped".to_owned());
        }
        if self.fenced.load(Ordering::Relaxed) {
            return Some("the space is not ours any more".to_owned());
        }
        self.with(|pulled| match step {
            Step::Create(new) => {
                pulled.no_more_creates.clone().or_else(|| pulled.lacks(&new.offering.id))
            }
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Drain { .. }
            | Step::Archive { .. }
            | Step::Expire { .. }
            | Step::CloseRequest { .. } => pulled.leaves_alone(step),
            // Nothing more is asked of a cloud that refuses our credentials.
            Step::Resolve { .. } | Step::Delete { .. } | Step::Sweep { .. } => {
                pulled.auth_refused.clone().or_else(|| pulled.leaves_alone(step))
            }
        })
    }

    /// Takes the consequences of a failure for the rest of the plan.
    pub(super) fn pull(&self, step: &Step, trouble: Trouble) -> StepResult {
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
            Trouble::Render(_) | Trouble::Senseless(_) | Trouble::Unpaid(_) => {}
        });
        StepResult::Failed { why }
    }
}

impl Pulled {
    fn leaves_alone(&self, step: &Step) -> Option<String> {
        let machine = step.machine().filter(|machine| self.left_alone.contains(*machine));
        machine.map(|_| "an earlier step of this machine failed".to_owned())
    }

    /// Whoever was refused has said it for all others.
    fn lacks(&self, offering: &OfferingId) -> Option<String> {
        self.sold_out.contains(offering).then(|| format!("{offering} is out of stock"))
    }

    fn provider_said(&mut self, step: &Step, error: &ProviderError) {
        if let Step::Create(new) = step {
            self.quota_refused |= error.kind == ErrorKind::QuotaExceeded;
            if let ErrorKind::InsufficientCapacity { offering: _ } = error.kind {
                self.sold_out.insert(new.offering.id.clone());
            }
        }
        if error.kind == ErrorKind::AuthFailed {
            self.auth_refused.get_or_insert_with(|| error.to_string());
        }
        if stops_creation(&error.kind) {
            self.no_more_creates.get_or_insert_with(|| format!("the cloud refused one: {error}"));
        }
    }
}
