//! The rate controller: from a budget and what runs to what may be made and what gives way in this cycle.
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

use super::fair::{Claim, share_out};
use super::{
    Advice, Budget, CommunityAdvice, CommunityView, Forecast, Landing, Pace, PlanView, Rate, Role,
    Term, Unit, Why, Work,
};
use crate::{Amount, Community};

/// The most that changes in a cycle, in thousandths of the target.
const STEP: u32 = 100;
/// Up to here what is spent is on the line, in thousandths of the target.
const BAND: u32 = 1100;
/// For how many trials of each priority backfill gives way ahead: grace takes time, and all of it may find no work.
const AHEAD: u32 = 2;
/// For how many of them no backfill is made: what is made now is left alone for its promised time and its grace.
const KEPT: u32 = 4;
/// In so long it is usually known whether a machine found work.
const PROVING: Duration = Duration::from_secs(15 * 60);
/// What is left is never spent faster than within this time.
const LEAST_TIME: Duration = Duration::from_secs(3600);
/// The target is thought of in at most so many machines, however small they are.
const FINEST: u32 = 1000;

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
        let step = decision.most();
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

/// All communities in the order of the budget, then those that it does not name.
fn named(budget: &Budget, view: &PlanView) -> Vec<(Community, Role, CommunityView)> {
    let seen = |community: &Community| view.communities.get(community).copied().unwrap_or_default();
    let priorities = budget.priorities.iter().map(|priority| (&priority.community, Role::Priority));
    let backfill = budget.backfill.iter().map(|community| (community, Role::Backfill));
    let mut all: Vec<(Community, Role, CommunityView)> = priorities
        .chain(backfill)
        .map(|(community, role)| (community.clone(), role, seen(community)))
        .collect();
    let is_named = |community: &Community| all.iter().any(|(named, ..)| named == community);
    let unnamed: Vec<_> = view.communities.iter().filter(|(own, _)| !is_named(own)).collect();
    all.extend(unnamed.into_iter().map(|(own, seen)| (own.clone(), Role::Unnamed, *seen)));
    all
}

/// What may be told to end.
fn movable(seen: &CommunityView) -> Rate {
    seen.running.above(seen.guaranteed).above(seen.leaving)
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

/// Where machines live for a few hours at the most, what must be made anew while nobody knows yet of the last ones, twice: in
/// thousandths of all that runs. Else a line could not be held with them.
fn replaced(longest: Duration) -> u32 {
    let exact = 2 * PROVING.as_millis() * 1000 / longest.as_millis().max(1);
    u32::try_from(exact.min(1000)).unwrap_or(1000)
}

/// The numbers of one cycle, in machines of the rate `unit` where they are counts.
struct Decision<'a> {
    budget: &'a Budget,
    view: &'a PlanView,
    all: Vec<(Community, Role, CommunityView)>,
    target: Rate,
    unit: Rate,
    /// The most that changes.
    step: u32,
    /// The most of a community that is not proven.
    proving: Rate,
    /// What can be paid to its hard end.
    affordable: u32,
    /// What the maximum rate allows.
    below_maximum: u32,
    /// How many more the priorities may come to have.
    wanted: u32,
}

impl<'a> Decision<'a> {
    fn new(budget: &'a Budget, view: &'a PlanView, target: Rate) -> Self {
        let all = named(budget, view);
        let finest = Rate::hourly(target.in_an_hour().share(1, FINEST.into()).unwrap_or_default());
        let Unit { rate: unit, reserved } = view.unit.no_finer_than(finest);
        let step = target.permille(STEP).holds(unit).div_ceil(view.planners.max(1)).max(1);
        let proving = target.permille(STEP.max(replaced(view.longest))).max(unit);
        let longest = view.longest.min(budget.stop().since(view.now)) + view.overstay;
        let left = budget.spendable() - view.settled - view.reserved;
        let affordable = Rate::spending(left, longest).holds(reserved);
        let below_maximum = match budget.maximum_rate {
            Some(maximum) => maximum.above(view.burn()).holds(unit),
            None => u32::MAX,
        };
        let of_priorities = |(_, role, seen): &(Community, Role, CommunityView)| {
            (*role == Role::Priority).then_some(seen.running)
        };
        let have = all.iter().filter_map(of_priorities).sum();
        let wanted =
            if budget.hold_rate { nearest(target.above(have), unit) } else { below_maximum };
        Self { budget, view, all, target, unit, step, proving, affordable, below_maximum, wanted }
    }

