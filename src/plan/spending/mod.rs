//! Money in a plan: what may be spent, as the plan sees it (here), what budgets want (`budgets`), and what the ledger must learn of the
//! machines (`bookings`). The worst cost of each machine passes every cap before it is planned, with everything counted that this
//! plan already makes. The ledger has the last word: others may have spent meanwhile.

mod bookings;
pub(crate) mod budgets;

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_money::book::{Admission, ToEnd};
use vcycle_money::plan::{Orders, Rate};
use vcycle_money::{Account, Amount, Book, Community, ProviderName, Refusal, Reservation, Tariff};

pub use bookings::{Books, Known, Late, bookings};

use budgets::{Allowance, latest_end};

use super::Reason;
use crate::config::{Metering, OfferingPrice};
use crate::model::{
    Drain, DrainReason, IntentToken, MachinetypeName, OfferingId, SpaceName, Tags, Timestamp,
};

/// What machines of a space cost, and where that is booked.
#[derive(Debug, Clone)]
pub struct Costs {
    /// Whether machines there cost anything at all.
    pub metering: Metering,
    /// Who sends the bill.
    pub provider: ProviderName,
    /// For whom machinetypes work, of those that say it.
    pub communities: BTreeMap<MachinetypeName, Community>,
    /// Of each offering, for the longest life that a machine can have from now on.
    pub prices: BTreeMap<OfferingId, OfferingPrice>,
    /// The same of machines that exist, of what is not offered any more: for the books, not to make others.
    pub gone: BTreeMap<OfferingId, OfferingPrice>,
    /// How much longer than to its hard end a machine is reserved.
    pub overstay: Duration,
}

/// What may be spent in a space whose spending is watched.
#[derive(Debug, Clone, Copy)]
pub struct Spending<'a> {
    /// The ledger as it was read in this cycle.
    pub book: &'a Book,
    /// What machines cost.
    pub costs: &'a Costs,
    /// Machines that must end, because a cap is passed or spent.
    pub to_end: &'a ToEnd,
    /// What budgets want of this space.
    pub orders: &'a [Orders],
    /// Why nothing may be reserved: the ledger is damaged, the caps could not be read, a machine runs that is not booked.
    pub stopped: Option<&'a str>,
}

/// How a new machine is paid for.
#[derive(Debug, Clone, PartialEq)]
pub enum Pays {
    /// Spending is not watched there; or it costs nothing.
    Nothing,
    /// Nobody knows what it costs, and no cap is on where it is booked: as long as that is so it may be made.
    Unpriced(Box<Account>),
    /// This is reserved before it is asked for.
    Reserve(Box<Reservation>),
}

impl Costs {
    /// Where a machine is booked.
    pub fn account(
        &self,
        space: &SpaceName,
        machinetype: &MachinetypeName,
        offering: &OfferingId,
    ) -> Account {
        Account {
            provider: self.provider.clone(),
            space: space.clone(),
            machinetype: machinetype.clone(),
            community: self.communities.get(machinetype).cloned(),
            market: offering.market,
        }
    }

    /// What an hour of a machine will probably cost, disks and addresses included; `None`: nobody knows. Of what may be
    /// taken back it is the usual price, and not the ceiling or the price on demand at which it is reserved.
    pub(super) fn usual(&self, offering: &OfferingId) -> Option<Rate> {
        match self.prices.get(offering) {
            _ if self.metering == Metering::Unmetered => Some(Rate::ZERO),
            Some(OfferingPrice::Unmetered) => Some(Rate::ZERO),
            Some(OfferingPrice::Priced(priced)) => Some(Rate::hourly(priced.expected)),
            Some(OfferingPrice::Unpriced(_)) | None => None,
        }
    }

    /// What a machine that exists, or may, costs from now on, if it costs something and that is known. Where a price is not believed any
    /// more, as much as was reserved is charged.
    pub fn tariff(&self, offering: &OfferingId, known: &Tariff) -> Option<Tariff> {
        match self.price(offering)? {
            OfferingPrice::Priced(priced) => Some(priced.tariff),
            OfferingPrice::Unpriced(_) => Some(Tariff { charged: None, ..*known }),
            OfferingPrice::Unmetered => None,
        }
    }

    fn price(&self, offering: &OfferingId) -> Option<&OfferingPrice> {
        self.prices.get(offering).or_else(|| self.gone.get(offering))
    }

