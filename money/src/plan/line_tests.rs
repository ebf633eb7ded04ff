//! Whether a budget keeps to its line where managers keep to its orders: a small world that knows nothing but the ledger, as they do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::{IntentToken, Timestamp};

use super::ledger_tests::{BEGIN, Deployment, budget, community, from, rate};
use super::*;
use crate::{Amount, SettleReason};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const CYCLE: Duration = Duration::from_secs(300);

/// Machines of a community, and what there is of them at most: a limit of its own, a quota.
struct Crew {
    name: &'static str,
    most: usize,
    /// They live so long, and up to two thirds longer.
    life: Duration,
    /// It has work from then on.
    works_from: Timestamp,
    grace: Duration,
}

impl Crew {
    fn new(name: &'static str, most: usize) -> Self {
        Self { name, most, life: 3 * HOUR, works_from: BEGIN, grace: HOUR / 2 }
    }
}

/// A space, or several, that spend a budget of 50 an hour: a hundred machines.
struct Small {
    deployment: Deployment,
    budget: Budget,
    crews: Vec<Crew>,
    ends: BTreeMap<IntentToken, (Timestamp, SettleReason)>,
    told: BTreeSet<IntentToken>,
    now: Timestamp,
}

impl Small {
    fn new(crews: Vec<Crew>) -> Self {
        let budget = Budget { amount: Amount::from_units(5000), ..budget() };
        Self {
            deployment: Deployment::of(&budget),
            budget,
            crews,
            ends: BTreeMap::new(),
            told: BTreeSet::new(),
            now: BEGIN,
        }
    }

    fn running(&self, name: &str) -> usize {
        let open = self.deployment.book.reservations();
        let community = Some(community(name));
        open.filter(|open| open.reservation.account.community == community).count()
    }

    fn crew(&self, name: &str) -> &Crew {
        self.crews.iter().find(|crew| crew.name == name).unwrap()
    }

    fn orders(&self) -> Orders {
        let habits = BTreeMap::new();
        Orders::of(&self.budget, &self.deployment.book, &from("a", self.now, &self.told, &habits))
    }

    fn cycle(&mut self) {
        self.end();
        let orders = self.orders();
        for intent in orders.to_end.keys() {
            self.told.insert(*intent);
            let open = self.deployment.book.reservation(intent).unwrap();
            let name = open.reservation.account.community.clone().unwrap();
            let by = self.now + self.crew(name.as_str()).grace;
            let end = &mut self.ends.get_mut(intent).unwrap().0;
            *end = (*end).min(by);
        }
        for own in &orders.advice.communities {
            self.grow(own);
        }
        self.now = self.now + CYCLE;
    }

    fn grow(&mut self, own: &CommunityAdvice) {
        let name = own.community.as_str();
        let Some(crew) = self.crews.iter().find(|crew| crew.name == name) else { return };
        let (most, life, has_work) = (crew.most, crew.life, self.now >= crew.works_from);
        for _ in 0..own.grow.holds(rate("0.5")) {
            if self.running(name) >= most {
                return;
            }
            let until = self.now + 10 * HOUR;
            let made = self.deployment.make_until("a", name, (self.now, until));
            let Some(intent) = made else { return };
            let nth = u32::try_from(self.ends.len()).unwrap() * 37 + self.minute();
            let end = self.now + life + life * (nth % 100) / 150;
            let end = if has_work {
                (end, SettleReason::Worked)
            } else {
                (self.now + 10 * MINUTE, SettleReason::Fizzled)
            };
            self.ends.insert(intent, end);
        }
    }

    fn minute(&self) -> u32 {
        u32::try_from(self.now.since(BEGIN).as_secs() / 60).unwrap()
    }

    fn end(&mut self) {
        let now = self.now;
        let over = self.ends.iter().filter(|(_, (end, _))| *end <= now);
        let over: Vec<_> = over.map(|(intent, end)| (*intent, *end)).collect();
        for (intent, (end, reason)) in over {
            self.ends.remove(&intent);
            self.deployment.end(intent, end, reason);
        }
    }

    /// The mean of the machines that run, and the fewest, from an hour to another.
    fn until(&mut self, hours: (u32, u32)) -> (f64, usize) {
        let (mut sum, mut looks, mut least) = (0, 0, usize::MAX);
        while self.now < BEGIN + HOUR * hours.1 {
            self.cycle();
            if self.now >= BEGIN + HOUR * hours.0 {
                let all = self.deployment.book.reservations().count();
                (sum, looks, least) = (sum + all, looks + 1, least.min(all));
            }
        }
        (sum as f64 / f64::from(looks), least)
    }
}

#[test]
fn a_priority_at_a_limit_of_its_own_keeps_no_room_from_backfill() {
    let mut small = Small::new(vec![Crew::new("ska", 50), Crew::new("lhcb", 1000)]);
    let (mean, least) = small.until((15, 50));
    assert!(mean > 90.0 && least > 80, "{mean} of 100 machines, {least} at least");
    assert_eq!(small.running("ska"), 50, "it has all that it can have");
}

#[test]
fn who_is_owed_most_and_cannot_grow_does_not_keep_others_from_growing() {
    let mut small = Small::new(vec![Crew::new("ska", 1000), Crew::new("dune", 10)]);
    let (mean, _) = small.until((15, 50));
    assert!(mean > 95.0, "{mean} of 100 machines");
}

#[test]
fn a_priority_gets_the_room_that_backfill_gives_up_however_long_that_takes() {
    let mut ska = Crew::new("ska", 1000);
    ska.works_from = BEGIN + 15 * HOUR;
    let lhcb = Crew { grace: 2 * HOUR, life: 5 * HOUR, ..Crew::new("lhcb", 1000) };
    let mut small = Small::new(vec![ska, lhcb]);
    let (mean, _) = small.until((10, 26));
    assert!(small.running("ska") > 80, "{} of 100 machines", small.running("ska"));
    assert!(mean > 95.0, "{mean} of 100 machines");
}
