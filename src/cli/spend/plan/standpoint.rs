//! What a plan is reckoned with, without asking a cloud: prices, lives and habits by the configuration and the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::{Attached, Availability, Offering, Price};
use vcycle_money::plan::{Budget, Ceiling, Habit, Held, Next, Projection, Standpoint, Unit};
use vcycle_money::prices::Item;
use vcycle_money::{Account, Book, Community};

use crate::config::{OfferingPrice, SpaceConfig};
use crate::cycle::{habits, paying};
use crate::library::Setup;
use crate::model::{
    MachinetypePolicy, Market, Megabytes, OfferingId, Processors, SpaceName, Timestamp,
};

/// What a budget is projected from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outset<'a> {
    pub(super) setup: &'a Setup,
    pub(super) book: &'a Book,
    pub(super) now: Timestamp,
}

/// A machinetype that may spend from a budget.
#[derive(Clone, Copy)]
struct Payer<'a> {
    space: &'a SpaceConfig,
    policy: &'a MachinetypePolicy,
    community: &'a Community,
}

impl<'a> Outset<'a> {
    /// What the budget will do below caps to its end, and which of them hold it back.
    pub(super) fn project(
        self,
        budget: &Budget,
        ceilings: &[Ceiling<'_>],
    ) -> (Projection, Vec<Held>) {
        let payers = self.payers(budget);
        let spaces: BTreeSet<&SpaceName> = payers.iter().map(|payer| &payer.space.name).collect();
        let longest = payers.iter().map(|payer| payer.policy.deadline(self.now).since(self.now));
        let longest = longest.max().unwrap_or_default();
        let overstay = payers.iter().filter_map(|payer| self.overstay(payer.space)).max();
        let habits: BTreeMap<Community, Habit> =
            habits(payers.iter().map(|payer| (payer.community, payer.policy)));
        let named = budget.named().filter(|named| !habits.contains_key(*named));
        let unserved = named.cloned().collect();
        let any: SpaceName = "any".parse().expect("a name of a space");
        let spending = self.book.reservations().map(|open| &open.reservation.account.space);
        let standpoint = Standpoint {
            now: self.now,
            // One that spends already, so that it is not counted twice.
            space: spaces.iter().copied().chain(spending).next().unwrap_or(&any),
            unit: self.unit(budget, &payers, longest),
            longest,
            next: &self.next(budget, &payers),
            overstay: overstay.unwrap_or_default(),
            spaces: u32::try_from(spaces.len()).unwrap_or(u32::MAX),
            leaving: &BTreeSet::new(),
            habits: &habits,
            unserved: &unserved,
        };
        budget.project_below(ceilings, self.book, &standpoint, u16::MAX)
    }

    /// What each community may spend on, and spends on: those of the configuration, and those of what runs.
    pub(super) fn accounts(self, budget: &Budget) -> BTreeMap<Community, BTreeSet<Account>> {
        let mut accounts: BTreeMap<Community, BTreeSet<Account>> = BTreeMap::new();
        let running = self.book.reservations().map(|open| open.reservation.account.clone());
        let payers = self.payers(budget);
        let to_come = payers.iter().flat_map(|Payer { space, policy, .. }| {
            markets(policy).map(|market| space.account(&policy.name, market))
        });
        for account in running.chain(to_come).filter(|account| budget.scope.covers(account)) {
            if let Some(community) = account.community.clone() {
                accounts.entry(community).or_default().insert(account);
            }
        }
        accounts
    }

    /// The machinetypes of the communities that it names.
    fn payers(self, budget: &Budget) -> Vec<Payer<'a>> {
        let setup = self.setup;
        let of_space = |space: &'a SpaceConfig| {
            let policies = &setup.spaces.get(&space.name)?.policy.machinetypes;
            let machinetypes = space.machinetypes.iter().filter_map(move |(name, config)| {
                let (policy, community) = (policies.get(name)?, config.community.as_ref()?);
                Some(Payer { space, policy, community })
            });
            Some(machinetypes)
        };
        let spaces: BTreeSet<SpaceName> =
            paying(setup, budget).map(|space| space.name.clone()).collect();
        let spaces = setup.config.spaces.values().filter(|space| spaces.contains(&space.name));
        let is_named = |payer: &Payer<'_>| budget.named().any(|named| named == payer.community);
        spaces.filter_map(of_space).flatten().filter(is_named).collect()
    }

    fn overstay(self, space: &SpaceConfig) -> Option<Duration> {
        self.setup.config.spending.as_ref().map(|spending| spending.overstay(space))
    }

    /// The next machine of each community.
    fn next(self, budget: &Budget, payers: &[Payer<'_>]) -> BTreeMap<Community, Next> {
        let of = |community: &Community| {
            let own = payers.iter().copied().filter(|payer| payer.community == community);
            let own: Vec<Payer<'_>> = own.collect();
            let lives = own.iter().map(|payer| payer.policy.deadline(self.now).since(self.now));
            let longest = lives.max().unwrap_or_default();
            let listed = own.iter().filter_map(|payer| self.listed(budget, *payer, longest)).min();
            let unit = self.running(budget, |other| other == Some(community)).or(listed);
            Next { unit: unit.unwrap_or_default(), longest, in_vain: false }
        };
        payers.iter().map(|payer| (payer.community.clone(), of(payer.community))).collect()
    }

    /// What the cheapest machine costs that runs.
    fn running(self, budget: &Budget, is_of: impl Fn(Option<&Community>) -> bool) -> Option<Unit> {
        let open = self.book.reservations();
        let open = open.filter(|open| {
            let account = &open.reservation.account;
            budget.scope.covers(account) && is_of(account.community.as_ref())
        });
        open.map(|open| Unit::of(open.tariff_at(self.now))).min()
    }

    /// What the cheapest machine costs that runs; if none does, the cheapest of the price lists that could be made.
    fn unit(self, budget: &Budget, payers: &[Payer<'_>], longest: Duration) -> Unit {
        let listed =
            || payers.iter().filter_map(|payer| self.listed(budget, *payer, longest)).min();
        self.running(budget, |_| true).or_else(listed).unwrap_or_default()
    }

    /// The cheapest that stands in a price list for a machinetype.
    fn listed(self, budget: &Budget, payer: Payer<'_>, longest: Duration) -> Option<Unit> {
        let spending = self.setup.config.spending.as_ref()?;
        let Payer { space, policy, .. } = payer;
        let rows = spending.book.lists().iter().flat_map(|list| &list.rows);
        let flavours = rows.filter_map(|row| match &row.item {
            Item::OnDemand(flavour) => Some(flavour),
            Item::Spot(_) | Item::SpotCeiling(_) | Item::Disk(_) | Item::Address => None,
        });
        let wanted =
            flavours.filter(|name| policy.flavors.is_empty() || policy.flavors.contains(name));
        let markets = markets(policy)
            .filter(|market| budget.scope.covers(&space.account(&policy.name, *market)));
        let markets: Vec<Market> = markets.collect();
        let offerings =
            wanted.flat_map(|flavour| markets.iter().map(move |market| offering(flavour, *market)));
        let life = (self.now, self.now + longest);
        let prices =
            offerings.filter_map(|offering| match spending.price(space, &offering, life) {
                OfferingPrice::Priced(priced) => Some(Unit::of(&priced.tariff)),
                OfferingPrice::Unmetered | OfferingPrice::Unpriced(_) => None,
            });
        prices.min()
    }
}

fn markets(policy: &MachinetypePolicy) -> impl Iterator<Item = Market> + use<'_> {
    let all = [Market::OnDemand, Market::Preemptible].into_iter();
    all.filter(|market| policy.markets.is_empty() || policy.markets.contains(market))
}

/// As a price list has it: size and availability only a cloud could tell, and no price depends on them.
fn offering(flavour: &str, market: Market) -> Offering {
    Offering {
        id: OfferingId { flavour: flavour.to_owned(), zone: String::new(), market },
        processors: Processors(1),
        memory: Megabytes(0),
        attached: Attached::default(),
        price: Price::Unknown,
        availability: Availability::Available,
    }
}