    /// What is reserved for a machine that may cost from a time on.
    ///
    /// # Errors
    /// Nobody knows what it costs. `Ok(None)`: it costs nothing.
    pub fn reservation(
        &self,
        tags: &Tags,
        offering: &OfferingId,
        from: Timestamp,
    ) -> Result<Option<Reservation>, String> {
        let priced = match self.price(offering) {
            _ if self.metering == Metering::Unmetered => return Ok(None),
            Some(OfferingPrice::Unmetered) => return Ok(None),
            Some(OfferingPrice::Priced(priced)) => priced,
            Some(OfferingPrice::Unpriced(unpriced)) => return Err(unpriced.to_string()),
            None => {
                return Err(format!("{offering} is not offered, and what it costs is not known"));
            }
        };
        Ok(Some(Reservation {
            intent: tags.intent,
            machine: tags.machine.clone(),
            generation: tags.generation,
            account: self.account(&tags.space, &tags.machinetype, offering),
            offering: offering.clone(),
            tariff: priced.tariff,
            quoted: priced.quoted,
            from,
            until: tags.deadline + self.overstay,
        }))
    }
}

impl Spending<'_> {
    /// That a machine must end, if a cap or the plan of a budget wants it.
    pub(super) fn drain(&self, intent: &IntentToken, by: Timestamp) -> Option<Drain> {
        let Some(cap) = self.to_end.get(intent) else {
            return budgets::drain(self.orders, intent, by);
        };
        Some(Drain { by, reason: DrainReason::SpendingCap { cap: cap.to_string() } })
    }

    /// Whether what a machine costs stands in the ledger and is not settled: its record must not be forgotten.
    pub(super) fn is_open(&self, machine: &crate::model::MachineName) -> bool {
        self.book.reservations().any(|open| open.reservation.machine == *machine)
    }
}

/// What is left in the caps while machines are chosen.
pub(super) struct Purse<'a> {
    open: Option<Open<'a>>,
}

struct Open<'a> {
    spending: Spending<'a>,
    admission: Admission<'a>,
    allowance: Allowance<'a>,
}

impl<'a> Purse<'a> {
    pub(super) fn of(spending: Option<Spending<'a>>) -> Self {
        let open = |spending: Spending<'a>| Open {
            spending,
            admission: spending.book.admission(),
            allowance: Allowance::of(spending.orders),
        };
        Self { open: spending.map(open) }
    }

    /// When a machine must have ended at the latest that a budget pays for: its hard end lies within the time of the budget.
    pub(super) fn ends_by(&self, tags: &Tags, offering: &OfferingId) -> Option<Timestamp> {
        let spending = &self.open.as_ref()?.spending;
        let account = spending.costs.account(&tags.space, &tags.machinetype, offering);
        latest_end(spending.orders, &account).map(|(end, _)| end)
    }

    /// That the time of its budget is too short for a machine.
    pub(super) fn too_late(&self, tags: &Tags, offering: &OfferingId) -> Option<Reason> {
        let spending = &self.open.as_ref()?.spending;
        let account = spending.costs.account(&tags.space, &tags.machinetype, offering);
        let (end, orders) = latest_end(spending.orders, &account)?;
        let why = format!("its time ends at {end}, sooner than min_wallclock");
        Some(Reason::SpendingPlan { budget: orders.budget.to_string(), grow: Amount::ZERO, why })
    }

    /// Takes what a machine may cost from now on, or says why nothing can be taken.
    pub(super) fn pay(
        &mut self,
        tags: &Tags,
        offering: &OfferingId,
        now: Timestamp,
    ) -> Result<Pays, Reason> {
        let Some(Open { spending, admission, allowance }) = &mut self.open else {
            return Ok(Pays::Nothing);
        };
        let cost = spending.costs.reservation(tags, offering, now);
        let is_free = cost == Ok(None);
        if let Some(why) = spending.stopped.filter(|_| !is_free) {
            return Err(Reason::SpendingStopped { why: why.to_owned() });
        }
        match cost {
            Ok(None) => Ok(Pays::Nothing),
            Err(why) => {
                let account = spending.costs.account(&tags.space, &tags.machinetype, offering);
                if spending.book.is_capped(&account) {
                    Err(Reason::PriceUnknown { why })
                } else {
                    Ok(Pays::Unpriced(Box::new(account)))
                }
            }
            Ok(Some(reservation)) => {
                // A cap is asked first: it is the harder reason. What it admits and the plan does not is not made.
                let mut admitted = admission.clone();
                admitted.admit(&reservation).map_err(at_its_cap)?;
                let rate = Rate::hourly(reservation.tariff.charge());
                allowance.take(&reservation.account, rate)?;
                *admission = admitted;
                Ok(Pays::Reserve(Box::new(reservation)))
            }
        }
    }
}

fn at_its_cap(Refusal { cap, window, left, needed, is_closed }: Refusal) -> Reason {
    Reason::SpendingCap { cap: cap.to_string(), window: window.from, left, needed, is_closed }
}
