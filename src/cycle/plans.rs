//! From the budgets of the spend manager to what they mean for a space in this cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_money::plan::{Budget, Habit, Orders, Standpoint, Unit};
use vcycle_money::{Account, Book, Community};

use crate::config::{Metering, OfferingPrice, SpaceConfig};
use crate::library::{Setup, SpaceSetup};
use crate::model::{IntentToken, MachinetypePolicy, Market, Timestamp};
use crate::plan::Costs;

/// How long a machine takes to start, beyond which it counts as one that should have found work.
const STARTS_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What a plan for a space may be made of.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The time.
    pub now: Timestamp,
    /// What machines cost in the space.
    pub costs: &'a Costs,
    /// The ledger.
    pub book: &'a Book,
    /// Machines of the space that were told to end.
    pub leaving: &'a BTreeSet<IntentToken>,
}

/// What each budget that pays for machines of a space means for it now.
pub fn orders(
    (setup, space): (&Setup, &SpaceSetup),
    planner: &Planner<'_>,
    budgets: &[Budget],
) -> Vec<Orders> {
    let Planner { now, costs, book, leaving } = *planner;
    let policies = || space.policy.machinetypes.values();
    let longest = policies().map(|policy| policy.deadline(now).since(now)).max();
    let own = costs.communities.iter();
    let habits =
        habits(own.filter_map(|(name, own)| Some((own, space.policy.machinetypes.get(name)?))));
    let accounts = || policies().flat_map(|policy| priced(space, costs, &policy.name));
    let order = |budget: &Budget| {
        let paid = accounts().filter(|(account, _)| budget.scope.covers(account));
        let unit = paid.map(|(_, unit)| unit).min()?;
        let standpoint = Standpoint {
            now,
            space: &space.policy.space,
            unit,
            longest: longest.unwrap_or_default(),
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

/// Where machines of a machinetype would be booked, and what each costs in an hour.
fn priced<'a>(
    space: &'a SpaceSetup,
    costs: &'a Costs,
    machinetype: &'a crate::model::MachinetypeName,
) -> impl Iterator<Item = (Account, Unit)> + 'a {
    costs.prices.iter().filter_map(move |(offering, price)| match price {
        OfferingPrice::Priced(priced) => {
            let account = costs.account(&space.policy.space, machinetype, offering);
            Some((account, Unit::of(&priced.tariff)))
        }
        OfferingPrice::Unmetered | OfferingPrice::Unpriced(_) => None,
    })
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
        let (proving, backoff) = (policy.fizzle + STARTS_WITHIN, policy.backoff);
        let habit = habits.entry(community.clone()).or_insert(Habit { proving, backoff });
        habit.proving = habit.proving.max(proving);
        habit.backoff = habit.backoff.max(backoff);
    }
    habits
}
