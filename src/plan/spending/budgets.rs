//! Spending plans in a plan: how much machinetypes may grow so that budgets are spent on their line, until when machines may
//! live that are paid from one, and which of them give way. What follows from the ledger is worked out before
//! ([`Orders::of`]); here it is kept to.

use std::collections::BTreeMap;

use vcycle_money::plan::{CommunityAdvice, Orders, Rate};
use vcycle_money::{Account, Amount, Community};

use crate::model::{Drain, DrainReason, IntentToken, Timestamp};
use crate::plan::Reason;

/// What is left of the growth that budgets allow, while machines are chosen.
pub(super) struct Allowance<'a> {
    orders: &'a [Orders],
    /// What was taken, by budget and community.
    taken: BTreeMap<(usize, &'a Community), Rate>,
}

impl<'a> Allowance<'a> {
    pub(super) fn of(orders: &'a [Orders]) -> Self {
        Self { orders, taken: BTreeMap::new() }
    }

    /// Takes what a machine costs in an hour from every budget that pays for it, or from none.
    pub(super) fn take(&mut self, account: &Account, rate: Rate) -> Result<(), Reason> {
        let mut takes = Vec::new();
        for (place, orders) in deciding(self.orders, account) {
            let Some(own) = of_community(orders, account) else {
                return Err(has_no_part(orders, account));
            };
            let key = (place, &own.community);
            let taken = self.taken.get(&key).copied().unwrap_or_default();
            if !fits(own.grow.above(taken), rate) {
                return Err(holds(orders, own));
            }
            takes.push((key, taken + rate));
        }
        self.taken.extend(takes);
        Ok(())
    }
}

/// The budgets that decide on a machine: of those that cover its account the ones whose time it is. Only where it is the time of none
/// all of them decide, and nothing is made: a budget of next year, or of last year, is no reason to make nothing in this one.
fn deciding<'a>(
    orders: &'a [Orders],
    account: &Account,
) -> impl Iterator<Item = (usize, &'a Orders)> {
    let covering = |orders: &&Orders| orders.scope.covers(account);
    let is_its_time = |orders: &Orders| orders.advice.term.is_its_time();
    let is_any_open = orders.iter().filter(covering).any(is_its_time);
    let all = orders.iter().enumerate();
    all.filter(move |(_, orders)| orders.scope.covers(account))
        .filter(move |(_, orders)| !is_any_open || is_its_time(orders))
}

/// Whether a machine is within what is left, to the nearest machine.
fn fits(left: Rate, rate: Rate) -> bool {
    left > Rate::ZERO && rate <= left.times(2)
}

fn of_community<'a>(orders: &'a Orders, account: &Account) -> Option<&'a CommunityAdvice> {
    let community = account.community.as_ref()?;
    orders.advice.communities.iter().find(|own| own.community == *community)
}

fn has_no_part(orders: &Orders, account: &Account) -> Reason {
    let why = match &account.community {
        Some(community) => format!("it does not name {community}"),
        None => "it works for no community that the budget names".to_owned(),
    };
    Reason::SpendingPlan { budget: orders.budget.to_string(), grow: Amount::ZERO, why }
}

fn holds(orders: &Orders, own: &CommunityAdvice) -> Reason {
    Reason::SpendingPlan {
        budget: orders.budget.to_string(),
        grow: own.grow.in_an_hour(),
        why: own.why.to_string(),
    }
}

/// When a machine must have ended that is paid from budgets, with the budget that wants it first.
pub(crate) fn latest_end<'a>(
    orders: &'a [Orders],
    account: &Account,
) -> Option<(Timestamp, &'a Orders)> {
    let paying = deciding(orders, account);
    paying.map(|(_, orders)| (orders.advice.latest_end, orders)).min_by_key(|(end, _)| *end)
}

/// Whether the budgets want that it is made at all: the law of what [`Allowance::take`] grants.
pub(crate) fn is_wanted(orders: &[Orders], account: &Account) -> bool {
    let mut paying = deciding(orders, account);
    paying.all(|(_, orders)| of_community(orders, account).is_some_and(|own| own.grow > Rate::ZERO))
}

/// How strongly the budget spreads machines that pays for the first of these accounts that one pays for; of several budgets the first
/// by name.
pub(crate) fn spreading(orders: &[Orders], accounts: &[Account]) -> Option<f64> {
    let of_each = accounts.iter().filter_map(|account| deciding(orders, account).next());
    of_each.min_by_key(|(place, _)| *place).map(|(_, orders)| orders.spreading)
}

/// That a machine must end for the sake of a plan.
pub(super) fn drain(orders: &[Orders], intent: &IntentToken, by: Timestamp) -> Option<Drain> {
    let (orders, why) =
        orders.iter().find_map(|orders| Some((orders, orders.to_end.get(intent)?)))?;
    let (budget, why) = (orders.budget.to_string(), why.to_string());
    Some(Drain { by, reason: DrainReason::SpendingPlan { budget, why } })
}
