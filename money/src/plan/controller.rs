//! The rate controller: from a budget and what runs to what may be made and what gives way in this cycle (in numbers: `decision`).
//!
//! - The target rate is what is left of the budget (less its reserve), spread evenly over the time that is left.
//! - Priorities grow up to the target, machine by machine to whom most is owed. Room is kept free for as many machines as
//!   they could take soon, and backfill gives way a little ahead of them.
//! - Backfill fills the rest. It ends by itself unless more is spent than the target and a band of 10 %.
//! - In one cycle all changes are at most 10 % of the target (or one machine, where that is more); and so is what a community
//!   has of machines of which nobody knows yet whether they found work, and no more than twice what found work since the last that
//!   did not, or a tenth of what it has: else all of the target would stand before it is seen that there is none. (Where machines
//!   live for less than five hours it is more: what must be made anew in a quarter of an hour, twice.)
//! - What is advised can be paid to its hard end, with everything that is reserved: caps need not refuse it.

use std::time::Duration;

use super::decision::{BAND, Decision, movable, named};
use super::{
    Advice, Budget, CommunityAdvice, CommunityView, Forecast, Landing, Pace, PlanView, Rate, Role,
    Term, Why,
};

/// What is left is never spent faster than within this time.
const LEAST_TIME: Duration = Duration::from_secs(3600);
/// Keeps the spending of a budget on its line. Without state: the same view gives the same advice, on every manager.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    budget: Budget,
}

impl Controller {
    /// For a budget.
    pub fn new(budget: Budget) -> Self {
        Self { budget }
    }

    /// Its budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The rate that lands on the budget.
    pub fn target(&self, view: &PlanView) -> Rate {
        let left = self.budget.spendable() - view.spent();
        let time = self.budget.stop().since(view.now.max(self.budget.from)).max(LEAST_TIME);
        let target = Rate::spending(left, time);
        self.budget.maximum_rate.map_or(target, |maximum| target.min(maximum))
    }

    /// What to do in this cycle.
    pub fn advise(&self, view: &PlanView) -> Advice {
        let term = self.budget.term(view.now);
        let (target, burn) = (self.target(view), view.burn());
        let decision = Decision::new(&self.budget, view, target);
        let step = decision.step;
        let communities = match term {
            Term::Open => decision.communities(),
            Term::NotBegun | Term::Stopped | Term::Over => self.closed(view, term),
        };
        let latest_end = self.budget.stop();
        let landing = self.landing(view);
        let pace = pace(view, target);
        Advice { term, target, burn, step, communities, latest_end, landing, pace }
    }

    /// All that is to end, over as many cycles as it takes, if nobody was told yet: for each community in the order of
    /// [`Advice::communities`].
    pub(super) fn to_go(&self, view: &PlanView) -> Vec<(Rate, Why)> {
        let mut view = view.clone();
        view.communities.values_mut().for_each(|seen| seen.leaving = Rate::ZERO);
        let (term, target) = (self.budget.term(view.now), self.target(&view));
        match term {
            Term::Open => {
                let decision = Decision::new(&self.budget, &view, target);
                let why = decision.why_it_gives_way();
                let rates = decision.give_way(view.burn());
                rates.into_iter().map(|rate| (rate, why.clone())).collect()
            }
            Term::NotBegun | Term::Stopped | Term::Over => {
                self.closed(&view, term).into_iter().map(|own| (own.give_way, own.why)).collect()
            }
        }
    }

    /// Nothing grows. Within the stop margin all that still runs is told to end.
    fn closed(&self, view: &PlanView, term: Term) -> Vec<CommunityAdvice> {
        let give_way = |seen: &CommunityView| match term {
            Term::Stopped => movable(seen),
            Term::NotBegun | Term::Open | Term::Over => Rate::ZERO,
        };
        named(&self.budget, view)
            .into_iter()
            .map(|(community, role, seen)| CommunityAdvice {
                community,
                role,
                grow: Rate::ZERO,
                give_way: give_way(&seen),
                why: if role == Role::Unnamed { Why::NotNamed } else { Why::NotOpen { term } },
            })
            .collect()
    }

    fn landing(&self, view: &PlanView) -> Landing {
        let money = (view.spent(), self.budget.amount);
        let time = (view.now.max(self.budget.from), self.budget.stop());
        let at = |rate| Forecast::new(money, rate, time);
        Landing {
            now: at(view.burn()),
            six_hours: view.means.six_hours.map(at),
            day: view.means.day.map(at),
        }
    }
}

fn pace(view: &PlanView, target: Rate) -> Pace {
    let rate = view.means.day.or(view.means.six_hours).unwrap_or_else(|| view.burn());
    if rate > target.permille(BAND) {
        Pace::Above { by: rate.above(target) }
    } else if rate < target.permille(2000 - BAND) {
        Pace::Below { by: target.above(rate) }
    } else {
        Pace::OnLine
    }
}
