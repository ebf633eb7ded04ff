//! The money of a cycle: the ledger is read, what has become of machines is booked, and the plan sees what is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use vcycle_money::book::{Open, ToEnd};
use vcycle_money::plan::{Budget, Orders};
use vcycle_money::{Book, Community, Currency, Event, Reservation};

use super::alarms;
use super::prices::{costs, costs_unknown, price_what_is_gone};
use super::{CycleContext, Planner, leaving, orders, tried};
use crate::model::{
    ClockTrust, Generation, IntentToken, ListingState, MachineName, MachineRecord, Sighting,
    SpaceName, SpacePolicy, Timestamp,
};
use crate::observe::{Observation, SpaceMemory};
use crate::plan::{Books, Costs, Known, Late, Spending, bookings};
use crate::store::{Fenced, LedgerError, Proof, StoreError};

/// What is reserved at least for a machine whose hard end has passed when it is found.
const FOUND_LATE: Duration = Duration::from_secs(15 * 60);

/// No machine that is found is older.
const A_YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Whether the caps in force are those that the spend manager wants, or tighter ones.
#[derive(Debug, Clone, PartialEq)]
pub enum CapsRead {
    /// This process has read the files, and what they said is in force.
    Yes {
        /// Why what they say now is not taken up.
        problem: Option<String>,
        /// The budgets of the files, as they were last understood.
        budgets: Arc<[Budget]>,
    },
    /// It has not: nothing may be spent yet.
    NotYet {
        /// Why.
        why: String,
    },
    /// The configuration does not watch spending, and there are no caps: nobody wants it to.
    Unwatched,
}

/// Why nothing is spent by a manager that does not watch where caps are.
pub const CAPS_UNWATCHED: &str = "there are caps, and the configuration of this manager has no [spending]: write it, or take the caps away first";

/// Why nothing is spent by who watches, or does not watch any more, since a moment ago.
const NOT_LOOKED: &str = "this manager has not read the caps yet";

/// What is known of money in one cycle of a space whose spending is watched.
#[derive(Debug, Clone)]
pub(super) struct Money {
    book: Arc<Book>,
    costs: Costs,
    to_end: ToEnd,
    orders: Vec<Orders>,
    stopped: Option<String>,
    alarms: Vec<String>,
}

/// When the books are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// After the look at everything that each cycle begins with.
    Cycle,
    /// Between two waves of one cycle, by the look that it began with.
    Wave,
}

/// What a cycle has seen.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) seen: &'a Observation,
    pub(super) trust: &'a ClockTrust,
}

impl Money {
    /// Reads the ledger and books what is new. `None`: spending is not watched in this space, and no cap wants it to be.
    /// Where a cap does, the books are kept without prices, and nothing is made.
    ///
    /// # Errors
    /// The ledger shows that our ownership is older than one that was: the log of owners is older than the ledger.
    pub(super) async fn of(
        context: &CycleContext<'_>,
        proof: &Proof<'_>,
        look: Seen<'_>,
        memory: &SpaceMemory,
    ) -> Result<Option<Self>, StoreError> {
        let offerings = (&look.seen.offerings[..], look.seen.now);
        let watched = costs(context.setup, context.space, offerings);
        let unwatched = || match context.caps {
            CapsRead::Unwatched => None,
            CapsRead::NotYet { .. } | CapsRead::Yes { .. } => {
                costs_unknown(context.setup, context.space)
            }
        };
        let Some(mut costs) = watched.or_else(unwatched) else { return Ok(None) };
        let book = context.ledger.book();
        let living = memory.records().values().filter(|record| record.may_exist());
        let reserved = book.reservations().map(|open| &open.reservation);
        let own = reserved.filter(|own| own.account.space == context.space.policy.space);
        let existing = living.map(|record| &record.offering).chain(own.map(|own| &own.offering));
        price_what_is_gone(&mut costs, (context.setup, context.space), offerings, existing);
        let nothing = Self {
            book: Arc::clone(&book),
            costs,
            to_end: ToEnd::new(),
            orders: Vec::new(),
            stopped: None,
            alarms: Vec::new(),
        };
        nothing.read(context, proof, (look, Occasion::Cycle), memory).await.map(Some)
    }

    /// The same between two waves: what was refused is free again.
    pub(super) async fn again(
        &self,
        context: &CycleContext<'_>,
        proof: &Proof<'_>,
        look: Seen<'_>,
        memory: &SpaceMemory,
    ) -> Result<Self, StoreError> {
        self.read(context, proof, (look, Occasion::Wave), memory).await
    }

