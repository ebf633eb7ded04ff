//! Paying before asking: what the machines of a plan may cost is reserved in the ledger, all at once and durably, before the
//! first of them is asked for. A create shows what was reserved for it, and there is no other way to make one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use vcycle_money::Reservation;

use crate::model::{IntentToken, SpaceName};
use crate::plan::{NewMachine, Pays, Step};
use crate::store::{Ledger, Proof, Reserved};

use super::Trouble;

/// That a machine may be asked for.
#[derive(Debug)]
pub(super) enum Paid {
    /// The plan says that it need not be paid for.
    Nothing,
    /// What it may cost is reserved.
    Reserved(Reserved),
}

impl Paid {
    /// Whether it is this machine's.
    pub(super) fn must_be_of(&self, intent: &IntentToken) -> Result<(), Trouble> {
        match self {
            Self::Nothing => Ok(()),
            Self::Reserved(reserved) if reserved.intent() == intent => Ok(()),
            Self::Reserved(_) => {
                Err(Trouble::Senseless("what was reserved is for another machine"))
            }
        }
    }
}

/// What was reserved for the machines of a plan. Each is taken out once.
#[derive(Debug, Default)]
pub(super) struct Payments {
    reserved: Mutex<HashMap<IntentToken, Result<Reserved, String>>>,
}

impl Payments {
    /// Reserves for all machines that these steps make.
    pub(super) async fn of(steps: &[Step], ledger: &Ledger, proof: &Proof<'_>) -> Self {
        let wanted: Vec<Reservation> = steps.iter().filter_map(to_reserve).collect();
        if wanted.is_empty() {
            return Self::default();
        }
        let intents: Vec<IntentToken> = wanted.iter().map(|wanted| wanted.intent).collect();
        let answers: Vec<Result<Reserved, String>> = match ledger.reserve(proof, wanted).await {
            Ok(answers) => answers
                .into_iter()
                .map(|answer| answer.map_err(|refusal| refusal.to_string()))
                .collect(),
            Err(error) => {
                warn(proof.space(), &error.to_string());
                intents.iter().map(|_| Err(error.to_string())).collect()
            }
        };
        Self { reserved: Mutex::new(intents.into_iter().zip(answers).collect()) }
    }

    /// What was reserved for a machine.
    pub(super) fn take(&self, new: &NewMachine) -> Result<Paid, Trouble> {
        match &new.pays {
            Pays::Nothing => Ok(Paid::Nothing),
            Pays::Reserve(_) => {
                let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
                let own = reserved.remove(&new.tags.intent);
                let own = own.unwrap_or_else(|| Err("nothing was reserved for it".to_owned()));
                own.map(Paid::Reserved).map_err(Trouble::Unpaid)
            }
        }
    }
}

fn warn(space: &SpaceName, problem: &str) {
    tracing::warn!(%space, problem, "nothing can be reserved, so nothing is made");
}

fn to_reserve(step: &Step) -> Option<Reservation> {
    match step {
        Step::Create(NewMachine { pays: Pays::Reserve(reservation), .. }) => {
            Some((**reservation).clone())
        }
        Step::Create(NewMachine { pays: Pays::Nothing, .. })
        | Step::Learn { .. }
        | Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::Sweep { .. }
        | Step::CloseRequest { .. } => None,
    }
}
