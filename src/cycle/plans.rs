//! From the budgets of the spend manager to what they mean for a space in this cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::Offering;
use vcycle_money::plan::{Budget, Habit, Next, Orders, Rate, Standpoint, TRIED_AGAIN, Unit, Why};
use vcycle_money::{Book, Community};

use crate::config::{Metering, OfferingPrice, SpaceConfig};
use crate::library::{Setup, SpaceSetup};
use crate::model::{
    IntentToken, MachineRecord, MachinetypePolicy, Market, SpaceName, SpacePolicy, Timestamp,
};
use crate::plan::{Costs, fits, grace_of};

/// What a plan for a space may be made of.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The time.
    pub now: Timestamp,
    /// What the cloud offers.
    pub offerings: &'a [Offering],
    /// What machines cost in the space.
    pub costs: &'a Costs,
    /// The ledger.
    pub book: &'a Book,
    /// Machines of the space that were told to end.
    pub leaving: &'a BTreeSet<IntentToken>,
    /// When a machine was last tried for a community, to see whether there is work.
    pub tries: &'a BTreeMap<Community, Timestamp>,
}

impl Planner<'_> {
    /// Whether one was tried minutes ago. Where something came of it, nobody asks.
    fn in_vain(&self, community: &Community) -> bool {
        let tried = self.tries.get(community).filter(|at| **at < self.now);
        tried.is_some_and(|at| self.now.since(*at) < TRIED_AGAIN)
    }
}

/// The communities that these orders let be tried with one machine.
pub fn tried(orders: &[Orders]) -> impl Iterator<Item = &Community> {
    let all = orders.iter().flat_map(|orders| &orders.advice.communities);
    all.filter(|own| own.why == Why::Tries && own.grow > Rate::ZERO).map(|own| &own.community)
}

/// What each budget that pays for machines of a space means for it now.
pub fn orders(
    (setup, space): (&Setup, &SpaceSetup),
    planner: &Planner<'_>,
    budgets: &[Budget],
) -> Vec<Orders> {
    let Planner { now, offerings, costs, book, leaving, tries: _ } = *planner;
    let own = costs.communities.iter();
    let habits =
        habits(own.filter_map(|(name, own)| Some((own, space.policy.machinetypes.get(name)?))));
    let order = |budget: &Budget| {
        let makes = makes((space, costs), (offerings, now), budget);
        // What runs of it may have to give way also where nothing can be made.
        if makes.is_empty() && !runs_in(&space.policy.space, book, budget) {
            return None;
        }
        let standpoint = Standpoint {
            now,
            space: &space.policy.space,
            unit: makes.iter().map(|make| make.unit).min().unwrap_or_default(),
            longest: makes.iter().map(|make| make.longest).max().unwrap_or_default(),
            next: &next(&makes, planner),
            overstay: costs.overstay,
            spaces: u32::try_from(paying(setup, budget).count()).unwrap_or(u32::MAX),
            leaving,
            habits: &habits,
            unserved: &BTreeSet::new(),
        };
        Some(Orders::of(budget, book, &standpoint))
    };
    budgets.iter().filter_map(order).collect()
}

/// Machines that leave now: those that were told to end, once they must have by the end of their grace. Who was told to end in three days
/// stays until then.
pub fn leaving<'a>(
    space: &SpacePolicy,
    records: impl Iterator<Item = &'a MachineRecord>,
    now: Timestamp,
) -> BTreeSet<IntentToken> {
    let leaves = |record: &&MachineRecord| {
        let by = now + grace_of(space, record.machinetype());
        record.drain.as_ref().is_some_and(|drain| drain.by <= by)
    };
    records.filter(leaves).map(|record| *record.intent()).collect()
}

fn runs_in(space: &SpaceName, book: &Book, budget: &Budget) -> bool {
    let mut accounts = book.reservations().map(|open| &open.reservation.account);
    accounts.any(|account| account.space == *space && budget.scope.covers(account))
}

/// A machine that a budget would pay for.
struct Make<'a> {
    community: Option<&'a Community>,
    unit: Unit,
    longest: Duration,
}

/// What each machinetype could be made of, at the cost of a budget: all offerings that fit it and have a price.
fn makes<'a>(
    (space, costs): (&'a SpaceSetup, &'a Costs),
    (offerings, now): (&[Offering], Timestamp),
    budget: &Budget,
) -> Vec<Make<'a>> {
    let policy = &space.policy;
    let make = |own: &'a MachinetypePolicy, offering: &Offering| {
        let OfferingPrice::Priced(priced) = costs.prices.get(&offering.id)? else { return None };
        let account = costs.account(&policy.space, &own.name, &offering.id);
        let pays = budget.scope.covers(&account) && fits(policy, own, offering);
        pays.then(|| Make {
            community: costs.communities.get(&own.name),
            unit: Unit::of(&priced.tariff),
            longest: own.deadline(now).since(now),
        })
    };
    let of_each = |own| offerings.iter().filter_map(move |offering| make(own, offering));
    policy.machinetypes.values().flat_map(of_each).collect()
}

/// The cheapest machine of each community, and the longest life.
fn next(makes: &[Make<'_>], planner: &Planner<'_>) -> BTreeMap<Community, Next> {
    let mut all: BTreeMap<Community, Next> = BTreeMap::new();
    for Make { community, unit, longest } in makes {
        let Some(community) = community else { continue };
        let in_vain = planner.in_vain(community);
        let own = Next { unit: *unit, longest: *longest, in_vain };
        let next = all.entry((*community).clone()).or_insert(own);
        next.unit = next.unit.min(*unit);
        next.longest = next.longest.max(*longest);
    }
    all
}

/// The spaces of the configuration that may spend from a budget.
pub fn paying<'a>(
    setup: &'a Setup,
    budget: &'a Budget,
) -> impl Iterator<Item = &'a SpaceConfig> + 'a {
    setup.config.spaces.values().filter(|space| {
        let is_metered = match space.metering() {
            Metering::Priced => true,
            Metering::Unmetered => false,
        };
        let mut machinetypes = space.machinetypes.keys();
        let markets = [Market::OnDemand, Market::Preemptible];
        is_metered
            && machinetypes.any(|name| {
                markets.iter().any(|market| budget.scope.covers(&space.account(name, *market)))
            })
    })
}

/// How machines of each community show whether there is work: by the slowest of its machinetypes.
pub fn habits<'a>(
    machinetypes: impl Iterator<Item = (&'a Community, &'a MachinetypePolicy)>,
) -> BTreeMap<Community, Habit> {
    let mut habits: BTreeMap<Community, Habit> = BTreeMap::new();
    for (community, policy) in machinetypes {
        let own = Habit::of((policy.fizzle, policy.backoff, policy.start_timeout));
        let habit = habits.entry(community.clone()).or_insert(own);
        habit.proving = habit.proving.max(own.proving);
        habit.backoff = habit.backoff.max(own.backoff);
        habit.starting = habit.starting.max(own.starting);
    }
    habits
}
