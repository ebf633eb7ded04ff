//! The numbers of one cycle of an open budget: who grows by how much, and what gives way.

use std::time::Duration;

use super::fair::{Claim, Room, share_out};
use super::{Budget, CommunityAdvice, CommunityView, PlanView, Rate, Role, Unit, Why, Work};
use crate::{Amount, Community};

/// The most that changes in a cycle, in thousandths of the target.
const STEP: u32 = 100;
/// Up to here what is spent is on the line, in thousandths of the target.
pub(super) const BAND: u32 = 1100;
/// For how many trials of each priority backfill gives way ahead: grace takes time, and all of it may find no work.
const AHEAD: u32 = 2;
/// For how many of them no backfill is made: what is made now is left alone for its promised time and its grace.
const KEPT: u32 = 4;
/// In so long it is usually known whether a machine found work.
const PROVING: Duration = Duration::from_secs(15 * 60);
/// The target is thought of in at most so many machines, however small they are.
const FINEST: u32 = 1000;

/// All communities in the order of the budget, then those that it does not name.
pub(super) fn named(budget: &Budget, view: &PlanView) -> Vec<(Community, Role, CommunityView)> {
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
pub(super) fn movable(seen: &CommunityView) -> Rate {
    seen.running.above(seen.guaranteed).above(seen.leaving)
}

/// Where machines live for a few hours at the most, what must be made anew while nobody knows yet of the last ones, twice: in
/// thousandths of all that runs. Else a line could not be held with them.
fn replaced(longest: Duration) -> u32 {
    let exact = 2 * PROVING.as_millis() * 1000 / longest.as_millis().max(1);
    u32::try_from(exact.min(1000)).unwrap_or(1000)
}

impl CommunityView {
    /// That nothing was made lately shows no limit of a priority while there was no room for it: backfill that gives way has not ended yet.
    fn wait_for_room(&mut self, is_full: bool, gives_way: bool, target: Rate) {
        let waits = match self.work {
            Work::Stuck => is_full || gives_way,
            Work::Yes => is_full,
            Work::No | Work::Trying | Work::Perhaps => false,
        };
        if waits {
            (self.work, self.lately) = (Work::Yes, self.lately.max(target));
        }
    }
}

/// A community of a budget, with what its machines cost here, none of them less than a thousandth of the target.
type Seen = (Community, Role, CommunityView);

/// The numbers of one cycle.
pub(super) struct Decision<'a> {
    budget: &'a Budget,
    view: &'a PlanView,
    all: Vec<Seen>,
    target: Rate,
    /// The cheapest machine.
    unit: Unit,
    /// The most that changes, or one machine where that is more.
    pub(super) step: Rate,
    /// How much more the priorities may come to have; nothing: as much as there is.
    wanted: Option<Rate>,
}

impl<'a> Decision<'a> {
    pub(super) fn new(budget: &'a Budget, view: &'a PlanView, target: Rate) -> Self {
        let finest = Rate::hourly(target.in_an_hour().share(1, FINEST.into()).unwrap_or_default());
        let mut all = named(budget, view);
        for (.., seen) in &mut all {
            seen.unit = seen.unit.no_finer_than(finest);
        }
        let unit = view.unit.no_finer_than(finest);
        let is_full = budget.hold_rate && view.burn() + unit.rate > target.permille(BAND);
        let gives_way =
            all.iter().any(|(_, role, seen)| *role == Role::Backfill && seen.leaving > Rate::ZERO);
        for (_, role, seen) in &mut all {
            if *role == Role::Priority {
                seen.wait_for_room(is_full, gives_way, target);
            }
        }
        let step = target.permille(STEP).holds(unit.rate).div_ceil(view.planners.max(1)).max(1);
        let step = unit.rate.times(step);
        let of_priorities =
            |(_, role, seen): &Seen| (*role == Role::Priority).then_some(seen.running);
        let have = all.iter().filter_map(of_priorities).sum();
        let to_the_line = || unit.rate.times(target.above(have).nearest(unit.rate));
        let wanted =
            if budget.hold_rate { Some(to_the_line()) } else { below_maximum(budget, view) };
        Self { budget, view, all, target, unit, step, wanted }
    }

