//! What is noted while it runs, and the result at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::Timestamp;

use super::crowd::Crowd;
use super::events::Ending;
use super::outcome::{CommunityResult, Outcome, ProviderResult, Sample};
use super::scenario::Scenario;
use super::till::Till;
use crate::book::{Hour, Line, Span};
use crate::plan::{Advice, PlanView, Rate, Role, Term};
use crate::{Amount, Community, ProviderName};

/// Samples on the way, about.
const SAMPLES: u32 = 480;

/// Notes.
#[derive(Debug)]
pub(super) struct Watch {
    providers: BTreeMap<ProviderName, ProviderResult>,
    out_of_stock: u64,
    cycles: u64,
    last_end: Timestamp,
    backfill_before_priorities: Amount,
    largest_step_permille: u64,
    most_committed: Amount,
    samples: Vec<Sample>,
    pause: Duration,
    next_sample: Timestamp,
    /// Sums of rates since the last sample, and of how many cycles.
    since: (Vec<Amount>, Amount, u32),
    /// Machine-cycles of work that each community had, and that found machines.
    wanted: Vec<(u64, u64)>,
    /// What each priority was due by its share, as far as it had work.
    due: Vec<f64>,
    roles: Vec<Role>,
}

impl Watch {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let budget = &scenario.budget;
        let role = |community: &Community| {
            let is_first = budget.priorities.iter().any(|own| own.community == *community);
            if is_first { Role::Priority } else { Role::Backfill }
        };
        let provider = |name: &ProviderName| ProviderResult {
            provider: name.clone(),
            spent: Amount::ZERO,
            waste: Amount::ZERO,
            machines: 0,
            taken_back: 0,
        };
        let names = scenario.offerings.iter().map(|model| &model.provider);
        Self {
            providers: names.map(|name| (name.clone(), provider(name))).collect(),
            out_of_stock: 0,
            cycles: 0,
            last_end: budget.from,
            backfill_before_priorities: Amount::ZERO,
            largest_step_permille: 0,
            most_committed: Amount::ZERO,
            samples: Vec::new(),
            pause: (budget.to.since(budget.from) / SAMPLES).max(scenario.cycle),
            next_sample: budget.from,
            since: (vec![Amount::ZERO; scenario.communities.len()], Amount::ZERO, 0),
            wanted: vec![(0, 0); scenario.communities.len()],
            due: vec![0.0; scenario.communities.len()],
            roles: scenario.communities.iter().map(|model| role(&model.community)).collect(),
        }
    }

    pub(super) fn out_of_stock(&mut self) {
        self.out_of_stock += 1;
    }

    pub(super) fn made(&mut self, provider: &ProviderName) {
        if let Some(result) = self.providers.get_mut(provider) {
            result.machines += 1;
        }
    }

    pub(super) fn ended(&mut self, provider: &ProviderName, at: Timestamp, ending: Ending) {
        self.last_end = self.last_end.max(at);
        if let (Some(result), Ending::TakenBack) = (self.providers.get_mut(provider), ending) {
            result.taken_back += 1;
        }
    }

    /// After a cycle: what is spent, and what it can come to.
    pub(super) fn committed(&mut self, worst: Amount) {
        self.most_committed = self.most_committed.max(worst);
    }

    /// Before a cycle acts.
    pub(super) fn look(
        &mut self,
        scenario: &Scenario,
        (view, advice): (&PlanView, &Advice),
        crowds: &[Crowd],
    ) {
        self.cycles += 1;
        let grown: Rate = advice.communities.iter().map(|own| own.grow).sum();
        let step = grown.in_an_hour().permille_of(advice.target.in_an_hour());
        self.largest_step_permille = self.largest_step_permille.max(step);
        let (mut missing, mut first, mut backfill) = (0, Rate::ZERO, Rate::ZERO);
        for (index, crowd) in crowds.iter().enumerate() {
            let demand = crowd.demand(view.now);
            self.wanted[index].0 += u64::from(demand);
            self.wanted[index].1 += u64::from(crowd.working.min(demand));
            match self.roles[index] {
                Role::Priority => {
                    first = first + crowd.running;
                    missing += demand.saturating_sub(crowd.machines);
                }
                Role::Backfill => backfill = backfill + crowd.running,
                Role::Unnamed => {}
            }
        }
        let room = advice.target.above(first);
        let displaced = backfill.min(room).min(mean_price(view, crowds).times(missing));
        self.backfill_before_priorities =
            self.backfill_before_priorities + displaced.over(scenario.cycle);
        self.count_due(scenario, (view, advice), crowds);
        self.add((view, advice));
        if view.now >= self.next_sample {
            self.next_sample = view.now + self.pause;
            self.sample((view, advice), crowds);
        }
    }

    /// Shares of the target among the priorities, where nobody is due more than all its work would take.
    fn count_due(
        &mut self,
        scenario: &Scenario,
        (view, advice): (&PlanView, &Advice),
        crowds: &[Crowd],
    ) {
        let price = in_units(mean_price(view, crowds));
        let mut open: Vec<(usize, f64, f64)> = Vec::new();
        for own in &scenario.budget.priorities {
            let find = crowds.iter().position(|crowd| crowd.model.community == own.community);
            let Some(index) = find else { continue };
            open.push((
                index,
                f64::from(own.share),
                f64::from(crowds[index].demand(view.now)) * price,
            ));
        }
        let mut left = in_units(advice.target);
        // By rising need for each part of the share: who is content leaves the rest to the others.
        open.sort_by(|(_, a, need), (_, b, other)| (need / a).total_cmp(&(other / b)));
        let mut shares: f64 = open.iter().map(|(_, share, _)| share).sum();
        for (index, share, need) in open {
            let due = need.min(left * share / shares);
            self.due[index] += due;
            left -= due;
            shares -= share;
        }
    }

    fn add(&mut self, (view, advice): (&PlanView, &Advice)) {
        let (rates, target, cycles) = &mut self.since;
        for (sum, own) in rates.iter_mut().zip(&advice.communities) {
            let seen = view.communities.get(&own.community);
            *sum = *sum + seen.map_or(Amount::ZERO, |seen| seen.running.in_an_hour());
        }
        *target = *target + advice.target.in_an_hour();
        *cycles += 1;
    }

    fn sample(&mut self, (view, advice): (&PlanView, &Advice), crowds: &[Crowd]) {
        let none = (vec![Amount::ZERO; crowds.len()], Amount::ZERO, 0);
        let (rates, target, cycles) = std::mem::replace(&mut self.since, none);
        let mean = |sum: Amount| Rate::hourly(sum.share(1, u64::from(cycles)).unwrap_or_default());
        let is_open = advice.term == Term::Open;
        self.samples.push(Sample {
            at: view.now,
            spent: view.spent(),
            target: if is_open { mean(target) } else { Rate::ZERO },
            rates: rates.into_iter().map(mean).collect(),
            machines: crowds.iter().map(|crowd| crowd.machines).sum(),
        });
    }

    /// The result, by what the book says.
    pub(super) fn outcome(self, scenario: &Scenario, till: &Till, crowds: &[Crowd]) -> Outcome {
        let budget = &scenario.budget;
        let whole = Span { from: budget.from, to: budget.to + Duration::from_secs(86_400) };
        let lines: Vec<Line<'_>> = till.book().lines(whole).collect();
        let spent: Amount = lines.iter().map(|line| line.amount).sum();
        let mut providers: Vec<ProviderResult> = self.providers.values().cloned().collect();
        for result in &mut providers {
            let of_it = |line: &&Line<'_>| line.account.provider == result.provider;
            (result.spent, result.waste) = sums(lines.iter().filter(of_it));
        }
        Outcome {
            currency: scenario.currency,
            amount: budget.amount,
            spendable: budget.spendable(),
            from: budget.from,
            to: budget.to,
            stop: budget.stop(),
            spent,
            metered: till.metered,
            most_committed: self.most_committed,
            dearest_hour: dearest_hour(&lines),
            landing_permille: spent.permille_of(budget.amount),
            refused: till.refused,
            out_of_stock: self.out_of_stock,
            cycles: self.cycles,
            last_end: self.last_end,
            backfill_before_priorities: self.backfill_before_priorities,
            largest_step_permille: self.largest_step_permille,
            communities: self.communities(scenario, &lines, crowds),
            providers,
            samples: self.samples,
        }
    }

    fn communities(
        &self,
        scenario: &Scenario,
        lines: &[Line<'_>],
        crowds: &[Crowd],
    ) -> Vec<CommunityResult> {
        let priorities = &scenario.budget.priorities;
        let shares: f64 = priorities.iter().map(|own| f64::from(own.share)).sum();
        let share = |community: &Community| {
            let own = priorities.iter().find(|own| own.community == *community)?;
            Some(f64::from(own.share) / shares)
        };
        let mut results = Vec::new();
        for community in scenario.budget.named() {
            let find = crowds.iter().position(|crowd| crowd.model.community == *community);
            let Some(index) = find else { continue };
            let of_it = |line: &&Line<'_>| line.account.community.as_ref() == Some(community);
            let (spent, waste) = sums(lines.iter().filter(of_it));
            let (wanted, served) = self.wanted[index];
            results.push(CommunityResult {
                community: community.clone(),
                role: self.roles[index],
                spent,
                waste,
                machines: crowds[index].made,
                work: crowds[index].work_done,
                share_wanted: share(community),
                share_due: None,
                share_got: None,
                served: if wanted == 0 { 1.0 } else { served as f64 / wanted as f64 },
            });
        }
        let first = results.iter().filter(|result| result.role == Role::Priority);
        let all: Amount = first.map(|result| result.spent).sum();
        let all_due: f64 = self.due.iter().sum();
        for result in results.iter_mut().filter(|result| result.role == Role::Priority) {
            let find = crowds.iter().position(|crowd| crowd.model.community == result.community);
            result.share_due = find.filter(|_| all_due > 0.0).map(|own| self.due[own] / all_due);
            result.share_got =
                (!all.is_nothing()).then(|| result.spent.nanos() as f64 / all.nanos() as f64);
        }
        results
    }
}

fn sums<'a, 'b: 'a>(lines: impl Iterator<Item = &'a Line<'b>>) -> (Amount, Amount) {
    lines.fold((Amount::ZERO, Amount::ZERO), |(spent, waste), line| {
        let wasted = if line.purpose.is_waste() { line.amount } else { Amount::ZERO };
        (spent + line.amount, waste + wasted)
    })
}

fn dearest_hour(lines: &[Line<'_>]) -> Amount {
    let mut hours: BTreeMap<Hour, Amount> = BTreeMap::new();
    for line in lines {
        let sum = hours.entry(line.hour).or_default();
        *sum = *sum + line.amount;
    }
    hours.into_values().max().unwrap_or_default()
}

/// What a machine costs now, on the mean.
fn mean_price(view: &PlanView, crowds: &[Crowd]) -> Rate {
    let machines: u64 = crowds.iter().map(|crowd| u64::from(crowd.machines)).sum();
    Rate::hourly(view.burn().in_an_hour().share(1, machines).unwrap_or_default())
}

fn in_units(rate: Rate) -> f64 {
    rate.in_an_hour().nanos() as f64 / 1e9
}
