//! The sum for a machine: itself, its disks, its addresses.

use std::time::Duration;

use vcycle_api::{Attached, Disk, Market, OfferingId, SpaceName, Timestamp};

use super::book::{Found, PriceBook};
use super::lack::{Lack, Unpriced};
use super::list::{Charged, Granularity, Item, PriceList, SpotCharge};
use super::rates::ExchangeRates;
use crate::{Amount, Money, ProviderName, Tariff};

/// Hours of the shortest month: a price for a month is never spread over more of them than the bill does.
const HOURS_A_MONTH: u64 = 28 * 24;

/// What is to be priced.
#[derive(Debug, Clone, Copy)]
pub struct PriceQuestion<'a> {
    /// Who sends the bill.
    pub provider: &'a ProviderName,
    /// Where; empty: the space does not say.
    pub region: &'a str,
    /// For which space.
    pub space: &'a SpaceName,
    /// Type, zone and market.
    pub offering: &'a OfferingId,
    /// What else it has.
    pub attached: &'a Attached,
    /// From when it may cost: now. Ages of prices are counted until here.
    pub at: Timestamp,
    /// Until when it may cost: its hard end and the overstay.
    pub until: Timestamp,
}

/// What a machine costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedOffering {
    /// What is reserved: everything together, in the currency of the ledger, rounded up.
    pub tariff: Tariff,
    /// The price of an hour of the machine alone, as the list has it, before it was converted.
    pub quoted: Money,
    /// What an hour will probably cost, disks and addresses included, for choosing and forecasts: of what may be taken
    /// back its usual price where the list has one. Never above what is reserved.
    pub expected: Amount,
    /// The most that the cloud may ask for an hour: the tariff counts on it, so the request for the machine must say it.
    pub spot_ceiling: Option<Money>,
    /// What the hour consists of: the machine, then its disks and addresses.
    pub parts: Vec<PricePart>,
}

/// A part of the price of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricePart {
    /// What.
    pub item: Item,
    /// How many of it: GiB, addresses, 1 machine.
    pub count: u64,
    /// As the list has it, for one: an hour, of disks a month.
    pub quoted: Money,
    /// All of it for an hour, in the currency of the ledger.
    pub hourly: Amount,
}

impl PriceBook {
    /// What a machine costs. Everything that is missing is found at once.
    ///
    /// # Errors
    /// [`Unpriced`]: which prices are missing or cannot be used, and what to write where.
    pub fn tariff(
        &self,
        what: &PriceQuestion<'_>,
        rates: &ExchangeRates,
    ) -> Result<PricedOffering, Unpriced> {
        let mut sum = Sum {
            book: self,
            what,
            rates,
            parts: Vec::new(),
            lists: Vec::new(),
            lacks: Vec::new(),
        };
        let reserved = sum.machine();
        if let Some(list) = sum.lists.first().copied().or_else(|| self.nearest(what)) {
            sum.disks(self.list(list));
            sum.addresses(self.list(list));
        }
        let Sum { parts, mut lists, lacks, .. } = sum;
        if let Some(unpriced) = Unpriced::of(lacks) {
            return Err(unpriced);
        }
        let reserved = reserved.expect("a machine without a price lacks it");
        let hourly: Amount = parts.iter().map(|part| part.hourly).sum();
        let usual = self.usual(what, rates);
        let expected = usual.map_or(hourly, |usual| {
            usual.amount.min(reserved.found.amount) + (hourly - reserved.found.amount)
        });
        let charged = usual.filter(|usual| self.list(usual.list).spot == SpotCharge::Listed);
        lists.extend(charged.map(|usual| usual.list));
        Ok(PricedOffering {
            tariff: Tariff {
                hourly,
                charged: charged.is_some().then_some(expected),
                minimum: self.minimum(&lists),
                granularity: self.granularity(&lists),
            },
            quoted: reserved.found.quoted,
            expected,
            spot_ceiling: reserved.is_ceiling().then_some(reserved.found.quoted),
            parts,
        })
    }

    /// What may be taken back usually costs less than what is reserved for it.
    fn usual(&self, what: &PriceQuestion<'_>, rates: &ExchangeRates) -> Option<Found> {
        let spot = Item::Spot(what.offering.flavour.clone());
        match what.offering.market {
            Market::OnDemand => None,
            Market::Preemptible => self.dearest(&spot, what, rates).ok(),
        }
    }

    /// Of several lists the longest.
    fn minimum(&self, lists: &[usize]) -> Duration {
        let times = lists.iter().map(|at| self.list(*at).minimum);
        times.max().unwrap_or_default()
    }

    fn granularity(&self, lists: &[usize]) -> Duration {
        let granules = lists.iter().map(|at| self.list(*at).granularity);
        granules.max().unwrap_or(Granularity::Hour).duration()
    }
}

/// What is reserved for the machine alone.
struct Reserved {
    item: Item,
    found: Found,
}

impl Reserved {
    fn is_ceiling(&self) -> bool {
        matches!(self.item, Item::SpotCeiling(_))
    }
}

/// The sum while it is made.
struct Sum<'a> {
    book: &'a PriceBook,
    what: &'a PriceQuestion<'a>,
    rates: &'a ExchangeRates,
    parts: Vec<PricePart>,
    lists: Vec<usize>,
    lacks: Vec<Lack>,
}

impl Sum<'_> {
    fn machine(&mut self) -> Option<Reserved> {
        let flavour = &self.what.offering.flavour;
        let ceiling = Item::SpotCeiling(flavour.clone());
        let item = match self.what.offering.market {
            Market::Preemptible if self.book.has(&ceiling, self.what) => ceiling,
            Market::Preemptible | Market::OnDemand => Item::OnDemand(flavour.clone()),
        };
        let found = self.add(item.clone(), 1, Amount::per_hour)?;
        Some(Reserved { item, found })
    }

    fn disks(&mut self, machine: &PriceList) {
        if machine.disks == Charged::Included {
            return;
        }
        for Disk { gb, kind } in &self.what.attached.disks {
            let item = Item::Disk(kind.clone());
            let any = Item::Disk(None);
            let item = if self.book.has(&item, self.what) || !self.book.has(&any, self.what) {
                item
            } else {
                any
            };
            match gb {
                Some(0) => {}
                Some(gb) => {
                    self.add(item, *gb, Amount::per_month);
                }
                None => {
                    self.add(item, 0, Amount::per_month);
                    self.lacks.push(Lack::DiskSize { provider: self.what.provider.clone() });
                }
            }
        }
    }

    fn addresses(&mut self, machine: &PriceList) {
        let addresses = self.what.attached.public_addresses;
        if addresses > 0 && machine.addresses == Charged::Apart {
            self.add(Item::Address, addresses.into(), Amount::per_hour);
        }
    }

    /// Adds so many of something, or what is missing.
    fn add(&mut self, item: Item, count: u64, hour_of: fn(Amount, u64) -> Amount) -> Option<Found> {
        match self.book.dearest(&item, self.what, self.rates) {
            Ok(found) => {
                let hourly = hour_of(found.amount, count);
                self.parts.push(PricePart { item, count, quoted: found.quoted, hourly });
                self.lists.push(found.list);
                Some(found)
            }
            Err(lack) => {
                self.lacks.push(lack);
                None
            }
        }
    }
}

/// An hour of so many, from the price of one.
impl Amount {
    fn per_hour(self, count: u64) -> Self {
        self.share(count, 1).expect("one is not zero")
    }

    fn per_month(self, count: u64) -> Self {
        self.share(count, HOURS_A_MONTH).expect("a month has hours")
    }
}