    /// What is not reserved yet.
    fn left(&self) -> Amount {
        self.budget.spendable() - self.view.settled - self.view.reserved
    }

    /// What a machine may cost to its hard end, and as long as it is reserved.
    fn cost(&self, unit: Unit, longest: Duration) -> Amount {
        let life = longest.min(self.budget.stop().since(self.view.now)) + self.view.overstay;
        unit.reserved.over(life)
    }

    /// All that may be shared out, to priorities first.
    fn room(&self) -> Room {
        let in_band = self.target.permille(BAND).above(self.view.burn());
        let line = self.budget.hold_rate.then_some(in_band);
        Room {
            step: self.step,
            taken: Rate::ZERO,
            line: line.into_iter().chain(self.wanted).min(),
            maximum: below_maximum(self.budget, self.view).map(|below| self.part_of(below)),
            money: self.left(),
        }
    }

    /// What this space may take of something that all of them together must not pass. What is less than a machine for each is the first
    /// one's.
    fn part_of(&self, below: Rate) -> Rate {
        let planners = self.view.planners.max(1);
        let part = below.in_an_hour().share(1, planners.into()).map_or(Rate::ZERO, Rate::hourly);
        if part < self.unit.rate && self.view.is_first { below } else { part }
    }

    pub(super) fn communities(&self) -> Vec<CommunityAdvice> {
        let mut room = self.room();
        let is_blocked = !room.has((self.unit.rate, self.cost(self.unit, self.view.longest)));
        let first = self.share(Role::Priority, &mut room);
        let kept = self.coming(KEPT).above(room.taken);
        room.line = Some(self.target.above(self.view.burn() + room.taken).above(kept));
        let second = self.share(Role::Backfill, &mut room);
        let give_way = self.give_way(self.step);
        let mut advice = Vec::new();
        for (index, (community, role, seen)) in self.all.iter().enumerate() {
            let grow = first[index] + second[index];
            let why = if give_way[index] > Rate::ZERO {
                self.why_it_gives_way()
            } else {
                self.why(*role, seen, grow, is_blocked)
            };
            advice.push(CommunityAdvice {
                community: community.clone(),
                role: *role,
                grow,
                give_way: give_way[index],
                why,
            });
        }
        advice
    }

    fn with_work(&self) -> impl Iterator<Item = &Seen> {
        let works = |(_, role, seen): &&Seen| *role == Role::Priority && seen.work == Work::Yes;
        self.all.iter().filter(works)
    }

    /// The first priority that has work and room below the line.
    fn priority_with_work(&self) -> Option<&Community> {
        let first = self.with_work().next().map(|(community, ..)| community);
        first.filter(|_| self.wanted.is_none_or(|wanted| wanted > Rate::ZERO))
    }

    /// What priorities with work could take in so many trials: no more than that part of what was made for each lately. Who is at a limit
    /// of its own has work, and takes nothing but the place of what ends.
    fn coming(&self, trials: u32) -> Rate {
        let each = self.with_work().map(|(.., seen)| {
            let unit = self.unit_of(seen);
            let lately = seen.lately.permille(500).times(trials) + unit;
            unit.times(self.trial(seen).times(trials).min(lately).holds(unit))
        });
        let all: Rate = each.sum();
        self.wanted.map_or(all, |wanted| all.min(wanted))
    }

    /// What each community of a role may grow, in the order of `all`.
    fn share(&self, role: Role, room: &mut Room) -> Vec<Rate> {
        let weight = |community: &Community| {
            let priority = self.budget.priorities.iter().find(|own| own.community == *community);
            priority.map_or(1, |own| own.share.max(1))
        };
        let most = |seen: &CommunityView| match seen.work {
            Work::Yes => {
                let trial = match role {
                    Role::Priority => self.trial(seen).min(seen.lately.times(2) + seen.unit.rate),
                    Role::Backfill | Role::Unnamed => self.trial(seen),
                };
                trial.above(seen.unproven).holds(seen.unit.rate)
            }
            Work::Perhaps | Work::Stuck => u32::from(!self.leaves_the_step(seen)),
            Work::No | Work::Trying => 0,
        };
        let claim = |(community, own, seen): &Seen| Claim {
            weight: weight(community),
            load: seen.running + seen.recent,
            unit: seen.unit.rate,
            cost: self.cost(seen.unit, seen.longest),
            most: if *own == role { most(seen) } else { 0 },
            granted: 0,
        };
        let mut claims: Vec<Claim> = self.all.iter().map(claim).collect();
        share_out(room, &mut claims);
        claims.into_iter().map(|claim| claim.unit.times(claim.granted)).collect()
    }

