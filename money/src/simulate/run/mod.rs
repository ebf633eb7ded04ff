//! The simulation itself: cycle by cycle, as the managers do it.

mod lives;
mod making;
mod market;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use vcycle_api::Timestamp;

use super::crowd::Crowd;
use super::fleet::Fleet;
use super::outcome::Outcome;
use super::random::Random;
use super::scenario::{InvalidScenario, Scenario};
use super::till::{Till, account};
use super::watch::Watch;
use super::weather::Weather;
use crate::plan::{CommunityView, Controller, Means, Offer, PlanView, Rate, Recent, Unit};
use crate::{Account, Amount, Community};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Simulated until then,
    pub at: Timestamp,
    /// of this time,
    pub from: Timestamp,
    /// to its end.
    pub to: Timestamp,
    /// Machines that were made until now.
    pub machines: u64,
}

/// Simulates a budget from its begin to its end. `progress` hears of it about a thousand times.
///
/// # Errors
/// The scenario cannot be.
pub fn simulate(
    scenario: &Scenario,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, InvalidScenario> {
    scenario.check()?;
    let mut world = World::new(scenario)?;
    let (from, to) = (scenario.budget.from, scenario.budget.to);
    let pause = to.since(from) / 1000;
    let (mut now, mut told) = (from, from);
    while now < to {
        world.cycle(now)?;
        if now.since(told) >= pause {
            progress(Progress { at: now, from, to, machines: world.made() });
            told = now;
        }
        now = now + scenario.cycle;
    }
    world.happen(to + DAY);
    world.till.settle(to + DAY)?;
    Ok(world.watch.outcome(scenario, &world.till, &world.crowds))
}

/// Everything.
struct World<'a> {
    scenario: &'a Scenario,
    controller: Controller,
    fleet: Fleet,
    crowds: Vec<Crowd>,
    weather: Vec<Weather>,
    /// What can be made, with what runs of it.
    offers: Vec<Offer>,
    /// Where the machines of each community are booked, by what they are made of.
    accounts: Vec<Vec<Account>>,
    /// Out of stock until then.
    missing: Vec<Option<Timestamp>>,
    till: Till,
    random: Random,
    recent: Recent,
    /// What was spent until when, over the last day.
    history: VecDeque<(Timestamp, Amount)>,
    watch: Watch,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, InvalidScenario> {
        let Scenario { budget, communities, offerings, seed, .. } = scenario;
        let course = |(number, model)| {
            let mut random = Random::new(*seed, "weather", number);
            Weather::new(model, (budget.from, budget.to), &mut random)
        };
        let crowd = |(number, model): (u64, _)| Crowd::new(Clone::clone(model), *seed, number);
        let booked = |community| {
            let at = |offering| account(scenario, community, offering);
            (0..offerings.len()).map(at).collect()
        };
        Ok(Self {
            scenario,
            controller: Controller::new(budget.clone()),
            fleet: Fleet::default(),
            crowds: (0..).zip(communities).map(crowd).collect(),
            weather: (0..).zip(offerings).map(course).collect(),
            offers: offerings.iter().map(offer).collect(),
            accounts: (0..communities.len()).map(booked).collect(),
            missing: vec![None; offerings.len()],
            till: Till::new(scenario)?,
            random: Random::new(*seed, "machines", 0),
            recent: Recent::new(budget.half_life, budget.from),
            history: VecDeque::new(),
            watch: Watch::new(scenario),
        })
    }

    fn made(&self) -> u64 {
        self.crowds.iter().map(|crowd| crowd.made).sum()
    }

    fn cycle(&mut self, now: Timestamp) -> Result<(), InvalidScenario> {
        self.happen(now);
        self.till.settle(now)?;
        self.ask_prices(now);
        let view = self.view(now);
        let advice = self.controller.advise(&view);
        self.watch.look(self.scenario, (&view, &advice), &self.crowds);
        self.give_way(&advice, now);
        self.grow(&advice, now)?;
        self.watch.committed(self.till.metered + self.fleet.worst());
        Ok(())
    }

    fn view(&mut self, now: Timestamp) -> PlanView {
        let sum = self.till.sum();
        let accrued = self.fleet.accrued(now);
        let spent = sum.settled() + accrued;
        let cycle = self.scenario.cycle;
        let rates = self.crowds.iter().map(|own| (&own.model.community, own.running.over(cycle)));
        self.recent.spend(now, rates);
        let seen = |(number, crowd): (usize, &Crowd)| {
            let community = &crowd.model.community;
            let (unit, recent) = (self.unit(number, now), self.recent.rate(community));
            (community.clone(), crowd.view(now, unit, recent))
        };
        let communities: BTreeMap<Community, CommunityView> =
            self.crowds.iter().enumerate().map(seen).collect();
        let units = communities.values().map(|seen| seen.unit);
        let unit = units.filter(|unit| *unit != Unit::default()).min().unwrap_or_default();
        PlanView {
            now,
            settled: sum.settled(),
            accrued,
            reserved: sum.reserved(),
            communities,
            other: Rate::ZERO,
            unit,
            longest: self
                .crowds
                .iter()
                .map(|own| own.model.max_wallclock)
                .max()
                .unwrap_or_default(),
            overstay: self.scenario.overstay,
            means: self.means(now, spent),
            planners: 1,
            is_first: true,
        }
    }

    fn means(&mut self, now: Timestamp, spent: Amount) -> Means {
        self.history.push_back((now, spent));
        while self.history.get(1).is_some_and(|(at, _)| now.since(*at) >= DAY) {
            self.history.pop_front();
        }
        let mean = |over: Duration| {
            let after = self.history.partition_point(|(at, _)| now.since(*at) >= over);
            let (at, before) = self.history.get(after.checked_sub(1)?)?;
            Some(Rate::spending(spent - *before, now.since(*at)))
        };
        Means { six_hours: mean(6 * HOUR), day: mean(DAY) }
    }
}

fn offer(model: &super::OfferingModel) -> Offer {
    Offer {
        offering: model.offering.clone(),
        price: Rate::hourly(model.tariff.charge()),
        processors: model.processors,
        hs23: model.hs23,
        running: 0,
        most: Some(model.most),
    }
}
