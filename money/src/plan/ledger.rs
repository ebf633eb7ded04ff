//! What the ledger shows of a budget, and what follows for the planner of one space.
//!
//! Several managers own several spaces that spend one budget, and none asks another. All that must be known of the others
//! stands in the ledger: what they run, since when, what became of what ran before. What survives a restart is there, too:
//! deficits with decay follow from what was settled by the hour, and whether there is work from how machines ended. Each
//! planner takes its part of the growth, and all choose by the same order which machines give way: each ends its own of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::{IntentToken, SpaceName, Timestamp};

use super::standing::Part;
use super::{
    Advice, Budget, CommunityView, Controller, PlanView, Rate, Recent, Term, Unit, Why, Work,
};
use crate::book::{Book, Open, Span, Told};
use crate::{Amount, CapName, Community, Scope};

const HOUR: Duration = Duration::from_secs(3600);
/// For so long every machine is left alone: what IRIS promises to work that may be ended for other work.
pub const GUARANTEED: Duration = HOUR;
/// A community that has work and for which nothing was made in so long cannot have machines now, or needs none: no room is
/// kept free for it.
pub(crate) const STUCK: Duration = Duration::from_secs(30 * 60);
/// Of whom one was tried in vain, one is tried again after so long, where others wait for the same step.
pub const TRIED_AGAIN: Duration = Duration::from_secs(10 * 60);
/// What was spent longer ago than so many half-lives is forgotten: a thirtieth of it would count.
const HALF_LIVES: u32 = 5;

/// How the machines of a community show whether there is work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habit {
    /// So old a machine has found work.
    pub proving: Duration,
    /// For so long nothing is tried after one that found none.
    pub backoff: Duration,
    /// So old a machine has started.
    pub starting: Duration,
}

impl Default for Habit {
    /// Of a community of which nobody here knows more.
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self { proving: minutes(15), backoff: minutes(30), starting: HOUR }
    }
}

/// How long a machine takes to start, beyond which it counts as one that should have found work.
const STARTS_WITHIN: Duration = Duration::from_secs(5 * 60);

impl Habit {
    /// Of machines that have fizzled if they end before `fizzle`.
    pub fn of((fizzle, backoff, starting): (Duration, Duration, Duration)) -> Self {
        Self { proving: fizzle + STARTS_WITHIN, backoff, starting }
    }

    /// What was made in so long shows how many can be made.
    pub(crate) fn lately(self) -> Duration {
        STUCK.max(2 * self.proving)
    }
}

/// What the next machine of a community would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Next {
    /// What the cheapest costs that it could be.
    pub unit: Unit,
    /// How long it may live.
    pub longest: Duration,
    /// One was tried minutes ago, and none came of it.
    pub in_vain: bool,
}

/// What the planner of a space knows besides the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Standpoint<'a> {
    /// The time.
    pub now: Timestamp,
    /// Its space.
    pub space: &'a SpaceName,
    /// What the cheapest machine costs that it could make. Nothing: it can make none.
    pub unit: Unit,
    /// How long a machine may live that it makes now, of those that live longest.
    pub longest: Duration,
    /// Of each community that it could make one for.
    pub next: &'a BTreeMap<Community, Next>,
    /// How much longer it is reserved.
    pub overstay: Duration,
    /// Spaces of the configuration that spend from the budget, its own among them.
    pub spaces: u32,
    /// Machines of the space that were told to end.
    pub leaving: &'a BTreeSet<IntentToken>,
    /// Of the communities that it knows.
    pub habits: &'a BTreeMap<Community, Habit>,
    /// Communities that nothing is ever made for, as far as it knows. For projections alone.
    pub unserved: &'a BTreeSet<Community>,
}

/// What a budget means for a space in this cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Orders {
    /// The budget.
    pub budget: CapName,
    /// How much is to be spent, its reserve included.
    pub amount: Amount,
    /// On what it is.
    pub scope: Scope,
    /// How strongly machines that it pays for are spread over offerings, unless their machinetype says otherwise.
    pub spreading: f64,
    /// How much each community may grow in this space, and why.
    pub advice: Advice,
    /// Machines of this space that are to be told to end, each with why.
    pub to_end: BTreeMap<IntentToken, Why>,
}

impl Orders {
    /// What follows from a budget and the ledger for a space.
    pub fn of(budget: &Budget, book: &Book, from: &Standpoint<'_>) -> Self {
        let looked = Looked { budget, book, from };
        let (controller, view) = (Controller::new(budget.clone()), looked.view());
        let mut advice = controller.advise(&view);
        looked.keep_to_the_step(&mut advice);
        let to_end = looked.to_end(&advice, &controller.to_go(&view));
        let (spreading, scope) = (budget.spreading, budget.scope.clone());
        let (budget, amount) = (budget.name.clone(), budget.amount);
        Self { budget, amount, scope, spreading, advice, to_end }
    }
}

