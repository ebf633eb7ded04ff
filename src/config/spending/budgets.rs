//! Spending plans: `[budget.NAME]`, in the files of the spend manager and in scenarios of `vcycle simulate`.

use std::time::Duration;

use vcycle_money::plan::{Budget, InvalidBudget, Priority, Rate};
use vcycle_money::{CapName, Community, Currency, Permille, ProviderName, Scope};

use super::known::Known;
use super::sums;
use crate::config::problem::{Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::source::{Place, Placed};
use crate::config::tree::Value;
use crate::config::values::{self, Read};
use crate::model::Timestamp;

/// Kept back without `reserve`: 1 %, so that a plan lands in the middle of the last 2 %.
const RESERVE: Permille = Permille(10);
/// Without `stop_margin`.
const STOP_MARGIN: Duration = Duration::from_secs(24 * 3600);
/// Without `spreading`: as HEPCloud does it.
const SPREADING: f64 = 1.0;
/// Without `half_life`: a month.
const HALF_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// All budgets of a file, with their places.
pub(super) fn read_budgets(
    root: &Reader<'_>,
    currency: Currency,
    known: Option<&Known>,
) -> Vec<(Budget, Place)> {
    let mut budgets = Vec::new();
    for (written, reader) in root.tables_of("budget") {
        let name = sums::label::<CapName>(&Value::Text(written));
        let name = name.map_err(|wrong| reader.problem(wrong)).ok();
        let budget = read_budget(name, &reader, currency, known);
        if let Some(Err(wrong)) = budget.as_ref().map(Budget::check) {
            reader.problem(what_is_wrong(&wrong));
        }
        let place = reader.place().clone();
        reader.finish();
        budgets.extend(budget.map(|budget| (budget, place)));
    }
    budgets
}

fn read_budget(
    name: Option<CapName>,
    budget: &Reader<'_>,
    currency: Currency,
    known: Option<&Known>,
) -> Option<Budget> {
    let money = |value: &Value| own_money(value, currency);
    let right = format!("how much, for example \"50000 {currency}\"");
    let amount = budget.required("amount", money, &right);
    let time = |key| budget.required(key, sums::hour, "a day such as 2026-12-01, or a whole hour");
    let (from, to): (Option<Placed<Timestamp>>, _) = (time("from"), time("to"));
    let priorities = read_priorities(budget, known);
    let communities = |v: &Value| values::list(v, sums::label::<Community>);
    let backfill = budget.get("backfill", communities);
    if let Some(known) = known {
        known.communities.warn(budget, backfill.as_ref());
    }
    let hold_rate = budget.get_or("hold_rate", values::flag, true).value;
    let reserve = budget.get_or("reserve", sums::permille, RESERVE).value;
    let stop_margin = budget.get_or("stop_margin", values::duration, STOP_MARGIN).value;
    let maximum = budget.get("maximum_rate", money);
    let spreading = budget.get_or("spreading", spreading, SPREADING).value;
    let half_life = budget.get_or("half_life", values::duration_above_zero, HALF_LIFE).value;
    let scope = read_scope(budget, known);
    Some(Budget {
        name: name?,
        amount: amount?.value,
        from: from?.value,
        to: to?.value,
        scope,
        priorities,
        backfill: backfill.map(|list| list.value).unwrap_or_default(),
        hold_rate,
        reserve,
        stop_margin,
        maximum_rate: maximum.map(|maximum| Rate::hourly(maximum.value)),
        spreading,
        half_life,
    })
}

/// `priorities = { SKA = 40, LSST = 40, DUNE = 20 }`.
fn read_priorities(budget: &Reader<'_>, known: Option<&Known>) -> Vec<Priority> {
    let mut priorities = Vec::new();
    for (name, place, share) in budget.values_of("priorities") {
        let community = sums::label::<Community>(&Value::Text(name));
        let weight = values::positive(share.value);
        let key = share.key.clone();
        for wrong in [community.as_ref().err(), weight.as_ref().err()].into_iter().flatten() {
            let problem = Problem::at_place(&place, key.clone(), wrong.clone());
            budget.problems().add(problem);
        }
        if let (Ok(community), Ok(share)) = (community, weight) {
            if let Some(known) = known {
                known.communities.warn_of(budget, community.as_str(), (&place, &key));
            }
            priorities.push(Priority { community, share });
        }
    }
    priorities
}

fn read_scope(budget: &Reader<'_>, known: Option<&Known>) -> Scope {
    let providers = budget.get("providers", |v| sums::set(v, sums::label::<ProviderName>));
    let spaces = budget.get("spaces", |v| sums::set(v, values::name));
    let markets = budget.get("markets", |v| sums::set(v, values::market));
    if let Some(known) = known {
        known.providers.warn(budget, providers.as_ref());
        known.spaces.warn(budget, spaces.as_ref());
    }
    Scope {
        providers: providers.map(|set| set.value).unwrap_or_default(),
        spaces: spaces.map(|set| set.value).unwrap_or_default(),
        markets: markets.map(|set| set.value).unwrap_or_default(),
        ..Scope::default()
    }
}

/// An amount in the currency of the ledger.
pub(super) fn own_money(value: &Value, currency: Currency) -> Read<vcycle_money::Amount> {
    let money = sums::money(value)?;
    if money.currency == currency {
        Ok(money.amount)
    } else {
        let right = format!("an amount in {currency}");
        Err(Wrong::new(format!("not in {currency}, the currency of [spending]"), right))
    }
}

fn spreading(value: &Value) -> Read<f64> {
    const RIGHT: &str = "a number from 0 (the cheapest first) to 10, without quotes; 1 is usual";
    let number = match value {
        Value::Integer(_) => f64::from(values::count(value)?),
        Value::Number(number) => *number,
        other => {
            return Err(Wrong::new(format!("{} where a number is wanted", other.kind()), RIGHT));
        }
    };
    let is_right = (0.0..=10.0).contains(&number);
    if is_right { Ok(number) } else { Err(Wrong::new("out of range", RIGHT)) }
}

fn what_is_wrong(wrong: &InvalidBudget) -> Wrong {
    let right = match wrong {
        InvalidBudget::NoAmount => "`amount` above zero",
        InvalidBudget::NoTime => "a later `to`, or a shorter `stop_margin`",
        InvalidBudget::AllReserved => "a `reserve` below 100%",
        InvalidBudget::Nobody => {
            "`priorities = { SKA = 40, LSST = 60 }`, `backfill = [\"LHCb\"]`, or both"
        }
        InvalidBudget::NoShare(_) => "a share of 1 or more, or no line for it",
        InvalidBudget::Twice(_) => "each community once, in `priorities` or in `backfill`",
        InvalidBudget::Spreading => "a number from 0 to 10",
        InvalidBudget::HalfLife => "a longer time, such as \"30d\"",
    };
    Wrong::new(wrong.to_string(), right)
}
