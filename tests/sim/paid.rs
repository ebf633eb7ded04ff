//! What stands in the ledger, entry by entry as it came to the disk, and whether that agrees with what the clouds did.

use std::collections::{BTreeMap, BTreeSet};

use vcycle::model::{Generation, IntentToken};
use vcycle_money::{Author, Book, Entry, Event, Reservation};

use super::meter::{Meter, Metered};

/// By how much more than its life a machine may be settled, in milliseconds, besides what passed before its end was seen
/// and after its reservation: clocks of two managers (each a minute), and the beginning of the cycle that reserved it.
const LONGER: i64 = 300_000;

/// The ledger by intents.
#[derive(Debug, Default)]
pub struct Paid {
    booked: BTreeMap<IntentToken, Booked>,
    seen: BTreeSet<u64>,
    pub caps_were_set: bool,
    pub extended: u64,
    /// Of the caps in force.
    limits: BTreeMap<String, i64>,
    /// Those that were raised since the last look, to how much, or taken away.
    wider: Vec<(String, Option<i64>)>,
}

/// What is booked for a machine. Times are of the true clock, but for those of the life.
#[derive(Debug)]
struct Booked {
    reservation: Reservation,
    at: i64,
    /// Until when it was reserved, each from a number of an entry on.
    until: Vec<(u64, i64)>,
    end: Option<End>,
}

impl Booked {
    fn new(reservation: Reservation, (number, at): (u64, i64)) -> Self {
        let until = vec![(number, reservation.until.as_millis())];
        Self { reservation, at, until, end: None }
    }
}

#[derive(Debug)]
enum End {
    /// Under which ownership, if under one.
    Settled {
        life: (i64, i64),
        at: i64,
        by: Option<Generation>,
    },
    Released,
}

/// What is not as it must be.
#[derive(Debug)]
pub enum Wrong {
    /// It may come right.
    NotYet(String),
    Broken(String),
}

impl Paid {
    /// An entry came to the disk.
    pub fn written(&mut self, now: i64, line: &[u8]) -> Result<(), String> {
        let line: serde_json::Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let entry = line.get("entry").cloned().ok_or("no entry in it")?;
        let entry: Entry = serde_json::from_value(entry).map_err(|e| e.to_string())?;
        if !self.seen.insert(entry.number) {
            return Ok(());
        }
        let by = match entry.by {
            Author::Owner { generation, .. } => Some(generation),
            Author::Manager { .. } | Author::Person { .. } => None,
        };
        for event in entry.events {
            match event {
                Event::Reserved(reservation) | Event::Found { reservation, how: _ } => {
                    let intent = reservation.intent;
                    self.booked.insert(intent, Booked::new(reservation, (entry.number, now)));
                }
                Event::Settled { intent, begin, end, reason: _ } => {
                    let life = (begin.as_millis(), end.as_millis());
                    self.end(&intent, End::Settled { life, at: now, by })?;
                }
                Event::Released { intent, reason: _ } => self.end(&intent, End::Released)?,
                Event::CapsSet { caps, source: _ } => {
                    self.caps_were_set = true;
                    let limits = caps.iter().map(|cap| (cap.name.to_string(), cap.limit.nanos()));
                    let before = std::mem::replace(&mut self.limits, limits.collect());
                    let wider = before.into_iter().map(|(name, before)| {
                        let now = self.limits.get(&name).copied();
                        (now.is_none_or(|now| now > before), (name, now))
                    });
                    self.wider.extend(wider.filter(|(is_so, _)| *is_so).map(|(_, cap)| cap));
                }
                Event::Extended { intent, until } => {
                    let booked = self.booked.get_mut(&intent);
                    let booked = booked.ok_or(format!("{intent} is extended, and not open"))?;
                    booked.reservation.until = until;
                    booked.until.push((entry.number, until.as_millis()));
                    self.extended += 1;
                }
                Event::CurrencySet { .. }
                | Event::Repriced { .. }
                | Event::Corrected { .. }
                | Event::StageChanged { .. } => {}
            }
        }
        Ok(())
    }

    fn end(&mut self, intent: &IntentToken, end: End) -> Result<(), String> {
        let booked = self.booked.get_mut(intent).filter(|booked| booked.end.is_none());
        let booked = booked.ok_or(format!("{intent} ends in the ledger and was not open"))?;
        booked.end = Some(end);
        Ok(())
    }

    /// A machine that is made now must be paid for.
    pub fn must_be_open(&self, intent: &IntentToken) -> Result<(), String> {
        match self.booked.get(intent) {
            Some(Booked { end: None, .. }) => Ok(()),
            Some(Booked { end: Some(end), .. }) => Err(format!("although its money was {end:?}")),
            None => Err("without a reservation".to_owned()),
        }
    }

    /// Until when what is open is reserved, in milliseconds.
    pub fn reserved_until(&self, intent: &IntentToken) -> Option<i64> {
        let booked = self.booked.get(intent).filter(|booked| booked.end.is_none())?;
        Some(booked.reservation.until.as_millis())
    }

