//! Offerings in the order of what their work costs, for machinetypes that want it so: `rank = "price"`. The formula is
//! that of `vcycle simulate`, in `vcycle_money::plan`.

use std::collections::BTreeMap;

use vcycle_money::plan::Worth;

use super::PlanInput;
use super::spending::{Costs, budgets};
use crate::model::{MachinetypePolicy, Offering, OfferingId, Ranking, SpacePolicy};

/// Where neither the machinetype nor a budget says it: the cheapest first, which is what somebody wants who asks for an
/// order by price.
const SPREADING: f64 = 0.0;

/// What the offerings of a machinetype are compared by.
#[derive(Debug)]
pub(super) struct Appraiser<'a> {
    space: &'a SpacePolicy,
    policy: &'a MachinetypePolicy,
    spreading: f64,
    /// `None`: spending is not watched, and so no price is known.
    costs: Option<&'a Costs>,
    /// How many machines of this machinetype there are.
    machines: BTreeMap<&'a OfferingId, u32>,
}

impl<'a> Appraiser<'a> {
    /// With what the machines of this machinetype are made of that work or are about to. `None`: the order of its lists
    /// decides.
    pub(super) fn of(
        space: &'a SpacePolicy,
        policy: &'a MachinetypePolicy,
        (costs, spread_by_budget): (Option<&'a Costs>, Option<f64>),
        machines: impl Iterator<Item = &'a OfferingId>,
    ) -> Option<Self> {
        let spreading = match policy.ranking {
            Ranking::Listed => return None,
            Ranking::Price { spreading } => spreading.or(spread_by_budget).unwrap_or(SPREADING),
        };
        let mut count: BTreeMap<&OfferingId, u32> = BTreeMap::new();
        machines.for_each(|offering| *count.entry(offering).or_default() += 1);
        Some(Self { space, policy, spreading, costs, machines: count })
    }

    pub(super) fn appraise(&self, offering: &Offering) -> Appraisal {
        let Offering { id, processors, .. } = offering;
        let price = self.costs.and_then(|costs| costs.usual(id));
        let measured = self.space.hs23.get(&id.flavour).copied();
        // What somebody says of the processors of a machinetype is a better guess than ours.
        let told = self.policy.hs06_per_processor.map(|_| self.policy.weight_of(*processors));
        let hs23 = measured.or(told);
        Appraisal {
            worth: price.map(|price| Worth { price, processors: processors.0, hs23 }),
            machines: self.machines.get(id).copied().unwrap_or(0),
            spreading: self.spreading,
        }
    }
}

/// How strongly the budget that pays for a machinetype spreads its machines; of several the first by name.
pub(super) fn spread_by_budget(input: &PlanInput<'_>, policy: &MachinetypePolicy) -> Option<f64> {
    let spending = input.spending?;
    let account = |offering: &Offering| {
        spending.costs.account(&input.policy.space, &policy.name, &offering.id)
    };
    let accounts: Vec<_> = input.offerings.iter().map(account).collect();
    budgets::spreading(spending.orders, &accounts)
}

/// What an offering is worth to a machinetype now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Appraisal {
    /// `None`: nobody knows what it costs.
    worth: Option<Worth>,
    machines: u32,
    spreading: f64,
}

impl Appraisal {
    /// The less, the better. That all offerings may be used for equally many machines drops out of the order. An unknown
    /// price is dearer than any other.
    pub(super) fn merit(&self) -> f64 {
        let filled = f64::from(self.machines) + 1.0;
        self.worth.map_or(f64::INFINITY, |worth| worth.merit(filled, self.spreading))
    }

    /// One machine more is made of it.
    pub(super) fn fill(&mut self) {
        self.machines = self.machines.saturating_add(1);
    }

    /// Why this one is first of so many, for people.
    pub(super) fn words(&self, id: &OfferingId, of: usize) -> String {
        let Some(worth) = self.worth else {
            return format!("nobody knows what {id} costs, and nothing with a price can be used");
        };
        let count = match self.machines {
            0 => "none of it is there".to_owned(),
            1 => "1 machine of it is there".to_owned(),
            many => format!("{many} machines of it are there"),
        };
        let spread = if self.spreading > 0.0 { format!(", {count}") } else { String::new() };
        let first = match of {
            1 => "nothing else can be used".to_owned(),
            of => format!("first of {of} offerings"),
        };
        format!("an HS23 hour on {id} costs {:.6}{spread}: {first}", worth.price_of_work())
    }
}
