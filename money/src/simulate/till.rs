//! The money: the real book of the ledger with the cap of the budget, and a meter of its own beside it.

use vcycle_api::{Generation, ManagerName, Timestamp};

use super::fleet::Machine;
use super::scenario::Scenario;
use crate::book::{Book, Sum, Violation};
use crate::{Account, Amount, Author, CapName, Entry, Event, Refusal, Reservation, SettleReason};

/// The book, what is to be written into it, and the meter.
#[derive(Debug)]
pub(super) struct Till {
    book: Book,
    budget: CapName,
    by: Author,
    /// Ends of machines that are not in the book yet.
    ended: Vec<Event>,
    /// What machines cost that ended, counted apart from the book.
    pub(super) metered: Amount,
    /// Reservations that a cap refused.
    pub(super) refused: u64,
}

impl Till {
    /// With the caps of a scenario and that of its budget.
    pub(super) fn new(scenario: &Scenario) -> Result<Self, Violation> {
        let budget = &scenario.budget;
        let cap = budget.cap();
        let manager: ManagerName = "simulated".parse().expect("a valid name");
        let by = Author::Owner {
            manager,
            space: "simulated".parse().expect("a valid name"),
            generation: Generation(1),
        };
        let mut till = Self {
            book: Book::default(),
            budget: cap.name.clone(),
            by,
            ended: Vec::new(),
            metered: Amount::ZERO,
            refused: 0,
        };
        let caps = scenario.caps.iter().cloned().chain([cap]).collect();
        till.write(budget.from, vec![Event::CapsSet { caps, source: String::new() }])?;
        Ok(till)
    }

    /// The book as it is.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    /// What is settled and reserved of the budget.
    pub(super) fn sum(&self) -> Sum {
        self.book.sums(&self.budget).first().map(|(_, sum)| *sum).unwrap_or_default()
    }

    /// Reserves for a wave; for each whether a cap refused it.
    pub(super) fn reserve(
        &mut self,
        now: Timestamp,
        wave: Vec<Reservation>,
    ) -> Result<Vec<Result<(), Refusal>>, Violation> {
        let admitted = self.book.admit(&wave);
        let passed = wave.into_iter().zip(&admitted).filter(|(_, admitted)| admitted.is_ok());
        let events: Vec<Event> = passed.map(|(own, _)| Event::Reserved(own)).collect();
        self.refused += (admitted.len() - events.len()) as u64;
        self.write(now, events)?;
        Ok(admitted)
    }

    /// Notes the end of a machine.
    pub(super) fn end(&mut self, machine: &Machine, end: Timestamp, reason: SettleReason) {
        self.metered = self.metered + machine.tariff.cost_of(end.since(machine.begin));
        self.ended.push(Event::Settled {
            intent: machine.intent,
            begin: machine.begin,
            end,
            reason,
        });
    }

    /// Writes the ends of machines into the book.
    pub(super) fn settle(&mut self, now: Timestamp) -> Result<(), Violation> {
        let ended = std::mem::take(&mut self.ended);
        self.write(now, ended)
    }

    fn write(&mut self, at: Timestamp, events: Vec<Event>) -> Result<(), Violation> {
        if events.is_empty() {
            return Ok(());
        }
        let entry = Entry {
            format: 1,
            number: 0,
            previous: String::new(),
            at,
            by: self.by.clone(),
            attempt: String::new(),
            events,
        };
        let sealed = self.book.head().seal_unwritten(entry);
        self.book.apply(&sealed)
    }
}

/// Where a machine is booked.
pub(super) fn account(scenario: &Scenario, community: usize, offering: usize) -> Account {
    let model = &scenario.offerings[offering];
    Account {
        provider: model.provider.clone(),
        space: model.space.clone(),
        machinetype: format!("m{community}").parse().expect("a letter and a number"),
        community: Some(scenario.communities[community].community.clone()),
        market: model.offering.market,
    }
}