    fn communities(&self) -> Vec<CommunityAdvice> {
        let at_once = self.step.min(self.affordable).min(self.below_maximum);
        let in_band = if self.budget.hold_rate {
            nearest(self.target.permille(BAND).above(self.view.burn()), self.unit)
        } else {
            u32::MAX
        };
        let first = self.share(Role::Priority, at_once.min(in_band).min(self.wanted));
        let taken: u32 = first.iter().sum();
        let room = self.target.above(self.view.burn() + self.unit.times(taken));
        let kept = self.coming(KEPT).saturating_sub(taken);
        let fill = nearest(room.above(self.unit.times(kept)), self.unit);
        let second = self.share(Role::Backfill, fill.min(at_once - taken));
        let give_way = self.give_way(self.most());
        let is_blocked = at_once.min(in_band).min(self.wanted) == 0;
        let mut advice = Vec::new();
        for (index, (community, role, seen)) in self.all.iter().enumerate() {
            let granted = first[index] + second[index];
            let why = if give_way[index] > Rate::ZERO {
                self.why_it_gives_way()
            } else {
                self.why(*role, seen, granted, is_blocked)
            };
            advice.push(CommunityAdvice {
                community: community.clone(),
                role: *role,
                grow: self.unit.times(granted),
                give_way: give_way[index],
                why,
            });
        }
        advice
    }

    /// The first priority that has work and room below the line.
    fn priority_with_work(&self) -> Option<&Community> {
        let works = |(_, role, seen): &&(Community, Role, CommunityView)| {
            *role == Role::Priority && seen.work == Work::Yes
        };
        let first = self.all.iter().find(works).map(|(community, ..)| community);
        first.filter(|_| self.wanted > 0)
    }

    /// How many machines priorities with work could take in so many trials: no more than that part of what was made for each lately. Who is
    /// at a limit of its own has work, and takes nothing but the place of what ends.
    fn coming(&self, trials: u32) -> u32 {
        let works = |(_, role, seen): &&(Community, Role, CommunityView)| {
            *role == Role::Priority && seen.work == Work::Yes
        };
        let each = self.all.iter().filter(works).map(|(.., seen)| {
            let lately = seen.lately.permille(500).times(trials) + self.unit;
            self.trial(seen).times(trials).min(lately).holds(self.unit)
        });
        each.fold(0, u32::saturating_add).min(self.wanted)
    }

    /// Machines for each community of a role, in the order of `all`.
    fn share(&self, role: Role, count: u32) -> Vec<u32> {
        let weight = |community: &Community| {
            let priority = self.budget.priorities.iter().find(|own| own.community == *community);
            priority.map_or(1, |own| own.share.max(1))
        };
        let most = |seen: &CommunityView| match seen.work {
            Work::Yes => {
                let trial = match role {
                    Role::Priority => self.trial(seen).min(seen.lately.times(2) + self.unit),
                    Role::Backfill | Role::Unnamed => self.trial(seen),
                };
                trial.above(seen.unproven).holds(self.unit)
            }
            Work::Perhaps | Work::Stuck => 1,
            Work::No | Work::Trying => 0,
        };
        let claim = |(community, own, seen): &(Community, Role, CommunityView)| Claim {
            weight: weight(community),
            load: seen.running + seen.recent,
            most: if *own == role { most(seen) } else { 0 },
            granted: 0,
        };
        let mut claims: Vec<Claim> = self.all.iter().map(claim).collect();
        share_out(count, self.unit, &mut claims);
        claims.into_iter().map(|claim| claim.granted).collect()
    }

