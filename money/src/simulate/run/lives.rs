//! What happens to a machine between its begin and its end.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::World;
use crate::simulate::events::{Ending, Key, What};
use crate::simulate::fleet::Machine;

/// A machine that never starts is given up after its usual time to start three times, and this.
const PATIENCE: Duration = Duration::from_secs(600);

impl World<'_> {
    pub(super) fn begin(&mut self, mut machine: Machine) {
        let model = &self.scenario.offerings[machine.offering];
        let crowd = &mut self.crowds[machine.community];
        machine.is_try = crowd.begins_a_try();
        crowd.begins(machine.begin, machine.rate());
        self.watch.made(&model.provider);
        let (begin, hard_end) = (machine.begin, machine.hard_end);
        let over = begin + crowd.model.guaranteed;
        let taken_back =
            self.weather[machine.offering].taken_back(begin, self.random.exponential());
        let never_starts = self.random.happens(model.never_start.0);
        let key = self.fleet.add(machine);
        if never_starts {
            let given_up = begin + 3 * model.boot + PATIENCE;
            let end = given_up.min(hard_end);
            self.fleet.schedule(end, key, What::Ended(Ending::NeverStarted));
        } else {
            let started = begin + model.boot;
            self.fleet.schedule(started, key, What::Started);
            // From its start on it has an end that is no later.
            if started >= hard_end {
                self.fleet.schedule(hard_end, key, What::Ended(Ending::Done));
            }
        }
        self.fleet.schedule(over, key, What::PromiseOver);
        if let Some(at) = taken_back.filter(|at| *at < hard_end) {
            self.fleet.schedule(at, key, What::Ended(Ending::TakenBack));
        }
    }

    /// Everything until a time.
    pub(super) fn happen(&mut self, until: Timestamp) {
        while let Some((at, key, what)) = self.fleet.queue.next(until) {
            match what {
                What::Started => self.started(at, key),
                What::Proven => self.proven(key),
                What::PromiseOver => self.promise_over(key),
                What::Ended(ending) => self.ended(at, key, ending),
            }
        }
    }

    fn started(&mut self, now: Timestamp, key: Key) {
        let Some(machine) = self.fleet.get(key) else { return };
        let crowd = &mut self.crowds[machine.community];
        let fizzles = self.random.happens(crowd.model.fizzles.0);
        let hard_end = machine.hard_end;
        let (end, ending) = if fizzles || crowd.working >= crowd.demand(now) {
            (now + crowd.model.fizzle, Ending::NoWork)
        } else {
            crowd.working += 1;
            machine.works_since = Some(now);
            let proven = now + crowd.model.fizzle;
            self.fleet.schedule(proven, key, What::Proven);
            (now + crowd.model.life.mul_f64(self.random.between(0.5, 1.5)), Ending::Done)
        };
        self.fleet.schedule(end.min(hard_end), key, What::Ended(ending));
    }

    fn proven(&mut self, key: Key) {
        let Some(machine) = self.fleet.get(key) else { return };
        machine.is_unproven = false;
        let crowd = &mut self.crowds[machine.community];
        crowd.unproven = crowd.unproven.above(machine.rate());
        crowd.found_work(machine.begin, machine.rate());
        if std::mem::take(&mut machine.is_try) {
            crowd.try_is_over();
        }
    }

    fn promise_over(&mut self, key: Key) {
        if let Some(machine) = self.fleet.get(key)
            && std::mem::take(&mut machine.is_guaranteed)
        {
            let crowd = &mut self.crowds[machine.community];
            crowd.guaranteed = crowd.guaranteed.above(machine.rate());
        }
    }

    fn ended(&mut self, now: Timestamp, key: Key, ending: Ending) {
        let Some(machine) = self.fleet.remove(key) else { return };
        let model = &self.scenario.offerings[machine.offering];
        let crowd = &mut self.crowds[machine.community];
        let rate = machine.rate();
        crowd.machines -= 1;
        crowd.running = crowd.running.above(rate);
        if machine.is_guaranteed {
            crowd.guaranteed = crowd.guaranteed.above(rate);
        }
        if machine.is_unproven {
            crowd.unproven = crowd.unproven.above(rate);
        }
        if machine.is_leaving {
            crowd.leaving = crowd.leaving.above(rate);
        }
        if machine.is_try {
            crowd.try_is_over();
        }
        if let Some(since) = machine.works_since {
            crowd.working -= 1;
            if ending == Ending::Done {
                let offer = &self.offers[machine.offering];
                crowd.work_done += offer.worth().work() * now.since(since).as_secs_f64() / 3600.0;
            }
        }
        if ending == Ending::NoWork {
            crowd.found_none(now);
        }
        self.offers[machine.offering].running -= 1;
        self.watch.ended(&model.provider, now, ending);
        self.till.end(&machine, now, ending.into());
    }

    pub(super) fn tell_to_end(&mut self, key: Key, now: Timestamp) {
        let Some(machine) = self.fleet.get(key) else { return };
        machine.is_leaving = true;
        let (rate, number) = (machine.rate(), machine.community);
        let crowd = &mut self.crowds[number];
        crowd.leaving = crowd.leaving + rate;
        let end = now + crowd.model.grace.mul_f64(self.random.between(0.1, 1.0));
        self.fleet.schedule(end, key, What::Ended(Ending::Done));
    }
}