    /// The number of the entry that reserved for a machine.
    pub fn entry(&self, intent: &IntentToken) -> Option<u64> {
        self.booked.get(intent)?.until.first().map(|(number, _)| *number)
    }

    /// Until when something was reserved for a machine, as the ledger was before an entry.
    pub fn was_reserved_until(&self, intent: &IntentToken, entry: u64) -> Option<i64> {
        let known = self.booked.get(intent)?.until.iter().rev();
        known.filter(|(number, _)| *number < entry).map(|(_, until)| *until).next()
    }

    fn open(&self) -> BTreeSet<IntentToken> {
        let open = self.booked.iter().filter(|(_, booked)| booked.end.is_none());
        open.map(|(intent, _)| *intent).collect()
    }
}

impl Meter {
    /// An entry came to the disk. A cap is raised to what its file has said for two minutes, or taken away as that has.
    pub fn booked(&mut self, (now, at): (u64, i64), line: &[u8]) -> Result<(), String> {
        self.paid.written(at, line)?;
        let wider = std::mem::take(&mut self.paid.wider);
        match wider.iter().find(|(name, limit)| !self.has_stood(now, name, *limit)) {
            Some((name, Some(limit))) => Err(format!("{name} is raised at once, to {limit}")),
            Some((name, None)) => Err(format!("{name} is taken away at once")),
            None => Ok(()),
        }
    }

    /// Whether the ledger, as it was read from its beginning, says what has happened.
    pub fn audit(&self, book: &Book) -> Result<(), Wrong> {
        let broken = |why: String| Err(Wrong::Broken(why));
        let open = self.paid.open();
        let in_book: BTreeSet<_> =
            book.reservations().map(|open| open.reservation.intent).collect();
        if open != in_book {
            return broken(format!("{in_book:?} are open in the book, {open:?} in the ledger"));
        }
        let of_intent: BTreeMap<IntentToken, &Metered> =
            self.machines().map(|machine| (machine.intent, machine)).collect();
        for (intent, booked) in &self.paid.booked {
            let machine = of_intent.get(intent);
            let is_there = machine.is_some_and(|machine| machine.removed.is_none());
            match &booked.end {
                None if is_there => {}
                None => return Err(Wrong::NotYet(format!("{intent} is reserved, and not there"))),
                Some(End::Released) if machine.is_some_and(|machine| !machine.late) => {
                    return broken(format!("{intent} was made, and its money released"));
                }
                Some(End::Released) => {}
                Some(End::Settled { .. }) if is_there && machine.is_some_and(|m| m.late) => {
                    return Err(Wrong::NotYet(format!("{intent} came late, and is not found")));
                }
                Some(End::Settled { .. }) if is_there => {
                    return broken(format!("{intent} is there, and settled"));
                }
                Some(End::Settled { life, at, by }) => {
                    // Another clock is reckoned with where another has reserved; that one was set back nobody knows.
                    let one_clock = *by == Some(booked.reservation.generation);
                    let unseen = if one_clock { self.unseen_step } else { 0 };
                    self.is_true((machine, unseen), booked, (*life, *at)).map_err(Wrong::Broken)?;
                }
            }
        }
        for machine in self.machines().filter(|machine| machine.removed.is_none()) {
            if machine.hourly.is_some() && !open.contains(&machine.intent) {
                let why = format!("{} is there, and nothing is reserved for it", machine.intent);
                return Err(Wrong::NotYet(why));
            }
        }
        Ok(())
    }

    /// Whether a machine was settled for its life, or a bit more.
    fn is_true(
        &self,
        (machine, unseen_step): (Option<&&Metered>, i64),
        Booked { reservation, at: reserved, .. }: &Booked,
        ((begin, end), at): ((i64, i64), i64),
    ) -> Result<(), String> {
        let intent = reservation.intent;
        // What was asked for and came to nothing is paid for all the same: nobody can tell it from what has been and went.
        let Some(machine) = machine else { return Ok(()) };
        let (Some(removed), Some(hourly)) = (machine.removed, machine.charged) else {
            return Ok(());
        };
        let charging = self.purse().charging;
        let booked = charging.cost(reservation.tariff.charge().nanos(), end - begin);
        let metered = charging.cost(hourly, removed - machine.begin - unseen_step);
        if booked < metered {
            return Err(format!(
                "{intent} has cost {metered} ({} ms), and {booked} ({} ms) are settled",
                removed - machine.begin,
                end - begin
            ));
        }
        let unseen = (at - removed).max(0) + (machine.begin - reserved).max(0);
        let most = removed - machine.begin + unseen + LONGER;
        if end - begin > most {
            let long = end - begin;
            return Err(format!("{intent} is settled for {long} ms, which is more than {most}"));
        }
        Ok(())
    }
}