    /// Whether the only machine of a step is for others now: beside one that is tried again and again, and cannot be made, nothing else
    /// would ever be.
    fn leaves_the_step(&self, tried: &CommunityView) -> bool {
        tried.in_vain && self.step < tried.unit.rate + self.unit.rate
    }

    /// What of the backfill is told to end: what is above the band, or the next steps of a priority.
    pub(super) fn give_way(&self, most: Rate) -> Vec<Rate> {
        let mut rates = vec![Rate::ZERO; self.all.len()];
        let mut left = self.excess().max(self.needed()).min(most);
        if left < self.unit.rate {
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
        // A step, or one machine of theirs.
        let one = self.with_work().map(|(.., seen)| self.unit_of(seen)).max();
        let step = one.map_or(self.step, |one| one.max(self.step));
        (self.view.staying() + self.coming(AHEAD).min(step.times(AHEAD))).above(limit)
    }

    /// What a machine of a community costs: here, or, if none can be made here, as the cheapest does.
    fn unit_of(&self, seen: &CommunityView) -> Rate {
        if seen.unit.rate == Rate::ZERO { self.unit.rate } else { seen.unit.rate }
    }

    /// The most that a community may have of machines that are not proven.
    fn trial(&self, seen: &CommunityView) -> Rate {
        let longest = if seen.longest.is_zero() { self.view.longest } else { seen.longest };
        let proving = self.target.permille(STEP.max(replaced(longest)));
        let known = seen.proven.times(2).max(seen.running.permille(STEP));
        proving.min(known).max(self.unit_of(seen))
    }

    pub(super) fn why_it_gives_way(&self) -> Why {
        match (self.priority_with_work(), self.excess()) {
            (_, by) if by > Rate::ZERO => Why::AboveTheLine { by },
            (Some(to), _) => Why::GivesWay { to: to.clone() },
            (None, by) => Why::AboveTheLine { by },
        }
    }

    fn why(&self, role: Role, seen: &CommunityView, grow: Rate, is_blocked: bool) -> Why {
        let CommunityView { work, unproven, .. } = *seen;
        match (role, work) {
            (Role::Unnamed, _) => return Why::NotNamed,
            (_, Work::No) => return Why::NoWork,
            (_, Work::Trying) => return Why::NotProven { unproven },
            (_, Work::Perhaps | Work::Stuck) if grow > Rate::ZERO => return Why::Tries,
            (_, Work::Perhaps | Work::Stuck) if self.leaves_the_step(seen) => {
                return Why::TriedInVain;
            }
            (Role::Priority, _) if grow > Rate::ZERO => return Why::ItsTurn,
            (Role::Backfill, _) if grow > Rate::ZERO => return Why::Fills,
            (Role::Priority | Role::Backfill, _) => {}
        }
        let unit = Unit { rate: self.unit_of(seen), ..seen.unit };
        let left = self.left().max(Amount::ZERO);
        if self.cost(self.unit, self.view.longest) > left || self.cost(unit, seen.longest) > left {
            return Why::NothingLeft { left };
        }
        if let Some(maximum) = self.budget.maximum_rate
            && below_maximum(self.budget, self.view).is_some_and(|below| below < unit.rate)
        {
            return Why::MaximumRate { maximum };
        }
        match (role, self.priority_with_work()) {
            (Role::Backfill, Some(first)) => Why::PrioritiesFirst { community: first.clone() },
            _ if is_blocked => Why::OnTheLine { target: self.target },
            _ if unproven + unit.rate > self.trial(seen) => Why::NotProven { unproven },
            (Role::Backfill, None) => Why::OnTheLine { target: self.target },
            _ => Why::OthersFirst,
        }
    }
}

/// What the maximum rate leaves; nothing: there is none.
fn below_maximum(budget: &Budget, view: &PlanView) -> Option<Rate> {
    budget.maximum_rate.map(|maximum| maximum.above(view.burn()))
}