impl Budget {
    /// What the ledger shows of it, from somewhere.
    pub fn view(&self, book: &Book, from: &Standpoint<'_>) -> PlanView {
        Looked { budget: self, book, from }.view()
    }
}

/// The ledger, seen from a space.
struct Looked<'a> {
    budget: &'a Budget,
    book: &'a Book,
    from: &'a Standpoint<'a>,
}

impl<'a> Looked<'a> {
    fn part(&self) -> Part<'a> {
        Part { budget: self.budget, book: self.book, now: self.from.now }
    }

    fn open(&self) -> impl Iterator<Item = &'a Open> + use<'a> {
        self.part().open()
    }

    fn is_own(&self, open: &Open) -> bool {
        open.reservation.account.space == *self.from.space
    }

    fn age(&self, open: &Open) -> Duration {
        self.from.now.since(open.reservation.from)
    }

    fn rate(&self, open: &Open) -> Rate {
        self.part().rate(open)
    }

    fn view(&self) -> PlanView {
        let Standpoint { now, unit, longest, overstay, .. } = *self.from;
        let part = self.part();
        let (settled, reserved) = part.sums();
        PlanView {
            now,
            settled,
            accrued: part.accrued(),
            reserved,
            communities: self.communities(),
            other: self
                .open()
                .filter(|open| open.reservation.account.community.is_none())
                .map(|open| self.rate(open))
                .sum(),
            unit,
            longest,
            overstay,
            means: part.means(),
            planners: self.planners(),
            is_first: self.spenders().first() == Some(&self.from.space),
        }
    }

    /// Spaces that spend, and its own.
    fn spenders(&self) -> BTreeSet<&'a SpaceName> {
        let spending = self.open().map(|open| &open.reservation.account.space);
        spending.chain([self.from.space]).collect()
    }

    /// Spaces that may grow at once: those that are configured, or those that spend, if these are more.
    fn planners(&self) -> u32 {
        u32::try_from(self.spenders().len()).unwrap_or(u32::MAX).max(self.from.spaces)
    }

    fn communities(&self) -> BTreeMap<Community, CommunityView> {
        let recent = self.recent();
        let mut crowds: BTreeMap<&Community, Crowd> = BTreeMap::new();
        for named in self.budget.named() {
            crowds.entry(named).or_default();
        }
        for (account, told) in self.book.told() {
            let community =
                account.community.as_ref().filter(|_| self.budget.scope.covers(account));
            if let Some(community) = community {
                let crowd = crowds.entry(community).or_default();
                crowd.told = crowd.told.and(told);
            }
        }
        for open in self.open() {
            if let Some(community) = &open.reservation.account.community {
                let starting = self.habit(community).starting;
                let crowd = crowds.entry(community).or_default();
                crowd.newest = crowd.newest.max(Some(open.reservation.from));
                crowd.starts |= self.age(open) >= starting;
            }
        }
        for open in self.open() {
            if let Some(community) = &open.reservation.account.community {
                let habit = self.habit(community);
                self.add(crowds.entry(community).or_default(), open, habit);
            }
        }
        let seen = |(community, crowd): (&Community, Crowd)| {
            let view = crowd.view(self.from.now, self.habit(community), recent.rate(community));
            let Next { unit, longest, in_vain } =
                self.from.next.get(community).copied().unwrap_or_default();
            (community.clone(), CommunityView { unit, longest, in_vain, ..view })
        };
        crowds.into_iter().map(seen).collect()
    }

    fn habit(&self, community: &Community) -> Habit {
        self.from.habits.get(community).copied().unwrap_or_default()
    }

    fn add(&self, crowd: &mut Crowd, open: &Open, habit: Habit) {
        let (rate, age, from) = (self.rate(open), self.age(open), open.reservation.from);
        crowd.running = crowd.running + rate;
        if age < GUARANTEED {
            crowd.guaranteed = crowd.guaranteed + rate;
        }
        if age < habit.lately() {
            crowd.lately = crowd.lately + rate;
        }
        let is_after = crowd.told.no_work.is_none_or(|none| from > none);
        if age < habit.proving {
            crowd.unproven = crowd.unproven + rate;
        } else if is_after && (age >= habit.starting || crowd.has_probably_started(from)) {
            crowd.proven = crowd.proven + rate;
        }
        if self.from.leaving.contains(&open.reservation.intent) && age >= GUARANTEED {
            crowd.leaving = crowd.leaving + rate;
        }
    }

    /// Deficits with decay: what each community was given, by the hour.
    fn recent(&self) -> Recent {
        let (now, half_life) = (self.from.now, self.budget.half_life);
        let from = (now - half_life * HALF_LIVES).max(self.budget.from);
        let settled = self.book.lines(Span { from, to: now.max(from) }).filter_map(|line| {
            let community = line.account.community.as_ref()?;
            let counts = self.budget.scope.covers(line.account);
            counts.then_some((line.hour.begin(), community, line.amount))
        });
        let running = self.open().filter_map(|open| {
            let community = open.reservation.account.community.as_ref()?;
            let since = open.reservation.from.max(from);
            Some((since, community, open.run_up(Span { from: since, to: now }, now)))
        });
        Recent::from_hours(half_life, now, settled.chain(running))
    }

    /// What this space has made in this very cycle is a part of its step.
    fn keep_to_the_step(&self, advice: &mut Advice) {
        let made = self.open().filter(|open| open.reservation.from == self.from.now);
        let made: Rate = made.filter(|open| self.is_own(open)).map(|open| self.rate(open)).sum();
        if made == Rate::ZERO {
            // As advised; one machine may be more than the step.
            return;
        }
        let mut left = advice.step.above(made);
        for own in &mut advice.communities {
            own.grow = own.grow.min(left);
            left = left.above(own.grow);
        }
    }

    /// The machines of this space among those that give way. All planners go through the machines of all spaces in the same
    /// order, first those that would be kept for the longest time, and each takes it that the others tell theirs.
    fn to_end(&self, advice: &Advice, to_go: &[(Rate, Why)]) -> BTreeMap<IntentToken, Why> {
        let mut to_end = BTreeMap::new();
        let mut step = advice.step;
        for (own, (to_go, why)) in advice.communities.iter().zip(to_go) {
            let machines = self.by_length(&own.community);
            let is_told = |open: &Open| self.from.leaving.contains(&open.reservation.intent);
            let told = machines.iter().filter(|open| self.is_own(open) && is_told(open));
            // Those that were told are a part of it, wherever they stand in the order by now.
            let mut left = to_go.above(told.map(|open| self.rate(open)).sum());
            for open in machines.iter().filter(|open| !is_told(open)) {
                let rate = self.rate(open);
                if left == Rate::ZERO {
                    break;
                }
                // To the nearest machine: one that is too large stays, and smaller ones go.
                if rate > left.times(2) {
                    continue;
                }
                left = left.above(rate);
                if !self.is_own(open) {
                    continue;
                }
                if step == Rate::ZERO && advice.term == Term::Open {
                    break;
                }
                step = step.above(rate);
                to_end.insert(open.reservation.intent, why.clone());
            }
        }
        to_end
    }

    /// Machines that may be told to end, of all spaces.
    fn by_length(&self, community: &Community) -> Vec<&'a Open> {
        let mut open: Vec<&Open> = self
            .open()
            .filter(|open| open.reservation.account.community.as_ref() == Some(community))
            .filter(|open| self.age(open) >= GUARANTEED)
            .collect();
        let key = |open: &Open| (open.reservation.until, open.reservation.intent);
        open.sort_by_key(|open| std::cmp::Reverse(key(open)));
        open
    }
}

