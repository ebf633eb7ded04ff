//! A budget on its way: step by step from a ledger, machines as rates.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::ceiling::{Below, Kept};
use super::ledger::{STUCK, TRIED_AGAIN};
use super::projection::{Assumed, DayAhead, Outlook};
use super::{
    Advice, Budget, CommunityAdvice, CommunityView, Controller, GUARANTEED, Held, Means, PlanView,
    Rate, Role, Standpoint, Unit, Work,
};
use crate::book::{Book, Open, Span};
use crate::{Account, Amount, Community};

/// How often the plan is asked. Oftener than machines end that live for half an hour, for the whole time: where it lands must not
/// depend on how many days are looked at.
const STEP: Duration = Duration::from_secs(5 * 60);
/// In so many parts what was made together ends.
const PARTS: u32 = 4;
const DAY_SECS: i64 = 86_400;

/// Machines that were made together.
#[derive(Debug, Clone, Copy)]
struct Batch {
    rate: Rate,
    /// One of its machines.
    unit: Unit,
    from: Timestamp,
    end: Timestamp,
    until: Timestamp,
}

impl Batch {
    fn of(open: &Open, from: &Standpoint<'_>) -> Self {
        let (begin, until) = (open.reservation.from, open.reservation.until);
        let unit = Unit::of(open.tariff_at(from.now));
        let end = (until - from.overstay).max(from.now);
        Self { rate: unit.rate, unit, from: begin, end, until }
    }

    /// What is reserved for it, and to when.
    fn kept(&self) -> Kept {
        (self.unit.reserved_for(self.rate), self.until)
    }

    /// The most that it can still cost.
    fn outstanding(&self, now: Timestamp) -> Amount {
        self.unit.reserved_for(self.rate).over(self.until.since(now))
    }

    fn is_promised(&self, now: Timestamp) -> bool {
        now.since(self.from) < GUARANTEED
    }
}

/// The machines of a community.
#[derive(Debug)]
struct Crowd {
    community: Community,
    role: Role,
    assumed: Assumed,
    /// A machine of it found work.
    found: bool,
    /// So old a machine has found work.
    proving: Duration,
    /// Since when a cap lets nothing be made for it.
    held: Option<Timestamp>,
    /// When it was last tried and a cap let nothing be made.
    in_vain: Option<Timestamp>,
    /// What was made in so long is known to be possible.
    lately: Duration,
    recent: Rate,
    /// What is made for it.
    unit: Unit,
    longest: Duration,
    batches: Vec<Batch>,
    /// Spent in this day.
    today: Amount,
}

impl Crowd {
    fn outlook(&self, view: &PlanView) -> Outlook {
        let running = view.communities.get(&self.community).map(|seen| seen.running);
        Outlook {
            community: self.community.clone(),
            role: self.role,
            running: running.unwrap_or_default(),
            work: self.assumed,
        }
    }

    fn rate_of(&self, counts: impl Fn(&Batch) -> bool) -> Rate {
        self.batches.iter().filter(|batch| counts(batch)).map(|batch| batch.rate).sum()
    }

    fn view(&self, now: Timestamp) -> CommunityView {
        let is_proven = |batch: &Batch| now.since(batch.from) >= self.proving;
        let (proven, unproven) = (self.rate_of(is_proven), self.rate_of(|it| !is_proven(it)));
        let work = match self.assumed {
            Assumed::FoundNone | Assumed::NoMachinetype => Work::No,
            Assumed::FindsWork | Assumed::NotTried if self.found && self.is_stuck(now) => {
                Work::Stuck
            }
            Assumed::FindsWork | Assumed::NotTried if self.found => Work::Yes,
            Assumed::FindsWork | Assumed::NotTried if unproven > Rate::ZERO => Work::Trying,
            Assumed::FindsWork | Assumed::NotTried => Work::Perhaps,
        };
        CommunityView {
            running: proven + unproven,
            guaranteed: self.rate_of(|batch| batch.is_promised(now)),
            leaving: Rate::ZERO,
            unproven,
            lately: self.rate_of(|batch| now.since(batch.from) < self.lately),
            proven: if self.assumed.finds_work() { proven } else { Rate::ZERO },
            unit: self.unit,
            longest: self.longest,
            in_vain: self.in_vain.is_some_and(|tried| now.since(tried) < TRIED_AGAIN),
            work,
            recent: self.recent,
        }
    }

    /// No room is kept free for who cannot have machines, as it is with managers.
    fn is_stuck(&self, now: Timestamp) -> bool {
        self.held.is_some_and(|since| now.since(since) >= STUCK)
    }

    /// A cap has left so much of what it was to grow.
    fn was_granted(&mut self, wanted: Rate, granted: Rate, now: Timestamp) {
        if granted > Rate::ZERO {
            (self.held, self.in_vain) = (None, None);
        } else if wanted > Rate::ZERO {
            self.held.get_or_insert(now);
            self.in_vain = Some(now);
        }
    }

