//! From the advice of a cycle to machines that are told to end and machines that are made.

use vcycle_api::{Generation, IntentToken, MachineName, Timestamp};

use super::World;
use crate::plan::{Advice, Rate, Work};
use crate::simulate::events::Key;
use crate::simulate::fleet::Machine;
use crate::simulate::scenario::InvalidScenario;
use crate::{Money, Reservation};

/// A machine that is to be made.
struct Planned {
    machine: Machine,
    reservation: Reservation,
}

impl World<'_> {
    /// Tells machines to end, those first that would keep most reserved.
    pub(super) fn give_way(&mut self, advice: &Advice, now: Timestamp) {
        for own in advice.communities.iter().filter(|own| own.give_way > Rate::ZERO) {
            let Some(number) = self.number(&own.community) else { continue };
            let can = |machine: &Machine| {
                machine.community == number && !machine.is_guaranteed && !machine.is_leaving
            };
            let mut can: Vec<(Timestamp, Key, Rate)> = self
                .fleet
                .iter()
                .filter(|(_, machine)| can(machine))
                .map(|(key, machine)| (machine.hard_end, key, machine.rate()))
                .collect();
            can.sort_unstable_by(|a, b| b.cmp(a));
            let mut left = own.give_way;
            for (_, key, rate) in can {
                if rate <= left {
                    left = left.above(rate);
                    self.tell_to_end(key, now);
                }
            }
        }
    }

    /// Makes machines, as far as the advice goes and there is something to make them of.
    pub(super) fn grow(&mut self, advice: &Advice, now: Timestamp) -> Result<(), InvalidScenario> {
        let mut wave = Vec::new();
        let mut owed = Vec::new();
        for own in &advice.communities {
            let Some(number) = self.number(&own.community) else { continue };
            let hard_end = (now + self.crowds[number].model.max_wallclock).min(advice.latest_end);
            let is_short = hard_end.since(now) < self.crowds[number].model.min_wallclock;
            if own.grow == Rate::ZERO || is_short {
                continue;
            }
            let mut left = own.grow;
            while let Some(offering) = self.in_stock(number, now) {
                // To the nearest machine.
                let rate = self.offers[offering].price;
                if rate > left.times(2) {
                    self.offers[offering].running -= 1;
                    break;
                }
                left = left.above(rate);
                wave.push(self.machine(number, offering, (now, hard_end)));
                owed.push(self.owed(&own.community, own.grow.above(left)));
                if self.crowds[number].work(now) == Work::Perhaps {
                    break;
                }
            }
        }
        self.make(now, wave, &owed)
    }

    /// How much a community would have for its share with so many more machines, as the controller shares: who has least is asked for
    /// first, since a cap may have room for a few only. Priorities are before backfill.
    fn owed(&self, community: &crate::Community, more: Rate) -> (bool, i64) {
        let budget = &self.scenario.budget;
        let priority = budget.priorities.iter().find(|own| own.community == *community);
        let share = priority.map_or(1, |own| i64::from(own.share.max(1)));
        let running = self.number(community).map_or(Rate::ZERO, |own| self.crowds[own].running);
        let has = running + self.recent.rate(community) + more;
        (priority.is_none(), has.in_an_hour().nanos() / share)
    }

    /// Reserves for a wave, and makes what was not refused.
    fn make(
        &mut self,
        now: Timestamp,
        wave: Vec<Planned>,
        owed: &[(bool, i64)],
    ) -> Result<(), InvalidScenario> {
        if wave.is_empty() {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..wave.len()).collect();
        order.sort_by_key(|nth| owed[*nth]);
        let reservations = order.iter().map(|nth| wave[*nth].reservation.clone()).collect();
        let answers = self.till.reserve(now, reservations)?;
        let mut admitted = vec![false; wave.len()];
        for (nth, answer) in order.into_iter().zip(answers) {
            admitted[nth] = answer.is_ok();
        }
        for (Planned { machine, .. }, is_admitted) in wave.into_iter().zip(admitted) {
            if is_admitted {
                self.begin(machine);
            } else {
                self.offers[machine.offering].running -= 1;
            }
        }
        Ok(())
    }

    fn machine(
        &mut self,
        community: usize,
        offering: usize,
        (now, hard_end): (Timestamp, Timestamp),
    ) -> Planned {
        let tariff = self.tariff(offering);
        let account = self.accounts[community][offering].clone();
        let machine = Machine {
            intent: IntentToken::compose(self.random.bits()),
            community,
            offering,
            tariff,
            begin: now,
            hard_end,
            until: hard_end + self.scenario.overstay,
            works_since: None,
            is_unproven: true,
            is_try: false,
            is_guaranteed: true,
            is_leaving: false,
        };
        let reservation = Reservation {
            intent: machine.intent,
            machine: MachineName::compose(&account.machinetype, self.random.next()),
            generation: Generation(1),
            account,
            offering: self.scenario.offerings[offering].offering.clone(),
            tariff,
            quoted: Money { amount: tariff.hourly, currency: self.scenario.currency },
            from: now,
            until: machine.until,
        };
        Planned { machine, reservation }
    }

    fn number(&self, community: &crate::Community) -> Option<usize> {
        self.crowds.iter().position(|crowd| crowd.model.community == *community)
    }
}