    /// The same after the ledger was read again, and what is new was booked.
    async fn read(
        &self,
        context: &CycleContext<'_>,
        proof: &Proof<'_>,
        (look, occasion): (Seen<'_>, Occasion),
        memory: &SpaceMemory,
    ) -> Result<Self, StoreError> {
        let mut next = self.clone();
        let booked = next.book_what_is_new(context, proof, (look, occasion), memory).await;
        next.stopped = match booked {
            Ok(()) => next.why_not(context, look, memory),
            Err(LedgerError::Store(StoreError::Fenced(fenced))) => return Err(fenced.into()),
            Err(problem) => {
                warn!(space = %proof.space(), %problem, "nothing can be reserved");
                Some(problem.to_string())
            }
        };
        let (generation, by) = (proof.generation(), next.book.generation(proof.space()));
        if let Some(by) = by.filter(|by| *by > generation) {
            return Err(Fenced::Outrun { generation, by }.into());
        }
        next.look_at_caps(proof.space(), look);
        next.look_at_budgets(context, look, memory);
        next.alarms.extend(next.stopped.iter().map(|why| format!("nothing may be spent: {why}")));
        if let CapsRead::Yes { problem: Some(problem), budgets: _ } = context.caps {
            next.alarms.push(format!("the caps in force stay as they are: {problem}"));
        }
        next.alarms.extend(context.ledger.alarms());
        Ok(next)
    }

    /// As the plan sees it.
    pub(super) fn view(&self) -> Spending<'_> {
        Spending {
            book: &self.book,
            costs: &self.costs,
            to_end: &self.to_end,
            orders: &self.orders,
            stopped: self.stopped.as_deref(),
        }
    }

    /// For whom a machine is tried in this cycle.
    pub(super) fn tried(&self) -> impl Iterator<Item = &Community> {
        tried(&self.orders)
    }

    /// What people should know.
    pub(super) fn alarms(&self) -> &[String] {
        &self.alarms
    }

    async fn book_what_is_new(
        &mut self,
        context: &CycleContext<'_>,
        proof: &Proof<'_>,
        (look, occasion): (Seen<'_>, Occasion),
        memory: &SpaceMemory,
    ) -> Result<(), LedgerError> {
        // Nothing follows from a time that is doubted, nor from records that may not be what stands there.
        let Some(believed_since) = memory.believed_since.filter(|_| !memory.stale) else {
            self.book = context.ledger.refresh().await?;
            return Ok(());
        };
        let desk = Desk {
            policy: &context.space.policy,
            generation: proof.generation(),
            believed_since,
            seen: look.seen,
            occasion,
            memory,
            currency: context.setup.config.spending.as_ref().map(|spending| spending.currency),
            costs: &self.costs,
            orphans: look.seen.orphans.iter().map(|orphan| orphan.tags.intent).collect(),
        };
        if let Some(entry) = context.ledger.write(proof, |book| desk.news(book)).await? {
            info!(space = %proof.space(), entry, "booked what has become of machines");
        }
        self.book = context.ledger.book();
        Ok(())
    }

    /// Why nothing may be spent now, although the ledger can be written.
    fn why_not(
        &self,
        context: &CycleContext<'_>,
        look: Seen<'_>,
        memory: &SpaceMemory,
    ) -> Option<String> {
        match context.caps {
            CapsRead::NotYet { why } => return Some(why.clone()),
            CapsRead::Yes { .. } if context.setup.config.spending.is_some() => {}
            CapsRead::Yes { .. } | CapsRead::Unwatched => return Some(NOT_LOOKED.to_owned()),
        }
        if !self.book.caps().is_empty() && !look.seen.orphans.is_empty() {
            return Some(
                "a machine of ours was found that no record is of: it is booked first".into(),
            );
        }
        let living = memory.records().values().filter(|record| record.may_exist());
        let mut unbooked = living.filter(|record| {
            let account =
                self.costs.account(record.space(), record.machinetype(), &record.offering);
            self.book.reservation(record.intent()).is_none() && self.book.is_capped(&account)
        });
        unbooked.find_map(|record| {
            let cost = self.costs.reservation(&record.tags, &record.offering, look.seen.now);
            let why = match (cost, look.trust) {
                (Ok(None), _) => return None,
                (_, ClockTrust::Doubted { why }) => format!("the time is doubted: {why}"),
                (_, ClockTrust::Trusted) if memory.stale => {
                    "what is known of machines is read anew first".to_owned()
                }
                (Err(why), ClockTrust::Trusted) => why,
                (Ok(Some(_)), ClockTrust::Trusted) => "it is booked in the next cycle".to_owned(),
            };
            Some(format!("{} exists and is not booked: {why}", record.machine()))
        })
    }

    /// What the budgets want of this space. Where the time is doubted nothing grows anyway, and nothing is told to end.
    fn look_at_budgets(
        &mut self,
        context: &CycleContext<'_>,
        Seen { seen, trust }: Seen<'_>,
        memory: &SpaceMemory,
    ) {
        self.orders.clear();
        let CapsRead::Yes { problem: _, budgets } = context.caps else { return };
        if !trust.is_trusted() {
            return;
        }
        let leaving = leaving(&context.space.policy, memory.records().values(), seen.now);
        let (offerings, costs, book) = (&seen.offerings[..], &self.costs, &self.book);
        let (leaving, tries) = (&leaving, &memory.tries);
        let planner = Planner { now: seen.now, offerings, costs, book, leaving, tries };
        self.orders = orders((context.setup, context.space), &planner, budgets);
        self.alarms.extend(self.orders.iter().filter_map(alarms::of_budget));
    }

    /// Which machines must end for the sake of a cap, and what people should know of caps.
    fn look_at_caps(&mut self, space: &SpaceName, Seen { seen, trust }: Seen<'_>) {
        self.alarms.clear();
        self.to_end.clear();
        if !trust.is_trusted() {
            return;
        }
        self.to_end = self.book.to_end(seen.now);
        for standing in self.book.standings(seen.now) {
            let spaces = &standing.cap.scope.spaces;
            let is_ours = spaces.is_empty() || spaces.contains(space);
            self.alarms.extend(alarms::of_cap(&standing, seen.now).filter(|_| is_ours));
        }
    }
}

/// What is known while the books of a space are kept.
struct Desk<'a> {
    policy: &'a SpacePolicy,
    generation: Generation,
    believed_since: Timestamp,
    seen: &'a Observation,
    occasion: Occasion,
    memory: &'a SpaceMemory,
    /// In which our prices are.
    currency: Option<Currency>,
    costs: &'a Costs,
    /// Intents of VMs that are seen and have no record.
    orphans: BTreeSet<IntentToken>,
}