    /// Those end first that would be kept for the longest time.
    fn give_way(&mut self, rate: Rate, now: Timestamp) {
        self.batches.sort_by_key(|batch| std::cmp::Reverse(batch.until));
        let mut left = rate;
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_promised(now)) {
            let ends = batch.rate.min(left);
            batch.rate = batch.rate.above(ends);
            left = left.above(ends);
        }
    }

    /// Lives on, and tells what that costs.
    fn live(&mut self, now: Timestamp, step: Duration, half_life: Duration) -> Amount {
        let cost = cost(&self.batches, now, step);
        let fade = (-step.as_secs_f64() / half_life.as_secs_f64()).exp2();
        let mean = |old: Rate, new: Rate| {
            old.in_an_hour().nanos() as f64 * fade + new.in_an_hour().nanos() as f64 * (1.0 - fade)
        };
        let running = self.rate_of(|_| true);
        // A quantity of control; a float that does not fit saturates.
        self.recent = Rate::hourly(Amount::from_nanos(mean(self.recent, running) as i64));
        let then = now + step;
        self.batches.retain(|batch| batch.end > then && batch.rate > Rate::ZERO);
        self.found |= self.batches.iter().any(|batch| then.since(batch.from) >= self.proving);
        self.today = self.today + cost;
        cost
    }
}

/// What is made together ends one after the other: else all that was made in a steep hour would be made anew in an hour.
fn lives(
    (rate, unit): (Rate, Unit),
    (from, end): (Timestamp, Timestamp),
    overstay: Duration,
) -> impl Iterator<Item = Batch> {
    let until = end + overstay;
    let longest = end.since(from);
    let part = Rate::hourly(rate.in_an_hour().share(1, PARTS.into()).unwrap_or_default());
    let ends = (PARTS + 1..=2 * PARTS).map(move |nth| from + longest * nth / (2 * PARTS));
    let parts = ends.map(move |end| Batch { rate: part, unit, from, end, until });
    parts.filter(move |batch| batch.rate > Rate::ZERO && batch.end > from)
}

fn cost(batches: &[Batch], now: Timestamp, step: Duration) -> Amount {
    let lives = |batch: &Batch| batch.end.min(now + step).since(now);
    batches.iter().map(|batch| batch.rate.over(lives(batch))).sum()
}