/// The machines of a community, of all spaces.
#[derive(Default)]
struct Crowd {
    running: Rate,
    guaranteed: Rate,
    unproven: Rate,
    proven: Rate,
    lately: Rate,
    /// Those of our space that were told to end.
    leaving: Rate,
    /// When the youngest that may exist was made.
    newest: Option<Timestamp>,
    /// One is so old that it must have started.
    starts: bool,
    told: Told,
}

impl Crowd {
    /// Whether one that was made then, and is not so old that it must have, has started as far as anybody can tell: after one that never did
    /// others must show that machines start.
    fn has_probably_started(&self, made: Timestamp) -> bool {
        let Some(never) = self.told.never_started else { return true };
        let shown = self.starts || self.told.work.is_some_and(|work| work > never);
        shown && made > never
    }

    fn view(&self, now: Timestamp, habit: Habit, recent: Rate) -> CommunityView {
        CommunityView {
            running: self.running,
            guaranteed: self.guaranteed,
            // Who was told to end elsewhere stands in no ledger.
            leaving: self.leaving,
            unproven: self.unproven,
            proven: self.proven,
            lately: self.lately,
            // Of this space.
            unit: Unit::default(),
            longest: Duration::ZERO,
            in_vain: false,
            work: self.work(now, habit),
            recent,
        }
    }

    fn work(&self, now: Timestamp, habit: Habit) -> Work {
        let Told { no_work, work, never_started: _ } = self.told;
        let found = self.proven > Rate::ZERO || work.is_some_and(|made| Some(made) > no_work);
        if found {
            let last = self.newest.max(work);
            let is_long_ago = last.is_none_or(|made| now.since(made) >= STUCK);
            return if is_long_ago { Work::Stuck } else { Work::Yes };
        }
        let backs_off = no_work.is_some_and(|none| now < none + habit.backoff);
        // One that was made since then is trying.
        let is_trying =
            self.newest.is_some_and(|made| Some(made) > no_work && now.since(made) < habit.proving);
        match (is_trying, backs_off) {
            (true, _) => Work::Trying,
            (false, true) => Work::No,
            (false, false) => Work::Perhaps,
        }
    }
}
