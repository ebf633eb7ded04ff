//! What money adds to the language: prices of offerings, machinetypes that look at them, and budgets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle::config::OfferingPrice;
use vcycle::cycle::leaving;
use vcycle::model::*;
use vcycle_money::plan::{Budget, Habit, Next, Orders, Priority, Rate, Standpoint, Unit};
use vcycle_money::{Amount, Community, Event, Permille, Scope};

use super::{Outcome, decimal, duration, key_value, number};
use crate::plan_support::{Purse, World, usually, written};

/// How long a machine takes to start, beyond which it counts as one that should have found work (as the managers have it).
const STARTS_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Parts the settings of an offering that are about its price from the others.
pub(super) fn split<'w>(settings: &[&'w str]) -> (Vec<&'w str>, Vec<&'w str>) {
    let is_price = |setting: &&str| matches!(key_value(setting).0, "price" | "usual" | "hs23");
    settings.iter().copied().partition(is_price)
}

/// `price=0.40 usual=0.12 hs23=86`: what an hour is reserved at, what it usually costs, what the machine delivers.
pub(super) fn set_price(world: &mut World, id: &OfferingId, settings: &[&str]) -> Outcome {
    let (mut price, mut usual) = (None, None);
    for (key, value) in settings.iter().map(|setting| key_value(setting)) {
        match key {
            "price" => price = Some(amount(value)?),
            "usual" => usual = Some(amount(value)?),
            _ => {
                world.policy.hs23.insert(id.flavour.clone(), decimal(value)?);
            }
        }
    }
    if let Some(price) = price {
        let purse = world.purse.get_or_insert_with(Purse::open);
        purse.costs.prices.insert(id.clone(), usually((price, usual.unwrap_or(price))));
    }
    Ok(())
}

fn amount(word: &str) -> Result<Amount, String> {
    word.parse().map_err(|_| format!("not an amount: {word}"))
}

pub(super) fn market(word: &str) -> Result<Market, String> {
    match word {
        "on-demand" => Ok(Market::OnDemand),
        "spot" => Ok(Market::Preemptible),
        _ => Err(format!("not a market: {word}")),
    }
}

pub(super) fn ranking(word: &str) -> Result<Ranking, String> {
    match word {
        "listed" => Ok(Ranking::Listed),
        "price" => Ok(Ranking::Price { spreading: None }),
        _ => Err(format!("not an order: {word}")),
    }
}

/// Whether this offering is meant: by its flavour, or by all of it as people read it.
pub(super) fn is(id: &OfferingId, what: &str) -> bool {
    id.flavour == what || id.to_string() == what
}

/// For whom a machinetype works.
pub(super) fn works_for(world: &mut World, machinetype: &MachinetypeName, who: &str) -> Outcome {
    let community = community(who)?;
    let purse = world.purse.get_or_insert_with(Purse::open);
    purse.costs.communities.insert(machinetype.clone(), community);
    Ok(())
}

fn community(word: &str) -> Result<Community, String> {
    word.parse().map_err(|_| format!("not a community: {word}"))
}

/// `budget plan 100 for 10h priorities=SKA:40,LSST:60 backfill=LHCb maximum_rate=5`: from now on; it is a cap, too.
pub(super) fn add_budget(
    (world, budgets): (&mut World, &mut Vec<Budget>),
    (name, sum, time): (&str, &str, &str),
    settings: &[&str],
) -> Outcome {
    let mut budget = Budget {
        name: name.parse().map_err(|_| "not a name")?,
        amount: amount(sum)?,
        from: world.now,
        to: world.now + duration(time)?,
        scope: Scope::default(),
        priorities: Vec::new(),
        backfill: Vec::new(),
        hold_rate: true,
        reserve: Permille(0),
        stop_margin: Duration::ZERO,
        maximum_rate: None,
        spreading: 0.0,
        half_life: Duration::from_secs(24 * 3600),
    };
    for (key, value) in settings.iter().map(|setting| key_value(setting)) {
        match key {
            "priorities" => budget.priorities = priorities(value)?,
            "backfill" => {
                let names: Result<_, String> = value.split(',').map(community).collect();
                budget.backfill = names?;
            }
            "stop_margin" => budget.stop_margin = duration(value)?,
            "after" => {
                (budget.from, budget.to) =
                    (budget.from + duration(value)?, budget.to + duration(value)?);
            }
            "spreading" => {
                budget.spreading = value.parse().map_err(|_| format!("not a number: {value}"))?;
            }
            "maximum_rate" => budget.maximum_rate = Some(Rate::hourly(amount(value)?)),
            "market" => budget.scope.markets = BTreeSet::from([market(value)?]),
            _ => return Err(format!("not a setting of a budget: {key}")),
        }
    }
    budget.check().map_err(|wrong| wrong.to_string())?;
    budgets.push(budget);
    let caps = budgets.iter().map(Budget::cap).collect();
    let purse = world.purse.get_or_insert_with(Purse::open);
    let set = Event::CapsSet { caps, source: String::new() };
    purse.book = written(purse.book.clone(), vec![set]);
    Ok(())
}

fn priorities(list: &str) -> Result<Vec<Priority>, String> {
    let priority = |one: &str| {
        let (name, share) = one.split_once(':').ok_or("a priority is NAME:SHARE")?;
        Ok(Priority { community: community(name)?, share: number(share)? })
    };
    list.split(',').map(priority).collect()
}

/// What the budgets want of the space now, as a manager works it out.
pub(super) fn give_orders(world: &mut World, budgets: &[Budget]) {
    let Some(purse) = &world.purse else { return };
    let policies = || world.policy.machinetypes.values();
    let prices = purse.costs.prices.values().filter_map(|price| match price {
        OfferingPrice::Priced(priced) => Some(Unit::of(&priced.tariff)),
        OfferingPrice::Unmetered | OfferingPrice::Unpriced(_) => None,
    });
    let longest = policies().map(|policy| policy.deadline(world.now).since(world.now)).max();
    let records = world.machines.iter().map(|view| &view.record);
    let leaving = leaving(&world.policy, records, world.now);
    let habits: BTreeMap<Community, Habit> = policies()
        .filter_map(|policy| {
            let community = purse.costs.communities.get(&policy.name)?.clone();
            let (proving, backoff) = (policy.fizzle + STARTS_WITHIN, policy.backoff);
            Some((community, Habit { proving, backoff, starting: policy.start_timeout }))
        })
        .collect();
    let unit = prices.min().unwrap_or_default();
    let next = policies()
        .filter_map(|policy| {
            let community = purse.costs.communities.get(&policy.name)?.clone();
            Some((
                community,
                Next { unit, longest: policy.deadline(world.now).since(world.now), in_vain: false },
            ))
        })
        .collect();
    let standpoint = Standpoint {
        now: world.now,
        space: &world.policy.space,
        unit,
        longest: longest.unwrap_or_default(),
        next: &next,
        overstay: purse.costs.overstay,
        spaces: 1,
        leaving: &leaving,
        habits: &habits,
        unserved: &BTreeSet::new(),
    };
    let orders = budgets.iter().map(|budget| Orders::of(budget, &purse.book, &standpoint));
    let orders = orders.collect();
    if let Some(purse) = &mut world.purse {
        purse.orders = orders;
    }
}
