//! A bill summed up as it is read, in the currency of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::{DeploymentId, MachinetypeName, SpaceName};

use super::cover::{Cover, is_too_long, parts};
use super::exchange::RatesUsed;
use super::{BillLine, Day, Exact, Exchange, Kind, NoRate, Ours, RateUsed, What, Whose};
use crate::{Currency, ProviderName, Span};

/// The sums of a bill, in the currency of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    exchange: Exchange,
    rates: RatesUsed,
    deployment: Option<DeploymentId>,
    pub(super) providers: BTreeSet<ProviderName>,
    pub(super) cover: Cover,
    pub(super) ours: BTreeMap<(Day, SpaceName), BTreeMap<Option<MachinetypeName>, Exact>>,
    /// Where it charges something for a space, or nothing; refunds alone do not show that it has the rest.
    pub(super) charged: BTreeSet<(Day, SpaceName)>,
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
            rates: RatesUsed::new(),
            deployment,
            providers: BTreeSet::new(),
            cover: Cover::default(),
            ours: BTreeMap::new(),
            charged: BTreeSet::new(),
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
        let (from, at) = (line.currency, line.during.from);
        let cost = self.exchange.convert(line.cost, from, at, &mut self.rates)?;
        self.lines += 1;
        match line.kind {
            Kind::Credit => self.credits += cost,
            Kind::Tax => self.taxes += cost,
            Kind::Charge => self.charge(line, cost),
        }
        Ok(())
    }

    fn charge(&mut self, line: BillLine, cost: Exact) {
        let BillLine { provider, during, whose, what, .. } = line;
        self.providers.insert(provider);
        let by_day = self.divided(during, cost);
        match whose {
            Whose::Ours(ours) if self.is_of_this_deployment(&ours) => {
                for (day, cost) in by_day {
                    if cost >= Exact::ZERO {
                        self.charged.insert((day, ours.space.clone()));
                    }
                    let machinetypes = self.ours.entry((day, ours.space.clone())).or_default();
                    *machinetypes.entry(ours.machinetype.clone()).or_default() += cost;
                }
            }
            Whose::Ours(_) | Whose::Others => {
                for (day, cost) in by_day {
                    *self.others.entry(day).or_default() += cost;
                }
                *self.resources.entry(what).or_default() += cost;
            }
        }
    }

    /// A cost divided by the days on which it came about. What is for longer than a day (a fee for a month) shows nothing of
    /// what time the bill has, and counts for its first day. Nor does a refund, which may be for the use of another bill.
    fn divided(&mut self, during: Span, cost: Exact) -> Vec<(Day, Exact)> {
        if is_too_long(during) {
            return vec![(Day::of(during.from), cost)];
        }
        if cost >= Exact::ZERO {
            self.cover.add(during);
        } else {
            self.cover.touch(during);
        }
        let mut parts = parts(during);
        let whole: u64 = parts.iter().map(|(_, length)| length).sum();
        // The last one has what is left, so that the sum is exact.
        let (last, _) = parts.pop().expect("there is a part of everything");
        let part = |(day, length): (Day, u64)| (day, cost.share(length, whole));
        let mut by_day: Vec<(Day, Exact)> = parts.into_iter().map(part).collect();
        let given: Exact = by_day.iter().map(|(_, cost)| *cost).sum();
        by_day.push((last, cost - given));
        by_day
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
        self.cover.days()
    }

    /// Whether it has any line, were it of nothing, for a machine of this deployment.
    pub fn names_ours(&self) -> bool {
        !self.ours.is_empty()
    }

    /// The spaces of ours that it names.
    pub fn spaces(&self) -> BTreeSet<&SpaceName> {
        self.ours.keys().map(|(_, space)| space).collect()
    }

    /// For its currencies other than the ledger's, at what rates it was converted.
    pub fn rates(&self) -> &BTreeMap<Currency, RateUsed> {
        &self.rates
    }

    /// Who sends it.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.providers.iter()
    }
}