impl<'a> Desk<'a> {
    fn news(&self, book: &Book) -> Vec<Event> {
        let known = |reservation: &Reservation| self.known(reservation);
        // Prices in another currency than the ledger's say nothing there.
        let are_its_own = book.currency().is_none_or(|own| Some(own) == self.currency);
        let tariff = |open: &Open| {
            let (offering, known) = (&open.reservation.offering, open.tariff_at(self.seen.now));
            are_its_own.then(|| self.costs.tariff(offering, known)).flatten()
        };
        let living = self.memory.records().values().filter(|record| record.may_exist());
        let living = living.filter(|_| are_its_own);
        let unbooked = living.filter(|record| book.reservation(record.intent()).is_none());
        let mut events = bookings(&Books {
            book,
            policy: self.policy,
            generation: self.generation,
            now: self.seen.now,
            believed_since: self.believed_since,
            known: &known,
            tariff: &tariff,
            late: unbooked.filter_map(|record| self.late(record)).collect(),
        });
        match self.occasion {
            Occasion::Cycle => {}
            // Whatever else has happened since the look of this cycle has happened after its time.
            Occasion::Wave => events.retain(|event| matches!(event, Event::Released { .. })),
        }
        events
    }

    fn known(&self, reservation: &Reservation) -> Known<'a> {
        let Reservation { intent, machine, .. } = reservation;
        if self.orphans.contains(intent) || self.memory.is_corrupt(machine) {
            return Known::Somehow;
        }
        let current = self.memory.records().get(machine);
        let records = current.into_iter().chain(self.memory.archived(machine));
        let own = records.into_iter().find(|record| record.intent() == intent);
        match own {
            Some(record) => Known::Record(record),
            None if self.memory.is_archived_corrupt(machine) => Known::Archived,
            None => match &self.seen.listing {
                ListingState::Complete { started: _ } => Known::Nothing,
                ListingState::Shrunken { expected: _, missing: _ }
                | ListingState::Partial { why: _ }
                | ListingState::Failed { kind: _, message: _ }
                | ListingState::Elsewhere { ours: _, theirs: _ } => Known::NotYet,
            },
        }
    }

    /// What is reserved for a machine that exists without a reservation, if its price is known.
    fn late(&self, record: &'a MachineRecord) -> Option<Late<'a>> {
        let begin = begin(self.created(record.machine()), record.intended);
        let reservation = self.costs.reservation(&record.tags, &record.offering, begin);
        let mut reservation = reservation.ok().flatten()?;
        reservation.until = reservation.until.max(self.seen.now + FOUND_LATE);
        reservation.generation = self.generation;
        Some(Late { record, reservation })
    }

    /// When the cloud began to have a machine, if it tells.
    fn created(&self, machine: &MachineName) -> Option<Timestamp> {
        let view = self.seen.machines.iter().find(|view| view.record.machine() == machine)?;
        match &view.sighting {
            Sighting::Seen(instance) => instance.created,
            Sighting::ProvenAbsent | Sighting::NotSeen => None,
        }
    }
}

/// Since when a machine is charged that was found: since its VM is there, or since it was intended. What a cloud says beyond a
/// year is no time.
fn begin(created: Option<Timestamp>, intended: Timestamp) -> Timestamp {
    let created = created.filter(|at| *at + A_YEAR >= intended);
    created.map_or(intended, |at| at.min(intended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_found_is_charged_since_it_is_there() {
        let intended = Timestamp::from_secs(1_796_083_200);
        let hour = Duration::from_secs(3600);
        assert_eq!(begin(None, intended), intended);
        assert_eq!(begin(Some(intended - hour), intended), intended - hour);
        assert_eq!(begin(Some(intended + hour), intended), intended, "its intent was before");
        assert_eq!(begin(Some(Timestamp::from_secs(0)), intended), intended, "no time");
    }
}
