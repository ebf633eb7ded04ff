//! Paying before asking: what the machines of a plan may cost is reserved in the ledger, all at once and durably, before the
//! first of them is asked for. A create shows what was reserved for it, and there is no other way to make one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vcycle_money::{Account, Book, Reservation};

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
    /// Where a cap has come since the plan was made, or may have.
    capped: HashMap<IntentToken, String>,
}

impl Payments {
    /// Reserves for all machines that these steps make.
    pub(super) async fn of(steps: &[Step], ledger: &Ledger, proof: &Proof<'_>) -> Self {
        let capped = capped(steps, ledger).await;
        let wanted: Vec<Reservation> = steps.iter().filter_map(to_reserve).collect();
        if wanted.is_empty() {
            return Self { capped, ..Self::default() };
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
        Self { reserved: Mutex::new(intents.into_iter().zip(answers).collect()), capped }
    }

    /// Releases at once what was reserved for machines that were not asked for, because others before them were refused, or the
    /// manager ends. Who still has it here has not asked, and cannot any more. Where this fails, the next cycle finds it without a
    /// record.
    pub(super) async fn give_back(self, ledger: &Ledger, proof: &Proof<'_>) {
        let reserved = self.reserved.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unused: Vec<Reserved> = reserved.into_values().filter_map(Result::ok).collect();
        if let Err(error) = ledger.give_back(proof, unused).await {
            let (space, problem) = (proof.space(), error.to_string());
            tracing::warn!(%space, problem, "what was reserved for machines that were not asked for is not released yet");
        }
    }

    /// What was reserved for a machine.
    pub(super) fn take(&self, new: &NewMachine) -> Result<Paid, Trouble> {
        match &new.pays {
            Pays::Nothing => Ok(Paid::Nothing),
            Pays::Unpriced(_) => match self.capped.get(&new.tags.intent) {
                Some(why) => Err(Trouble::Unpaid(why.clone())),
                None => Ok(Paid::Nothing),
            },
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

/// The machines at an unknown price that may not be made any more: a cap may have come since they were planned.
async fn capped(steps: &[Step], ledger: &Ledger) -> HashMap<IntentToken, String> {
    let unpriced: Vec<(IntentToken, &Account)> = steps.iter().filter_map(unpriced).collect();
    if unpriced.is_empty() {
        return HashMap::new();
    }
    let why = |book: &Result<Arc<Book>, String>, account: &Account| match book {
        Err(problem) => Some(problem.clone()),
        Ok(book) => {
            let is_capped = book.is_capped(account);
            is_capped.then(|| "a cap is on it now, and nobody knows what it costs".to_owned())
        }
    };
    let book = ledger.refresh().await.map_err(|problem| problem.to_string());
    let all = unpriced.into_iter();
    all.filter_map(|(intent, account)| Some((intent, why(&book, account)?))).collect()
}

fn pays(step: &Step) -> Option<(&IntentToken, &Pays)> {
    match step {
        Step::Create(NewMachine { pays, tags, .. }) => Some((&tags.intent, pays)),
        Step::Learn { .. }
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

fn unpriced(step: &Step) -> Option<(IntentToken, &Account)> {
    match pays(step)? {
        (intent, Pays::Unpriced(account)) => Some((*intent, account)),
        (_, Pays::Reserve(_) | Pays::Nothing) => None,
    }
}

fn to_reserve(step: &Step) -> Option<Reservation> {
    match pays(step)? {
        (_, Pays::Reserve(reservation)) => Some((**reservation).clone()),
        (_, Pays::Unpriced(_) | Pays::Nothing) => None,
    }
}
