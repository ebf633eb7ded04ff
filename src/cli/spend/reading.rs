//! The ledger as a command reads it: to its end, or to where it is damaged.

use std::path::Path;
use std::sync::Arc;

use vcycle_api::Clock;
use vcycle_money::bills::Day;
use vcycle_money::{Book, Currency, ExchangeRates, Span};

use super::super::error::CliError;
use super::super::site::StateSource;
use super::args::DaysArgs;
use crate::model::{DeploymentId, Timestamp};
use crate::store::{Ledger, LedgerError};

/// What was read, and when.
pub(super) struct Reading {
    source: StateSource,
    pub(super) ledger: Ledger,
    pub(super) book: Arc<Book>,
    pub(super) now: Timestamp,
    /// Of the ledger; `None`: it has none yet, and no configuration says it.
    pub(super) currency: Option<Currency>,
    /// Rates of exchange to it, by days; `None`: no configuration says them.
    pub(super) rates: Option<Arc<ExchangeRates>>,
    pub(super) deployment: Option<DeploymentId>,
    /// Why the book is not that of the whole ledger.
    pub(super) damage: Option<String>,
}

impl Reading {
    /// Reads the ledger of a state directory on which managers have run: of an empty folder below an unmounted disk nobody
    /// is told that nothing was spent.
    pub(super) async fn in_use(config: &Path, state_dir: Option<&Path>) -> Result<Self, CliError> {
        let reading = Self::open(config, state_dir).await?;
        reading.must_be_in_use().await?;
        Ok(reading)
    }

    /// Reads the ledger of a state directory. What stands before a damage is shown, with an alarm.
    pub(super) async fn open(config: &Path, state_dir: Option<&Path>) -> Result<Self, CliError> {
        let source = StateSource::open(config, state_dir)?;
        let deployment = source.store.deployment().await;
        let deployment = deployment
            .map_err(|error| CliError::failed("cannot read the state directory", &error))?
            .map(|deployment| deployment.id);
        let ledger = Ledger::new(&source.store);
        let (book, damage) = match ledger.refresh().await {
            Ok(book) => (book, None),
            Err(error @ LedgerError::Damaged(_)) => (ledger.book(), Some(error.to_string())),
            Err(other) => return Err(CliError::failed("the ledger cannot be read", &other)),
        };
        let now = source.clock.now();
        // What stands in the ledger counts; a configuration may say another by mistake.
        let currency = book.currency().or(source.currency);
        let rates = source.rates.clone();
        Ok(Self { source, ledger, book, now, currency, rates, deployment, damage })
    }

    /// Fails when the ledger is damaged.
    pub(super) fn must_be_whole(&self, so: &str) -> Result<(), CliError> {
        match &self.damage {
            Some(damage) => Err(CliError::Failed(format!("{so}: {damage}"))),
            None => Ok(()),
        }
    }

    /// Fails after an answer that a damage has cut short: it was shown, and nobody may take it for the whole.
    pub(super) fn must_have_shown_all(&self) -> Result<(), CliError> {
        match &self.damage {
            Some(_) => Err(CliError::Failed(
                "the ledger is damaged: what is shown is what stands before that".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Where it was read.
    pub(super) fn state_dir(&self) -> &Path {
        &self.source.dir
    }

    /// Whether a manager has ever run here.
    pub(super) fn is_in_use(&self) -> bool {
        self.deployment.is_some()
    }

    /// Fails when no manager has ever run here.
    pub(super) async fn must_be_in_use(&self) -> Result<(), CliError> {
        self.source.must_be_in_use().await
    }

    /// The days that were asked for.
    pub(super) fn days(&self, days: DaysArgs) -> Result<Span, CliError> {
        let today = Day::of(self.now);
        let (from, to) = (days.from.unwrap_or(today.first_of_month()), days.to.unwrap_or(today));
        if from > to {
            return Err(CliError::Usage(format!(
                "{from} is after {to}: give --from and --to in order"
            )));
        }
        Ok(Span { from: from.begin(), to: to.next().unwrap_or(to).begin() })
    }
}