/// A budget on its way.
pub(super) struct Course<'a> {
    controller: Controller,
    /// Caps that it obeys.
    below: Vec<Below<'a>>,
    now: Timestamp,
    spent: Amount,
    crowds: Vec<Crowd>,
    /// Of no community: they end, and nobody makes others.
    others: Vec<Batch>,
    unit: Unit,
    longest: Duration,
    overstay: Duration,
    planners: u32,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        (controller, below): (Controller, Vec<Below<'a>>),
        book: &Book,
        (view, advice): (&PlanView, &Advice),
        from: &Standpoint<'_>,
    ) -> Self {
        let scope = &controller.budget().scope;
        let open = || book.reservations().filter(|open| scope.covers(&open.reservation.account));
        let batches = |community: Option<&Community>| {
            let own =
                open().filter(|open| open.reservation.account.community.as_ref() == community);
            own.map(|open| Batch::of(open, from)).collect::<Vec<_>>()
        };
        let crowd = |own: &CommunityAdvice| {
            let seen = view.communities.get(&own.community).copied().unwrap_or_default();
            let habit = from.habits.get(&own.community).copied().unwrap_or_default();
            Crowd {
                community: own.community.clone(),
                role: own.role,
                assumed: assumed(book, (controller.budget(), from), (&own.community, &seen)),
                found: matches!(seen.work, Work::Yes | Work::Stuck),
                proving: habit.proving,
                held: None,
                in_vain: None,
                lately: habit.lately(),
                // Who has no machinetype here has one elsewhere, if a machine of it runs.
                unit: if seen.unit == Unit::default() { view.unit } else { seen.unit },
                longest: if seen.longest.is_zero() { view.longest } else { seen.longest },
                recent: seen.recent,
                batches: batches(Some(&own.community)),
                today: Amount::ZERO,
            }
        };
        Self {
            crowds: advice.communities.iter().map(crowd).collect(),
            others: batches(None),
            now: view.now,
            spent: view.spent(),
            unit: view.unit,
            longest: view.longest,
            overstay: view.overstay,
            planners: view.planners,
            controller,
            below,
        }
    }

    pub(super) fn outlooks(&self, view: &PlanView) -> Vec<Outlook> {
        self.crowds.iter().map(|crowd| crowd.outlook(view)).collect()
    }

    fn outstanding(&self) -> Amount {
        let all = self.crowds.iter().flat_map(|crowd| &crowd.batches).chain(&self.others);
        all.map(|batch| batch.outstanding(self.now)).sum()
    }

    pub(super) fn committed(&self) -> Amount {
        self.spent + self.outstanding()
    }

    fn view(&self) -> PlanView {
        let seen = |crowd: &Crowd| (crowd.community.clone(), crowd.view(self.now));
        PlanView {
            now: self.now,
            settled: self.spent,
            accrued: Amount::ZERO,
            reserved: self.outstanding(),
            communities: self.crowds.iter().map(seen).collect(),
            other: self.others.iter().map(|batch| batch.rate).sum(),
            unit: self.unit,
            longest: self.longest,
            overstay: self.overstay,
            means: Means::default(),
            planners: self.planners,
            is_first: true,
        }
    }

    /// One step, no further than a time.
    fn step(&mut self, to: Timestamp) {
        let mut advice = self.controller.advise(&self.view());
        let step = STEP.min(to.since(self.now));
        self.keep_below(&mut advice);
        for (crowd, own) in self.crowds.iter_mut().zip(&advice.communities) {
            crowd.give_way(own.give_way, self.now);
            let end = (self.now + crowd.longest).min(advice.latest_end);
            crowd.batches.extend(lives((own.grow, crowd.unit), (self.now, end), self.overstay));
        }
        let half_life = self.controller.budget().half_life;
        for crowd in &mut self.crowds {
            let cost = crowd.live(self.now, step, half_life);
            self.spent = self.spent + cost;
            for below in self.below.iter_mut().filter(|below| below.is_on(&crowd.community)) {
                below.spend(self.now, cost);
            }
        }
        self.spent = self.spent + cost(&self.others, self.now, step);
        self.now = self.now + step;
        self.others.retain(|batch| batch.end > self.now);
    }

    /// Of what a cap has no room for nothing is made. Who comes first in the plan comes first here.
    fn keep_below(&mut self, advice: &mut Advice) {
        let asked: Vec<Rate> = advice.communities.iter().map(|own| own.grow).collect();
        for below in &mut self.below {
            let counted = self.crowds.iter().filter(|crowd| below.is_on(&crowd.community));
            let mut kept: Vec<Kept> =
                counted.flat_map(|crowd| crowd.batches.iter().map(Batch::kept)).collect();
            let latest_end = advice.latest_end;
            let all = self.crowds.iter().zip(&mut advice.communities).zip(&asked);
            for ((crowd, own), asked) in all {
                let until = (self.now + crowd.longest).min(latest_end) + self.overstay;
                let life = Span { from: self.now, to: until.max(self.now) };
                let is_on = below.is_on(&crowd.community);
                if !is_on || *asked == Rate::ZERO || life.from == life.to {
                    continue;
                }
                // Also what another cap lets not be made counts: each is told that would hold it back alone.
                let allowed = below.allows((*asked, crowd.unit), life, &kept);
                kept.push((crowd.unit.reserved_for(allowed), life.to));
                own.grow = own.grow.min(allowed);
            }
        }
        let granted = advice.communities.iter().map(|own| own.grow);
        for ((crowd, asked), granted) in self.crowds.iter_mut().zip(asked).zip(granted) {
            crowd.was_granted(asked, granted, self.now);
        }
    }

    pub(super) fn days(&mut self, count: u16) -> Vec<DayAhead> {
        let over = self.controller.budget().to;
        let mut days = Vec::new();
        while days.len() < usize::from(count) && self.now < over {
            days.push(self.day(over));
        }
        days
    }

    fn day(&mut self, over: Timestamp) -> DayAhead {
        let (from, before) = (self.now, self.spent);
        let midnight = (from.as_secs().div_euclid(DAY_SECS) + 1) * DAY_SECS;
        let to = Timestamp::from_secs(midnight).min(over);
        self.crowds.iter_mut().for_each(|crowd| crowd.today = Amount::ZERO);
        self.until(to);
        DayAhead {
            from,
            to,
            spent: self.spent - before,
            communities: self.crowds.iter().map(|crowd| crowd.today).collect(),
            total: self.spent,
            committed: self.committed(),
            line: self.controller.budget().line(to),
        }
    }

    fn until(&mut self, to: Timestamp) {
        while self.now < to {
            // Where it opens and where it closes the plan is asked at once.
            let budget = self.controller.budget();
            let turns = [budget.from, budget.stop()].into_iter().filter(|turn| *turn > self.now);
            let next = turns.chain([to]).min().unwrap_or(to).min(to);
            self.step(next);
        }
    }

    /// Where it lands, and what has held it back.
    pub(super) fn land(mut self) -> (Amount, Vec<Held>) {
        self.until(self.controller.budget().to);
        (self.spent, self.below.into_iter().filter_map(|below| below.held).collect())
    }
}

fn assumed(
    book: &Book,
    (budget, from): (&Budget, &Standpoint<'_>),
    (community, seen): (&Community, &CommunityView),
) -> Assumed {
    if matches!(seen.work, Work::Yes | Work::Stuck) {
        return Assumed::FindsWork;
    }
    let is_own = |account: &Account| {
        account.community.as_ref() == Some(community) && budget.scope.covers(account)
    };
    let has_ended_idle =
        book.told().any(|(account, told)| is_own(account) && told.no_work.is_some());
    match (has_ended_idle, seen.running > Rate::ZERO) {
        (true, _) => Assumed::FoundNone,
        (false, false) if from.unserved.contains(community) => Assumed::NoMachinetype,
        (false, _) => Assumed::NotTried,
    }
}
