//! Machines that are there longer than they were to be, since nobody can delete them: nothing keeps a cap from being passed
//! by them, so each must be booked as it goes on, and nothing more is made that has no room beside them, in whatever space and in
//! whatever window.

use super::meter::{CLOCK, Meter, Metered};
use super::rules::HOUR;

/// For how long after its reservation is over a machine may be there without an extension, when all is quiet, in milliseconds: until
/// the next cycle of an owner, of managers of which one may just have died.
const NOTICED: i64 = 600_000;

impl Meter {
    /// How many machines are there for 20 hours longer than they were to be.
    pub fn overdue_for_most_of_a_day(&self, now: u64) -> u64 {
        let since = self.true_time(now) - 20 * HOUR;
        let there = self.machines().filter(|machine| machine.removed.is_none());
        there.filter(|machine| machine.hard_end < since).count() as u64
    }

    /// When all is quiet, whatever is there is reserved until now, or was a moment ago.
    pub fn what_is_overdue_is_booked(&self, now: u64) -> Result<(), String> {
        let since = self.true_time(now) - NOTICED;
        let counts = |machine: &&Metered| {
            machine.removed.is_none() && !machine.late && machine.hourly.is_some()
        };
        let over = |machine: &&Metered| {
            machine.hard_end < since
                && self.paid.reserved_until(&machine.intent).is_some_and(|until| until < since)
        };
        self.machines().filter(counts).find(over).map_or(Ok(()), |machine| {
            let until = self.paid.reserved_until(&machine.intent);
            let late = self.true_time(now) - until.unwrap_or_default();
            Err(format!("{} is there, and reserved until {late} ms ago", machine.intent))
        })
    }

    /// A machine has room beside all that the ledger had reserved when it was reserved itself, whoever's that is: in every
    /// window that it touches, also if the other began long before that.
    pub fn is_within_what_the_ledger_knew(&self, machine: &Metered) -> Result<(), String> {
        let Some(entry) = self.paid.entry(&machine.intent) else { return Ok(()) };
        let known = |other: &Metered| {
            let until = self.paid.was_reserved_until(&other.intent, entry);
            let end = until.map_or(other.hard_end, |until| other.hard_end.max(until - CLOCK));
            let end = other.removed.map_or(end, |removed| removed.min(end));
            (other.begin, end.max(other.begin))
        };
        for rule in self.rules_on(machine) {
            let Some(limit) = self.limit(rule.name, self.since_begin(machine.begin)) else {
                continue;
            };
            for window in self.windows_of(&rule, machine) {
                let all = self.machines().filter(|other| self.is_on(&rule, other));
                let sum: i64 = all.map(|other| self.cost_of(other, known(other), window)).sum();
                if sum > limit {
                    return Err(format!(
                        "although, by what the ledger had, {sum} of {limit} are taken by {} from {}",
                        rule.name, window.0
                    ));
                }
            }
        }
        Ok(())
    }

    fn true_time(&self, now: u64) -> i64 {
        self.purse().begin.as_millis() + i64::try_from(now).expect("lives are short")
    }
}
