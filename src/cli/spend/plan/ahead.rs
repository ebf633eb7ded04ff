//! What is ahead of a budget: where its plan leads below all caps, and what of it is not thought of. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vcycle_money::plan::{Budget, Ceiling, Held, Projection};
use vcycle_money::{Account, Cap, CapName, Community};

use super::standpoint::Outset;

/// Budgets and caps that hold together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) budgets: &'a [Budget],
    /// Those of the budgets among them.
    pub(super) caps: &'a [Cap],
}

/// What is ahead of a budget.
#[derive(Serialize)]
pub(super) struct Ahead {
    #[serde(flatten)]
    pub(super) projection: Projection,
    /// Caps that hold it back, or may.
    pub(super) narrower: Vec<Narrower>,
    /// Other budgets that pay for some of the same: what they are to spend is thought of, and their plans are not.
    pub(super) beside: Vec<CapName>,
}

/// A cap that has less than the plan would spend below it.
#[derive(Serialize)]
pub(super) struct Narrower {
    #[serde(flatten)]
    pub(super) held: Held,
    /// It is on all that some communities may make, and the projection obeys it. If not, nobody knows how much of that is
    /// made where it is not.
    pub(super) is_obeyed: bool,
}

impl Ahead {
    pub(super) fn of(outset: Outset<'_>, (budget, plan): (&Budget, Plan<'_>), days: u16) -> Self {
        let accounts = outset.accounts(budget);
        let caps = plan.caps.iter().filter(|cap| cap.name != budget.name);
        let covers: Vec<Covers<'_>> = caps.map(|cap| Covers::of(cap, &accounts)).collect();
        let ceilings: Vec<Ceiling<'_>> = covers.iter().filter_map(Covers::ceiling).collect();
        let (mut projection, held) = outset.project(budget, &ceilings);
        let may = |covers: &Covers<'_>| {
            let is_held = held.iter().any(|held| held.cap == covers.cap.name);
            let part = (!is_held && !covers.in_part.is_empty()).then_some(&covers.in_part)?;
            projection.may_be_held((covers.cap, part), outset.book, outset.now)
        };
        let may: Vec<Held> = covers.iter().filter_map(may).collect();
        let narrower = |is_obeyed| move |held| Narrower { held, is_obeyed };
        let narrower =
            held.into_iter().map(narrower(true)).chain(may.into_iter().map(narrower(false)));
        let narrower = narrower.collect();
        projection.days.truncate(usize::from(days));
        Self { projection, narrower, beside: beside((budget, plan), &accounts) }
    }
}

/// Whose machines are below a cap.
struct Covers<'a> {
    cap: &'a Cap,
    /// All that these make,
    whole: BTreeSet<Community>,
    /// and some of what these make.
    in_part: BTreeSet<Community>,
}

impl<'a> Covers<'a> {
    fn of(cap: &'a Cap, accounts: &BTreeMap<Community, BTreeSet<Account>>) -> Self {
        let (mut whole, mut in_part) = (BTreeSet::new(), BTreeSet::new());
        for (community, accounts) in accounts {
            let count = accounts.iter().filter(|account| cap.scope.covers(account)).count();
            if count == accounts.len() {
                whole.insert(community.clone());
            } else if count > 0 {
                in_part.insert(community.clone());
            }
        }
        Self { cap, whole, in_part }
    }

    fn ceiling(&self) -> Option<Ceiling<'a>> {
        let communities = self.whole.clone();
        (!communities.is_empty()).then_some(Ceiling { cap: self.cap, communities })
    }
}

fn beside(
    (budget, plan): (&Budget, Plan<'_>),
    accounts: &BTreeMap<Community, BTreeSet<Account>>,
) -> Vec<CapName> {
    let shares = |other: &&Budget| {
        let is_together = other.from < budget.to && budget.from < other.to;
        let mut own = accounts.values().flatten();
        other.name != budget.name && is_together && own.any(|own| other.scope.covers(own))
    };
    plan.budgets.iter().filter(shares).map(|other| other.name.clone()).collect()
}
