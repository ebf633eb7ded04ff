//! A bill summed up as it is read, in the currency of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::{DeploymentId, MachinetypeName, SpaceName};

use super::{BillLine, Day, Exact, Kind, Ours, What, Whose};
use crate::{Amount, Currency, ProviderName};

/// The currency of the ledger, and what a unit of others is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The currency of the ledger.
    pub currency: Currency,
    /// For other currencies, the price of a unit.
    pub rates: BTreeMap<Currency, Amount>,
}

/// A bill is in a currency that has no rate, or its sum is absurd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bill has amounts in {from}, and the ledger is in {to}: what is a unit of {from} in {to}?"
)]
pub struct NoRate {
    /// That of the bill.
    pub from: Currency,
    /// That of the ledger.
    pub to: Currency,
}

impl Exchange {
    fn convert(&self, cost: Exact, from: Currency) -> Result<Exact, NoRate> {
        if from == self.currency {
            return Ok(cost);
        }
        let converted = self.rates.get(&from).and_then(|rate| cost.converted(*rate));
        converted.ok_or(NoRate { from, to: self.currency })
    }
}

/// The sums of a bill, in the currency of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    exchange: Exchange,
    deployment: Option<DeploymentId>,
    pub(super) providers: BTreeSet<ProviderName>,
    pub(super) days: Option<(Day, Day)>,
    pub(super) ours: BTreeMap<(Day, SpaceName), BTreeMap<Option<MachinetypeName>, Exact>>,
    pub(super) others: BTreeMap<Day, Exact>,
    pub(super) resources: BTreeMap<What, Exact>,
    pub(super) credits: Exact,
    pub(super) taxes: Exact,
    lines: u64,
}

impl Bill {
    /// A bill without lines. Lines with the tag of another deployment than this are others'; `None`: of every one ours.
    pub fn new(exchange: Exchange, deployment: Option<DeploymentId>) -> Self {
        Self {
            exchange,
            deployment,
            providers: BTreeSet::new(),
            days: None,
            ours: BTreeMap::new(),
            others: BTreeMap::new(),
            resources: BTreeMap::new(),
            credits: Exact::ZERO,
            taxes: Exact::ZERO,
            lines: 0,
        }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`NoRate`]: its currency is not known.
    pub fn add(&mut self, line: BillLine) -> Result<(), NoRate> {
        let cost = self.exchange.convert(line.cost, line.currency)?;
        self.lines += 1;
        match line.kind {
            Kind::Credit => self.credits += cost,
            Kind::Tax => self.taxes += cost,
            Kind::Charge => self.charge(line, cost),
        }
        Ok(())
    }

    fn charge(&mut self, line: BillLine, cost: Exact) {
        let BillLine { provider, day, whose, what, .. } = line;
        self.providers.insert(provider);
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
        match whose {
            Whose::Ours(ours) if self.is_of_this_deployment(&ours) => {
                let machinetypes = self.ours.entry((day, ours.space)).or_default();
                *machinetypes.entry(ours.machinetype).or_default() += cost;
            }
            Whose::Ours(_) | Whose::Others => {
                *self.others.entry(day).or_default() += cost;
                *self.resources.entry(what).or_default() += cost;
            }
        }
    }

    fn is_of_this_deployment(&self, ours: &Ours) -> bool {
        match (&self.deployment, &ours.deployment) {
            (Some(own), Some(said)) => own == said,
            (None, _) | (_, None) => true,
        }
    }

    /// How many lines it has.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Its first and its last day; `None`: it charges nothing.
    pub fn days(&self) -> Option<(Day, Day)> {
        self.days
    }

    /// Who sends it.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.providers.iter()
    }
}