    /// The most that changes in this cycle.
    fn most(&self) -> Rate {
        self.unit.times(self.step)
    }

    /// What of the backfill is told to end: what is above the band, or the next steps of a priority.
    fn give_way(&self, most: Rate) -> Vec<Rate> {
        let mut rates = vec![Rate::ZERO; self.all.len()];
        let mut left = self.excess().max(self.needed()).min(most);
        if left < self.unit {
            return rates;
        }
        let backfill =
            self.all.iter().enumerate().filter(|(_, (_, own, _))| *own == Role::Backfill);
        let mut by_rate: Vec<(Rate, usize)> =
            backfill.map(|(index, (_, _, seen))| (movable(seen), index)).collect();
        by_rate.sort_by(|(a, one), (b, other)| b.cmp(a).then(one.cmp(other)));
        for (movable, index) in by_rate {
            rates[index] = movable.min(left);
            left = left.above(rates[index]);
        }
        rates
    }

    /// What stays above the target, when it is above the band.
    fn excess(&self) -> Rate {
        let staying = self.view.staying();
        let is_above = staying > self.target.permille(BAND);
        if is_above { staying.above(self.target) } else { Rate::ZERO }
    }

    /// What must go so that priorities with work can come.
    fn needed(&self) -> Rate {
        let limit = match self.budget.maximum_rate {
            maximum if self.budget.hold_rate => {
                Some(maximum.unwrap_or(self.target).min(self.target))
            }
            maximum => maximum,
        };
        let (Some(limit), Some(_)) = (limit, self.priority_with_work()) else { return Rate::ZERO };
        let coming = self.unit.times(self.coming(AHEAD).min(self.step.saturating_mul(AHEAD)));
        (self.view.staying() + coming).above(limit)
    }

    /// The most that a community may have of machines that are not proven.
    fn trial(&self, seen: &CommunityView) -> Rate {
        let known = seen.proven.times(2).max(seen.running.permille(STEP));
        self.proving.min(known).max(self.unit)
    }

    fn why_it_gives_way(&self) -> Why {
        match (self.priority_with_work(), self.excess()) {
            (_, by) if by > Rate::ZERO => Why::AboveTheLine { by },
            (Some(to), _) => Why::GivesWay { to: to.clone() },
            (None, by) => Why::AboveTheLine { by },
        }
    }

    fn why(&self, role: Role, seen: &CommunityView, granted: u32, is_blocked: bool) -> Why {
        let CommunityView { work, unproven, .. } = *seen;
        match (role, work) {
            (Role::Unnamed, _) => return Why::NotNamed,
            (_, Work::No) => return Why::NoWork,
            (_, Work::Trying) => return Why::NotProven { unproven },
            (_, Work::Perhaps | Work::Stuck) if granted > 0 => return Why::Tries,
            (Role::Priority, _) if granted > 0 => return Why::ItsTurn,
            (Role::Backfill, _) if granted > 0 => return Why::Fills,
            (Role::Priority | Role::Backfill, _) => {}
        }
        let left =
            (self.budget.spendable() - self.view.settled - self.view.reserved).max(Amount::ZERO);
        if self.affordable == 0 {
            return Why::NothingLeft { left };
        }
        if let (Some(maximum), 0) = (self.budget.maximum_rate, self.below_maximum) {
            return Why::MaximumRate { maximum };
        }
        match (role, self.priority_with_work()) {
            (Role::Backfill, Some(first)) => Why::PrioritiesFirst { community: first.clone() },
            _ if is_blocked => Why::OnTheLine { target: self.target },
            _ if unproven + self.unit > self.trial(seen) => Why::NotProven { unproven },
            (Role::Backfill, None) => Why::OnTheLine { target: self.target },
            _ => Why::OthersFirst,
        }
    }
}

/// How many whole ones of `unit` a rate is, to the nearest.
fn nearest(rate: Rate, unit: Rate) -> u32 {
    (rate + unit.permille(500)).holds(unit)
}
